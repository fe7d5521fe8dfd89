"""What a post asks of the owner's mail: `_subject`, `from_name`, `_replyto`, `_cc`, `_format` and their relatives.

The visitor controls every one of them, so they are wishes: text made safe for a header, addresses checked against the
form's own list. `_webhook`, `_autoresponse`, `_captcha`, `_blacklist` and `_template` are not read at all.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from leadapp.leads.fields import as_text, host_of
from leadapp.leads.models import Lead
from leadapp.messages.addresses import reply_address
from leadapp.messages.headers import NAME_LIMIT, one_line

SUBJECT = ("_subject", "subject")
FROM_NAME = ("from_name", "_from_name")
REPLY_TO = ("_replyto", "_reply_to", "replyto")
COPIES = ("_cc", "_bcc", "ccemail")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})?")
LONGEST_ADDRESS = 400  # more than any valid one
LONGEST_LIST = 2_000  # characters of addresses that are looked at
_PLACEHOLDER = re.compile(r"%\{(formName|siteName|submissionId)\}")


@dataclass(frozen=True)
class Wishes:
    """Safe as they stand: one line each, a valid Reply-To or none, copies in small letters and unchecked."""

    subject: str = ""
    from_name: str = ""
    reply_to: str = ""
    copies: tuple[str, ...] = ()
    is_plain: bool = False
    language: str = ""


def wishes_of(lead: Lead) -> Wishes:
    """What the lead's post asked for; `%{formName}`, `%{siteName}` and `%{submissionId}` are filled in."""
    payload = json.loads(lead.raw_payload or "{}")
    found = read_wishes(payload)
    known = {
        "formName": lead.form.name,
        "siteName": host_of(lead.form.site_url or lead.page_url or "") or lead.form.name,
        "submissionId": str(lead.id),
    }
    subject = one_line(_PLACEHOLDER.sub(lambda match: known[match[1]], found.subject))
    return Wishes(subject, found.from_name, found.reply_to, found.copies, found.is_plain, found.language)


def read_wishes(payload: Mapping[str, Any]) -> Wishes:
    """The wishes in these fields; case does not matter, and the first name that holds something wins."""
    named = {name.casefold(): value for name, value in payload.items()}
    addresses = (reply_address(_first(named, name)[:LONGEST_ADDRESS]) for name in REPLY_TO)
    language = _first(named, "_language").lower().replace("_", "-")
    return Wishes(
        subject=one_line(_first(named, *SUBJECT)),
        from_name=one_line(_first(named, *FROM_NAME), NAME_LIMIT),
        reply_to=next(filter(None, addresses), ""),
        copies=tuple(dict.fromkeys(one for name in COPIES for one in _addresses(named.get(name)))),
        is_plain=_first(named, "_format").lower() == "plain",
        language=language if LANGUAGE.fullmatch(language) else "",
    )


def _first(named: Mapping[str, Any], *names: str) -> str:
    """A list says its first value: a hidden field and a visible one of the same name."""
    for name in names:
        value = named.get(name)
        for one in value if isinstance(value, list) else [value]:
            if text := as_text(one).strip():
                return text
    return ""


def _addresses(value: Any) -> list[str]:
    return re.findall(r"[^\s,;<>\"]+@[^\s,;<>\"]+", as_text(value)[:LONGEST_LIST].casefold())
