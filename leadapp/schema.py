"""The revisions of the database's schema, read without Alembic: only `flask` commands load that (11 MB a process)."""

import re
from functools import cache
from pathlib import Path

import click
from flask import Flask, current_app
from sqlalchemy import inspect, text

from leadapp.config import ROOT
from leadapp.extensions import db

FOLDER = ROOT / "migrations"
NAMED = re.compile(r"""^(revision|down_revision)\b[^=]*=\s*["'](\w+)["']""", re.MULTILINE)


def init_app(app: Flask) -> None:
    """Let `flask db ...` know our migrations; in web and workers nobody asks."""
    if click.get_current_context(silent=True) is not None:
        prepare(app)


def upgrade() -> None:
    """Bring the database to the newest revision."""
    prepare(current_app)
    import flask_migrate

    flask_migrate.upgrade()


def prepare(app: Flask) -> None:
    """Tell Flask-Migrate where the migrations are."""
    import flask_migrate

    flask_migrate.Migrate(app, db, directory=str(FOLDER), render_as_batch=True, compare_type=True)


@cache
def newest(folder: Path = FOLDER) -> frozenset[str]:
    """The revisions that no other one follows: Alembic's heads, of which there is one."""
    found = [dict(NAMED.findall(file.read_text())) for file in (folder / "versions").glob("*.py")]
    return frozenset(one["revision"] for one in found) - {one.get("down_revision", "") for one in found}


def present() -> frozenset[str]:
    """Where the database stands; nothing when it was never migrated."""
    connection = db.session.connection()
    if not inspect(connection).has_table("alembic_version"):
        return frozenset()
    return frozenset(connection.execute(text("SELECT version_num FROM alembic_version")).scalars())
