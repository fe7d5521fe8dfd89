"""Read a posted body into fields and files, keeping what can be read of a damaged one.

Every reader here is tolerant: it returns what it found and notes problems. Only limits and a body without one
readable field are refused (PayloadError).
"""

import codecs
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage, Headers
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartDecoder, NeedData

from leadapp.config import Settings
from leadapp.errors import PayloadError

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"
NESTED_TOO_DEEP = 32


@dataclass
class Parsed:
    """What a body held: pairs in the order they came, files, and what was wrong with it."""

    payload: dict[str, Any] = field(default_factory=dict)
    files: list[FileStorage] = field(default_factory=list)
    raw: bytes = b""
    problems: list[dict[str, str]] = field(default_factory=list)

    def note(self, code: str, message: str) -> None:
        self.problems.append({"code": code, "field": "", "message": message})


def parse(content_type: str, raw: bytes, limits: Settings) -> Parsed:
    """Read `raw` as its content type says; when it lies or says nothing, as what it looks like."""
    if not raw.strip():
        raise PayloadError(400, "EMPTY", "The form came without any content.")
    mimetype, options = parse_options_header(content_type)
    charset = options.get("charset", "")
    if mimetype == MULTIPART:
        parsed = _multipart(raw, options.get("boundary", ""), limits)
    elif mimetype == JSON or mimetype.endswith("+json") or (mimetype != FORM and raw.lstrip()[:1] == b"{"):
        parsed = _json(raw, charset)
    elif mimetype == "text/plain":
        parsed = _pairs(raw.splitlines(), charset, limits, is_encoded=False)
    else:
        parsed = _pairs(raw.split(b"&"), charset, limits, is_encoded=True)
    _check_limits(parsed, limits)
    if not _is_readable(parsed):
        raise PayloadError(400, "EMPTY", "Nothing in this post could be read as a field of a form.")
    return parsed


