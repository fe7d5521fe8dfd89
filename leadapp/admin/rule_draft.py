"""Rules and mapping as somebody types them: as rows or as text, with what is wrong beside the box it stands in."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from werkzeug.datastructures import MultiDict

from leadapp.admin import mapping_rows, rule_rows
from leadapp.admin.mapping_rows import MappingRow
from leadapp.admin.rule_rows import Row
from leadapp.errors import RulesError
from leadapp.leads.models import Form, MappingSource, RulesVersion
from leadapp.leads.rulesets import Draft, constants, plan_of_draft
from leadapp.rules.mapping import read_mapping
from leadapp.rules.pipeline import Plan
from leadapp.rules.ruleset import read_rules

AS_ROWS, AS_TEXT = "rows", "text"
SPARE_ROWS = 2


@dataclass(frozen=True)
class Typed:
    """What stands in the editor. `based_on` is the number of the version that the person started from, 0 for none."""

    rules: str = "[]\n"
    source: MappingSource = MappingSource.NONE
    mapping: str = "{}\n"
    note: str = ""
    based_on: int = 0
    mode: str = AS_ROWS
    rows: tuple[Row, ...] = ()
    mapping_mode: str = AS_ROWS
    mapping_rows: tuple[MappingRow, ...] = ()

    @property
    def draft(self) -> Draft:
        return Draft(self.rules, self.source, self.mapping, self.note, self.based_on)

    @property
    def mark(self) -> str:
        """The same for the same rules and mapping: what was tried is what is saved."""
        return hashlib.sha256(repr((self.rules, self.source, self.mapping)).encode()).hexdigest()

    @property
    def spare_rows(self) -> list[Row]:
        """What the table shows: the rules, and empty rows for more."""
        return [*self.rows, *[Row()] * SPARE_ROWS]

    @property
    def spare_mapping_rows(self) -> list[MappingRow]:
        return [*self.mapping_rows, *[MappingRow()] * SPARE_ROWS]


@dataclass(frozen=True)
class Fault:
    """What is wrong: in which box (rules, mapping or the whole page), in which row of the table, in words."""

    box: str
    text: str
    row: int | None = None


def of_version(version: RulesVersion | None, based_on: int) -> Typed:
    """The editor filled with a saved version."""
    if version is None:
        return Typed(based_on=based_on)
    typed = Typed(version.rules, version.mapping_source, version.mapping, based_on=based_on)
    return with_rows(typed)


def posted(form: MultiDict[str, str]) -> Typed:
    """What a post holds. The rows of a table become the text that would be saved."""
    lists = {name: form.getlist(name) for name in form}
    in_rows = {name: form.get(name) == AS_ROWS for name in ("mode", "mapping_mode")}
    rows = tuple(row for row in rule_rows.posted(lists) if not row.is_blank) if in_rows["mode"] else ()
    targets = tuple(row for row in mapping_rows.posted(lists) if not row.is_blank) if in_rows["mapping_mode"] else ()
    source = form.get("source", "")
    return Typed(
        rules=rule_rows.text_of(rows) if in_rows["mode"] else _text(form, "rules"),
        source=MappingSource(source) if source in set(MappingSource) else MappingSource.NONE,
        mapping=mapping_rows.text_of(targets) if in_rows["mapping_mode"] else _text(form, "mapping") or "{}\n",
        note=_text(form, "note").strip()[:200],
        based_on=form.get("based_on", 0, type=int),
        mode=AS_ROWS if in_rows["mode"] else AS_TEXT,
        rows=rows,
        mapping_mode=AS_ROWS if in_rows["mapping_mode"] else AS_TEXT,
        mapping_rows=targets,
    )


def _text(form: MultiDict[str, str], name: str) -> str:
    return form.get(name, "").replace("\0", "").replace("\r\n", "\n")


def with_rows(typed: Typed) -> Typed:
    """Both as rows, where the texts can be read and rows say the same; as text where not."""
    return with_mapping_rows(with_rule_rows(typed))


def with_rule_rows(typed: Typed) -> Typed:
    typed = replace(typed, rules=typed.rules.removeprefix("\ufeff"))
    try:
        read_rules(typed.rules)
    except RulesError:
        return replace(typed, mode=AS_TEXT, rows=())
    rows = rule_rows.rows_of(typed.rules)
    if not rule_rows.is_same(rows, typed.rules):
        return replace(typed, mode=AS_TEXT, rows=())
    return replace(typed, mode=AS_ROWS, rows=tuple(rows))


def with_mapping_rows(typed: Typed) -> Typed:
    typed = replace(typed, mapping=typed.mapping.removeprefix("\ufeff"))
    try:
        read_mapping(typed.mapping, constants())
    except RulesError:
        return replace(typed, mapping_mode=AS_TEXT, mapping_rows=())
    return replace(typed, mapping_mode=AS_ROWS, mapping_rows=tuple(mapping_rows.rows_of(typed.mapping)))


def check(form: Form, typed: Typed) -> tuple[Plan | None, list[Fault]]:
    """The plan that it would be, or everything that is wrong with it."""
    faults: list[Fault] = []
    try:
        read_rules(typed.rules)
    except RulesError as error:
        faults.append(_fault_of_rules(typed, error))
    if typed.source is MappingSource.OWN:
        faults += _faults_of_mapping(typed)
    if faults:
        return None, faults
    try:
        return plan_of_draft(form, typed.draft), []
    except RulesError as error:
        return None, [Fault("mapping", str(error))]


def _fault_of_rules(typed: Typed, error: RulesError) -> Fault:
    return _located("rules", error, len(typed.rows) if typed.mode == AS_ROWS else 0)


def _faults_of_mapping(typed: Typed) -> list[Fault]:
    said = [(number, mapping_rows.fault_of(row)) for number, row in enumerate(typed.mapping_rows)]
    found = [Fault("mapping", reason, number) for number, reason in said if reason]
    if not found:
        try:
            read_mapping(typed.mapping, constants())
        except RulesError as error:
            found.append(_located("mapping", error, len(typed.mapping_rows)))
    return found


def _located(box: str, error: RulesError, rows: int) -> Fault:
    """In a table the text has a rule or target a line, below the first bracket."""
    row = error.line - 2 if error.line else -1
    return Fault(box, error.reason, row) if 0 <= row < rows else Fault(box, str(error))


def hidden(typed: Typed) -> dict[str, Any]:
    """The fields of the page that was tried, for its Save button."""
    given = {"rules": typed.rules, "source": str(typed.source), "mapping": typed.mapping, "note": typed.note}
    return given | {"based_on": typed.based_on, "mode": AS_TEXT, "mapping_mode": AS_TEXT, "mark": typed.mark}
