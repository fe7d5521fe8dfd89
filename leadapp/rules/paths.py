"""Fields by path: `address.zip` and `lead[address][zip]` step through nested answers, `items.0.name` into a list.

A dot that belongs to a name is written `\\.`, in paths and in targets.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

DEEPEST = 32  # levels; the rest of a longer name stays one name
_STEP = re.compile(r"[^.\[\]]+")
_SHAPE = re.compile(r"[^.\[\]]+(?:\.[^.\[\]]+|\[[^\[\]]*\])*")
_DOT = "\ue000"  # stands for an escaped dot while a path is cut


def path_of(name: str) -> tuple[str, ...]:
    """The steps of a posted name; a name that only looks like a path is one step. `[]` in the middle is no step."""
    if not _SHAPE.fullmatch(name):
        return (name,)
    steps = list(_STEP.finditer(name))
    if len(steps) <= DEEPEST:
        return tuple(step[0] for step in steps)
    return (*(step[0] for step in steps[: DEEPEST - 1]), name[steps[DEEPEST - 1].start() :])


def source_of(text: str) -> tuple[str, ...]:
    """The steps to a field as a rule or mapping names it; ValueError says why there are none."""
    if not text.strip():
        raise ValueError("name a field, for example address.zip")
    return tuple(step.replace(_DOT, ".") for step in path_of(text.strip().replace("\\.", _DOT)))


def target_of(text: str) -> tuple[str, ...]:
    """The steps of a target; ValueError says why it cannot be one."""
    steps = tuple(step.replace(_DOT, ".") for step in text.replace("\\.", _DOT).split("."))
    if not all(step.strip() for step in steps):
        raise ValueError(f'the target "{text}" has an empty part; write names with one dot between them')
    if len(steps) > DEEPEST:
        raise ValueError(f"the target goes down {len(steps)} levels; {DEEPEST} is the most")
    return steps


def value_at(tree: Any, path: Sequence[str]) -> Any:
    """The value at the end of a path; None when there is none. A value that others hang below is under ""."""
    for step in path:
        if isinstance(tree, list) and step.isdecimal() and step.isascii() and len(step) <= 6:
            tree = tree[int(step)] if int(step) < len(tree) else None
        elif isinstance(tree, Mapping):
            tree = tree.get(step)
        else:
            return None
    return tree.get("") if isinstance(tree, Mapping) and "" in tree else tree


def place(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    """Put a value at the end of a path, making the levels above it."""
    *branches, last = path
    for step in branches:
        tree = tree.setdefault(step, {})
    tree[last] = value


def clashes(paths: Sequence[tuple[str, ...]]) -> Iterator[tuple[int, int]]:
    """Which paths cannot stand in one tree with an earlier one: (its number, the earlier one's number)."""
    ends: dict[tuple[str, ...], int] = {}
    inside: dict[tuple[str, ...], int] = {}
    for number, path in enumerate(paths):
        above = (ends[path[:length]] for length in range(1, len(path) + 1) if path[:length] in ends)
        earlier = next(above, inside.get(path))
        if earlier is not None:
            yield number, earlier
            continue
        ends[path] = number
        for length in range(1, len(path)):
            inside.setdefault(path[:length], number)