def clean(text: str) -> str:
    """Fit for a database: no NUL, lone surrogates replaced."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def decode(raw: bytes, charset: str) -> str:
    """Text of a field: by the declared charset if Python knows it, else UTF-8; what does not fit is replaced."""
    for name in (charset, "utf-8"):
        try:
            if name and codecs.lookup(name)._is_text_encoding:
                return clean(raw.decode(name, "replace"))
        except (LookupError, UnicodeError, ValueError):
            continue
    return clean(raw.decode("utf-8", "replace"))


def _pairs(parts: list[bytes], charset: str, limits: Settings, *, is_encoded: bool) -> Parsed:
    parsed = Parsed(raw=(b"&" if is_encoded else b"\n").join(parts))
    if len(parts) > limits.max_fields:
        raise PayloadError(413, "TOO_MANY_FIELDS", f"The form has more than {limits.max_fields} fields.")
    found = [_pair(part, is_encoded=is_encoded) for part in parts if part.strip()]
    charset = charset or next((value.decode("ascii", "ignore") for name, value in found if name == b"_charset_"), "")
    for name, value in found:
        # Names are plain ASCII even where a browser writes the values in UTF-16.
        _add(parsed.payload, decode(name, "" if name.isascii() else charset), decode(value, charset))
    return parsed


def _pair(part: bytes, *, is_encoded: bool) -> tuple[bytes, bytes]:
    name, equals, value = part.partition(b"=")
    if not equals and not is_encoded:
        name, value = b"message", part  # a line of plain text is somebody's words
    if is_encoded:
        name, value = (unquote_to_bytes(piece.replace(b"+", b" ")) for piece in (name, value))
    return name, value


def _add(payload: dict[str, Any], name: str, value: Any) -> None:
    """Repeated names, and names that end in [], are lists; the others are plain."""
    is_list = name.endswith("[]")
    name = name.removesuffix("[]").strip()
    if not name:
        name = "field"
    if name not in payload:
        payload[name] = [value] if is_list else value
    elif isinstance(payload[name], list):
        payload[name].append(value)
    else:
        payload[name] = [payload[name], value]


def _json(raw: bytes, charset: str) -> Parsed:
    parsed = Parsed(raw=raw)
    text = decode(raw.removeprefix(codecs.BOM_UTF8), charset)
    try:
        body = json.loads(text, object_pairs_hook=_merge, parse_constant=str, parse_int=_integer, parse_float=_number)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise PayloadError(400, "INVALID_JSON", f"The body is not JSON: {error.msg} at {where}.") from error
    except RecursionError as error:
        raise PayloadError(400, "INVALID_JSON", "The JSON is nested too deeply.") from error
    if not isinstance(body, dict):
        raise PayloadError(400, "INVALID_JSON", "The JSON is not an object with fields.")
    if _depth(body) > NESTED_TOO_DEEP:
        raise PayloadError(400, "INVALID_JSON", f"The JSON is nested deeper than {NESTED_TOO_DEEP} levels.")
    parsed.payload = _cleaned(body)
    return parsed


def _merge(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for name, value in pairs:
        if name in merged:  # a key that stands twice keeps both values
            earlier = merged[name]
            merged[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            merged[name] = value
    return merged


def _integer(text: str) -> int | str:
    return int(text) if len(text) <= 15 else text  # long ids stay what they were, digit by digit


def _number(text: str) -> float | str:
    number = float(text)
    return number if math.isfinite(number) else text


def _depth(value: Any) -> int:
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            child
            for one in level
            if isinstance(one, dict | list)
            for child in (one.values() if isinstance(one, dict) else one)
        ]
    return deepest


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(name): _cleaned(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return value


def _multipart(raw: bytes, boundary: str, limits: Settings) -> Parsed:
    parsed = Parsed(raw=without_files(raw, boundary.encode("utf-8", "replace")))
    parts: list[tuple[Field | File, bytes]] = []
    try:
        for one in _read_parts(raw, boundary, limits):
            parts.append(one)  # noqa: PERF402 - what was read before the damage stays
    except ValueError:
        parsed.note("DAMAGED_BODY", "The end of the post is damaged; this is what could be read.")
    charset = next((data.decode("ascii", "ignore") for part, data in parts if part.name == "_charset_"), "")
    for part, data in parts:
        if isinstance(part, File) and not (part.filename or data):
            continue  # a file input that was left empty
        if isinstance(part, File):
            headers = Headers(part.headers)
            name = clean(part.name or "")
            parsed.files.append(FileStorage(BytesIO(data), clean(part.filename), name, headers=headers))
        else:
            _, options = parse_options_header(part.headers.get("content-type"))
            _add(parsed.payload, clean(part.name or ""), decode(data, options.get("charset", "") or charset))
    return parsed


def _read_parts(raw: bytes, boundary: str, limits: Settings) -> Iterator[tuple[Field | File, bytes]]:
    if not boundary:
        raise ValueError("no boundary")
    decoder = MultipartDecoder(boundary.encode("utf-8", "replace"), max_parts=None)
    decoder.receive_data(raw)
    decoder.receive_data(None)
    part: Field | File | None = None
    data = bytearray()
    count = 0
    try:
        while not isinstance(event := decoder.next_event(), Epilogue | NeedData):
            if isinstance(event, Field | File):
                part, data, count = event, bytearray(), count + 1
                if count > limits.max_fields + limits.max_files:
                    message = f"The form has more than {limits.max_fields} fields."
                    raise PayloadError(413, "TOO_MANY_FIELDS", message)
            elif isinstance(event, Data):
                data += event.data
                if not event.more_data and part is not None:
                    yield part, bytes(data)
                    part = None
    except ValueError:
        if part is not None and data:
            yield part, bytes(data)
        raise


def without_files(raw: bytes, boundary: bytes) -> bytes:
    """The body as it came, the bytes of its files left out."""
    if not boundary:
        return raw
    kept = []
    for segment in raw.split(b"--" + boundary):
        head, blank, _ = segment.partition(b"\r\n\r\n")
        kept.append(head + blank + b"\r\n" if b"filename" in head.lower() else segment)
    return (b"--" + boundary).join(kept)


def _check_limits(parsed: Parsed, limits: Settings) -> None:
    if len(parsed.files) > limits.max_files:
        raise PayloadError(413, "TOO_MANY_FILES", f"At most {limits.max_files} files can be sent at once.")
    if len(parsed.payload) > limits.max_fields:
        raise PayloadError(413, "TOO_MANY_FIELDS", f"The form has more than {limits.max_fields} fields.")
    for name, value in parsed.payload.items():
        if len(str(value)) > limits.max_field_bytes or len(name) > limits.max_field_bytes:
            raise PayloadError(413, "FIELD_TOO_BIG", "This field is too long to be sent.", name[:100])


def _is_readable(parsed: Parsed) -> bool:
    return bool(parsed.files) or any(_has_text(value) for value in parsed.payload.values())


def _has_text(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_has_text(one) for one in value.values())
    if isinstance(value, list):
        return any(_has_text(one) for one in value)
    return value is not None and str(value).strip() != ""
