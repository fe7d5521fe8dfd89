"""SQL for statements that run thousands of times: the same text each time, so that its plan is made once.

PostgreSQL keeps a plan for each text. A list that is bound value by value has another text for each length; a bound
word is unknown to a plan that is made once, which then cannot use a partial index, so that planning starts anew.
"""

import json
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

from sqlalchemy import ARRAY, Boolean, ColumnElement, Dialect, Text, bindparam, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.expression import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

Column = ColumnElement[Any] | InstrumentedAttribute[Any]


class _Listed(TypeDecorator[Any]):
    """Many values bound as one: an array, or on SQLite their JSON text."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(ARRAY(self.item))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if dialect.name == "postgresql":
            return list(value)
        return json.dumps([one.hex if isinstance(one, UUID) else one for one in value])


class _Among(FunctionElement[bool]):
    """Whether a column is one of the values that are bound under a name."""

    type = Boolean()
    inherit_cache = True
    name = "among"

    def self_group(self, against: Any = None) -> Self:  # noqa: ARG002 - SQLAlchemy's signature
        """As it is: SQLAlchemy would compare it with 1 on SQLite, which then reads the whole table."""
        return self


@compiles(_Among, "postgresql")
def _among_on_postgresql(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(one, **kw) for one in element.clauses)
    return f"({column} = ANY ({values}))"


@compiles(_Among, "sqlite")
def _among_on_sqlite(element: _Among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = (compiler.process(one, **kw) for one in element.clauses)
    return f"({column} IN (SELECT value FROM json_each({values})))"  # noqa: S608 - both are compiled SQL


def among(column: Column, name: str, item: TypeEngine[Any] | None = None) -> ColumnElement[bool]:
    """`column` is one of the values bound as the list `name`; for plain columns of numbers, words and UUIDs.

    `item` is the column's type where it is not known yet: it refers to a table that is declared later.
    """
    return _Among(column, bindparam(name, type_=_Listed(item or column.type)))


def written(word: StrEnum) -> ColumnElement[str]:
    """A word of ours written out in the statement."""
    return literal_column(f"'{word}'")


def is_word(column: Column, *words: StrEnum) -> ColumnElement[bool]:
    """`column` holds one of these words of ours, written out in the statement."""
    return column.in_([written(word) for word in words])


def not_word(column: Column, words: Iterable[StrEnum]) -> ColumnElement[bool]:
    """`column` holds none of these words of ours, written out in the statement."""
    return column.not_in([written(word) for word in words])
