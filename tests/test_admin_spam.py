"""Spam: kept in a folder, sent late when it was none, held back when a person says so."""

import pytest
from sqlalchemy import select

from leadapp.accounts.models import RoleName
from leadapp.audit import AuditEvent
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, Kind
from leadapp.extensions import db
from leadapp.leads import spam
from leadapp.leads.models import Lead, LeadStatus
from leadapp.queue import INTEGRATIONS, NOTIFICATIONS

from .desk import Desk
from .factories import add_desk, post_lead, rows_of, the_row

S = DeliveryState
NOT_SPAM, SPAM = "/admin/leads/sort/not-spam", "/admin/leads/sort/spam"


@pytest.fixture
def desk(app):
    return Desk(app)


@pytest.fixture
def form(app):
    return add_desk()[0]


def post_spam(form, **fields):
    return post_lead(form, _gotcha="a robot", **fields)


def fresh(lead):
    db.session.rollback()
    return db.session.get_one(Lead, lead.id, populate_existing=True)


def states(lead):
    db.session.rollback()
    return {row.state for row in rows_of(lead)}


def rung(app):
    redis = app.extensions["queue"].redis
    return sum(redis.llen(f"rq:queue:{name}") for name in (NOTIFICATIONS, INTEGRATIONS))


def test_spam_lies_in_a_folder_of_its_own(desk, form):
    post_spam(form, name="Bot")
    post_lead(form, name="Ada")
    for folder, shown in {"": {"Ada"}, "?flt2_spam_is=yes": {"Bot"}, "?flt2_spam_is=all": {"Ada", "Bot"}}.items():
        page = desk.text(f"/admin/leads/{folder}")
        assert {name for name in ("Ada", "Bot") if f">{name}<" in page} == shown, folder


def test_the_open_folder_is_marked_and_search_stays_in_it(desk, form):
    post_spam(form, name="Bot")
    page = desk.text("/admin/leads/?flt2_spam_is=yes&search=bot")
    assert 'aria-current="page">Spam</a>' in page
    assert 'name="flt2_spam_is" value="yes"' in page
    assert "search=bot" in page.split("Folders")[1].split("</nav>")[0]


def test_an_empty_folder_says_what_it_is_for(desk, form):
    page = desk.text("/admin/leads/?flt2_spam_is=yes")
    assert "No spam" in page
    assert "nothing is lost" in page


def test_the_count_on_the_start_page_leads_there(desk, form):
    post_spam(form)
    assert '<a href="/admin/leads/?flt2_spam_is=yes"><strong>1</strong>' in desk.text("/admin/")


def test_not_spam_asks_first_and_changes_nothing_yet(desk, form):
    lead = post_spam(form, name="Bot")
    page = desk.post(NOT_SPAM, rowid=str(lead.id)).text
    assert "Not spam?" in page
    assert "the hidden field _gotcha was filled in; score 100 of 100" in page
    assert fresh(lead).is_spam
    assert states(lead) == {S.HELD}


def test_not_spam_sends_what_was_held(desk, app, form):
    lead = post_spam(form)
    assert rung(app) == 0
    answer = desk.confirmed(NOT_SPAM, rowid=str(lead.id))
    assert "1 lead moved to your leads and sent now." in answer.text
    assert (fresh(lead).is_spam, lead.spam_reason, lead.status) == (False, "", LeadStatus.READY)
    assert states(lead) == {S.PENDING}
    assert all(row.enqueued_at for row in rows_of(lead))
    assert rung(app) == 2


def test_not_spam_stands_in_the_audit_trail_and_on_the_page(desk, form):
    lead = post_spam(form)
    desk.confirmed(NOT_SPAM, rowid=str(lead.id))
    event = db.session.scalar(select(AuditEvent).where(AuditEvent.action == "not spam"))
    assert (event.actor, event.subject_id) == (desk.email, str(lead.id))
    assert f"{desk.email} said it is no spam" in desk.text(f"/admin/leads/{lead.id}")


