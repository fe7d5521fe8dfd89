"""Proofs that a sender knows the secret, all compared in constant time and as bytes."""

import base64
import hashlib
import hmac
from typing import Any

from leadapp.leads.senders.shape import Headers


def is_same(given: Any, secret: str) -> bool:
    """Whether somebody sent the secret itself; neither its length nor its beginning shows in the time it takes."""
    if not isinstance(given, str | int) or isinstance(given, bool):
        return False
    digests = (hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in (str(given), secret))
    return hmac.compare_digest(*digests)


def as_sent(headers: Headers, name: str) -> str | None:
    """A header's text; WSGI hands its bytes over as Latin-1. What is not UTF-8 stays Latin-1 and equals no secret."""
    value = headers.get(name)
    if value is None:
        return None
    raw = value.encode("latin-1", "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return value


def is_signed_hex(raw: bytes, given: str | None, secret: str) -> bool:
    """`sha256=<hex HMAC of the body>`."""
    return _is_equal(given, "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest())


def is_signed_base64(raw: bytes, given: str | None, secret: str, prefix: str = "") -> bool:
    """`<prefix><base64 HMAC of the body>`."""
    digest = hmac.new(secret.encode(), raw, hashlib.sha256).digest()
    return _is_equal(given, prefix + base64.b64encode(digest).decode())


def _is_equal(given: str | None, wanted: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
