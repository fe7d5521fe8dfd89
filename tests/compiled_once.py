"""Addresses, templates and statements, compiled once: each test makes its app anew, and nine tenths of that was this."""

from collections.abc import Callable
from typing import Any

from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy import Engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util import LRUCache
from werkzeug.routing import Rule

_builders: dict[tuple[Any, ...], Callable[..., Any]] = {}
_statements: LRUCache[Any, Any] = LRUCache(1000)


class KnownRule(Rule):
    """Werkzeug writes two functions for each address of each app; what they do is said by the rule alone."""

    def _compile_builder(self, append_unknown: bool = True) -> Callable[..., Any]:
        if self.defaults:
            return super()._compile_builder(append_unknown)
        key = (self.rule, tuple(self._trace), append_unknown)
        if key not in _builders:
            _builders[key] = super()._compile_builder(append_unknown)
        return _builders[key]


class KnownTemplates(BytecodeCache):
    """What Jinja made of a template, under its name and the checksum of its source."""

    def __init__(self) -> None:
        self.codes: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self.codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.codes[bucket.key, bucket.checksum] = bucket.code


class OneDialect(SQLiteDialect_pysqlite):
    """SQLite's dialect, the same for the engines of all apps: SQLAlchemy's caches of statements ask for that."""

    supports_statement_cache = True

    def __eq__(self, other: object) -> bool:
        return type(other) is OneDialect

    def __hash__(self) -> int:
        return hash(OneDialect)


def install() -> None:
    """For every app that is made from now on."""
    Flask.url_rule_class = KnownRule
    Flask.jinja_options = {"bytecode_cache": KnownTemplates()}
    registry.register("sqlite", __name__, "OneDialect")


def share_statements(engine: Engine) -> None:
    engine.update_execution_options(compiled_cache=_statements)
