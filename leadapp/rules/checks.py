"""One check of one field, and what it says of a lead.

A value is checked only where there is one: that a field must be there is a rule of its own (`required`), so a missing
field gives its one code and not also those of its pattern. Of a field that came several times, every value must pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from leadapp.rules.normalise import Kind, Path
from leadapp.rules.paths import value_at
from leadapp.rules.patterns import Patience, matches
from leadapp.rules.problems import Problem
from leadapp.rules.values import number_of, says, singles, text_of

TOO_SLOW = "PATTERN_TOO_SLOW"


class Check(StrEnum):
    """What a rule looks at."""

    REQUIRED = "required"
    PRESENT = "present"
    ABSENT = "absent"
    PATTERN = "pattern"
    EQUALS = "equals"
    ONE_OF = "one_of"
    RANGE = "range"
    LENGTH = "length"


@dataclass(frozen=True)
class Rule:
    """One check of one field. `wanted`: what equals and one_of accept; `low` and `high` are accepted themselves."""

    code: str
    field: str
    path: Path
    check: Check
    message: str
    pattern: Any = None
    wanted: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None

    def problem(self, tree: Mapping[str, Any], patience: Patience) -> Problem | None:
        """Why this lead is not wanted, as far as this rule goes."""
        value = value_at(tree, self.path)
        said = list(singles(value))
        if self.check in PRESENCE:
            return None if bool(said) is PRESENCE[self.check] else self._no()
        for one in said:
            accepted = ACCEPTS[self.check](self, one, patience)
            if accepted is None:
                return Problem(TOO_SLOW, self.field, f'The pattern for "{self.field}" takes too long; make it simpler.')
            if not accepted:
                return self._no()
        return None

    def _no(self) -> Problem:
        return Problem(self.code, self.field, self.message)

    @property
    def kind(self) -> Kind | None:
        """How the field is to be normalised so that this check can read it."""
        if self.check in PRESENCE:
            return None
        if self.wanted and all(isinstance(one, bool) for one in self.wanted):
            return Kind.BOOLEAN
        is_of_texts = all(isinstance(one, str) for one in self.wanted)
        return Kind.TEXT if self.check is not Check.RANGE and is_of_texts else Kind.PLAIN


def _fits_pattern(rule: Rule, value: Any, patience: Patience) -> bool | None:
    text = text_of(value)
    return text is not None and matches(rule.pattern, text, patience)


def _is_wanted(rule: Rule, value: Any, _: Patience) -> bool | None:
    return any(says(value, wanted) for wanted in rule.wanted)


def _is_within(rule: Rule, value: Any, _: Patience) -> bool | None:
    return _lies(number_of(value), rule)


def _is_of_length(rule: Rule, value: Any, _: Patience) -> bool | None:
    text = text_of(value)
    return text is not None and _lies(len(text), rule)


def _lies(number: float | None, rule: Rule) -> bool:
    if number is None:
        return False
    return (rule.low is None or number >= rule.low) and (rule.high is None or number <= rule.high)


PRESENCE = {Check.REQUIRED: True, Check.PRESENT: True, Check.ABSENT: False}
ACCEPTS: dict[Check, Callable[[Rule, Any, Patience], bool | None]] = {
    Check.PATTERN: _fits_pattern,
    Check.EQUALS: _is_wanted,
    Check.ONE_OF: _is_wanted,
    Check.RANGE: _is_within,
    Check.LENGTH: _is_of_length,
}
