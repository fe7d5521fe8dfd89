"""E-mail addresses as they go over the wire; nothing here asks DNS."""

import idna
from email_validator import EmailNotValidError, validate_email

from leadapp.errors import PermanentError


def reply_address(text: str) -> str:
    """The address in ASCII when it is a valid one that any server can reply to, else ""."""
    text = text.strip()
    if not text:
        return ""
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True, allow_quoted_local=True)
    except EmailNotValidError:
        return ""
    return found.ascii_email or ""


def wire_address(text: str) -> str:
    """The address with its domain in ASCII; letters before the @ may stay non-ASCII (SMTPUTF8).

    Raises PermanentError when it is not an address. Domains of private networks are fine: people who run Leadapp
    set these addresses.
    """
    local, _, _ = text.strip().rpartition("@")
    domain = domain_of(text)
    try:
        if not domain:
            raise EmailNotValidError("no domain")
        found = validate_email(f"{local}@example.com", check_deliverability=False)
    except EmailNotValidError as error:
        raise PermanentError("The mail goes to something that is not an e-mail address") from error
    return f"{found.local_part}@{domain}"


def domain_of(address: str) -> str:
    """The domain in ASCII, or "" when this is not an address."""
    _, at, domain = address.strip().rpartition("@")
    try:
        return idna.encode(domain, uts46=True, std3_rules=True).decode() if at else ""
    except idna.IDNAError:
        return ""
