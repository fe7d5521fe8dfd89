"""Readiness on a real PostgreSQL."""

from typing import Any

import flask_migrate
from sqlalchemy import text

from leadapp import schema
from leadapp.extensions import db


def test_ready_on_postgresql(pg_app: Any) -> None:
    app = pg_app()
    schema.prepare(app)
    flask_migrate.stamp()
    assert app.test_client().get("/healthz/ready").get_json() == {"status": "ok", "database": "ok", "redis": "ok"}


def test_a_database_that_takes_no_writes_is_not_ready(pg_app: Any) -> None:
    app = pg_app()
    schema.prepare(app)
    flask_migrate.stamp()
    name = db.engine.url.database
    db.session.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    db.session.commit()
    db.session.remove()
    db.engine.dispose()  # the setting holds for new connections
    answer = app.test_client().get("/healthz/ready")
    assert (answer.status_code, answer.get_json()["database"]) == (503, "read-only")
