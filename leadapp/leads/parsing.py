"""Read a posted body into fields and files, keeping what can be read of a damaged one.

Every reader here is tolerant: it returns what it found and notes problems. Only limits and a body without one
readable field are refused (PayloadError).
"""

import re
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from werkzeug.datastructures import FileStorage, Headers
from werkzeug.http import parse_options_header

from leadapp.config import Settings
from leadapp.errors import PayloadError
from leadapp.leads import json_bodies
from leadapp.leads.charsets import as_utf8, clean, decode
from leadapp.leads.damaged_json import mended
from leadapp.leads.multipart import boundary_of, count_parts, read_parts, without_files

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
JSON = "application/json"
PLAIN = "text/plain"
GUESSED = ("", "application/octet-stream")  # says nothing: read as what it looks like

_ENCODED = re.compile(rb"[^\s=&]+=[^\s&]*(?:&[^\s=&]*(?:=[^\s&]*)?)*")


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
    """Read `raw` as its content type says; when it lies or says nothing, as what it looks like.

    `refuse_excess` is the caller's next step: what was typed is then known already.
    """
    if not raw.strip():
        raise PayloadError(400, "EMPTY", "The form came without any content.")
    mimetype, options = parse_options_header(content_type)
    boundary = boundary_of(raw, options.get("boundary", ""))
    if not boundary and mimetype == MULTIPART and (raw.lstrip()[:1] == b"{" or _ENCODED.fullmatch(raw.strip())):
        mimetype = ""  # scripts that say multipart and send something else
    if boundary or mimetype == MULTIPART:
        parsed = _multipart(raw, boundary, limits)
    else:
        body, charset = as_utf8(raw, options.get("charset", ""))
        parsed = _single(mimetype, body, charset, limits)
        parsed.raw = raw
    if not _is_readable(parsed):
        raise PayloadError(400, "EMPTY", "Nothing in this post could be read as a field of a form.")
    return parsed


def _single(mimetype: str, raw: bytes, charset: str, limits: Settings) -> Parsed:
    """A body that is one text: JSON, pairs, or somebody's words."""
    looks_like_json = raw.lstrip()[:1] in (b"{", b"[", b'"')
    is_encoded = not looks_like_json and _ENCODED.fullmatch(raw if mimetype == PLAIN else raw.strip(b"\r\n"))
    if (mimetype == JSON or mimetype.endswith("+json")) and not is_encoded:
        return _json_or_its_rest(raw, charset)
    if looks_like_json:  # curl, beacons and fetch without CORS post JSON under other names
        try:
            return _json(raw, charset)
        except PayloadError:
            pass  # then it is what its type says
    if is_encoded or mimetype == FORM or (mimetype in GUESSED and b"=" in raw):
        return _pairs([_encoded(part) for part in raw.split(b"&") if part.strip()], charset, limits)
    if mimetype == PLAIN or (mimetype in GUESSED and _is_utf8(raw)):
        return _pairs(_lines(raw), charset, limits)
    raise PayloadError(415, "UNSUPPORTED_TYPE", "We cannot read this kind of content. Send it as a form or as JSON.")


def _is_utf8(raw: bytes) -> bool:
    try:
        return bool(raw.decode())
    except UnicodeDecodeError:
        return False


def _encoded(part: bytes) -> tuple[bytes, bytes]:
    name, _, value = part.partition(b"=")
    return unquote_to_bytes(name.replace(b"+", b" ")), unquote_to_bytes(value.replace(b"+", b" "))


def _lines(raw: bytes) -> list[tuple[bytes, bytes]]:
    """`enctype=text/plain`: name=value by lines; a line without = goes on with the text before it."""
    pairs: list[tuple[bytes, list[bytes]]] = []
    for line in raw.strip(b"\r\n").splitlines():
        name, equals, value = line.partition(b"=")
        if equals:
            pairs.append((name, [value]))
        elif pairs:
            pairs[-1][1].append(line)
        else:
            pairs.append((b"message", [line]))
    return [(name, b"\n".join(lines)) for name, lines in pairs]


def _pairs(pairs: list[tuple[bytes, bytes]], charset: str, limits: Settings) -> Parsed:
    parsed = Parsed()
    if len(pairs) > limits.max_fields:
        raise _too_many_fields(limits)
    charset = charset or next((value.decode("ascii", "ignore") for name, value in pairs if name == b"_charset_"), "")
    for name, value in pairs:
        # Names are plain ASCII even where a browser writes the values in UTF-16.
        _add(parsed.payload, decode(name, "" if name.isascii() else charset), decode(value, charset))
    return parsed


