"""Names of fields as paths: `lead[address][zip]` and `lead.address.zip` are one field to rules and mappings.

A lead keeps its answers under the names that were posted, as people know them from their form; only whoever looks for
a nested field sees the tree. When every answer stands under one name (Rails, PHP: `lead[...]`), that name may be left
out, so `address.zip` finds it too.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from leadapp.rules.paths import path_of
from leadapp.rules.paths import value_at as _step_down


def nested(payload: Mapping[str, Any]) -> dict[str, Any]:
    """The payload as a tree. Nothing is lost: a value that stands where others hang below it is under ""."""
    tree: dict[str, Any] = {}
    for name, value in payload.items():
        _hang(tree, path_of(name), value)
    return tree


def _hang(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *branches, last = path
    for step in branches:
        if step not in tree:
            tree[step] = {}
        elif not isinstance(tree[step], dict):
            tree[step] = {"": tree[step]}
        tree = tree[step]
    if isinstance(value, dict):
        for name, one in value.items():
            _hang(tree, (last, name), one)
        if value:
            return
        value = {}  # the tree's own: what hangs below it later must not reach the payload
    if isinstance(tree.get(last), dict):
        tree, last = tree[last], ""
    tree[last] = _both(tree[last], value) if last in tree else value


def _both(earlier: Any, value: Any) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    return [*(earlier if isinstance(earlier, list) else [earlier]), *values]


def value_at(payload: Mapping[str, Any], name: str) -> Any:
    """The value of a field by its posted name, or by its path in either way of writing; None when there is none."""
    if name in payload:
        return payload[name]
    tree = nested(payload)
    return next((found for root in roots(tree) if (found := _step_down(root, path_of(name))) is not None), None)


def roots(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The tree itself, then what hangs below the one name that all answers share."""
    yield tree
    answers = [name for name in tree if not name.startswith("_")]
    if len(answers) == 1 and isinstance(tree[answers[0]], dict):
        yield tree[answers[0]]
