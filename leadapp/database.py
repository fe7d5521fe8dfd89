"""How connections and transactions behave on PostgreSQL and SQLite.

SQLite: WAL, synchronous=FULL, a busy time-out, and BEGIN IMMEDIATE for every transaction that may write
(a read that turns into a write fails at once there, whatever the busy time-out). Reading requests begin
deferred, so that a page never holds the write lock.
"""

import select
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache, partial
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import psycopg
from flask import has_request_context, request
from sqlalchemy import ColumnElement, Connection, Dialect, Engine, Insert, Table, event, insert, literal, literal_column
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError, SQLAlchemyError

from leadapp.config import Settings
from leadapp.extensions import Model, db

ASKED_AFTER = 10.0  # seconds
SESSION = (
    "timezone=UTC",
    "lock_timeout=15000",
    "jit=off",  # compiling one of our short statements takes longer than running it
    "random_page_cost=1.1",  # a plan is kept while its table grows: let it use the index from the first row on
)
_may_write: ContextVar[bool] = ContextVar("may_write", default=False)


def engine_options(settings: Settings) -> dict[str, Any]:
    """Options for create_engine: bounded waits everywhere."""
    if settings.is_sqlite:
        path = make_url(settings.database_url).database
        if path and path != ":memory:":
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        return {"hide_parameters": True, "connect_args": {"timeout": 20}}
    return {
        "hide_parameters": True,  # an error must not carry a lead into a log
        "pool_recycle": 300,
        "pool_use_lifo": True,  # the connection that was used last knows the statements
        "connect_args": {"connect_timeout": 5, "options": " ".join(f"-c {option}" for option in SESSION)},
    }


def watch(engine: Engine) -> None:
    """Attach the rules of its database to an engine."""
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin)
    else:
        event.listen(engine, "checkin", _note_use)
        event.listen(engine, "checkout", partial(_refuse_dead, engine.dialect))


def _note_use(_connection: Any, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _refuse_dead(dialect: Dialect, connection: Any, record: Any, _proxy: Any) -> None:
    """What pool_pre_ping does, without its round trip for each request: a server that hung up has said so.

    A connection that was idle for longer is asked all the same: a firewall drops one without a word.
    """
    idle = time.monotonic() - record.info.get("used_at", time.monotonic())
    try:
        if idle < ASKED_AFTER and not _has_news(connection):
            return
        dialect.do_ping(connection)
    except psycopg.Error as error:
        raise InvalidatePoolError from error  # the pool then opens a new one


def _has_news(connection: Any) -> bool:
    """Whether the server has sent something that nobody asked for: good-bye mostly, or a notice, or a TLS record."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


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
    _end_reading()
    db.session.close()


def _end_reading() -> None:
    """What was only read ends with COMMIT: psycopg forgets all its prepared statements at a ROLLBACK."""
    session = db.session()
    if session.in_transaction() and not (session.new or session.dirty or session.deleted):
        try:
            session.commit()
        except SQLAlchemyError:  # the connection is gone: whoever read from it has been told
            session.rollback()


def end_request(error: BaseException | None = None) -> None:
    """For app.teardown_request: a request that was only to read, and did no more than that.

    Not for the admin: what its lists ask depends so much on the values that each page is better planned by itself.
    """
    if error is None and _only_reads() and not request.path.startswith("/admin") and db.session.registry.has():
        _end_reading()


def is_postgresql() -> bool:
    return db.engine.dialect.name == "postgresql"


def insert_into(model: type[Model]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT; both dialects spell it alike."""
    return postgresql.insert(model) if is_postgresql() else sqlite.insert(model)


def insert_all(rows: Sequence[Model]) -> None:
    """INSERT new rows at once, past the session and at a third of its price; it never learns of them.

    Only what differs from a column's default is bound, the rest stands in the statement: psycopg translates a
    statement of 50 parameters or more anew each time that it is run.
    """
    connection = db.session.connection()
    for model, group in groupby(rows, type):
        defaults = _defaults(model)
        said = [
            {name: value for name, value in vars(row).items() if name in defaults and value != defaults[name]}
            for row in group
        ]
        names = frozenset[str]().union(*said)
        values = [{name: one.get(name, defaults[name]) for name in names} for one in said]
        statement = _insert(model, names, connection.dialect)
        connection.execute(statement, values if len(values) > 1 else values[0])


_NO_CONSTANT = object()  # equal to nothing that a row may say


@cache
def _defaults(model: type[Model]) -> dict[str, Any]:
    """What each column holds when nothing is said: a constant, or None."""
    found = {}
    for column in model.__table__.columns:
        is_made = column.default is not None and not column.default.is_scalar
        found[column.name] = _NO_CONSTANT if is_made else getattr(column.default, "arg", None)
    return found


@lru_cache(maxsize=500)
def _insert(model: type[Model], names: frozenset[str], dialect: Dialect) -> Insert:
    """The INSERT that binds these columns; constant defaults of the others are written out."""
    constants = {
        name: _written_out(literal(value, model.__table__.columns[name].type), dialect)
        for name, value in _defaults(model).items()
        if name not in names and value is not None and value is not _NO_CONSTANT
    }
    return insert(cast(Table, model.__table__)).values(constants)


def _written_out(value: ColumnElement[Any], dialect: Dialect) -> ColumnElement[Any]:
    return literal_column(str(value.compile(dialect=dialect, compile_kwargs={"literal_binds": True})))
