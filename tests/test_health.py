"""Health: what a balancer is told, and that asking costs and changes nothing."""

import threading
import time
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from leadapp import schema
from leadapp.app import create_app
from leadapp.extensions import db
from leadapp.ops import health
from tests.sinks import time_limit


@pytest.fixture
def at_head(app: Flask) -> Flask:
    """An app whose database says that it is migrated."""
    schema.prepare(app)
    flask_migrate.stamp()
    return app


def ask(app: Flask) -> tuple[int, dict[str, str]]:
    answer = app.test_client().get("/healthz/ready")
    return answer.status_code, answer.get_json()


def test_live_says_that_the_process_answers(client: FlaskClient) -> None:
    assert client.get("/healthz/live").get_json() == {"status": "ok"}


def test_live_needs_no_database(app_with: Any, tmp_path: Path) -> None:
    app = app_with()
    (tmp_path / "lead.db").unlink()
    assert app.test_client().get("/healthz/live").status_code == 200


def test_ready_when_a_lead_could_be_saved(at_head: Flask) -> None:
    assert ask(at_head) == (200, {"status": "ok", "database": "ok", "redis": "ok"})


def test_a_lost_redis_is_degraded_and_not_unready(at_head: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("leadapp.queue.answers", lambda: False)
    status, said = ask(at_head)
    assert (status, said["status"]) == (200, "degraded")
    assert "no answer" in said["redis"]


def test_not_ready_before_the_migrations_ran(app: Flask) -> None:
    status, said = ask(app)
    assert status == 503
    assert "migrations are not at head" in said["database"]


def test_not_ready_without_the_file_and_none_is_made(at_head: Flask, tmp_path: Path) -> None:
    db.engine.dispose()
    (tmp_path / "lead.db").unlink()
    status, said = ask(at_head)
    assert (status, said["database"]) == (503, "the SQLite file is missing")
    assert not (tmp_path / "lead.db").exists()


def test_not_ready_when_the_disk_is_read_only(at_head: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert ask(at_head) == (503, {"status": "not ready", "database": ask_words(), "redis": "ok"})


def ask_words() -> str:
    return "the SQLite file or its folder is read-only"


def test_not_ready_when_the_connection_is_read_only(at_head: Flask) -> None:
    db.session.execute(text("PRAGMA query_only=ON"))
    db.session.rollback()
    assert ask(at_head)[0] == 503


def test_not_ready_when_the_database_is_away_and_no_secret_is_told(
    at_head: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> str:
        raise OperationalError("SELECT", {}, Exception("password=hunter2 host=db.internal"))

    monkeypatch.setattr(health, "_writable_problem", away)
    assert ask(at_head)[1]["database"] == "not reachable (OperationalError)"


def test_a_database_that_hangs_is_given_up_in_time(at_head: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIME_BOX", 0.2)
    gate = threading.Event()  # opened at the end: the next test needs the one thread for such questions
    monkeypatch.setattr(health, "database_problem", lambda: "the hang was waited for" if gate.wait(10) else "")
    with time_limit(5):
        status, said = ask(at_head)
    gate.set()
    assert (status, said["database"]) == (503, "no answer within 0.2 seconds")


def test_asking_writes_nothing(at_head: Flask, tmp_path: Path) -> None:
    ask(at_head)
    before = [(file.name, file.stat().st_mtime_ns) for file in tmp_path.glob("lead.db*") if "shm" not in file.name]
    ask(at_head)
    after = [(file.name, file.stat().st_mtime_ns) for file in tmp_path.glob("lead.db*") if "shm" not in file.name]
    assert before == after


def test_asking_does_not_wait_for_a_writer(at_head: Flask) -> None:
    with db.engine.connect() as writer:
        writer.execute(text("SELECT 1"))  # holds the write lock of SQLite
        assert ask(at_head)[0] == 200


def test_a_balancer_may_ask_by_address(app_with: Any) -> None:
    client = app_with(allowed_hosts="leads.shop.example").test_client()
    assert client.get("/healthz/live", base_url="http://10.0.0.7:8000").status_code == 200
    assert client.get("/", base_url="http://10.0.0.7:8000").status_code == 400


def test_health_is_outside_every_rate_limit(app_with: Any) -> None:
    client = app_with(ratelimit_enabled=True, ratelimit_posts="1 per minute").test_client()
    assert {client.get("/healthz/live").status_code for _ in range(30)} == {200}


def test_a_postgresql_that_is_away_is_said_in_time(settings_for: Any) -> None:
    app = create_app(settings_for(database_url="postgresql://postgres@127.0.0.1:1/none"))
    began = time.monotonic()
    answer = app.test_client().get("/healthz/ready")
    assert time.monotonic() - began < health.TIME_BOX + 1
    assert (answer.status_code, answer.get_json()["database"]) == (503, "not reachable (OperationalError)")
