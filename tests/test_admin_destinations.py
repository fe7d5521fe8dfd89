"""Destinations: their addresses, their secrets, and switching them on and off."""

import re

import pytest
from sqlalchemy import select

from leadapp.accounts.models import RoleName
from leadapp.audit import AuditEvent
from leadapp.deliveries.models import DeliveryState, Destination, DestinationState, DisabledBy, Kind, ManagedBy
from leadapp.extensions import db
from leadapp.signing import secret_bytes

from .desk import Desk
from .factories import add_desk, add_destination, add_form, post_lead, the_row

SECRET = re.compile(r"whsec_[A-Za-z0-9+/=]{40,}")


@pytest.fixture
def desk(app):
    return Desk(app)


def latest():
    db.session.rollback()
    return db.session.scalars(select(Destination).order_by(Destination.id.desc())).first()


def env_row(**values):
    return add_destination(
        Kind.WEBHOOK, name="Zapier", managed_by=ManagedBy.ENV, env_key="ZAPIER_WEBHOOK_URL", **values
    )


def test_an_empty_list_says_that_nobody_is_told(desk):
    assert "Nobody is told of new leads" in desk.text("/admin/destinations/")


def test_a_webhook_shows_its_secret_once_and_never_again(desk):
    page = desk.post(
        "/admin/destinations/new/", kind="webhook", name="Make", address="https://make.example/x", form_id="every"
    )
    assert page.headers["Cache-Control"] == "no-store"
    secret = SECRET.search(page.text).group()
    row = latest()
    assert (row.secret, len(secret_bytes(secret))) == (secret, 32)
    assert db.session.connection().exec_driver_sql("SELECT secret FROM destination").scalar() != secret
    urls = [
        "/admin/",
        "/admin/destinations/",
        "/admin/audit/",
        f"/admin/destinations/details/?id={row.id}",
        f"/admin/destinations/edit/?id={row.id}",
    ]
    for url in urls:
        assert not SECRET.search(desk.text(url)), url


def test_a_new_secret_replaces_the_old_one_and_is_audited(desk):
    row = add_destination(Kind.WEBHOOK)
    old = row.secret
    page = desk.post("/admin/destinations/new-secret/", id=row.id).text
    assert latest().secret == SECRET.search(page).group() != old
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "secret changed")).one()
    assert (event.actor, event.facts) == (desk.email, {})


def test_a_secret_that_no_key_opens_says_so(desk):
    row = add_destination(Kind.WEBHOOK)
    db.session.connection().exec_driver_sql("UPDATE destination SET secret = 'sealed with a lost key'")
    db.session.commit()
    assert "There is no secret that can be read" in desk.text(f"/admin/destinations/details/?id={row.id}")


def test_an_address_is_told_of_every_form_or_of_one(desk):
    form = add_form()
    desk.post(
        "/admin/destinations/new/", kind="email", name="Sales", address="sales@shop.example", form_id=str(form.id)
    )
    row = latest()
    assert (row.settings, row.form_id, row.secret) == ({"to": "sales@shop.example"}, form.id, None)
    assert row.managed_by is ManagedBy.ADMIN


@pytest.mark.parametrize(
    ("kind", "address", "words"),
    [
        ("webhook", "", "Say where leads go."),
        ("webhook", "ftp://x.example", "begins with https://"),
        ("webhook", "javascript:alert(1)", "begins with https://"),
        ("webhook", "https://", "begins with https://"),
        ("webhook", "https://x.example:0/", "begins with https://"),
        ("webhook", "https://x.example:99999/", "begins with https://"),
        ("webhook", "https://[::1", "begins with https://"),
        ("webhook", "https://user:pass@x.example", "Leave the name and the password out"),
        ("webhook", "https://x.example/a b", "no spaces"),
        ("email", "nobody", "not one e-mail address"),
        ("email", "a@x.example, b@x.example", "not one e-mail address"),
        ("email", "a@x.example\r\nBcc: evil@x.example", "not one e-mail address"),
        ("sms", "https://x.example", "Choose one of these."),
        ("email", "a@x.example", ""),
    ],
)
def test_addresses_are_checked(desk, kind, address, words):
    page = desk.post("/admin/destinations/new/", kind=kind, name="x", address=address, form_id="every").text
    assert words in page
    assert (latest() is None) == bool(words)