def _add(payload: dict[str, Any], name: str, value: Any) -> None:
    """Repeated names, and names that end in [], are lists; the others are plain."""
    is_list = name.endswith("[]")
    name = name.removesuffix("[]").strip() or "field"
    values = value if is_list and isinstance(value, list) else [value]
    if name not in payload:
        payload[name] = values if is_list else value
    elif isinstance(payload[name], list):
        payload[name] += values
    else:
        payload[name] = [payload[name], *values]


def _json_or_its_rest(raw: bytes, charset: str) -> Parsed:
    """JSON that broke on its way loses what comes after the fault, and nothing else."""
    try:
        return _json(raw, charset)
    except PayloadError as error:
        rest = mended(decode(raw, charset).removeprefix("\ufeff"))
        try:
            parsed = _json(rest.encode(), "utf-8")
        except PayloadError:
            raise error from None
        if not _is_readable(parsed):
            raise
        parsed.note("DAMAGED_BODY", f"The post arrived damaged; this is what could be read. {error.message}")
        return parsed


def _json(raw: bytes, charset: str) -> Parsed:
    body = json_bodies.tolerant(decode(raw, charset))
    if isinstance(body, str) and body.lstrip()[:1] in ("{", "["):
        body = json_bodies.tolerant(body)  # JSON.stringify twice
    pairs = _named_values(body)
    if isinstance(body, dict):
        pairs = list(body.items())
    if pairs is None:
        raise PayloadError(400, "INVALID_JSON", "The JSON is not an object with fields.")
    if json_bodies.depth(body) > json_bodies.DEEPEST:
        raise PayloadError(400, "INVALID_JSON", f"The JSON is nested deeper than {json_bodies.DEEPEST} levels.")
    parsed = Parsed()
    for name, value in pairs:
        _add(parsed.payload, clean(name), json_bodies.cleaned(value))
    return parsed


def _named_values(body: Any) -> list[tuple[str, Any]] | None:
    """jQuery's serializeArray: [{"name": ..., "value": ...}, ...]."""
    if not isinstance(body, list) or not body:
        return None
    is_named = all(isinstance(one, dict) and isinstance(one.get("name"), str) and "value" in one for one in body)
    return [(one["name"], one["value"]) for one in body] if is_named else None


def _multipart(raw: bytes, boundary: bytes, limits: Settings) -> Parsed:
    parsed = Parsed(raw=without_files(raw, boundary))
    if boundary and count_parts(raw, boundary) > limits.max_fields + limits.max_files + 1:
        raise _too_many_fields(limits)
    parts, is_whole = read_parts(raw, boundary, "") if boundary else ([], False)
    charset = next((decode(part.content) for part in parts if part.name == "_charset_"), "")
    if charset:
        parts, is_whole = read_parts(raw, boundary, charset)
    if not is_whole:
        parsed.note("DAMAGED_BODY", "The post arrived damaged; this is what could be read.")
    for part in parts:
        if part.filename is None:
            own_charset = parse_options_header(part.content_type)[1].get("charset", "")
            _add(parsed.payload, clean(part.name), decode(part.content, own_charset or charset))
        elif part.filename or part.content:  # else a file input that was left empty
            headers = Headers({"Content-Type": part.content_type}) if part.content_type else Headers()
            parsed.files.append(
                FileStorage(BytesIO(part.content), clean(part.filename), clean(part.name), headers=headers)
            )
    return parsed


def refuse_excess(parsed: Parsed, limits: Settings) -> None:
    """PayloadError when this is more than one post may hold; the same figures for every encoding."""
    if len(parsed.files) > limits.max_files:
        raise PayloadError(413, "TOO_MANY_FILES", f"At most {limits.max_files} files can be sent at once.")
    if sum(_count(value) for value in parsed.payload.values()) > limits.max_fields:
        raise _too_many_fields(limits)
    for name, value in parsed.payload.items():
        if _size(value) > limits.max_field_bytes or _size(name) > limits.max_field_bytes:
            raise PayloadError(413, "FIELD_TOO_BIG", "This field is too long to be sent.", name[:100])


def _too_many_fields(limits: Settings) -> PayloadError:
    return PayloadError(413, "TOO_MANY_FIELDS", f"The form has more than {limits.max_fields} fields.")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _count(value: Any) -> int:
    """How many values there are, nested ones too."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return sum(map(_count, children)) if children else 1


def _size(value: Any) -> int:
    """Bytes of its texts in UTF-8."""
    if isinstance(value, dict | list):
        return sum(map(_size, _inside(value)))
    text = str(value)
    return len(text) if text.isascii() else len(text.encode())


def _is_readable(parsed: Parsed) -> bool:
    return bool(parsed.files) or any(has_text(value) for value in parsed.payload.values())


def has_text(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(has_text(one) for one in (value.values() if isinstance(value, dict) else value))
    return value is not None and str(value).strip() != ""