def test_a_second_press_does_nothing(desk, app, form):
    lead = post_spam(form)
    desk.confirmed(NOT_SPAM, rowid=str(lead.id))
    assert "There is nothing to change" in desk.confirmed(NOT_SPAM, rowid=str(lead.id)).text
    assert rung(app) == 2
    assert spam.release([lead.id], "test") == []


def test_this_is_spam_holds_what_has_not_gone_out(desk, form):
    lead = post_lead(form)
    with transaction():
        row = the_row(lead, Kind.EMAIL)
        row.state = S.DELIVERED
    desk.confirmed(SPAM, rowid=str(lead.id))
    assert fresh(lead).is_spam
    assert lead.spam_reason == "marked by hand"
    hook, mail = the_row(lead, Kind.WEBHOOK), the_row(lead, Kind.EMAIL)
    assert (hook.state, hook.held_reason, hook.enqueued_at) == (S.HELD, HeldReason.SPAM, None)
    assert mail.state is S.DELIVERED


def test_a_row_that_is_being_sent_is_left_alone(app, form):
    lead = post_lead(form)
    with transaction():
        the_row(lead, Kind.WEBHOOK).state = S.SENDING
    spam.hold([lead.id], "test")
    assert states(lead) == {S.SENDING, S.HELD}


def test_a_paused_form_holds_on_to_what_is_no_spam_after_all(app, form):
    lead = post_spam(form)
    with transaction():
        lead.form.is_paused = True
    spam.release([lead.id], "test")
    rows = list(db.session.scalars(select(Delivery)))
    assert {(row.state, row.held_reason) for row in rows} == {(S.HELD, HeldReason.FORM_PAUSED)}
    assert rung(app) == 0


def test_spam_of_a_paused_form_does_not_go_out_with_it(app, form):
    with transaction():
        form.is_paused = True
    lead = post_lead(form)
    spam.hold([lead.id], "test")
    assert {row.held_reason for row in rows_of(lead)} == {HeldReason.SPAM}


def test_without_redis_the_sweeper_finds_what_was_released(app, form, monkeypatch):
    lead = post_spam(form)
    monkeypatch.setattr("leadapp.deliveries.outbox.ring", lambda bells: "gone")
    spam.release([lead.id], "test")
    assert states(lead) == {S.PENDING}
    assert all(row.enqueued_at is None for row in rows_of(lead))


def test_a_stopped_destination_keeps_what_was_released(app):
    form, _, hook = add_desk()
    destinations.pause(hook.id, "", "test")
    lead = post_spam(form)
    spam.release([lead.id], "test")
    assert states(lead) == {S.PENDING}


def test_many_leads_are_sorted_from_the_list(desk, form):
    leads = [post_spam(form, message=f"number {number}") for number in range(3)]
    page = desk.text("/admin/leads/?flt2_spam_is=yes")
    assert 'value="not-spam"' in page
    assert 'value="spam"' not in page
    answer = desk.post("/admin/leads/action/", action="not-spam", rowid=[str(lead.id) for lead in leads])
    assert "3 leads" in answer.text
    desk.confirmed(NOT_SPAM, rowid=[str(lead.id) for lead in leads])
    assert not any(fresh(lead).is_spam for lead in leads)


def test_a_viewer_sorts_nothing(app, form):
    lead = post_spam(form)
    viewer = Desk(app, RoleName.VIEWER)
    assert "Not spam" not in viewer.text(f"/admin/leads/{lead.id}")
    assert viewer.confirmed(NOT_SPAM, rowid=str(lead.id)).status_code == 403
    assert fresh(lead).is_spam


def test_made_up_verbs_and_ids_are_refused(desk, form):
    assert desk.post("/admin/leads/sort/burn", rowid="x").status_code == 404
    assert "There is nothing to change" in desk.confirmed(SPAM, rowid="nonsense").text
