"""Uploaded files as plain values: read, named safely, hashed. Limits are the caller's."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from werkzeug.datastructures import FileStorage

LONGEST_NAME = 255  # bytes in UTF-8: what file systems take, and no more than the column holds
LONGEST_FIELD = 200
UNNAMED = "file"
UNKNOWN_TYPE = "application/octet-stream"

_NO_PLAIN_TEXT = ("C", "Zl", "Zp")  # control, format (right-to-left override), surrogate, line separators
_NOT_IN_A_NAME = re.compile(r'[<>:"|?*;]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)", re.IGNORECASE)  # Windows opens devices
_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")


@dataclass(frozen=True)
class Upload:
    """One file of a post. `name` and `content_type` are safe for a header, a page and a disk."""

    field: str
    name: str
    content_type: str
    size: int
    sha256: str
    content: bytes


def read_uploads(files: Iterable[FileStorage]) -> list[Upload]:
    """The files of a post, in order; a file input left empty (a part without name and content) is skipped."""
    uploads = []
    for file in files:
        content = file.stream.read()
        if content or file.filename:
            uploads.append(_upload(file, content))
    return uploads


def _upload(file: FileStorage, content: bytes) -> Upload:
    return Upload(
        field=_plain(file.name or "")[:LONGEST_FIELD],
        name=safe_name(file.filename or ""),
        content_type=_safe_type(file.content_type or ""),
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        content=content,
    )


def safe_name(name: str) -> str:
    """The last part of a path, without what a header, a page or a disk could take for something else."""
    name = _plain(re.split(r"[/\\]", name)[-1])
    name = _NOT_IN_A_NAME.sub("_", name).strip(" .")
    if not name:
        return UNNAMED
    return _shortened(f"_{name}" if _DEVICE.match(name) else name)


def _plain(text: str) -> str:
    """Readable characters only, composed, each run of white space one space."""
    kept = (" " if char in "\t\r\n" else char for char in text)
    kept = (char for char in kept if not unicodedata.category(char).startswith(_NO_PLAIN_TEXT))
    return unicodedata.normalize("NFC", re.sub(r"\s+", " ", "".join(kept))).strip()


def _shortened(name: str) -> str:
    """At most LONGEST_NAME bytes; a short ending such as .pdf is kept."""
    if len(name.encode()) <= LONGEST_NAME:
        return name
    ending = PurePosixPath(name).suffix
    ending = ending if len(ending.encode()) <= 16 else ""
    room = LONGEST_NAME - len(ending.encode())
    return name.removesuffix(ending).encode()[:room].decode(errors="ignore").rstrip(" .") + ending


def _safe_type(content_type: str) -> str:
    mimetype = content_type.partition(";")[0].strip().lower()
    return mimetype if _TYPE.fullmatch(mimetype) else UNKNOWN_TYPE
