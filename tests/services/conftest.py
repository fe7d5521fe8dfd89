"""Apps on real PostgreSQL and Redis. `make services` says where they are; without that, this machine's own."""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask import Flask
from redis import Redis

from leadapp.app import create_app
from leadapp.config import ROOT
from leadapp.extensions import db
from tests.conftest import make_settings

POSTGRES = os.environ.get("TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432")
ARTEFACTS = ROOT / "artefacts"


def of_this_process(address: str) -> str:
    """Tests empty their Redis database, so each process of pytest -n has one of its own."""
    base, _, number = address.rpartition("/")
    return f"{base}/{int(number) + int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0').removeprefix('gw'))}"


REDIS = of_this_process(os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/9"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/services/" in str(item.path):
            item.add_marker(pytest.mark.services)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Where to look at what the browser saw; CI keeps the folder."""
    pictures = list(ARTEFACTS.glob("*.png"))
    if pictures:
        terminalreporter.write_line(f"{len(pictures)} screenshots in {ARTEFACTS}")


@contextmanager
def fresh_database() -> Iterator[str]:
    """The address of a new database, dropped afterwards."""
    name = f"lead_{secrets.token_hex(6)}"
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    try:
        yield f"{POSTGRES}/{name}"
    finally:
        with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


@pytest.fixture
def postgresql() -> Iterator[str]:
    with fresh_database() as address:
        yield address


@pytest.fixture
def redis() -> Iterator[Redis]:
    """A real Redis, its test database emptied before and after."""
    found = Redis.from_url(REDIS)
    found.flushdb()
    yield found
    found.flushdb()


@pytest.fixture
def pg_app(postgresql: str, redis: Redis) -> Iterator[Callable[..., Flask]]:
    """pg_app(name=value, ...) -> an app with every table on PostgreSQL; its context is pushed."""
    contexts = []

    def build(**overrides: Any) -> Flask:
        app = create_app(make_settings(**{"database_url": postgresql, "redis_url": REDIS, **overrides}))
        context = app.app_context()
        context.push()
        db.create_all()
        contexts.append(context)
        return app

    yield build
    for context in reversed(contexts):
        db.session.rollback()
        db.engine.dispose()
        context.pop()
