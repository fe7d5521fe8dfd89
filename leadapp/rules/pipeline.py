"""One lead through rules and mapping, in the one order that holds everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from leadapp.rules.mapping import AttributeMapping
from leadapp.rules.normalise import Kind, Path, normalise
from leadapp.rules.problems import LeftOut, Problem, distinct
from leadapp.rules.ruleset import NO_RULES, Ruleset


@dataclass(frozen=True)
class Plan:
    """What a form does with a lead. `country`: ISO 3166 alpha-2, how national phone numbers are read, or ""."""

    rules: Ruleset = NO_RULES
    mapping: AttributeMapping | None = None
    country: str = ""

    @cached_property
    def kinds(self) -> dict[Path, Kind]:
        """How fields are normalised: the mapping's word goes before that of the rules."""
        return {**self.rules.kinds, **(self.mapping.kinds if self.mapping else {})}


@dataclass(frozen=True)
class Outcome:
    """`fields`: the tree, normalised. `mapped`: the customer's body, None without a mapping or with problems."""

    fields: dict[str, Any] = field(default_factory=dict)
    mapped: dict[str, Any] | None = None
    problems: tuple[Problem, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def run(tree: Mapping[str, Any], plan: Plan) -> Outcome:
    """Normalise, check the source, map, check the required targets; every problem is collected. `tree` stays."""
    fields = normalise(tree, plan.kinds, plan.country)
    problems = plan.rules.check(fields)
    if plan.mapping is None:
        return Outcome(fields, None, problems)
    body, missing, left_out = plan.mapping.fill(fields, plan.country)
    problems = distinct((*problems, *missing))
    return Outcome(fields, None if problems else body, problems, left_out)
