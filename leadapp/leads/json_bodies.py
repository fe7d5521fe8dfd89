"""JSON that others posted: tolerant for forms, strict for the gateway, and the same values from both.

Both: a number that would change when read (more than 15 digits, beyond the range of a 64-bit float) stays text,
digit by digit; NUL is removed and lone surrogates are replaced (the raw copy keeps them).

Strict (`strict`), each refused with 400 and the position of the fault:

| body | what happens |
|---|---|
| empty, broken, anything behind the end | INVALID_JSON |
| NaN, Infinity, -Infinity | INVALID_JSON |
| a key twice in one object | DUPLICATE_KEY, naming it: which of the two is meant, nobody knows |
| more than 32 objects and lists in each other | TOO_DEEP |
| bytes that are not UTF-8 | read in the charset that the header names; none, or they do not fit it: INVALID_ENCODING |
| UTF-16 and UTF-32, with or without a byte order mark; UTF-8 with one | read, whatever the header says |
| a charset in the header, and UTF-8 in the body | the body wins |
| 10,000 digits, 1e999 | text |

Tolerant (`tolerant`): NaN is text, a key that stands twice keeps both values.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leadapp.errors import PayloadError
from leadapp.leads.charsets import UTF_8, clean, codec_of

DEEPEST = 32
EXACT_DIGITS = 15  # what every 64-bit float holds unchanged
LONGEST_NAME = 100
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_CONSTANTS = ("NaN", "Infinity", "-Infinity")
_BOMS = {"utf-8-sig": 3, "utf-16": 2, "utf-32": 4}  # bytes of the mark, by json.detect_encoding's names


@dataclass(frozen=True)
class _Text:
    """A body as text; `unit` is the codec and `mark` the bytes before the text, to find a place again in the bytes."""

    text: str
    unit: str
    mark: int


class _FaultError(ValueError):
    """Something that JSON knows and we refuse; where it stands is found afterwards."""


def tolerant(text: str) -> Any:
    """What a form posted; PayloadError 400 when it is no JSON at all."""
    try:
        return _TOLERANT.decode(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PayloadError(400, "INVALID_JSON", f"The body is not JSON: {error.msg} at {where}.") from error
    except RecursionError as error:
        raise PayloadError(400, "INVALID_JSON", "The JSON is nested too deeply.") from error


def strict(raw: bytes, charset: str = "") -> Any:
    """What a program posted; PayloadError 400 with the position of the first fault."""
    body = _decoded(raw, charset)
    try:
        read = _STRICT.decode(body.text)
    except json.JSONDecodeError as error:
        what = "The body is empty" if not body.text.strip() else f"The body is not JSON: {error.msg}"
        raise _refusal("INVALID_JSON", what, body, error.pos) from error
    except (_FaultError, RecursionError) as error:
        raise _first_fault(body) from error
    if depth(read) > DEEPEST:
        raise _first_fault(body)
    return cleaned(read)


def within(text: str) -> Any:
    """JSON inside a field's text, fit for a database; PayloadError when it is none, or nested too deeply."""
    read = tolerant(text)
    if depth(read) > DEEPEST:
        raise PayloadError(400, "TOO_DEEP", f"The JSON is nested deeper than {DEEPEST} levels.")
    return cleaned(read)


def depth(value: Any) -> int:
    """How many objects and lists hold each other."""
    deepest, level = 0, [value]
    while level := [one for one in level if isinstance(one, dict | list)]:
        deepest += 1
        level = [child for one in level for child in (one.values() if isinstance(one, dict) else one)]
    return deepest


def cleaned(value: Any) -> Any:
    """Fit for a database. Two names that only NUL told apart keep both values."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return merge([(clean(name), cleaned(one)) for name, one in value.items()])
    if isinstance(value, list):
        return [cleaned(one) for one in value]
    return value


def merge(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a key that stands twice keeps both values."""
    merged: dict[str, Any] = {}
    repeated = set()
    for name, value in pairs:
        if name in repeated:
            merged[name].append(value)
        elif name in merged:
            earlier = merged[name]
            merged[name] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
            repeated.add(name)
        else:
            merged[name] = value
    return merged


def _integer(text: str) -> int | str:
    return int(text) if len(text.lstrip("-")) <= EXACT_DIGITS else text  # long ids stay what they were, digit by digit


