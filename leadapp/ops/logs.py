"""JSON log lines with request, lead and delivery ids, and without personal data.

A line carries what `bind(...)` named and what the caller gave as `extra`, of which only NAMES pass. Messages
lose e-mail addresses, and the text of an exception is shown only where its class is known to quote nobody.
"""

import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import jinja2
from flask import Flask, Response, g, request
from gunicorn.glogging import Logger
from pythonjsonlogger.json import JsonFormatter
from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError

from leadapp.config import Settings
from leadapp.errors import LeadappError

access = logging.getLogger("leadapp.access")

# What a line may say beside its message. Anything else that a caller or a library adds is left out.
NAMES = frozenset(
    (
        *(
            "request_id",
            "lead_id",
            "delivery_id",
            "destination_id",
            "correlation_id",
            "form",
            "kind",
            "state",
        ),
        *("job", "job_id", "queue", "role", "worker", "pid", "exit_code", "pause_seconds", "attempt", "code"),
        *("method", "route", "status", "duration_ms", "count", "ids", "expired", "rung", "reason"),
    )
)
# Exceptions whose text says what broke and quotes no visitor: the others may hold a value that did not fit.
TELLING = (
    *(LeadappError, OSError, RedisError, OperationalError, jinja2.TemplateError),
    *(AttributeError, TypeError, NameError, ImportError, NotImplementedError),
)
WORD = re.compile(r"[^\s<>\"'(),;:=]+")
VISITOR = re.compile(r"\bip=\S+")
URL_PATH = re.compile(r"(https?://[^\s/]+/|\burl: /)\S+")  # the path of a webhook address is a secret
SANE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
LONGEST = 4000
_bound: ContextVar[dict[str, Any]] = ContextVar("log_ids", default={})  # noqa: B039 - never changed in place


@contextmanager
def bind(**ids: Any) -> Iterator[None]:
    """Every line within the block carries these ids."""
    token = _bound.set({**_bound.get(), **ids})
    try:
        yield
    finally:
        _bound.reset(token)


@contextmanager
def job(name: str, job_id: str, arguments: Sequence[Any]) -> Iterator[None]:
    """Every line of a worker within the block names its job, and the lead if it is for one."""
    of_lead = {"lead_id": arguments[0]} if arguments and isinstance(arguments[0], str) else {}
    with bind(job=name, job_id=job_id, **of_lead):
        yield


def mask(text: str) -> str:
    """The text without addresses of people and paths of URLs, and not endless."""
    words = WORD.sub(lambda found: "[address]" if "@" in found[0] else found[0], text[:LONGEST])
    return VISITOR.sub("ip=[address]", URL_PATH.sub(r"\1...", words))


def message_of(error: BaseException) -> str:
    """What an exception says, if its class quotes nobody."""
    if isinstance(error, TELLING):
        return mask(str(error))
    return "(its text may quote a visitor and is left out)"


class LineFormatter(JsonFormatter):
    """One line of JSON."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="at",
            json_ensure_ascii=False,
        )

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        own = {"at", "level", "logger", "message", "exc_info", "stack_info"}
        kept = {name: value for name, value in log_data.items() if name in own or name in NAMES}
        message = str(kept.get("message", ""))
        if str(kept.get("logger", "")).startswith("rq."):
            message = message.partition("\n")[0]  # a traceback follows, unmasked
        kept["message"] = mask(message)
        if "correlation_id" in kept:  # a sender's own word
            kept["correlation_id"] = mask(str(kept["correlation_id"]))
        return {**_bound.get(), **kept}  # what the line itself says counts: a job takes rows of other leads along

    def formatException(  # noqa: N802 - the library's name
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        """Where it broke, and what of it quotes nobody, causes first."""
        return "\n".join(_tell(ei[1])) if ei[1] else ""


def _tell(error: BaseException) -> Iterator[str]:
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        yield from _tell(cause)
        yield "which led to:"
    yield "".join(traceback.format_tb(error.__traceback__)).rstrip()
    yield f"{type(error).__name__}: {message_of(error)}"


class GunicornLogger(Logger):  # type: ignore[misc]
    """Gunicorn's own lines in the same form (`gunicorn --logger-class`)."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(LineFormatter())


def start(settings: Settings) -> None:
    """Send every log line of this process to standard error; safe to repeat."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler.formatter, LineFormatter)]:
        root.removeHandler(handler)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root.addHandler(handler)
    root.setLevel(settings.log_level.upper())
    logging.captureWarnings(capture=True)
    for talkative in ("alembic", "rq.worker"):
        logging.getLogger(talkative).setLevel(max(root.level, logging.WARNING))


def init_app(app: Flask) -> None:
    """Give each request an id and a line; the id also goes out as X-Request-ID."""
    if not app.testing:
        start(app.config["SETTINGS"])
    app.before_request(_begin)
    app.after_request(_finish)
    app.teardown_request(_unbind)
    app.log_exception = _tell_of_exception  # type: ignore[method-assign]  # Flask's own line quotes the path


def request_id() -> str:
    """The id that the router in front gave this request, or one of our own."""
    if "leadapp.request_id" not in request.environ:
        given = request.headers.get("X-Request-ID", "")
        request.environ["leadapp.request_id"] = given if SANE_ID.fullmatch(given) else secrets.token_hex(16)
    found: str = request.environ["leadapp.request_id"]
    return found


def _begin() -> None:
    request.environ["leadapp.began_at"] = time.monotonic()
    _bound.set({"request_id": request_id()})


def _finish(response: Response) -> Response:
    response.headers["X-Request-ID"] = request_id()
    now = time.monotonic()
    route = _route()
    level = logging.DEBUG if request.endpoint == "static" or route.startswith("/healthz") else logging.INFO
    facts = {
        "method": request.method,
        "route": route,
        "status": response.status_code,
        "duration_ms": round((now - request.environ.get("leadapp.began_at", now)) * 1000),
    }
    facts["correlation_id"] = response.headers.get("X-Correlation-Id", request_id())  # what a lead is followed by
    access.log(level, "answered", extra=facts | ({"lead_id": g.lead_id} if "lead_id" in g else {}))
    return response


def _tell_of_exception(exc_info: Any) -> None:
    access.error("a request broke", exc_info=exc_info, extra={"method": request.method, "route": _route()})


def _route() -> str:
    """The rule, not the path: a path can hold a token, and a query string anything."""
    return request.url_rule.rule if request.url_rule else "(none)"


def _unbind(_error: BaseException | None) -> None:
    _bound.set({})
