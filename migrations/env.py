"""Alembic's environment: one migration run at a time, the same on SQLite and PostgreSQL."""

from typing import Any

from alembic import context
from alembic.autogenerate.api import AutogenContext
from flask import current_app
from sqlalchemy import JSON, Connection, text

from leadapp.clock import UtcDateTime
from leadapp.columns import Enumerated, SealedText
from leadapp.extensions import db

MIGRATION_LOCK = 5_323_268_777  # any fixed number; two releases at once wait for each other


def render_item(kind: str, item: Any, autogen: AutogenContext) -> str | bool:
    """Write our column types by what they are in the database."""
    if kind == "type" and isinstance(item, UtcDateTime):
        autogen.imports.add("from leadapp.clock import UtcDateTime")
        return "UtcDateTime()"
    if kind == "type" and isinstance(item, JSON):
        autogen.imports.add("from leadapp.columns import Json")
        return "Json"
    if kind == "type" and isinstance(item, Enumerated):
        return "sa.String(length=40)"
    if kind == "type" and isinstance(item, SealedText):
        return "sa.Text()"
    return False


def options() -> dict[str, Any]:
    return {
        "target_metadata": db.metadata,
        "render_item": render_item,
        **current_app.extensions["migrate"].configure_args,
    }


def upgrade(connection: Connection) -> None:
    context.configure(connection=connection, **options())
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        context.run_migrations()


def run() -> None:
    with db.engine.connect() as connection:
        raw = connection.connection.driver_connection
        is_sqlite = connection.dialect.name == "sqlite"
        # Batch mode rebuilds tables; with foreign keys on, dropping the old one would delete the children.
        if is_sqlite:
            raw.execute("PRAGMA foreign_keys=OFF")
        try:
            upgrade(connection)
        finally:
            if is_sqlite:
                raw.execute("PRAGMA foreign_keys=ON")


if context.is_offline_mode():
    context.configure(url=str(db.engine.url), literal_binds=True, **options())
    with context.begin_transaction():
        context.run_migrations()
else:
    run()
