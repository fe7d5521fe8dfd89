"""The parts of a multipart/form-data body (RFC 7578), read with patience.

Werkzeug's reader gives up at the first part that it cannot read, and everything after it would be lost. Here a damaged
part costs itself at most, a body whose header forgot the boundary shows it in its first line, and a body that breaks
off keeps what came.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.http import parse_options_header

from leadapp.leads.charsets import decode

LONGEST_BOUNDARY = 200  # RFC 2046 says 70
LONGEST_HEAD = 65_536  # a longer one costs its part the name
_FIRST_LINE = re.compile(rb"\s*--([^\r\n]{1,200}?)[ \t]*\r?\n(?=[Cc]ontent-)")
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")


@dataclass(frozen=True)
class Part:
    """One part; `filename` is None for a field that is no file, "" for a file input that was left empty."""

    name: str
    filename: str | None
    content_type: str
    content: bytes


@dataclass(frozen=True)
class _Piece:
    """The bytes of one part: its head, the blank line, its content."""

    before: bytes
    head: bytes
    content: bytes

    def disposition(self, charset: str) -> dict[str, str]:
        return parse_options_header(self.header("content-disposition", charset))[1]

    def header(self, name: str, charset: str) -> str:
        for line in re.sub(rb"\r?\n[ \t]+", b" ", self.head[:LONGEST_HEAD]).splitlines():
            title, _, value = line.partition(b":")
            if title.strip().lower() == name.encode():
                return decode(value.strip(), charset)
        return ""


def boundary_of(raw: bytes, declared: str) -> bytes:
    """The boundary that the body really uses: the declared one, else what its first line shows; b"" for none."""
    named = declared.encode("utf-8", "replace")[:LONGEST_BOUNDARY]
    if named and b"--" + named in raw:
        return named
    seen = _FIRST_LINE.match(raw)
    return seen[1] if seen else b""


def count_parts(raw: bytes, boundary: bytes) -> int:
    """How many parts there may be, before any of them is read."""
    return raw.count(b"--" + boundary)


def read_parts(raw: bytes, boundary: bytes, charset: str) -> tuple[list[Part], bool]:
    """The parts in order, and whether the body was whole: every head could be read and the end is there."""
    pieces, is_whole = _pieces(raw, boundary)
    parts = []
    for piece in pieces:
        options = piece.disposition(charset)
        if not options:
            is_whole = False
            if len(piece.head) <= LONGEST_HEAD:
                continue
        content_type = piece.header("content-type", charset)
        parts.append(Part(options.get("name", ""), options.get("filename"), content_type, piece.content))
    return parts, is_whole


def without_files(raw: bytes, boundary: bytes) -> bytes:
    """The body as it came, the bytes of its files left out."""
    if not boundary:
        return raw
    pieces, _ = _pieces(raw, boundary)
    if not any(_is_file(piece) for piece in pieces):
        return raw
    return b"".join(_kept(pieces)) + b"\r\n--" + boundary + b"--\r\n"


def _kept(pieces: list[_Piece]) -> Iterator[bytes]:
    for piece in pieces:
        content = b"" if _is_file(piece) else piece.content
        yield piece.before + piece.head + (b"\r\n\r\n" if piece.head else b"") + content


def _is_file(piece: _Piece) -> bool:
    # Wider than what is read as a file: the bytes of a part that only looks like one are left out too.
    return b"filename" in piece.head.lower()


def _pieces(raw: bytes, boundary: bytes) -> tuple[list[_Piece], bool]:
    line = re.compile(rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?=\r?\n|$)")
    pieces: list[_Piece] = []
    is_whole = False
    found = list(line.finditer(raw))
    for at, match in enumerate(found):
        if match[1]:
            is_whole = True  # what follows the last boundary is nobody's
            break
        end = found[at + 1].start() if at + 1 < len(found) else len(raw)
        body = raw[match.end() : end]
        blank = _BLANK_LINE.search(body)
        head, content = (body[: blank.start()], body[blank.end() :]) if blank else (body, b"")
        if head.strip() or content:
            pieces.append(_Piece(match[0], head, content))
    return pieces, is_whole
