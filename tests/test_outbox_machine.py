"""The outbox against its model, on SQLite."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from leadapp.app import create_app
from leadapp.extensions import db
from tests.conftest import make_settings, use_fakeredis
from tests.outbox_machine import POOL, OutboxMachine

TRACES = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(200)
def test_the_outbox_behaves_like_its_model(tmp_path: Path):
    app = create_app(make_settings(database_url=f"sqlite:///{tmp_path / 'lead.db'}", pool=POOL))
    use_fakeredis(app)
    with app.app_context():
        db.create_all()
    machine = type("Machine", (OutboxMachine,), {"app": app})
    run_state_machine_as_test(machine, settings=TRACES)
