"""The migrations make exactly the tables that the models describe, on SQLite and PostgreSQL, up and down."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import flask_migrate
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import inspect

from leadapp import schema
from leadapp.app import create_app
from leadapp.config import ROOT
from leadapp.database import release
from leadapp.extensions import db

SERVER = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432")


def postgresql_answers() -> bool:
    try:
        psycopg.connect(f"{SERVER}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_app(request: Any, settings_for: Any, tmp_path: Path) -> Iterator[Flask]:
    """An app on a database without tables."""
    if request.param == "sqlite":
        yield from _inside(create_app(settings_for(database_url=f"sqlite:///{tmp_path / 'empty.db'}")))
        return
    if not postgresql_answers():
        pytest.skip("no PostgreSQL answers")
    name = f"drift_{uuid4().hex[:12]}"
    with psycopg.connect(f"{SERVER}/postgres", autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
        try:
            yield from _inside(create_app(settings_for(database_url=f"{SERVER}/{name}")))
        finally:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _inside(app: Flask) -> Iterator[Flask]:
    schema.prepare(app)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def differences(app: Flask) -> list[Any]:
    with db.engine.connect() as connection:
        options = {"compare_type": True, "render_as_batch": True, "target_metadata": db.metadata}
        return compare_metadata(MigrationContext.configure(connection, opts=options), db.metadata)


def test_there_is_one_newest_migration() -> None:
    heads = ScriptDirectory(str(ROOT / "migrations")).get_heads()
    assert len(heads) == 1
    assert schema.newest() == set(heads)


def test_where_a_database_stands_is_known(empty_app: Flask) -> None:
    assert schema.present() == set()
    release()  # SQLite's write lock
    flask_migrate.upgrade(revision="0001")
    assert schema.present() == {"0001"}
    release()
    schema.upgrade()
    assert schema.present() == schema.newest()


def test_the_migrations_make_what_the_models_describe(empty_app: Flask) -> None:
    flask_migrate.upgrade()
    assert differences(empty_app) == []


def test_the_migrations_can_be_undone_and_done_again(empty_app: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.downgrade(revision="base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    flask_migrate.upgrade()
    assert differences(empty_app) == []
