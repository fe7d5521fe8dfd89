"""How connections and transactions behave on PostgreSQL and SQLite.

SQLite: WAL, synchronous=FULL, a busy time-out, and BEGIN IMMEDIATE for every transaction that may write
(a read that turns into a write fails at once there, whatever the busy time-out). Reading requests begin
deferred, so that a page never holds the write lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from flask import has_request_context, request
from sqlalchemy import Connection, Engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url

from leadapp.config import Settings
from leadapp.extensions import Model, db

_may_write: ContextVar[bool] = ContextVar("may_write", default=False)


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options for create_engine: bounded waits everywhere, connections checked before use."""
    if settings.is_sqlite:
        path = make_url(settings.database_url).database
        if path and path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        return {"hide_parameters": True, "connect_args": {"timeout": 20}}
    return {
        "hide_parameters": True,  # an error must not carry a lead into a log
        "pool_pre_ping": True,
        "pool_recycle": 300,
        "connect_args": {"connect_timeout": 5, "options": "-c timezone=UTC -c lock_timeout=15000"},
    }


def watch(engine: Engine) -> None:
    """Attach the SQLite rules to an engine; PostgreSQL needs none."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)


def _set_pragmas(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=20000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN DEFERRED" if _only_reads() else "BEGIN IMMEDIATE")


def _only_reads() -> bool:
    return not _may_write.get() and has_request_context() and request.method in ("GET", "HEAD", "OPTIONS")


@contextmanager
def transaction() -> Iterator[None]:
    """One writing transaction: committed at the end, rolled back on any exception.

    What was read before in the same session belongs to it; only a reading request, whose transaction
    began without the write lock, lets go of that first.
    """
    if _only_reads():
        db.session.rollback()
    token = _may_write.set(True)
    try:
        yield
        db.session.commit()
    except BaseException:
        db.session.rollback()
        raise
    finally:
        _may_write.reset(token)


def release() -> None:
    """Give the connection back to the pool; objects that were loaded stay readable."""
    db.session.close()


def is_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def insert_into(model: type[Model]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
    return postgresql.insert(model) if is_postgresql() else sqlite.insert(model)
