"""Test leads from the admin, the snippets, and the health of a destination."""

import pytest
from sqlalchemy import func, select

from leadapp.accounts.models import RoleName
from leadapp.admin.snippets import snippets
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Attempt, AttemptOutcome, DeliveryState, HeldReason, Kind
from leadapp.extensions import db
from leadapp.leads import trial
from leadapp.leads.models import Lead

from .desk import Desk
from .factories import add_desk, add_destination, add_form, post_lead, rows_of, the_row


@pytest.fixture
def desk(app):
    return Desk(app)


def newest():
    db.session.rollback()
    return db.session.scalars(select(Lead).order_by(Lead.received_at.desc(), Lead.id.desc())).first()


def test_a_test_lead_goes_to_every_destination_marked_as_a_test(desk, app):
    form, mail, hook = add_desk()
    page = desk.post("/admin/forms/test/", id=form.id).text
    lead = newest()
    assert (lead.is_test, lead.source, lead.duplicate_of_id) == (True, "test", None)
    assert {row.destination_id for row in rows_of(lead)} == {mail.id, hook.id}
    assert "[Test]" in the_row(lead, Kind.EMAIL).payload
    assert "A test lead is on its way" in page
    assert '<span class="tag">test</span>' in page


def test_two_tests_are_no_repeat(app):
    form = add_desk()[0]
    first, second = (db.session.get(Lead, trial.through(form)) for _ in range(2))
    assert first.duplicate_of_id is second.duplicate_of_id is None


def test_a_test_of_one_destination_goes_nowhere_else(desk, app):
    _, _, hook = add_desk()
    page = desk.post("/admin/destinations/test/", id=hook.id).text
    lead = newest()
    assert [row.destination_id for row in rows_of(lead)] == [hook.id]
    assert rows_of(lead)[0].enqueued_at is not None
    assert app.extensions["queue"].redis.llen("rq:queue:integrations") == 1
    assert "on its way to webhook, and to nobody else" in page
    assert lead.is_test


def test_a_destination_that_is_switched_off_gets_no_test(desk):
    _, _, hook = add_desk()
    destinations.switch_off(hook.id, "", "test")
    assert "takes no leads now" in desk.post("/admin/destinations/test/", id=hook.id).text
    assert db.session.scalar(select(func.count()).select_from(Lead)) == 0


def test_a_test_needs_a_form(app):
    assert trial.to(add_destination(Kind.EMAIL), "test") is None


def test_a_test_of_a_paused_form_waits_with_it(app):
    _, _, hook = add_desk()
    with transaction():
        db.session.scalars(select(Lead.form.property.mapper.class_)).one().is_paused = True
    lead = db.session.get(Lead, trial.to(hook, "test"))
    assert [row.held_reason for row in rows_of(lead)] == [HeldReason.FORM_PAUSED]


def test_without_redis_a_test_waits_for_the_sweeper(app, monkeypatch):
    _, _, hook = add_desk()
    monkeypatch.setattr("leadapp.deliveries.outbox.ring", lambda bells: "gone")
    lead = db.session.get(Lead, trial.to(hook, "test"))
    assert rows_of(lead)[0].enqueued_at is None


def test_only_the_desk_sends_tests(app):
    form, _, hook = add_desk()
    for role in (RoleName.VIEWER, RoleName.OPS):
        person = Desk(app, role)
        assert person.post("/admin/forms/test/", id=form.id).status_code == 403
        assert person.post("/admin/destinations/test/", id=hook.id).status_code == 403
    assert desk_get_is_refused(app, form)


def desk_get_is_refused(app, form):
    return Desk(app, RoleName.MANAGER).get(f"/admin/forms/test/?id={form.id}").status_code == 405


def test_a_form_shows_its_ten_latest_leads(desk):
    form, other = add_desk()[0], add_form("other", name="Other")
    post_lead(other, name="Somebody Else")
    for number in range(12):
        post_lead(form, name=f"Person {number:02d}")
    page = desk.text(f"/admin/forms/details/?id={form.id}")
    assert [f"Person {number:02d}" in page for number in range(12)] == [False] * 2 + [True] * 10
    assert "Somebody Else" not in page


def test_a_form_without_leads_offers_a_test(desk):
    form = add_form()
    page = desk.text(f"/admin/forms/details/?id={form.id}")
    assert "No leads of this form yet" in page
    assert "Send a test lead" in page


def test_every_snippet_has_the_address_and_a_copy_button(desk):
    form = add_form()
    page = desk.text(f"/admin/forms/details/?id={form.id}")
    for one in snippets("http://localhost/f/contact", "<form action='http://localhost/f/contact'></form>", "Contact"):
        assert "http://localhost/f/contact" in one.text
        assert f'data-copy="snippet-{one.name}"' in page
        assert one.title in page


def test_the_frame_of_a_form_is_titled_and_escaped():
    frame = next(one for one in snippets("http://localhost/f/a", "<form ></form>", 'Ada "& Co"') if one.name == "frame")
    assert frame.text.startswith('<iframe src="http://localhost/f/a" title="Ada &quot;&amp; Co&quot;"')


def test_the_health_of_a_destination_is_said(desk):
    form, _, hook = add_desk()
    page = desk.text(f"/admin/destinations/details/?id={hook.id}")
    assert "none yet" in page
    assert "Nothing was sent there yet" in page
    row = the_row(post_lead(form), Kind.WEBHOOK)
    with transaction():
        row.state, row.sent_at = DeliveryState.DELIVERED, row.created_at
        hook = db.session.merge(hook)
        hook.failures_in_a_row, hook.failing_since = 3, row.created_at
        db.session.add(
            Attempt(delivery_id=row.id, fence=1, number=1, outcome=AttemptOutcome.DELIVERED, status_code=202,
                    answer="<b>taken</b>", duration_ms=1234)
        )  # fmt: skip
    page = desk.text(f"/admin/destinations/details/?id={hook.id}")
    for words in (
        "just now",
        "3, the first <time",
        "1 of its last 1 try",
        "1,234 ms",
        "202",
        "&lt;b&gt;taken&lt;/b&gt;",
    ):
        assert words in page, words


def test_the_log_of_a_destination_shows_request_answer_and_duration(desk):
    form, mail, hook = add_desk()
    lead = post_lead(form, name="Grace <Hopper>", message="x" * 3000)
    for kind in (Kind.WEBHOOK, Kind.EMAIL):
        row = the_row(lead, kind)
        with transaction():
            db.session.add(
                Attempt(delivery_id=row.id, fence=1, number=1, outcome=AttemptOutcome.DELIVERED, duration_ms=7)
            )
    page = desk.text(f"/admin/destinations/details/?id={hook.id}")
    for words in ("POST https://hook.example/x", "lead.received", "xxx…</pre>", "Grace &lt;Hopper&gt;</a>", "7 ms"):
        assert words in page, words
    page = desk.text(f"/admin/destinations/details/?id={mail.id}")
    assert "Mail to owner@shop.example: " in page
    assert "Grace &lt;Hopper&gt;" in page
