"""What a visitor typed, made into the fields of the problem page, so that nothing has to be typed twice."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from leadapp.leads.fields import HONEYPOTS, NAMES, REPLY_TO, SPECIAL, plain_name

Typed = Mapping[str, Sequence[str]]

LONG = 80  # characters that no longer fit on one line of the page
# Never sent back to a page, beside honeypots (a filled one would stay filled): secrets and one-time tokens.
NEVER_KEPT = re.compile(
    r"passw|passphrase|\bpwd\b|secret|token|csrf|captcha|turnstile|botpoison|cvc|cvv|card.?number",
    re.IGNORECASE,
)
AUTOCOMPLETE = {
    "email": "email",
    "name": "name",
    "first_name": "given-name",
    "last_name": "family-name",
    "phone": "tel",
}


@dataclass(frozen=True)
class Field:
    """One field of the page; `error` is what is wrong with it, "" when nothing is."""

    id: str
    name: str
    value: str
    kind: str = "line"  # line, text, hidden or file
    error: str = ""

    @property
    def label(self) -> str:
        return label_of(self.name)

    @property
    def autocomplete(self) -> str:
        return AUTOCOMPLETE.get(_role(self.name), "on")

    @property
    def input_mode(self) -> str:
        return self.autocomplete if self.autocomplete in ("email", "tel") else "text"


def kept_fields(typed: Typed, wrong: Mapping[str, str], honeypot: str = "") -> list[Field]:
    """Everything typed that may be shown again, and an empty field for each in `wrong` that is missing."""
    missing: Typed = {name: ("",) for name in wrong if name and name not in typed}
    pairs = [(name, value) for name, values in {**missing, **typed}.items() for value in values or ("",)]
    return [
        Field(f"field-{at}", name, value, _kind(name, value, name in wrong), wrong.get(name, ""))
        for at, (name, value) in enumerate(pairs, start=1)
        if name.lower() not in HONEYPOTS and name.casefold() != honeypot.casefold() and not NEVER_KEPT.search(name)
    ]


def _kind(name: str, value: str, is_wrong: bool) -> str:
    is_machinery = name.startswith(("_", "utm_")) or name in SPECIAL
    if is_machinery and name not in REPLY_TO and not is_wrong:
        return "hidden"
    is_long = len(value) > LONG or "\n" in value or _role(name) == "message"
    return "text" if is_long else "line"


def _role(name: str) -> str:
    if name in REPLY_TO:
        return "email"
    return next((role for role, names in NAMES.items() if plain_name(name) in names), "")


def label_of(name: str) -> str:
    """A field's name as a person would write it: `your-name` -> Your name, `lead[zip]` -> Lead zip."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.sub(r"[\s_\-.\[\]]+", " ", words).strip()
    return words[:1].upper() + words[1:] if words else "Answer"
