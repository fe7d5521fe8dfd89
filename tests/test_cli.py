"""flask commands, as somebody types them."""

import os
import subprocess
import sys
from typing import Any
from uuid import uuid4

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import func, select

from leadapp import schema
from leadapp.accounts.models import User
from leadapp.config import ROOT
from leadapp.deliveries.models import Destination
from leadapp.errors import DeliveryFailed
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead


@pytest.fixture
def empty(settings_for: Any, tmp_path: Any) -> Flask:
    """An app whose database has no tables yet."""
    from leadapp.app import create_app

    return create_app(settings_for(database_url=f"sqlite:///{tmp_path / 'new.db'}"))


def run(app: Flask, *words: str) -> Result:
    return app.test_cli_runner().invoke(args=list(words))


def count(app: Flask, table: type[Any]) -> int:
    with app.app_context():
        return db.session.scalar(select(func.count()).select_from(table)) or 0


def test_setup_makes_a_database_that_can_take_a_lead(empty: Flask) -> None:
    done = run(empty, "setup")
    assert done.exit_code == 0, done.output
    assert count(empty, Form) == 2
    answer = empty.test_client().post("/f/contact", data={"name": "Ada", "message": "hello"})
    assert answer.status_code == 303
    assert count(empty, Lead) == 1


def test_setup_says_when_nobody_is_told(empty: Flask) -> None:
    assert "Nobody is told of new leads" in run(empty, "setup").output


def test_setup_makes_no_account_by_itself(empty: Flask) -> None:
    run(empty, "setup")
    assert count(empty, User) == 0


def test_the_first_owners_password_is_printed_once(empty: Flask) -> None:
    first, second = (run(empty, "setup", "--first-owner", "owner@shop.example") for _ in range(2))
    assert "Password (shown this once): " in first.output
    assert "Password" not in second.output
    assert second.exit_code == 0
    assert (count(empty, User), count(empty, Destination)) == (1, 1)


def test_a_bad_address_stops_setup_in_one_sentence(settings_for: Any, tmp_path: Any) -> None:
    from leadapp.app import create_app

    url = f"sqlite:///{tmp_path / 'new.db'}"
    app = create_app(settings_for(database_url=url, lead_notification_email="desk at shop.example"))
    done = run(app, "setup")
    assert done.exit_code == 1
    assert "LEAD_NOTIFICATION_EMAIL" in done.output
    assert "Traceback" not in done.output


def test_an_account_is_made_with_a_password_that_is_shown_once(app: Flask) -> None:
    done = run(app, "create-user", "vera@shop.example", "--role", "viewer")
    assert done.exit_code == 0, done.output
    assert "Account made: vera@shop.example (viewer)" in done.output
    assert "Password (shown this once): " in done.output


def test_a_new_owner_is_told_of_leads_when_nobody_else_is(app: Flask) -> None:
    run(app, "create-user", "owner@shop.example", "--role", "owner")
    assert db.session.scalars(select(Destination.env_key)).all() == ["LEAD_NOTIFICATION_EMAIL:owner@shop.example"]


@pytest.mark.parametrize("words", [("nobody", "--role", "owner"), ("a@b.example", "--role", "king"), ("a@b.example",)])
def test_a_wrong_account_is_refused_in_words(app: Flask, words: tuple[str, ...]) -> None:
    done = run(app, "create-user", *words)
    assert done.exit_code != 0
    assert "Traceback" not in done.output
    assert count(app, User) == 0


def test_an_account_is_not_made_twice(app: Flask) -> None:
    words = ("create-user", "vera@shop.example", "--role", "viewer")
    run(app, *words)
    assert "has an account already" in run(app, *words).output


def test_settings_are_printed_as_an_env_file(app: Flask) -> None:
    assert "# DATABASE_URL=" in run(app, "settings").output


@pytest.mark.parametrize("command", ["send-lead-notification", "send-lead-webhook"])
def test_sending_by_hand_runs_the_job_of_that_lead(app: Flask, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    asked: list[str] = []
    monkeypatch.setattr(f"leadapp.leads.jobs.{command.replace('-', '_')}", asked.append)
    lead_id = new_lead()
    done = run(app, command, lead_id)
    assert done.exit_code == 0, done.output
    assert asked == [lead_id]
    assert "disabled" in done.output


def new_lead() -> str:
    form = Form(key="k", name="K")
    lead = Lead(form=form, correlation_id="c")
    db.session.add(lead)
    db.session.commit()
    return str(lead.id)


def test_sending_a_lead_that_does_not_exist_says_so(app: Flask) -> None:
    done = run(app, "send-lead-webhook", str(uuid4()))
    assert done.exit_code == 1
    assert "no lead with this id" in done.output


def test_a_refusal_is_said_without_a_traceback(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_lead_id: str) -> None:
        raise DeliveryFailed("1 need a person: 42")

    monkeypatch.setattr("leadapp.leads.jobs.send_lead_webhook", refuse)
    done = run(app, "send-lead-webhook", new_lead())
    assert done.exit_code == 1
    assert "refused for good" in done.output


def test_sweep_says_what_it_found(app: Flask) -> None:
    assert run(app, "sweep").output.strip() == "expired: 0, rung: 0"


def test_flask_db_knows_the_migrations(tmp_path: Any) -> None:
    """Flask-Migrate's own commands, in a process of their own: only there is Alembic loaded."""
    environment = {**os.environ, "APP_ENV": "development", "DATABASE_URL": f"sqlite:///{tmp_path / 'new.db'}"}
    environment |= {"SECRET_KEY": "k" * 40, "ENCRYPTION_KEYS": "k" * 40}
    for words in (("upgrade",), ("current",)):
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "db", *words]
        said = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert said.stdout.split()[0] in schema.newest()
