"""`/healthz/live`: this process answers. `/healthz/ready`: it can take a lead. Neither writes anything.

Both answer under any host name (a balancer asks by address) and outside every rate limit, and say nothing
that is secret.
"""

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TimedOut
from pathlib import Path
from typing import Any, TypeVar

from flask import Blueprint, Flask, copy_current_request_context
from flask.typing import ResponseReturnValue
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from leadapp import queue, schema
from leadapp.accounts import guard
from leadapp.config import settings
from leadapp.database import is_postgresql, release
from leadapp.extensions import db
from leadapp.webextensions import limiter

health = Blueprint("health", __name__, url_prefix="/healthz")
health.access = guard.PUBLIC  # type: ignore[attr-defined]
T = TypeVar("T")
UNDER_ANY_NAME = ("/healthz/", "/metrics")
TIME_BOX = 3.0  # seconds; a balancer's own patience is mostly 5
# One at a time: while the database hangs, probes wait in line instead of piling up threads.
_checks = ThreadPoolExecutor(max_workers=1, thread_name_prefix="health")


def init_app(app: Flask) -> None:
    app.register_blueprint(health)
    limiter.exempt(health)
    allowed = app.config["TRUSTED_HOSTS"]
    if allowed:
        app.wsgi_app = under_any_name(app.wsgi_app, allowed[0].lstrip("."))  # type: ignore[method-assign]


def under_any_name(wsgi_app: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Let health questions and Prometheus, which ask by address, pass ALLOWED_HOSTS: no answer holds an address."""

    def inner(environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("PATH_INFO", "").startswith(UNDER_ANY_NAME):
            environ["HTTP_HOST"] = name
            environ.pop("HTTP_X_FORWARDED_HOST", None)
        return wsgi_app(environ, start_response)

    return inner


@health.get("/live")
def live() -> ResponseReturnValue:
    return {"status": "ok"}


@health.get("/ready")
def ready() -> ResponseReturnValue:
    """200 when a lead could be saved; a lost Redis only delays leads and is named as degraded."""
    problem = within_time_box(database_problem)
    redis = "ok" if settings().queue_eager or queue.answers() else "no answer; workers look into SQL themselves"
    parts = {"database": problem or "ok", "redis": redis}
    if problem:
        return {"status": "not ready", **parts}, 503
    return {"status": "ok" if redis == "ok" else "degraded", **parts}


def within_time_box(check: Callable[[], str]) -> str:
    """What the check says, or that it took too long."""
    try:
        return in_time(check)
    except TimedOut:
        return f"no answer within {TIME_BOX:g} seconds"


def in_time(ask: Callable[[], T]) -> T:
    """What a question to the database gives; TimeoutError when it hangs. `ask` gives its own connection back."""
    running: Future[T] = _checks.submit(copy_current_request_context(ask))
    try:
        return running.result(TIME_BOX)
    except TimedOut:
        running.cancel()
        raise


def database_problem() -> str:
    """Why the database cannot take a lead, or "". Reads only."""
    try:
        return _writable_problem() or _migration_problem()
    except SQLAlchemyError as error:
        return f"not reachable ({type(error).__name__})"
    finally:
        release()


def _writable_problem() -> str:
    if is_postgresql():
        row = db.session.execute(text("SELECT current_setting('transaction_read_only'), pg_is_in_recovery()")).one()
        return "read-only" if row[0] == "on" or row[1] else ""
    path = Path(db.engine.url.database or "")
    if not path.is_file():
        return "the SQLite file is missing"  # connecting would make an empty one
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return "the SQLite file or its folder is read-only"
    return "read-only" if db.session.scalar(text("PRAGMA query_only")) else ""


def _migration_problem() -> str:
    return "" if schema.present() == schema.newest() else "migrations are not at head: run `flask setup`"
