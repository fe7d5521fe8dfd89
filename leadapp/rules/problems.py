"""What rules and mappings have to say about one lead: why it is rejected, and what the customer does not get."""

from collections.abc import Iterable
from dataclasses import dataclass

MISSING = "MISSING_REQUIRED_FIELD"


@dataclass(frozen=True)
class Problem:
    """One reason why a lead is rejected. The message names no value: it is shown, stored and logged."""

    code: str
    field: str
    message: str

    def as_dict(self) -> dict[str, str]:
        return {"code": self.code, "field": self.field, "message": self.message}


def distinct(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first of each code and field, in their order."""
    found: dict[tuple[str, str], Problem] = {}
    for one in problems:
        found.setdefault((one.code, one.field), one)
    return tuple(found.values())


@dataclass(frozen=True)
class LeftOut:
    """An optional target that a body goes without, and why, in words."""

    target: str
    reason: str

    def as_dict(self) -> dict[str, str]:
        return {"target": self.target, "reason": self.reason}
