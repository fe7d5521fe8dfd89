"""Fixtures that every test may use: an app on its own SQLite file, with fakeredis for Redis."""

import gc
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakeredis
import hypothesis
import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits.storage import memory
from sqlalchemy import event

from leadapp import clock
from leadapp.app import create_app
from leadapp.config import Settings
from leadapp.deliveries import work
from leadapp.extensions import db
from leadapp.webextensions import limiter
from tests import compiled_once
from tests.sinks import HttpSink

for _name in Settings.model_fields:  # the machine's own settings must not reach a test
    os.environ.pop(_name.upper(), None)
for _name in ("SMTP_SERVER", "SMTP_HOST", "SMTP_PORT", "DYNO"):
    os.environ.pop(_name, None)

# A busy machine is no failure; what must be quick says so in its own test.
hypothesis.settings.register_profile("leadapp", deadline=None)
hypothesis.settings.load_profile("leadapp")

SECRET = "a test secret that is long enough to be one"
# Argon2 as ever, but not for a tenth of a second and 64 MB.
CHEAP_HASHES = {"argon2__time_cost": 1, "argon2__memory_cost": 8, "argon2__parallelism": 1}
SettingsFor = Callable[..., Settings]
AppWith = Callable[..., Flask]


def pytest_configure() -> None:
    compiled_once.install()


def pytest_collection() -> None:
    gc.disable()  # what is imported now stays


def pytest_collection_finish() -> None:
    """Each test leaves an app behind. Looking for such remains seldom, and only among them, saves a fifth of the time."""
    gc.collect()
    gc.freeze()
    gc.enable()
    gc.set_threshold(100_000, 20, 100)


def make_settings(**overrides: Any) -> Settings:
    given: dict[str, Any] = {
        "app_env": "test",
        "secret_key": SECRET,
        "encryption_keys": SECRET,
        "retry_jitter": 0.0,
        "ratelimit_enabled": False,
        "default_from_email": "desk@shop.example",
        **overrides,
    }
    return Settings(_env_file=None, **given)


@pytest.fixture
def settings_for(tmp_path: Path) -> SettingsFor:
    """settings_for(name=value, ...) -> Settings of a test, on this test's own SQLite file."""

    def build(**overrides: Any) -> Settings:
        return make_settings(**{"database_url": f"sqlite:///{tmp_path / 'lead.db'}", **overrides})

    return build


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with every table, copied for each test."""
    path = tmp_path_factory.mktemp("template") / "lead.db"
    app = create_app(make_settings(database_url=f"sqlite:///{path}"))
    with app.app_context():
        db.create_all()
        db.session.commit()
        with db.engine.connect() as connection:
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.engine.dispose()
    return path


def use_fakeredis(app: Flask) -> fakeredis.FakeStrictRedis:
    """Put a Redis of its own, in memory, behind the app's bell."""
    app.extensions["queue"].redis = fakeredis.FakeStrictRedis()
    return app.extensions["queue"].redis


def do_not_wait_for_the_disk(connection: Any, _record: Any) -> None:
    """A test's database need not outlive a power cut. Listening after leadapp.database, this has the last word."""
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture
def app_with(settings_for: SettingsFor, empty_database: Path) -> Iterator[AppWith]:
    """app_with(name=value, ...) -> an app with those settings and an empty database; its context is pushed."""
    contexts = []

    def build(**overrides: Any) -> Flask:
        settings = settings_for(**overrides)
        path = Path(settings.database_url.removeprefix("sqlite:///"))
        if not path.exists():
            shutil.copy(empty_database, path)
        app = create_app(settings)
        use_fakeredis(app)
        context = app.app_context()
        context.push()
        contexts.append(context)
        app.extensions["security"].pwd_context.update(CHEAP_HASHES)
        compiled_once.share_statements(db.engine)
        event.listen(db.engine, "connect", do_not_wait_for_the_disk)
        return app

    yield build
    for context in reversed(contexts):
        db.session.rollback()
        db.engine.dispose()
        context.pop()


@pytest.fixture
def app(app_with: AppWith) -> Flask:
    return app_with()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture(autouse=True)
def fresh_limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test counts from nothing, within one moment: however slow the machine, no minute is over before the test."""
    moment = time.time()
    monkeypatch.setattr(memory, "time", SimpleNamespace(time=lambda: moment))
    yield
    limiter._storage_dead = False  # else the next test would count anew as soon as the limiter finds its storage alive
    if limiter.enabled and limiter._storage is not None:
        limiter.reset()


@pytest.fixture
def one_day() -> Iterator[None]:
    """No midnight comes between a lead and a look at its day. A row's own received_at does not stop: set it."""
    with clock.frozen(clock.now()):
        yield


@pytest.fixture(autouse=True)
def patient_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run waits for all that it sends, so that a test finds it settled, however busy the machine is."""
    monkeypatch.setattr(work, "PATIENCE", 60.0)


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    """A receiver on loopback that keeps what it got and says 200."""
    with HttpSink() as found:
        yield found
