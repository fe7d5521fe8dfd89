"""flask commands: set up, make accounts, send by hand, write the pages that show every setting."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import click
from flask import Flask, current_app
from flask.cli import with_appcontext
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

from leadapp import schema
from leadapp.accounts import people
from leadapp.accounts.models import RoleName, User
from leadapp.config import settings
from leadapp.database import is_postgresql
from leadapp.deliveries.setup import upsert_destinations
from leadapp.deliveries.sweep import sweep as sweep_once
from leadapp.dev import mock_customer_api, settings_pages
from leadapp.errors import DeliveryFailed, LeadappError
from leadapp.extensions import db
from leadapp.leads import jobs, rulesets
from leadapp.leads.models import Lead
from leadapp.leads.setup import ensure_forms

SETUP_LOCK = 5_323_268_779  # any fixed number of its own


def init_app(app: Flask) -> None:
    schema.init_app(app)
    commands = (setup, create_user, show_settings, send_lead_notification, send_lead_webhook, sweep, run_mock)
    for command in commands:
        app.cli.add_command(command)


@contextmanager
def plain_words() -> Iterator[None]:
    """What is wrong as one sentence, without a traceback."""
    try:
        yield
    except (LeadappError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    except OperationalError as error:
        raise click.ClickException(f"The database does not do this: {str(error.orig).strip()}") from None


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two releases at once wait for each other; SQLite has its own lock for each step."""
    if not is_postgresql():
        yield
        return
    with db.engine.connect() as connection:
        connection.execute(select(func.pg_advisory_lock(SETUP_LOCK)))
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(SETUP_LOCK)))


@click.command("setup")
@click.option("--first-owner", metavar="EMAIL", help="Make this account if there is none; prints its password.")
@with_appcontext
def setup(first_owner: str | None) -> None:
    """Migrate, then make roles, the first form, and the destinations that variables name. Safe to run again."""
    with plain_words(), one_at_a_time():
        schema.upgrade()
        people.ensure_roles()
        ensure_forms()
        if first_owner:
            _make_first(first_owner)
        _name_destinations()
        if fault := rulesets.mapping_fault():
            click.echo(fault)
    click.echo("The database is set up.")


def _make_first(email: str) -> None:
    """The first owner, unless there is anybody, also when somebody is made this very moment."""
    try:
        if not _people():
            _make_user(email, RoleName.OWNER, None)
    except ValueError:
        if not _people():
            raise


def _people() -> int:
    return db.session.scalar(select(func.count(User.id))) or 0


def _name_destinations() -> None:
    owner = people.first_owner()
    upsert_destinations(settings(), owner.email if owner else None)
    if owner is None and not settings().lead_notification_email:
        click.echo("Nobody is told of new leads yet: set LEAD_NOTIFICATION_EMAIL, or make an owner (create-user).")


def _make_user(email: str, role: RoleName, password: str | None) -> None:
    user, chosen = people.create_user(email, role, password)
    click.echo(f"Account made: {user.email} ({role.value})")
    if password is None:
        click.echo(f"Password (shown this once): {chosen}")


@click.command("create-user")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in RoleName]), required=True)
@click.option("--generate", is_flag=True, help="Make a password up and print it once, without asking.")
@with_appcontext
def create_user(email: str, role: str, generate: bool) -> None:
    """Make an account. Asks for a password where somebody can type one; an empty one is made up."""
    password = None if generate or not sys.stdin.isatty() else _ask_password()
    with plain_words():
        _make_user(email, RoleName(role), password)
        if role == RoleName.OWNER:
            _name_destinations()  # the first owner is told of leads when no address is set


def _ask_password() -> str | None:
    shortest = current_app.config["SECURITY_PASSWORD_LENGTH_MIN"]
    words = f"Password ({shortest} characters or more; empty: one is made up)"
    password: str = click.prompt(words, hide_input=True, default="", show_default=False)
    if password and len(password) < shortest:
        raise click.ClickException(f"A password has {shortest} characters or more.")
    if password and click.prompt("Once more", hide_input=True) != password:
        raise click.ClickException("These were two different passwords.")
    return password or None


@click.command("settings")
@click.option("--env", "page", flag_value="env", help="Write .env.example.")
@click.option("--markdown", "page", flag_value="markdown", help="Write the tables of docs/configuration.md.")
def show_settings(page: str | None) -> None:
    """Write the pages that show every setting; without an option, print them as .env.example."""
    writers = {"env": settings_pages.write_env_example, "markdown": settings_pages.write_markdown}
    click.echo(f"Written: {writers[page]()}" if page else settings_pages.env_example())


@click.command("send-lead-notification")
@click.argument("lead_id", type=click.UUID)
@with_appcontext
def send_lead_notification(lead_id: UUID) -> None:
    """Send the owner's mail of a lead now, if it is still owed. Safe to run again."""
    _send(jobs.send_lead_notification, lead_id, "email")


@click.command("send-lead-webhook")
@click.argument("lead_id", type=click.UUID)
@with_appcontext
def send_lead_webhook(lead_id: UUID) -> None:
    """Post a lead to its webhooks now, if that is still owed. Safe to run again."""
    _send(jobs.send_lead_webhook, lead_id, "webhook")


def _send(job: Callable[[str], None], lead_id: UUID, kind: str) -> None:
    if db.session.get(Lead, lead_id) is None:
        raise click.ClickException("There is no lead with this id.")
    try:
        job(str(lead_id))
    except DeliveryFailed as error:
        raise click.ClickException(f"It was refused for good. {error}") from None
    lead = db.session.get_one(Lead, lead_id, populate_existing=True)
    status, problem = (str(getattr(lead, f"{kind}_{name}")) for name in ("status", "last_error"))
    click.echo(f"{kind}: {', '.join(filter(None, (status, problem)))}")


@click.command("sweep")
@with_appcontext
def sweep() -> None:
    """Look once for what is due and for what was left behind, as the clock does every few seconds."""
    counts = sweep_once()
    click.echo(", ".join(f"{name}: {count}" for name, count in counts.items()))


@click.command("mock-customer-api")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", default=8090, show_default=True, help="Port to listen at; 0 takes a free one.")
@click.option(
    "--token", default="", envvar="CUSTOMER_TOKEN", help="Ask for this bearer token; CUSTOMER_TOKEN unless said."
)
@click.option("--failure-rate", default=0.0, show_default=True, help="Share of calls that fail with 503, 0 to 1.")
@click.option("--status", default=0, help="Answer every call with this status; 0: as usual.")
@click.option("--delay", default=0.0, show_default=True, help="Seconds before each answer.")
def run_mock(host: str, port: int, token: str, **behaviour: Any) -> None:
    """Stand in for the customer's API: take leads, and show at / what arrived. Change it with POST /mock."""
    wanted = mock_customer_api.Behaviour(**behaviour)
    if faults := wanted.faults():
        raise click.ClickException("; ".join(faults))
    try:
        mock_customer_api.run((host, port), mock_customer_api.Mock(token, wanted), click.echo)
    except OSError as error:
        raise click.ClickException(f"It cannot listen at {host}:{port}: {error.strerror}") from None
