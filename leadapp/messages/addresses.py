"""E-mail addresses as they go over the wire; nothing here asks DNS."""

from email_validator import EmailNotValidError, ValidatedEmail, validate_email

from leadapp.errors import PermanentError


def reply_address(text: str) -> str:
    """The address in ASCII when it is a valid one that any server can reply to, else ""."""
    try:
        found = validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return ""
    return found.ascii_email or ""


def wire_address(text: str) -> str:
    """The address with its domain in ASCII; letters before the @ may stay non-ASCII (SMTPUTF8).

    Raises PermanentError when it is not an address. Domains of private networks are fine.
    """
    try:
        found = _lenient(text)
    except EmailNotValidError as error:
        raise PermanentError("The mail goes to something that is not an e-mail address") from error
    return f"{found.local_part}@{found.ascii_domain}"


def domain_of(address: str) -> str:
    """The domain in ASCII, or "" when this is not an address."""
    try:
        return _lenient(address).ascii_domain
    except EmailNotValidError:
        return ""


def _lenient(text: str) -> ValidatedEmail:
    return validate_email(text.strip(), check_deliverability=False, globally_deliverable=False)
