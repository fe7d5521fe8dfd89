"""Which leads are wanted: the rules of a form, read from JSON and checked on a lead's fields.

A list of {"code": ..., "field": ..., "check": ..., ...}; docs/rules.md shows every check.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from leadapp.errors import RulesError
from leadapp.rules.checks import Check, Rule
from leadapp.rules.located import Node, read, refuse_unknown, scalars_in, text_in
from leadapp.rules.normalise import Kind, Path, together
from leadapp.rules.paths import source_of
from leadapp.rules.patterns import Patience, compiled
from leadapp.rules.problems import MISSING, Problem, distinct

MOST_RULES = 200
DEFAULT_RULES = """\
[
  {"field": "address.zip", "check": "required", "message": "The zip code is missing."},
  {"field": "house.is_owner", "check": "required", "message": "It is not said whether they own the house."},
  {"code": "ZIP_NOT_66XXX", "field": "address.zip", "check": "pattern", "pattern": "^66\\\\d{3}$",
   "message": "The zip code is not 66 and three more digits."},
  {"code": "NOT_HOMEOWNER", "field": "house.is_owner", "check": "equals", "value": true,
   "message": "They do not own the house."}
]
"""
_CODE = re.compile(r"[A-Z][A-Z0-9_]{1,59}")
_ALWAYS = ("code", "field", "check", "message")
_OWN: dict[Check, tuple[str, ...]] = {
    Check.REQUIRED: (),
    Check.PRESENT: (),
    Check.ABSENT: (),
    Check.PATTERN: ("pattern",),
    Check.EQUALS: ("value",),
    Check.ONE_OF: ("values",),
    Check.RANGE: ("min", "max"),
    Check.LENGTH: ("min", "max"),
}


@dataclass(frozen=True)
class Ruleset:
    """The rules of a form, in their order."""

    rules: tuple[Rule, ...] = ()

    def check(self, tree: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Every problem of a normalised tree, in the order of the rules."""
        patience = Patience()
        found = (rule.problem(tree, patience) for rule in self.rules)
        return distinct(problem for problem in found if problem)

    @cached_property
    def kinds(self) -> dict[Path, Kind]:
        """How the fields that are looked at are to be normalised."""
        return together((rule.path, rule.kind) for rule in self.rules if rule.kind)


NO_RULES = Ruleset()


def read_rules(text: str) -> Ruleset:
    """The rules in a JSON text; RulesError says what is wrong with it, in which line, and what to do."""
    node = read(text)
    if not node.is_list:
        raise RulesError("Rules are a list: begin with [ and end with ]. No rules at all are [].", node.line)
    if len(node.value) > MOST_RULES:
        raise RulesError(f"There are more than {MOST_RULES} rules.", node.value[MOST_RULES].line)
    return Ruleset(tuple(map(_rule, node.value)))


def _rule(node: Node) -> Rule:
    if not node.is_object:
        raise RulesError('A rule is an object: {"code": ..., "field": ..., "check": ...}.', node.line)
    entries = node.entries()
    check = _check(entries, node.line)
    refuse_unknown(entries, (*_ALWAYS, *_OWN[check]), f'A rule with the check "{check}"')
    field = text_in(entries, "field")
    try:
        path = source_of(field)
    except ValueError as error:
        words = 'This rule lacks "field": name the field it checks, for example "address.zip".'
        raise RulesError(words, node.line) from error
    return Rule(
        code=_code(entries, check, node.line),
        field=field.strip(),
        path=path,
        check=check,
        message=text_in(entries, "message") or _words(check, field, entries),
        pattern=_pattern(entries, node.line) if check is Check.PATTERN else None,
        wanted=_wanted(entries, check, node.line),
        **(_bounds(entries, check, node.line) if "min" in _OWN[check] else {}),
    )


def _check(entries: dict[str, Node], line: int) -> Check:
    name = text_in(entries, "check")
    known = ", ".join(Check)
    if not name:
        raise RulesError(f'This rule lacks "check"; it is one of {known}.', line)
    if name not in set(Check):
        raise RulesError(f'There is no check "{name}"; it is one of {known}.', entries["check"].line)
    return Check(name)


def _code(entries: dict[str, Node], check: Check, line: int) -> str:
    code = text_in(entries, "code")
    if not code and check is Check.REQUIRED:
        return MISSING
    if not _CODE.fullmatch(code):
        at = entries["code"].line if code else line
        raise RulesError('A rule has a "code" of capital letters, digits and _, for example "NOT_HOMEOWNER".', at)
    return code


def _pattern(entries: dict[str, Node], line: int) -> Any:
    text = text_in(entries, "pattern", longest=10_000)
    if not text:
        raise RulesError('The check "pattern" needs a "pattern", for example "^66\\\\d{3}$".', line)
    try:
        return compiled(text)
    except ValueError as error:
        raise RulesError(f"This rule is not usable: {error}.", entries["pattern"].line) from error


def _wanted(entries: dict[str, Node], check: Check, line: int) -> tuple[Any, ...]:
    if check not in (Check.EQUALS, Check.ONE_OF):
        return ()
    key = _OWN[check][0]
    if key not in entries:
        raise RulesError(f'The check "{check}" needs "{key}": what the field may say.', line)
    node = entries[key]
    if node.is_list is (check is Check.EQUALS):
        words = "one value; for several there is the check one_of" if node.is_list else "a list: [ ..., ... ]"
        raise RulesError(f'"{key}" is {words}.', node.line)
    return scalars_in(node, key)


def _bounds(entries: dict[str, Node], check: Check, line: int) -> dict[str, float | None]:
    bounds: dict[str, float | None] = {}
    for key in [one for one in ("min", "max") if one in entries]:
        value = entries[key].value
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RulesError(f'"{key}" is a number without quotes.', entries[key].line)
        bounds[key] = value
    if not bounds:
        raise RulesError(f'The check "{check}" needs "min", "max" or both.', line)
    low, high = bounds.get("min"), bounds.get("max")
    if low is not None and high is not None and low > high:
        raise RulesError(f'"min" is above "max", so nothing could pass: {low} and {high}.', entries["min"].line)
    return {"low": low, "high": high}


def _words(check: Check, field: str, entries: dict[str, Node]) -> str:
    """What people read when a rule has no message of its own."""
    if check in (Check.REQUIRED, Check.PRESENT):
        return f'"{field}" is missing.'
    if check is Check.ABSENT:
        return f'"{field}" should be empty.'
    if check is Check.PATTERN:
        return f'"{field}" does not have the form that is wanted.'
    if check in (Check.RANGE, Check.LENGTH):
        ends = [
            f"{word} {entries[key].value}" for key, word in (("min", "at least"), ("max", "at most")) if key in entries
        ]
        what = f'"{field}" is not a number of' if check is Check.RANGE else f'The length of "{field}" is not'
        return f"{what} {' and '.join(ends)}."
    return f'"{field}" is not what is wanted.'