def test_an_edit_changes_name_and_address_but_not_the_kind(desk):
    row = add_destination(Kind.WEBHOOK)
    secret = row.secret
    desk.post(f"/admin/destinations/edit/?id={row.id}", name="New", address="https://new.example/", form_id="every",
              kind="email", secret="HACK", state="disabled", managed_by="env", failures_in_a_row="9")  # fmt: skip
    row = latest()
    assert (row.name, row.settings, row.kind) == ("New", {"url": "https://new.example/"}, Kind.WEBHOOK)
    assert (row.secret, row.state, row.managed_by) == (secret, DestinationState.ACTIVE, ManagedBy.ADMIN)


def test_pause_resume_and_switch_off_by_hand(desk):
    row = add_destination(Kind.WEBHOOK)
    desk.post("/admin/destinations/pause/", id=row.id)
    assert latest().state is DestinationState.PAUSED
    assert "was paused by hand" in desk.text(f"/admin/destinations/details/?id={row.id}")
    desk.post("/admin/destinations/switch-off/", id=row.id)
    assert (latest().state, latest().disabled_by) == (DestinationState.DISABLED, DisabledBy.PERSON)
    desk.post("/admin/destinations/resume/", id=row.id)
    assert latest().state is DestinationState.ACTIVE
    actors = set(db.session.scalars(select(AuditEvent.actor).where(AuditEvent.subject_kind == "destination")))
    assert actors == {desk.email}


def test_resume_makes_everything_due_that_waited(desk):
    form, _, hook = add_desk()
    desk.post("/admin/destinations/pause/", id=hook.id)
    lead = post_lead(form)
    assert "waits: webhook was paused by hand" in desk.text(f"/admin/leads/{lead.id}")
    desk.post("/admin/destinations/resume/", id=hook.id)
    assert the_row(lead, Kind.WEBHOOK).state is DeliveryState.PENDING
    assert "waiting to be sent" in desk.text(f"/admin/leads/{lead.id}")


def test_the_variable_that_owns_a_row_is_named_and_its_row_is_not_edited(desk):
    row = env_row()
    page = desk.text(f"/admin/destinations/details/?id={row.id}")
    assert "ZAPIER_WEBHOOK_URL" in page
    assert "Switch off" not in page
    desk.post(f"/admin/destinations/edit/?id={row.id}", name="HACK", address="https://evil.example", form_id="every")
    desk.post("/admin/destinations/switch-off/", id=row.id)
    assert (latest().name, latest().state) == ("Zapier", DestinationState.ACTIVE)
    desk.post("/admin/destinations/pause/", id=row.id)
    assert latest().state is DestinationState.PAUSED
    desk.post("/admin/destinations/resume/", id=row.id)
    assert latest().state is DestinationState.ACTIVE


def test_a_secret_from_the_environment_is_not_replaced_here(app_with):
    app = app_with(zapier_webhook_secret="whsec_" + "a" * 44)
    row, desk = env_row(), Desk(app)
    secret = row.secret
    page = desk.post("/admin/destinations/new-secret/", id=row.id).text
    assert not SECRET.search(page)
    assert latest().secret == secret


@pytest.mark.parametrize("deed", ["pause", "resume", "switch-off", "new-secret"])
def test_every_button_takes_a_post_with_a_token(desk, deed):
    row = add_destination(Kind.WEBHOOK)
    url = f"/admin/destinations/{deed}/"
    assert desk.get(url).status_code == 405
    assert desk.client.post(url, data={"id": row.id}).status_code == 400
    assert desk.post(url, id="nonsense").status_code == 404
    assert latest().state is DestinationState.ACTIVE


@pytest.mark.parametrize("role", [RoleName.VIEWER, RoleName.OPS])
def test_viewers_and_ops_have_no_business_here(app, role):
    row, desk = add_destination(Kind.WEBHOOK), Desk(app, role)
    assert desk.get("/admin/destinations/").status_code == 403
    for deed in ("pause", "resume", "switch-off", "new-secret"):
        assert desk.post(f"/admin/destinations/{deed}/", id=row.id).status_code == 403
    assert (
        desk.post(
            "/admin/destinations/new/", kind="email", name="x", address="a@x.example", form_id="every"
        ).status_code
        == 403
    )
    assert latest().id == row.id


def test_destinations_are_not_deleted(desk):
    row = add_destination(Kind.WEBHOOK)
    desk.post("/admin/destinations/delete/", id=row.id)
    desk.post("/admin/destinations/action/", action="delete", rowid=row.id)
    assert latest() is not None
