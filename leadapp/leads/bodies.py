"""The bytes of a post: all of them, unpacked, and never more than the limit."""

import zlib

from flask import Request
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from leadapp.config import Settings
from leadapp.errors import PayloadError

# zlib's window: 31 reads gzip, 15 reads zlib, which is what "deflate" means (RFC 9110, 8.4.1).
PACKED = {"gzip": 31, "x-gzip": 31, "deflate": 15}

SMALL = 30_000  # bytes; 100 posts a minute of this size are 180 MB an hour


def read_body(asking: Request, most: int) -> bytes:
    """The body, unpacked, of at most so many bytes.

    PayloadError: too large, packed in a way that we do not know, or damaged.
    """
    asking.max_content_length = most
    try:
        raw = asking.get_data(cache=True)
    except RequestEntityTooLarge as error:
        raise _too_large(most) from error
    if asking.content_length is None and len(raw) >= most:
        raise _too_large(most)  # Werkzeug cuts a body of unknown length off without a word
    for name in reversed(asking.headers.get("Content-Encoding", "").lower().split(",")):
        if name.strip() not in ("", "identity"):
            raw = _unpacked(raw, name.strip(), most)
    return raw


def is_cut_off(asking: Request) -> bool:
    """Whether less came than was announced: the visitor's connection broke, and gunicorn passed on what it had."""
    return asking.content_length is not None and len(asking.get_data()) < asking.content_length


def is_small(asking: Request) -> bool:
    """Not worth counting its bytes: as many such posts as an address may send come to less than the limit.

    That saves the usual post a round trip to Redis.
    """
    return asking.content_length is not None and asking.content_length <= SMALL


def body_size(asking: Request, limits: Settings) -> int:
    """What a post counts for the limit of bytes; one that does not say its length is read for it."""
    length = asking.content_length
    if length is None:
        try:
            length = len(asking.get_data(cache=True))
        except HTTPException:  # too large or broken off: whoever reads it next says so
            length = limits.max_post_bytes
    return min(max(length, 1), limits.max_post_bytes)


def _unpacked(raw: bytes, name: str, most: int) -> bytes:
    if name not in PACKED:
        raise PayloadError(415, "UNSUPPORTED_ENCODING", "We cannot unpack this post. Send it as it is, or as gzip.")
    try:
        unpacking = zlib.decompressobj(PACKED[name])
        plain = unpacking.decompress(raw, most + 1)  # what came before a break is kept
    except zlib.error as error:
        raise PayloadError(400, "DAMAGED_BODY", "The post arrived damaged and could not be unpacked.") from error
    if len(plain) > most:
        raise _too_large(most)
    return plain


def _too_large(most: int) -> PayloadError:
    megabytes = most / 1_000_000
    message = f"This is too large to be sent: at most {megabytes:g} MB, files included."
    return PayloadError(413, "FILES_TOO_BIG", message)
