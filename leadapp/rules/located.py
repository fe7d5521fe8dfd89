"""JSON as people write it by hand: read with the line of every entry, so that a fault can be pointed at."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from leadapp.errors import RulesError

LONGEST = 256 * 1024  # letters
DEEPEST = 32

_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_TRAILING = re.compile(r",\s*[}\]]")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True)
class Node:
    """A value and the line where it begins. An object is a list of pairs, so that a key may stand twice."""

    line: int
    value: Any  # a scalar, list[Node], or tuple[Pair, ...]

    @property
    def is_object(self) -> bool:
        return isinstance(self.value, tuple)

    @property
    def is_list(self) -> bool:
        return isinstance(self.value, list)

    def entries(self) -> dict[str, "Node"]:
        """The pairs of an object by key; RulesError when a key stands twice."""
        found: dict[str, Node] = {}
        for pair in self.value:
            if pair.key in found:
                raise RulesError(f'"{pair.key}" stands here twice; keep one of them.', pair.node.line)
            found[pair.key] = pair.node
        return found

    def plain(self) -> Any:
        """The value as json.loads would give it."""
        if self.is_list:
            return [one.plain() for one in self.value]
        if self.is_object:
            return {key: node.plain() for key, node in self.entries().items()}
        return self.value


@dataclass(frozen=True)
class Pair:
    """A key of an object and its value, which counts as beginning in the key's line."""

    key: str
    node: Node


def read(text: str) -> Node:
    """The JSON in a text; RulesError with the line of what is wrong."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise RulesError("There is nothing here.", 1)
    if len(text) > LONGEST:
        raise RulesError(f"This is longer than {LONGEST // 1024} KiB; shorten it.")
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        hint = _hint(text, error.pos)
        raise RulesError(f"This is not JSON: {error.msg} at column {error.colno}.{hint}", error.lineno) from error
    except RecursionError as error:
        raise RulesError(f"This is nested too deeply; {DEEPEST} levels are the most.") from error
    return _Reader(text).node(0)


def _hint(text: str, position: int) -> str:
    """What people usually meant there."""
    before, here = text[:position].rstrip()[-1:], text[position:].lstrip()
    if _TRAILING.match(here if before != "," else f",{here}"):
        return " A comma before a closing bracket is one too many."
    if here.startswith(("True", "False", "None")):
        return " true, false and null are written in small letters."
    if here[:1] in ("'", "“", "”", "„") or here[:1].isalpha():
        return ' Names and texts stand in straight double quotes: "like this".'
    if here[:1] == "#" or here[:2] in ("//", "/*"):
        return " JSON has no comments; take this out."
    if here[:1] in ("}", "]") and before == ":":
        return " Something is missing before this bracket."
    return ' Is a comma missing before this "?' if here[:1] == '"' else ""


class _Reader:
    """Walks the pieces of a text that is known to be JSON, counting lines."""

    def __init__(self, text: str) -> None:
        self.pieces = self._pieces(text)
        self.piece, self.line = next(self.pieces)

    @staticmethod
    def _pieces(text: str) -> Iterator[tuple[str, int]]:
        line, counted = 1, 0
        for match in _PIECE.finditer(text):
            line += text.count("\n", counted, match.start())
            counted = match.start()
            yield match[0], line

    def _next(self) -> None:
        self.piece, self.line = next(self.pieces, ("", self.line))

    def node(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise RulesError(f"This is nested too deeply; {DEEPEST} levels are the most.", self.line)
        line = self.line
        if self.piece not in ("{", "["):
            node = Node(line, _scalar(self.piece, line))
            self._next()
            return node
        is_object = self.piece == "{"
        found = list(self._inside(depth, is_object))
        self._next()
        return Node(line, tuple(found) if is_object else found)

    def _inside(self, depth: int, is_object: bool) -> Iterator[Any]:
        """What stands between this bracket and its closing one."""
        self._next()
        while self.piece not in ("}", "]"):
            if self.piece == ",":
                self._next()
            if not is_object:
                yield self.node(depth + 1)
                continue
            key, line = _scalar(self.piece, self.line), self.line
            self._next()  # the colon
            self._next()
            yield Pair(key, replace(self.node(depth + 1), line=line))


def _scalar(piece: str, line: int) -> Any:
    try:
        value = json.loads(piece)
    except ValueError as error:  # thousands of digits
        raise RulesError("This number is too large.", line) from error
    if isinstance(value, float) and not math.isfinite(value):
        raise RulesError(f"{piece[:20]} is no number that JSON knows; write a plain number or a text.", line)
    if isinstance(value, int) and abs(value) > 10**15:
        raise RulesError('This number is too large to be exact; write it as a text: "123".', line)
    if isinstance(value, str) and _SURROGATE.search(value):
        raise RulesError("This text holds half of a character (\\ud800 to \\udfff); take it out.", line)
    return value


def refuse_unknown(entries: dict[str, Node], known: tuple[str, ...], what: str) -> None:
    """RulesError at the first key that nothing reads: most often a typing error that would change the meaning."""
    for key, node in entries.items():
        if key not in known:
            raise RulesError(f'{what} knows no "{key}"; it knows {", ".join(known)}.', node.line)


def text_in(entries: dict[str, Node], key: str, longest: int = 200) -> str:
    """The text under a key, "" when there is none; RulesError when it is no text."""
    node = entries.get(key)
    if node is None:
        return ""
    if not isinstance(node.value, str) or not node.value.strip() or len(node.value) > longest:
        raise RulesError(f'"{key}" is a text of 1 to {longest} letters in double quotes.', node.line)
    return node.value


def scalars_in(node: Node, key: str) -> tuple[str | int | float | bool, ...]:
    """The values of a list of texts, numbers, true or false; RulesError when it is another thing, or empty."""
    ones = node.value if node.is_list else [node]
    for one in ones:
        if one.is_list or one.is_object or one.value is None:
            raise RulesError(f'"{key}" takes texts, numbers, true or false.', one.line)
    if not ones:
        raise RulesError(f'"{key}" is empty; name at least one value.', node.line)
    return tuple(one.value for one in ones)
