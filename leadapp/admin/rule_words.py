"""Rules and mappings as plain sentences, for people who do not read JSON. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from leadapp.rules.attributes import Constant, Entry, Listing, Source, Type
from leadapp.rules.checks import Check, Rule
from leadapp.rules.mapping import AttributeMapping
from leadapp.rules.ruleset import Ruleset

_PART = re.compile(r"(?:\\d|\[0-9\])(?:\{(\d{1,2})\})?|([A-Za-z0-9 @_-])|\\([.+/-])")
TYPE_WORDS = {
    Type.TEXT: "as text",
    Type.NUMBER: "as a number",
    Type.INTEGER: "as a whole number",
    Type.BOOLEAN: "as yes or no",
    Type.EMAIL: "as an e-mail address",
    Type.PHONE: "as a phone number",
    Type.LIST: "as a list",
}


@dataclass(frozen=True)
class Sentence:
    """`Zip` `must look like 66___, each _ a digit` `ZIP_NOT_66XXX`; `field` is its name in the lead."""

    name: str
    field: str
    must: str
    code: str


@dataclass(frozen=True)
class Line:
    """One target of the mapping: its name for the customer, where its value comes from, and whether it is needed."""

    target: str
    source: str
    is_required: bool


def name_of(field: str) -> str:
    """`house.is_owner` -> `Is owner`."""
    last = field.rsplit(".", 1)[-1].replace("_", " ").replace("-", " ").strip() or field
    return last[:1].upper() + last[1:]


def sentences(ruleset: Ruleset) -> list[Sentence]:
    """One for each rule, in their order."""
    return [Sentence(name_of(rule.field), rule.field, _must(rule), rule.code) for rule in ruleset.rules]


def _must(rule: Rule) -> str:
    match rule.check:
        case Check.REQUIRED | Check.PRESENT:
            return "must be there"
        case Check.ABSENT:
            return "must be empty"
        case Check.PATTERN:
            return _looks(rule.pattern.pattern)
        case Check.EQUALS:
            return f"must be {said(rule.wanted[0])}" if rule.wanted else "must be empty"
        case Check.ONE_OF:
            return f"must be {_either([said(one) for one in rule.wanted])}"
        case Check.RANGE:
            return f"must be {_bounds(rule)}"
        case Check.LENGTH:
            return f"must have {_bounds(rule)} letters"


def _looks(pattern: str) -> str:
    """A pattern of letters and digits is drawn, any other one is quoted."""
    drawn = _drawn(pattern.removeprefix("^").removesuffix("$"))
    if not drawn:
        return f"must match the pattern {pattern}"
    return f"must look like {drawn}" + (", each _ a digit" if "_" in drawn else "")


def _drawn(pattern: str) -> str:
    text, at = "", 0
    while at < len(pattern):
        found = _PART.match(pattern, at)
        if found is None or found[2] == "_":
            return ""
        text += found[2] or found[3] or "_" * int(found[1] or 1)
        at = found.end()
    return text if len(text) <= 40 else ""


def said(value: Any) -> str:
    """A value as people write it: yes, no, 5, “Berlin”."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.15g}" if isinstance(value, int | float) else f"“{value}”"


def _either(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _bounds(rule: Rule) -> str:
    low, high = said(rule.low), said(rule.high)
    if rule.low is not None and rule.high is not None:
        return f"exactly {low}" if rule.low == rule.high else f"{low} to {high}"
    return f"at least {low}" if rule.low is not None else f"at most {high}"


def lines(mapping: AttributeMapping | None) -> list[Line]:
    """One for each target, in their order."""
    targets = mapping.targets if mapping else ()
    return [Line(target.name, "; ".join(_sources(target.entry)), target.is_required) for target in targets]


def _sources(entry: Entry) -> Iterator[str]:
    match entry:
        case Source():
            kind = f", {TYPE_WORDS[entry.type]}" if entry.type in TYPE_WORDS else ""
            table = ", translated" if entry.table else ""
            lack = f", or else {said(entry.default)}" if entry.default is not None else ""
            yield " or ".join(entry.names) + kind + table + lack
        case Constant(setting=str(setting)) if setting:
            yield f"always what the setting {setting} says ({said(entry.constant) if entry.constant else 'empty now'})"
        case Constant():
            yield f"always {said(entry.constant)}"
        case Listing():
            yield "a list of " + "; ".join(word for one in entry.entries for word in _sources(one))
        case _:
            yield "an object of several fields"
