"""What a customer's API means by its answers, where that is not what the statuses usually mean.

A destination's `settings["answers"]` is a list of {"status": 200 or "2xx", "field": "result.code", "equals": ...,
"means": "delivered", "duplicate", "permanent" or "retry"}; the first entry that fits decides. docs/rules.md shows some.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from leadapp.errors import RulesError
from leadapp.rules.located import Node, read, refuse_unknown, scalars_in, text_in
from leadapp.rules.paths import source_of, value_at
from leadapp.rules.values import says, singles

MOST_ENTRIES = 50
LONGEST_ANSWER = 64 * 1024  # letters; a longer body is not read
ANY_STATUS = range(100, 600)
_CLASS = re.compile(r"([1-5])xx", re.IGNORECASE)


class Meaning(StrEnum):
    """What the receiver says about one delivery."""

    DELIVERED = "delivered"
    DUPLICATE = "duplicate"  # it has this lead already: as good as delivered
    PERMANENT = "permanent"
    RETRY = "retry"


@dataclass(frozen=True)
class AnswerRule:
    """One entry: the statuses it is about, and the field of the JSON answer, if any, that must say `wanted`."""

    means: Meaning
    statuses: range = ANY_STATUS
    field: tuple[str, ...] = ()
    wanted: Any = None


def meaning_of(status: int, body: str, table: Sequence[AnswerRule]) -> Meaning | None:
    """What an answer means by this table; None when the table does not say. Any body is safe."""
    about = [rule for rule in table if status in rule.statuses]
    answer = _parsed(body) if any(rule.field for rule in about) else None
    return next((rule.means for rule in about if not rule.field or _says(answer, rule)), None)


def _says(answer: Any, rule: AnswerRule) -> bool:
    return any(says(one, rule.wanted) for one in singles(value_at(answer, rule.field)))


def _parsed(body: str) -> Any:
    if len(body) > LONGEST_ANSWER:
        return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def read_meanings(text: str) -> tuple[AnswerRule, ...]:
    """The table in a JSON text; RulesError says what is wrong with it, in which line, and what to do."""
    node = read(text)
    if not node.is_list:
        raise RulesError('This is a list: [{"status": 409, "means": "duplicate"}, ...].', node.line)
    if len(node.value) > MOST_ENTRIES:
        raise RulesError(f"There are more than {MOST_ENTRIES} entries.", node.value[MOST_ENTRIES].line)
    return tuple(map(_entry, node.value))


def _entry(node: Node) -> AnswerRule:
    if not node.is_object:
        raise RulesError('An entry is an object: {"status": 409, "means": "duplicate"}.', node.line)
    entries = node.entries()
    refuse_unknown(entries, ("status", "field", "equals", "means"), "An entry")
    means = text_in(entries, "means")
    if means not in set(Meaning):
        at = entries["means"].line if means else node.line
        raise RulesError(f'An entry says "means": one of {", ".join(Meaning)}.', at)
    if ("field" in entries) is not ("equals" in entries):
        raise RulesError('"field" and "equals" go together: which field of the answer says what.', node.line)
    if not entries.keys() & {"status", "field"}:
        raise RulesError('An entry needs a "status", or "field" and "equals", or both.', node.line)
    statuses = _statuses(entries["status"]) if "status" in entries else ANY_STATUS
    if "field" not in entries:
        return AnswerRule(Meaning(means), statuses)
    if entries["equals"].is_list:
        raise RulesError('"equals" is one value; make an entry for each.', entries["equals"].line)
    (wanted,) = scalars_in(entries["equals"], "equals")
    return AnswerRule(Meaning(means), statuses, source_of(text_in(entries, "field")), wanted)


def _statuses(node: Node) -> range:
    if isinstance(node.value, int) and not isinstance(node.value, bool) and node.value in ANY_STATUS:
        return range(node.value, node.value + 1)
    if isinstance(node.value, str):
        found = _CLASS.fullmatch(node.value.strip())
        if found:
            return range(int(found[1]) * 100, int(found[1]) * 100 + 100)
        if re.fullmatch(r"[1-5][0-9]{2}", node.value.strip()):
            return range(int(node.value), int(node.value) + 1)
    raise RulesError('"status" is a number such as 409, or a class such as "2xx".', node.line)
