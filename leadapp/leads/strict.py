"""Forms that are set strict: what is missing or malformed is refused, and nothing is stored.

The exception to "everything is kept", and the owner's choice. Spam is not checked: it is stored as spam and answered
like success, so that a robot learns nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from leadapp.errors import PayloadError
from leadapp.leads.fields import Understood, as_text
from leadapp.leads.judging import ROLES, judge
from leadapp.leads.mailboxes import is_mailbox
from leadapp.leads.models import Form
from leadapp.leads.names import value_at
from leadapp.leads.rulesets import Ruling


def faults(form: Form, payload: Mapping[str, Any], file_fields: Sequence[str]) -> list[PayloadError]:
    """Why this post is refused, a fault a field; nothing for a form that is not strict."""
    if not form.is_strict:
        return []
    found = judge(form, payload, "", Ruling()).understood
    if found is None or found.spam_reason:  # None: a bug of ours, which never costs a lead; saving it will log it
        return []
    missing = [name for name in form.required_fields if not _is_there(name, found, payload, file_fields)]
    wrong = [
        PayloadError(422, "REQUIRED_FIELD_EMPTY", f"{_label(name)} is needed.", _posted_name(name, payload))
        for name in missing
    ]
    if found.email and not is_mailbox(found.email):
        field = next((name for name, value in payload.items() if as_text(value).strip() == found.email), "email")
        wrong.append(PayloadError(422, "TYPE_EMAIL", "This does not look like an e-mail address.", field))
    return wrong


def _is_there(name: str, found: Understood, payload: Mapping[str, Any], file_fields: Sequence[str]) -> bool:
    """By its own name, plain or nested; by its role, whatever the form calls it; or as a file."""
    if name in file_fields or as_text(value_at(payload, name)).strip():
        return True
    return name.casefold() in ROLES and bool(getattr(found, name.casefold()))


def _posted_name(name: str, payload: Mapping[str, Any]) -> str:
    """The name as the post wrote it, so that a page shows the fault beside the field."""
    return next((posted for posted in payload if posted.casefold() == name.casefold()), name)


def _label(name: str) -> str:
    words = " ".join(name.replace("_", " ").replace("-", " ").split())
    return words[:1].upper() + words[1:]