def _number(text: str) -> float | str:
    digits = re.sub(r"[eE].*|[^0-9]", "", text).lstrip("0")
    if len(digits) > EXACT_DIGITS:
        return text
    number = float(text)
    return text if not math.isfinite(number) or (number == 0 and digits) else number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise _FaultError
    return read


def _no_constant(text: str) -> Any:
    raise _FaultError(text)


_TOLERANT = json.JSONDecoder(
    object_pairs_hook=merge, parse_constant=str, parse_int=_integer, parse_float=_number, strict=True
)
_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer, parse_float=_number, strict=True
)


def _decoded(raw: bytes, charset: str) -> _Text:
    """The text of a body. Its own bytes say what it is in; the header only counts where they say nothing."""
    seen = json.detect_encoding(raw)
    mark = _BOMS.get(seen, 0)
    wide = seen not in (UTF_8, "utf-8-sig")
    codec = _without_mark(seen, raw)
    try:
        return _Text(raw[mark:].decode(codec), codec, mark)
    except UnicodeDecodeError as error:
        named = codec_of(charset)
        if not wide and named not in ("", UTF_8):
            try:
                return _Text(raw.decode(named), named, 0)
            except UnicodeDecodeError:
                pass
        message = "The body is not UTF-8, and its Content-Type names no charset that fits it"
        if wide:
            message = f"The body begins like {seen.upper()}, but goes on as something else"
        read = _Text(raw[mark : mark + error.start].decode(codec, "replace"), codec, mark)
        raise _refusal("INVALID_ENCODING", message, read, len(read.text)) from error


def _without_mark(seen: str, raw: bytes) -> str:
    """The codec for what follows the mark, which says in which order the bytes stand."""
    if seen == "utf-8-sig":
        return UTF_8
    if seen in ("utf-16", "utf-32"):
        return f"{seen}-{'le' if raw[:1] == bytes([0xFF]) else 'be'}"
    return seen


def _refusal(code: str, what: str, body: _Text, at: int, *, field: str = "") -> PayloadError:
    """400 with the place: line and column in characters, counted from 1, `offset` in bytes, counted from 0."""
    before = body.text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1) + 1
    offset = body.mark + len(before.encode(body.unit, "replace"))
    message = f"{what} (line {line}, column {column}, byte {offset})."
    position = {"line": line, "column": column, "offset": offset}
    return PayloadError(400, code, message, clean(field)[:LONGEST_NAME], position=position)


def _first_fault(body: _Text) -> PayloadError:
    """Which of the things that we refuse comes first, and where."""
    for code, at, path in _faults(body.text):
        name = ".".join(path)
        words = {
            "TOO_DEEP": f"The JSON is nested deeper than {DEEPEST} levels",
            "DUPLICATE_KEY": f"The key {clean(path[-1] if path else '')[:LONGEST_NAME]!r} stands twice in one object",
            "INVALID_JSON": "The body is not JSON: numbers are finite, NaN and Infinity are not allowed",
        }[code]
        return _refusal(code, words, body, at, field=name)
    return _refusal("INVALID_JSON", "The body is not JSON", body, 0)  # pragma: no cover - every fault is found


def _faults(text: str) -> Iterator[tuple[str, int, list[str]]]:
    """Code, place and path of every fault, read word by word; the text is JSON as far as that."""
    keys: list[set[str] | None] = []  # of each open object; None for a list
    path: list[str] = []
    is_key = False
    for token in _TOKEN.finditer(text):
        word = token[0]
        if word in ("{", "["):
            keys.append(set() if word == "{" else None)
            path.append("")
            is_key = word == "{"
            if len(keys) > DEEPEST:
                yield "TOO_DEEP", token.start(), [name for name in path if name]
        elif word in ("}", "]"):
            keys, path = keys[:-1], path[:-1]
            is_key = False
        elif word == ",":
            is_key = bool(keys) and keys[-1] is not None
        elif word == ":":
            is_key = False
        elif word.startswith(_CONSTANTS):  # json stops there, whatever follows
            yield "INVALID_JSON", token.start(), [name for name in path if name]
        elif is_key and keys and (known := keys[-1]) is not None:
            path[-1] = json.loads(word, strict=False)
            if path[-1] in known:
                yield "DUPLICATE_KEY", token.start(), [name for name in path if name]
            known.add(path[-1])
