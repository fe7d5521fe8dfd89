"""A lead's fields in one spelling, before anything looks at them. What is not sure stays as it came.

Every text loses its blanks at both ends. Anything more happens only where a field is known to be of a kind: because a
mapping or a rule says so, or else by its name. So a message "no" or a quantity 1 never turns into a truth.
"""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from leadapp.rules.values import email_of, phone_of, text_of, trimmed, truth_of

DEEPEST = 64  # levels; what lies deeper stays as it came

Path = tuple[str, ...]


class Kind(StrEnum):
    """How a field is normalised."""

    PLAIN = "plain"  # trimmed, whatever its name says
    TEXT = "text"  # numbers become texts
    BOOLEAN = "boolean"
    EMAIL = "email"
    PHONE = "phone"


NAMES: dict[Kind, frozenset[str]] = {
    Kind.EMAIL: frozenset(
        """email mail emailaddress mailaddress youremail useremail contactemail customeremail workemail replyto
        emailadresse mailadresse correo correoelectronico courriel adressemail indirizzoemail""".split()
    ),
    Kind.PHONE: frozenset(
        """phone telephone tel mobile cell cellphone mobilephone phonenumber yourphone contactphone telefon
        telefonnummer handy handynummer mobil mobilnummer telefono telefone teléfono telefoon gsm
        portable téléphone""".split()
    ),
    Kind.TEXT: frozenset(
        """zip zipcode postal postalcode postcode plz postleitzahl codepostal codigopostal cap cep""".split()
    ),
}
_IS_OR_HAS = re.compile(r"(?:is|has)(?:[_-].+|[A-Z].*)")
_KIND_OF_NAME = {name: kind for kind, names in NAMES.items() for name in names}


def kind_by_name(name: str) -> Kind | None:
    """What a field's name says of it; None when it says nothing."""
    if _IS_OR_HAS.fullmatch(name):
        return Kind.BOOLEAN
    return _KIND_OF_NAME.get("".join(filter(str.isalnum, name[:60])).casefold())


def together(said: Iterable[tuple[Path, Kind]]) -> dict[Path, Kind]:
    """The kinds that are said of fields; a field of which two are said is plain, and its readers convert it."""
    kinds: dict[Path, Kind] = {}
    for path, kind in said:
        kinds[path] = kind if kinds.get(path, kind) is kind else Kind.PLAIN
    return kinds


def normalise(tree: Mapping[str, Any], kinds: Mapping[Path, Kind], country: str = "") -> dict[str, Any]:
    """A new tree; this one stays as it is. `kinds` go before names."""
    return {name: _Normaliser(kinds, country).value(value, (name,)) for name, value in tree.items()}


class _Normaliser:
    def __init__(self, kinds: Mapping[Path, Kind], country: str) -> None:
        self.kinds = kinds
        self.country = country

    def value(self, value: Any, path: Path, depth: int = 1) -> Any:
        if depth > DEEPEST:
            return value
        if isinstance(value, dict):  # what is under "" is the value of the field itself (leads.names)
            named = ((name, one, (*path, name) if name else path) for name, one in value.items())
            return {name: self.value(one, below, depth + 1) for name, one, below in named}
        if isinstance(value, list):
            return [self.value(one, (*path, str(number)), depth + 1) for number, one in enumerate(value)]
        if isinstance(value, str):
            value = trimmed(value)
        return _in_kind(value, self._kind(path), self.country)

    def _kind(self, path: Path) -> Kind | None:
        """Of the field itself, or of the list that it stands in."""
        if path in self.kinds:
            return self.kinds[path]
        if len(path) > 1 and path[-1].isdecimal():
            return self._kind(path[:-1])
        return kind_by_name(path[-1])


def _in_kind(value: Any, kind: Kind | None, country: str) -> Any:
    if value is None or kind is None or kind is Kind.PLAIN:
        return value
    found: Any = value
    if kind is Kind.BOOLEAN:
        found = truth_of(value)
    elif kind is Kind.EMAIL:
        found = email_of(value) or _lowered(value)
    elif kind is Kind.PHONE:
        found = phone_of(value, country)
    elif not isinstance(value, bool):
        found = text_of(value)
    return value if found is None else found


def _lowered(value: Any) -> Any:
    return value.lower() if isinstance(value, str) and "@" in value else value
