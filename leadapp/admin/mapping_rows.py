"""A mapping as rows of a table: the customer's field, where it comes from, as what. To and from the saved JSON. Pure.

What a row cannot say (their words in yours, lists, objects, something for lack of it) stands in its row as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from leadapp.admin.rule_rows import columns, read_value, shown_value
from leadapp.rules.attributes import Type


class Way(StrEnum):
    """Where a value comes from, as far as a row can say it."""

    FIELD = "field"
    CONSTANT = "constant"
    SETTING = "setting"
    OTHER = "json"


WAY_WORDS = {
    Way.FIELD: "the field",
    Way.CONSTANT: "always",
    Way.SETTING: "the setting",
    Way.OTHER: "JSON",
}
TYPE_WORDS = {
    "": "as it is",
    Type.TEXT: "text",
    Type.NUMBER: "number",
    Type.INTEGER: "whole number",
    Type.BOOLEAN: "yes or no",
    Type.EMAIL: "e-mail",
    Type.PHONE: "phone",
    Type.LIST: "list",
    Type.ANY: "whatever is there",
}
NEEDED = "yes"
NEEDED_WORDS = {"": "when there is one", NEEDED: "needed: no lead without it"}


@dataclass(frozen=True)
class MappingRow:
    """One target as it is typed."""

    target: str = ""
    way: str = str(Way.FIELD)
    value: str = ""
    type: str = ""
    needed: str = ""

    @property
    def is_blank(self) -> bool:
        return not (self.target or self.value)


def rows_of(text: str) -> list[MappingRow]:
    """The rows of a text that read_mapping takes."""
    return [_row(target, entry) for target, entry in json.loads(text).items()]


def _row(target: str, entry: Any) -> MappingRow:
    for row in _simple(target, {"from": entry} if isinstance(entry, str) else entry):
        if _plain(_entry(row)) == _plain(entry):
            return row
    return MappingRow(target, Way.OTHER, json.dumps(entry, ensure_ascii=False))


def _simple(target: str, entry: Mapping[str, Any]) -> list[MappingRow]:
    """The row that may say the same as an entry, if there is one."""
    needed = NEEDED if entry.get("required") is True else ""
    if "from" in entry:
        names = entry["from"] if isinstance(entry["from"], list) else [entry["from"]]
        return [MappingRow(target, Way.FIELD, ", ".join(map(str, names)), str(entry.get("type", "")), needed)]
    if "setting" in entry:
        return [MappingRow(target, Way.SETTING, str(entry["setting"]), needed=needed)]
    if "constant" in entry:
        return [MappingRow(target, Way.CONSTANT, shown_value(entry["constant"]))]
    return []


def _plain(entry: Any) -> Any:
    """The same for entries that mean the same: `"email"` and `{"from": ["email"], "required": false}`."""
    if isinstance(entry, str):
        entry = {"from": entry}
    if not isinstance(entry, dict):
        return entry
    found = {name: value for name, value in entry.items() if (name, value) not in (("required", False), ("type", ""))}
    if isinstance(found.get("from"), str):
        found["from"] = [found["from"]]
    # A truth is no number here, though Python takes True for 1 and 1.0 for 1
    return json.dumps(found, sort_keys=True)


def _entry(row: MappingRow) -> Any:
    needed = {"required": True} if row.needed == NEEDED else {}
    match row.way:
        case Way.CONSTANT:
            return {"constant": read_value(row.value)}
        case Way.SETTING:
            return {"setting": row.value, **needed}
    names = [name.strip() for name in row.value.split(",") if name.strip()]
    source = names if len(names) > 1 else "".join(names)
    more = {"type": row.type, **needed} if row.type else needed
    return {"from": source, **more} if more else source


def text_of(rows: Sequence[MappingRow]) -> str:
    """The JSON text, a target a line, so that the line of a fault is the row's number and one."""
    lines = [f"  {json.dumps(row.target, ensure_ascii=False)}: {_written(row)}" for row in rows if not row.is_blank]
    return "{\n" + ",\n".join(lines) + "\n}\n" if lines else "{}\n"


def _written(row: MappingRow) -> str:
    return row.value or '""' if row.way == Way.OTHER else json.dumps(_entry(row), ensure_ascii=False)


def fault_of(row: MappingRow) -> str:
    """Why the JSON of a row cannot stand there, "" when it can; what it means, read_mapping says."""
    if row.way != Way.OTHER:
        return ""
    try:
        json.loads(row.value)
    except (ValueError, RecursionError) as error:
        where = f": {error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return f'This is not JSON{where}. Write it like {{"from": "country", "default": "DE"}}.'
    return ""


def posted(form: Mapping[str, Sequence[str]]) -> list[MappingRow]:
    """The rows of a posted table; each column is a list under its own name."""
    return [MappingRow(*cells) for cells in columns(form, [f"map_{one.name}" for one in fields(MappingRow)])]
