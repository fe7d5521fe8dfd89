"""What people type where an address is asked for: `Ada Lovelace <ada@example.com>`, `"ada b"@example.com`. Pure.

A lead's e-mail is the address alone, so that mail can go there and the same person is known again; what was typed
around it stays among the answers.
"""

import re
from functools import lru_cache

from email_validator import EmailNotValidError, validate_email

from leadapp.leads.field_values import is_name
from leadapp.leads.fields import Understood, is_address

LONGEST = 1_000  # letters that are looked at
# Somebody's words, then one address in angle brackets at the end; every part is found in one pass.
NAMED = re.compile(r"([^<>]{0,500})<([^<>]{3,400})>")
SCHEME = "mailto:"
FAULT = "TYPE_EMAIL"


def is_mailbox(text: str) -> bool:
    """Whether mail could be sent there: an address, also one whose part before the @ is in quotes."""
    return is_address(text) or ('"@' in text and len(text) <= LONGEST and _is_quoted(text))


@lru_cache(maxsize=64)
def _is_quoted(text: str) -> bool:
    try:
        validate_email(
            text, check_deliverability=False, allow_smtputf8=True, allow_quoted_local=True, test_environment=True
        )
    except EmailNotValidError:
        return False
    return True


def named_address(text: str) -> tuple[str, str] | None:
    """The words before the address, and the address; None when the text is not written so."""
    found = NAMED.fullmatch(text.strip()) if len(text) <= LONGEST else None
    if found is None:
        return None
    address = found[2].strip()
    if address.casefold().startswith(SCHEME):
        address = address[len(SCHEME) :].strip()
    return (found[1].strip().strip("\"'").strip(), address) if is_mailbox(address) else None


def settle(understood: Understood) -> dict[str, str]:
    """Take the address out of what was typed, and the fault back where there is none after all.

    Returns the field and what was typed in it, where that was more than the address: the lead keeps it.
    """
    typed = understood.email
    if not typed or is_address(typed):
        return {}
    named = named_address(typed)
    if named is None and not is_mailbox(typed):
        return {}
    understood.problems = [one for one in understood.problems if one["code"] != FAULT]
    if named is None:
        return {}
    name, understood.email = named
    place = understood.places.get("email") or "email"
    if not understood.name and is_name(name):
        understood.name, understood.places["name"] = name, place
        understood.reasons["name"] = "it stands before the e-mail address"
        if "email" in understood.scores:
            understood.scores["name"] = understood.scores["email"]
    return {place: typed}
