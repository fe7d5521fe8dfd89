"""Where one target of a mapping gets its value: a field, a constant, a list, an object."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from leadapp.rules.normalise import Kind, Path
from leadapp.rules.paths import place, value_at
from leadapp.rules.values import (
    email_of,
    folded,
    has_value,
    is_scalar,
    looks_like_phone,
    number_of,
    phone_of,
    singles,
    text_of,
    truth_of,
)


class Type(StrEnum):
    """What a target takes; VALUE is any single text, number or truth."""

    VALUE = "value"
    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    EMAIL = "email"
    PHONE = "phone"
    LIST = "list"
    ANY = "any"


KINDS = {
    Type.TEXT: Kind.TEXT,
    Type.BOOLEAN: Kind.BOOLEAN,
    Type.EMAIL: Kind.EMAIL,
    Type.PHONE: Kind.PHONE,
    Type.NUMBER: Kind.PLAIN,
    Type.INTEGER: Kind.PLAIN,
    Type.LIST: Kind.PLAIN,
    Type.ANY: Kind.PLAIN,
}
WORDS = {
    Type.VALUE: "a single value",
    Type.TEXT: "a text",
    Type.NUMBER: "a number",
    Type.INTEGER: "a whole number",
    Type.BOOLEAN: "clearly yes or no",
    Type.EMAIL: "an e-mail address",
    Type.PHONE: "a phone number",
    Type.LIST: "a list of single values",
}


@dataclass(frozen=True)
class Without:
    """There is no value for a target, and why. The words name fields, never what they say."""

    reason: str


def _value(value: Any, _: str) -> Any:
    is_number_of_json = not isinstance(value, float) or math.isfinite(value)
    return value if is_scalar(value) and is_number_of_json else None


def _integer(value: Any, _: str) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and number == int(number) else None


def _phone(value: Any, country: str) -> str | None:
    """As it came where the country does not tell: a number that a person can still dial."""
    return phone_of(value, country) or (text_of(value) if looks_like_phone(value) else None)


READ: dict[Type, Callable[[Any, str], Any]] = {
    Type.VALUE: _value,
    Type.TEXT: lambda value, _: text_of(value),
    Type.NUMBER: lambda value, _: number_of(value),
    Type.INTEGER: _integer,
    Type.BOOLEAN: lambda value, _: truth_of(value),
    Type.EMAIL: lambda value, _: email_of(value),
    Type.PHONE: _phone,
}


@dataclass(frozen=True)
class Source:
    """A field: the first of `names` whose value fits. `table`: their words to the customer's; `default`: for lack."""

    names: tuple[str, ...]
    paths: tuple[Path, ...]
    type: Type = Type.VALUE
    table: Mapping[str, Any] | None = None
    default: Any = None

    def value(self, tree: Mapping[str, Any], country: str) -> Any:
        """The value, or Without."""
        reason = ""
        for name, path in zip(self.names, self.paths, strict=True):
            found = self._read(value_at(tree, path), country)
            if not isinstance(found, Without):
                return found
            reason = reason or (found.reason and f'"{name}" {found.reason}')
        if self.default is not None:
            return self.default
        named = " or ".join(f'"{name}"' for name in self.names)
        return Without(reason or f"the lead says nothing for {named}")

    def _read(self, value: Any, country: str) -> Any:
        """What the target takes of a field's value; Without a reason when the field is empty."""
        if self.type is Type.ANY:
            return value if has_value(value) else Without("")
        ones = list(singles(value))
        if not ones:
            return Without("")
        if self.type is Type.LIST:
            return self._read_list(ones, country)
        if len(ones) > 1:
            return Without("came with several values")
        found = READ[self.type](ones[0], country)
        return Without(f"is not {WORDS[self.type]}") if found is None else self._translated(found)

    def _read_list(self, ones: list[Any], country: str) -> Any:
        values = [_value(one, country) for one in ones]
        if None in values:
            return Without(f"is not {WORDS[Type.LIST]}")
        translated = [self._translated(one) for one in values]
        return next((one for one in translated if isinstance(one, Without)), translated)

    def _translated(self, value: Any) -> Any:
        if self.table is None:
            return value
        return self.table.get(folded(text_of(value) or ""), Without('says what "values" does not translate'))


@dataclass(frozen=True)
class Constant:
    """The same for every lead; `setting` names where it is set, if that is a setting."""

    constant: Any
    setting: str = ""

    def value(self, _tree: Mapping[str, Any], _country: str) -> Any:
        if self.setting and not has_value(self.constant):
            return Without(f"the setting {self.setting} is empty")
        return self.constant


@dataclass(frozen=True)
class Shape:
    """An object inside a list: what its targets find, in their places."""

    parts: tuple[tuple[Path, "Entry"], ...]

    def value(self, tree: Mapping[str, Any], country: str) -> Any:
        body: dict[str, Any] = {}
        for path, entry in self.parts:
            found = entry.value(tree, country)
            if not isinstance(found, Without):
                place(body, path, found)
        return body or Without("the lead says nothing for any part of it")


@dataclass(frozen=True)
class Listing:
    """A list of whatever its entries find."""

    entries: tuple["Entry", ...]

    def value(self, tree: Mapping[str, Any], country: str) -> Any:
        found = [entry.value(tree, country) for entry in self.entries]
        return [one for one in found if not isinstance(one, Without)] or Without("the lead says nothing for any entry")


Entry = Source | Constant | Shape | Listing


def sources(entry: Entry) -> list[Source]:
    """Every field that an entry looks at."""
    match entry:
        case Source():
            return [entry]
        case Listing(entries):
            return [source for one in entries for source in sources(one)]
        case Shape(parts):
            return [source for _, one in parts for source in sources(one)]
        case Constant():
            return []
