"""A lead's fields in the customer's words: a mapping, read from JSON and filled for one lead.

An object of targets and where each comes from; docs/rules.md shows every kind.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from leadapp.errors import RulesError
from leadapp.rules.attributes import KINDS, Constant, Entry, Listing, Shape, Source, Type, Without, sources
from leadapp.rules.located import Node, read, refuse_unknown, scalars_in, text_in
from leadapp.rules.normalise import Kind, Path, together
from leadapp.rules.paths import clashes, place, source_of, target_of
from leadapp.rules.problems import MISSING, LeftOut, Problem
from leadapp.rules.values import folded

DEFAULT_MAPPING_PATH = FilePath(__file__).with_name("customer_attribute_mapping.json")
MOST_TARGETS = 500
_WAYS = {
    "from": ("from", "type", "values", "default", "required"),
    "constant": ("constant",),
    "setting": ("setting", "required"),
    "list": ("list", "required"),
    "object": ("object",),
}


@dataclass(frozen=True)
class Target:
    """One place in the customer's body."""

    name: str
    path: Path
    entry: Entry
    is_required: bool
    line: int


@dataclass(frozen=True)
class AttributeMapping:
    """Targets and where each comes from, in their order."""

    targets: tuple[Target, ...] = ()

    def fill(
        self, tree: Mapping[str, Any], country: str = ""
    ) -> tuple[dict[str, Any], tuple[Problem, ...], tuple[LeftOut, ...]]:
        """The body, the required targets that have no value, and the optional ones that are left out."""
        body: dict[str, Any] = {}
        missing, left_out = [], []
        for target in self.targets:
            found = target.entry.value(tree, country)
            if not isinstance(found, Without):
                place(body, target.path, found)
            elif target.is_required:
                message = f'The customer needs "{target.name}": {found.reason}.'
                missing.append(Problem(MISSING, target.name, message))
            else:
                left_out.append(LeftOut(target.name, found.reason))
        return body, tuple(missing), tuple(left_out)

    @cached_property
    def kinds(self) -> dict[Path, Kind]:
        """How the fields that are sent are to be normalised."""
        found = [source for target in self.targets for source in sources(target.entry)]
        return together((path, KINDS[one.type]) for one in found if one.type in KINDS for path in one.paths)


def read_mapping(text: str, constants: Mapping[str, str]) -> AttributeMapping:
    """The mapping in a JSON text; RulesError says what is wrong with it, in which line, and what to do.

    `constants` are the settings that {"setting": name} may name, with their values.
    """
    node = read(text)
    if not node.is_object:
        raise RulesError('A mapping is an object: {"target": "field", ...}. One that sends nothing is {}.', node.line)
    targets = tuple(_Reader(constants).targets(node, "", ()))
    if len(targets) > MOST_TARGETS:
        raise RulesError(f"There are more than {MOST_TARGETS} targets.", targets[MOST_TARGETS].line)
    _refuse_clashes(targets)
    return AttributeMapping(targets)


def _refuse_clashes(targets: tuple[Target, ...]) -> None:
    for number, earlier in clashes([target.path for target in targets]):
        here, there = targets[number], targets[earlier]
        raise RulesError(
            f'"{here.name}" and "{there.name}" (line {there.line}) cannot both be there: '
            "a target has a value or targets below it, and each stands once. Take one of them out.",
            here.line,
        )


