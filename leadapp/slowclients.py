"""Clients that drip: a body has to arrive within BODY_SECONDS, and it does so before the app begins.

gunicorn's threads wait for a body as long as the client likes, so a handful of dripping connections would take every
thread, and on SQLite one of them the write lock. Slow request lines and headers are the router's to stop
(docs/operations.md). Who is too slow gets no answer: cutting the connection is what wakes the thread that reads it. The
408 is for gunicorn, which wants one, and for its log.
"""

import time
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from leadapp.config import Settings
from leadapp.network import Deadline

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

TOO_SLOW = b"The request took too long to arrive.\n"


class BodyFirst:
    """WSGI middleware; does nothing under servers that are not gunicorn."""

    def __init__(self, app: "WSGIApplication", settings: Settings) -> None:
        self.app = app
        self.seconds = settings.body_seconds
        self.limit = settings.max_post_bytes

    def __call__(self, environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        if self._is_to_be_read(environ) and not self._read(environ):
            start("408 Request Timeout", [("Content-Type", "text/plain"), ("Connection", "close")])
            return [TOO_SLOW]
        return self.app(environ, start)

    def _is_to_be_read(self, environ: "WSGIEnvironment") -> bool:
        """A body that says that it is too large is left alone: the app refuses it unread."""
        length = str(environ.get("CONTENT_LENGTH") or "")
        has_body = bool(length.strip("0")) or "HTTP_TRANSFER_ENCODING" in environ
        is_small = not length.isdecimal() or int(length) <= self.limit
        return "gunicorn.socket" in environ and has_body and is_small

    def _read(self, environ: "WSGIEnvironment") -> bool:
        with Deadline(time.monotonic() + self.seconds) as deadline:
            deadline.watch(environ["gunicorn.socket"])
            try:
                body = environ["wsgi.input"].read(self.limit + 1)
            except OSError:
                body = b""
            if deadline.has_passed:
                return False
        environ["wsgi.input"] = BytesIO(body)
        return True
