"""Rules as rows of a table: field, check, value, code, words. To and from the JSON text that is saved. Pure."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from leadapp.rules.checks import Check

CHECK_WORDS = {
    Check.REQUIRED: "must be there",
    Check.PATTERN: "must look like the pattern",
    Check.EQUALS: "must be",
    Check.ONE_OF: "must be one of",
    Check.RANGE: "must be a number from .. to",
    Check.LENGTH: "must have so many letters, from .. to",
    Check.PRESENT: "must be there (with a code of its own)",
    Check.ABSENT: "must be empty",
}
_ITEM = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*)\s*(?:,|$)')


@dataclass(frozen=True)
class Row:
    """One rule as it is typed."""

    field: str = ""
    check: str = str(Check.REQUIRED)
    value: str = ""
    code: str = ""
    message: str = ""

    @property
    def is_blank(self) -> bool:
        return not (self.field or self.value or self.code or self.message)


def rows_of(text: str) -> list[Row]:
    """The rows of a text that read_rules takes."""
    return [_row(rule) for rule in json.loads(text)]


def _row(rule: Mapping[str, Any]) -> Row:
    check = str(rule.get("check", ""))
    given = {name: str(rule.get(name) or "") for name in ("field", "code", "message")}
    return Row(check=check, value=_typed(check, rule), **given)


def _typed(check: str, rule: Mapping[str, Any]) -> str:
    match check:
        case Check.PATTERN:
            return str(rule.get("pattern", ""))
        case Check.EQUALS:
            return shown_value(rule.get("value"))
        case Check.ONE_OF:
            return ", ".join(shown_value(one) for one in rule.get("values", ()))
        case Check.RANGE | Check.LENGTH:
            low, high = ("" if rule.get(name) is None else shown_value(rule[name]) for name in ("min", "max"))
            return low if low and low == high else f"{low}..{high}"
    return ""


def shown_value(value: Any) -> str:
    """`yes`, `5`, `Berlin`; a text that would be read as something else stands in quotes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and value and (read_value(value) == value and "," not in value and '"' not in value):
        return value
    return json.dumps(value, ensure_ascii=False)


def text_of(rows: Sequence[Row]) -> str:
    """The JSON text, a rule a line, so that the line of a fault is the row's number and one."""
    rules = [json.dumps(_rule(row), ensure_ascii=False) for row in rows if not row.is_blank]
    return "[\n" + ",\n".join(f"  {rule}" for rule in rules) + "\n]\n" if rules else "[]\n"


def is_same(rows: Sequence[Row], text: str) -> bool:
    """Whether these rows would be saved as the rules of this text: a number of twenty digits would not, for one."""
    made, given = (
        [{name: value for name, value in rule.items() if value != ""} for rule in json.loads(one)]
        for one in (text_of(rows), text)
    )
    return made == given


def _rule(row: Row) -> dict[str, Any]:
    code = {"code": row.code} if row.code else {}
    message = {"message": row.message} if row.message else {}
    return {**code, "field": row.field, "check": row.check, **_wanted(row), **message}


def _wanted(row: Row) -> dict[str, Any]:
    value = row.value.strip()
    match row.check:
        case Check.PATTERN:
            return {"pattern": value}
        case Check.EQUALS:
            return {"value": read_value(value)} if value else {}
        case Check.ONE_OF:
            return {"values": [read_value(one) for one in _items(value)]} if value else {}
        case Check.RANGE | Check.LENGTH:
            low, dots, high = value.partition("..")
            ends = {"min": low, "max": high if dots else low}
            return {name: read_value(end.strip()) for name, end in ends.items() if end.strip()}
    return {}


def _items(text: str) -> list[str]:
    found, at = [], 0
    while at < len(text):
        match = _ITEM.match(text, at)
        assert match  # the second way in takes anything
        found.append(match[1].strip())
        at = max(match.end(), at + 1)
    return [one for one in found if one]


def read_value(text: str) -> Any:
    """true, false (yes, no) and numbers are themselves, what stands in quotes is text, as is everything else."""
    if text.lower() in ("yes", "no"):
        return text.lower() == "yes"
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_number = isinstance(found, int | float) and re.fullmatch(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", text)
    return found if isinstance(found, bool | str) or is_number else text


def posted(form: Mapping[str, Sequence[str]]) -> list[Row]:
    """The rows of a posted table; each column is a list under its own name."""
    return [Row(*cells) for cells in columns(form, [f"rule_{one.name}" for one in fields(Row)])]


def columns(form: Mapping[str, Sequence[str]], names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """What stands in the rows of a posted table, row by row."""
    found = [[text.replace("\0", "").strip() for text in form.get(name, ())] for name in names]
    return zip(*found, strict=False)
