"""The one clock: `now()` for what people read, `db_now()` for every comparison with due and lease.

Only the database's clock decides what is due, so that a worker whose clock is an hour off does no harm.
Tests freeze both with `frozen(...)`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

from sqlalchemy import ColumnElement, DateTime, Dialect, Text, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

P = ParamSpec("P")
T = TypeVar("T")
SQLITE_FORMAT = "%Y-%m-%d %H:%M:%S.%f"
_frozen_at: datetime | None = None


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time; on SQLite one fixed text format, so that text order is time order."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Text())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("times are aware; use clock.now()")
        value = value.astimezone(UTC)
        return value.strftime(SQLITE_FORMAT) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.strptime(value, SQLITE_FORMAT).replace(tzinfo=UTC)
        moment: datetime = value
        return moment.astimezone(UTC)


class _DatabaseNow(FunctionElement[datetime]):
    """The database's clock plus a bound number of seconds."""

    type = UtcDateTime()
    inherit_cache = True
    name = "database_now"


@compiles(_DatabaseNow, "postgresql")
def _now_on_postgresql(element: _DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    # statement_timestamp(): clock_timestamp() in a WHERE cannot use an index.
    seconds = compiler.process(element.clauses, **kw)
    return f"(statement_timestamp() + make_interval(secs => {seconds}))"


@compiles(_DatabaseNow, "sqlite")
def _now_on_sqlite(element: _DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    seconds = compiler.process(element.clauses, **kw)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', printf('%+.3f seconds', {seconds}))"


# For column defaults only: unlike db_now() it does not freeze.
DB_NOW: ColumnElement[datetime] = _DatabaseNow(literal(0.0))


def now() -> datetime:
    """This moment in aware UTC, by the machine's clock."""
    return _frozen_at or datetime.now(UTC)


def db_now(plus: timedelta = timedelta()) -> ColumnElement[datetime]:
    """This moment (plus a span) by the database's clock, as an SQL expression."""
    if _frozen_at is not None:
        return literal(_frozen_at + plus, UtcDateTime())
    return _DatabaseNow(literal(plus.total_seconds()))


def prepared(build: Callable[P, T]) -> Callable[P, T]:
    """Keep the statements that `build` makes with db_now(): making one costs as much as running it.

    They are made anew while a test has stopped the clock.
    """
    kept = cast("Callable[P, T]", lru_cache(maxsize=32)(build))

    @wraps(build)
    def statement(*args: P.args, **kwargs: P.kwargs) -> T:
        return build(*args, **kwargs) if _frozen_at is not None else kept(*args, **kwargs)

    return statement


@contextmanager
def frozen(moment: datetime) -> Iterator[None]:
    """Stop both clocks at `moment`; for tests in one process."""
    global _frozen_at  # noqa: PLW0603 - the one seam that tests turn
    before, _frozen_at = _frozen_at, moment
    try:
        yield
    finally:
        _frozen_at = before


def iso(moment: datetime) -> str:
    """RFC 3339 with a Z, to the second, as the webhook body carries it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
