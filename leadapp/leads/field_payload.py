"""A posted payload as flat fields: wrappers taken off, nested values beside their whole name."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from leadapp.errors import PayloadError
from leadapp.leads.charsets import clean
from leadapp.leads.json_bodies import within

# A body whose one field is one of these holds the form inside.
WRAPPERS = frozenset(
    "mailbody data form formdata form_data payload fields body submission values params json input inputs".split()
)
DEEPEST = 32  # what lies deeper is read as text
MOST_FIELDS = 2_000
Path = tuple[str, ...]


@dataclass(frozen=True)
class Leaf:
    """One value: `path` are the keys that lead to it, `text` how people read it."""

    path: Path
    text: str
    is_list: bool = False


def as_text(value: Any) -> str:
    """A value as people read it: lists joined, true and false as yes and no, nested ones as `name: value`."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(filter(None, map(as_text, value)))
    if isinstance(value, dict):
        return ", ".join(f"{name}: {text}" for name, one in value.items() if (text := as_text(one)))
    return str(value)


def unwrap(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """`{"mailBody": {...}}`, `{"form": "a=1&b=2"}`, `{"fields": [{"name", "value"}]}`: the form inside.

    What stands beside a list of names and values (HubSpot: where it was sent from) stays beside its fields.
    """
    wrappers = [name for name in payload if name.casefold() in WRAPPERS]
    if len(wrappers) != 1:
        return payload
    value = payload[wrappers[0]]
    inner = _inner(value)
    rest = {name: one for name, one in payload.items() if name != wrappers[0]}
    if not inner or any(name in inner for name in rest):
        return payload
    if not isinstance(value, list) and any(not name.startswith("_") for name in rest):
        return payload
    return {**rest, **inner}


def _inner(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        value = _parsed(value)
    if isinstance(value, list) and value and all(isinstance(one, dict) and "value" in one for one in value):
        names = [next((str(one[key]) for key in ("name", "key", "label", "id") if one.get(key)), "") for one in value]
        if all(names) and len(set(names)) == len(names):
            return dict(zip(names, (one["value"] for one in value), strict=True))
    return {str(name): one for name, one in value.items()} if isinstance(value, dict) else {}


def _parsed(text: str) -> Any:
    text = text.strip()
    if text[:1] in ("{", "["):
        try:
            return within(text)
        except PayloadError:
            return None
    if not re.match(r"[\w%.\[\]+-]{1,100}=", text) or "&" not in text or " " in text:
        return None
    try:
        found = parse_qsl(text, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        return None
    pairs = {clean(name): clean(value) for name, value in found}  # what is unpacked here was not cleaned with the post
    return pairs if len(pairs) == len(found) else None


def leaves(payload: Mapping[str, Any]) -> Iterator[Leaf]:
    """Every value that is not empty, in the order it was posted."""
    stack: list[tuple[Path, Any]] = [((name,), value) for name, value in reversed(list(payload.items()))]
    while stack:
        path, value = stack.pop()
        if isinstance(value, dict) and len(path) < DEEPEST:
            stack.extend(((*path, str(name)), one) for name, one in reversed(value.items()))
        elif text := as_text(value):
            yield Leaf(path, text, isinstance(value, list))


def without(value: Any, path: Path, gone: set[Path]) -> Any:
    """A nested value without the leaves in `gone`; None when nothing of it is left."""
    if path in gone:
        return None
    if not isinstance(value, dict) or len(path) >= DEEPEST:
        return value
    kept = {name: without(one, (*path, str(name)), gone) for name, one in value.items()}
    kept = {name: one for name, one in kept.items() if one is not None}
    return kept or None