class _Reader:
    """Turns located JSON into targets."""

    def __init__(self, constants: Mapping[str, str]) -> None:
        self.constants = constants

    def targets(self, node: Node, above: str, path: Path) -> Iterator[Target]:
        """The targets of an object, those of objects inside it too."""
        for key, one in node.entries().items():
            try:
                here = target_of(key)
            except ValueError as error:
                raise RulesError(f"{str(error)[:1].upper()}{str(error)[1:]}.", one.line) from error
            name, entries = above + key, one.entries() if one.is_object else {}
            if _way(one) == "object":
                refuse_unknown(entries, _WAYS["object"], "An object in a mapping")
                yield from self.targets(_object(entries), f"{name}.", (*path, *here))
            else:
                yield Target(name, (*path, *here), self.entry(one), _is_required(entries), one.line)

    def entry(self, node: Node) -> Entry:
        way = _way(node)
        if way == "path":
            return Source(*_paths(node))
        entries = node.entries()
        refuse_unknown(entries, _WAYS[way], f'An entry with "{way}"')
        if way == "from":
            return _source(entries)
        if way == "setting":
            return self._setting(entries)
        if way == "constant":
            return Constant(_constant(entries["constant"]))
        if way == "list":
            return self._list(entries["list"])
        parts = tuple((target.path, target.entry) for target in self._parts(_object(entries)))
        return Shape(parts)

    def _parts(self, node: Node) -> tuple[Target, ...]:
        found = tuple(self.targets(node, "", ()))
        _refuse_clashes(found)
        for target in found:
            _refuse_required(target.is_required, target.line)
        return found

    def _setting(self, entries: dict[str, Node]) -> Constant:
        name = text_in(entries, "setting")
        if name not in self.constants:
            known = ", ".join(sorted(self.constants)) or "none"
            raise RulesError(f'There is no setting "{name}" for mappings; there is {known}.', entries["setting"].line)
        return Constant(self.constants[name], name)

    def _list(self, node: Node) -> Listing:
        if not node.is_list or not node.value:
            raise RulesError('"list" is a list of entries: ["email", {"from": "phone"}, ...].', node.line)
        for one in node.value:
            _refuse_required(one.is_object and _is_required(one.entries()), one.line)
        return Listing(tuple(map(self.entry, node.value)))


def _refuse_required(is_required: bool, line: int) -> None:
    if is_required:
        raise RulesError('"required" can be said of the whole list only; take it out here.', line)


def _way(node: Node) -> str:
    """How an entry says where its value comes from."""
    if isinstance(node.value, str):
        return "path"
    if not node.is_object:
        hint = 'write "address.zip" for a field, or {"constant": ...} for what is always the same'
        raise RulesError(f"This does not say where the value comes from; {hint}.", node.line)
    ways = [key for key in node.entries() if key in _WAYS]
    if len(ways) != 1:
        raise RulesError(
            f"An entry has exactly one of {', '.join(_WAYS)}; this one has {len(ways) or 'none'}. "
            'A target below another is written "product.name".',
            node.line,
        )
    return ways[0]


def _object(entries: dict[str, Node]) -> Node:
    node = entries["object"]
    if not node.is_object or not node.value:
        raise RulesError('"object" holds targets: {"object": {"name": "first_name", ...}}.', node.line)
    return node


def _is_required(entries: dict[str, Node]) -> bool:
    node = entries.get("required")
    if node is not None and not isinstance(node.value, bool):
        raise RulesError('"required" is true or false, without quotes.', node.line)
    return node is not None and bool(node.value)


def _paths(node: Node) -> tuple[tuple[str, ...], tuple[Path, ...]]:
    names = scalars_in(node, "from")
    if not all(isinstance(one, str) for one in names):
        raise RulesError('"from" is a field in double quotes, or a list of such: "address.zip".', node.line)
    texts = tuple(map(str, names))
    try:
        return texts, tuple(map(source_of, texts))
    except ValueError as error:
        raise RulesError(f"Here a field is missing: {error}.", node.line) from error


def _source(entries: dict[str, Node]) -> Source:
    names, paths = _paths(entries["from"])
    kind = text_in(entries, "type")
    if kind and kind not in set(Type):
        raise RulesError(f'There is no type "{kind}"; it is one of {", ".join(Type)}.', entries["type"].line)
    if kind == Type.ANY and "values" in entries:
        raise RulesError('"values" translates single values, and the type "any" takes more.', entries["values"].line)
    table = _table(entries["values"]) if "values" in entries else None
    is_truth = table is not None and set(table) <= {"true", "false"}
    default = _constant(entries["default"]) if "default" in entries else None
    return Source(names, paths, Type(kind or (Type.BOOLEAN if is_truth else Type.VALUE)), table, default)


def _table(node: Node) -> dict[str, Any]:
    """Their words, compared without regard to capitals, to the customer's."""
    if not node.is_object or not node.value:
        raise RulesError('"values" translates: {"theirs": "yours", ...}.', node.line)
    table: dict[str, Any] = {}
    for key, one in node.entries().items():
        if folded(key) in table:
            raise RulesError(f'"{key}" stands here twice, as capitals do not count; keep one of them.', one.line)
        table[folded(key)] = _constant(one)
    return table


def _constant(node: Node) -> Any:
    value = node.plain()
    if value is None:
        raise RulesError("null is no value; leave the entry out, or write a text, a number, true or false.", node.line)
    return value
