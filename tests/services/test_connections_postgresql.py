"""A pooled connection that died is replaced before it is used; one that merely has news is kept."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from leadapp import database
from leadapp.extensions import db


def backend() -> int:
    """Which server process answers on a connection of the pool."""
    with db.engine.connect() as connection:
        return int(connection.scalar(text("SELECT pg_backend_pid()")))


def elsewhere(statement: str, **values: object) -> None:
    """On a second connection, while the first one lies in the pool."""
    engine = db.create_engine(db.engine.url)
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


@pytest.fixture(autouse=True)
def _app(pg_app: Callable[..., Flask]) -> None:
    pg_app()
    db.session.rollback()


@pytest.mark.parametrize("asked_after", [10.0, 0.0], ids=["just used", "idle for long"])
def test_a_connection_that_the_server_closed_is_replaced(monkeypatch: pytest.MonkeyPatch, asked_after: float) -> None:
    monkeypatch.setattr(database, "ASKED_AFTER", asked_after)
    first = backend()
    elsewhere("SELECT pg_terminate_backend(:pid, 2000)", pid=first)
    assert backend() != first


@pytest.mark.parametrize("asked_after", [10.0, 0.0], ids=["just used", "idle for long"])
def test_a_connection_that_has_a_notification_waiting_is_kept(
    monkeypatch: pytest.MonkeyPatch, asked_after: float
) -> None:
    monkeypatch.setattr(database, "ASKED_AFTER", asked_after)
    with db.engine.begin() as connection:
        connection.execute(text("LISTEN news"))
    first = backend()
    elsewhere("NOTIFY news")
    assert [backend(), backend()] == [first, first]
