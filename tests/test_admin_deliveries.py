"""Deliveries, attempts, the work list, and the buttons that change a delivery."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from leadapp import clock
from leadapp.accounts.models import RoleName
from leadapp.audit import AuditEvent
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Attempt, AttemptOutcome, Delivery, DeliveryState, Kind
from leadapp.extensions import db

from .desk import Desk
from .factories import add_desk, post_lead, the_row

S = DeliveryState
AGAIN = "/admin/deliveries/do/again"


@pytest.fixture
def desk(app):
    return Desk(app)


@pytest.fixture
def row(app):
    return the_row(post_lead(add_desk()[0]), Kind.WEBHOOK)


def settle(row, state, **values):
    with transaction():
        row = db.session.merge(row)
        row.state = state
        for name, value in values.items():
            setattr(row, name, value)


def fresh(row):
    db.session.rollback()
    return db.session.get(Delivery, row.id, populate_existing=True)


def test_the_list_says_each_state_in_words(desk, row):
    settle(row, S.FAILED, attempts=4, next_attempt_at=clock.now() + timedelta(minutes=4))
    page = desk.text("/admin/deliveries/")
    assert "failed 4 times, next try in 4 minutes" in page
    assert "waiting to be sent" in page


@pytest.mark.parametrize(
    ("query", "count"),
    [("flt0_state_is=needs-you", 1), ("flt0_state_is=waiting", 1), ("flt0_state_is=permanently_failed", 1),
     ("flt2_kind_is=email", 1), ("flt4_answer_is=400", 1), ("flt4_answer_is=abc", 2), ("", 2),
     ("flt0_state_is=permanently_failed&flt2_kind_is=email", 0)],
)  # fmt: skip
def test_filters_narrow_the_list(desk, row, query, count):
    settle(row, S.PERMANENTLY_FAILED, last_status_code=400)
    assert desk.text(f"/admin/deliveries/?{query}").count('name="rowid"') == count


def test_the_page_of_a_delivery_shows_attempts_and_body(desk, row):
    with transaction():
        db.session.add(
            Attempt(delivery_id=row.id, fence=1, number=1, outcome=AttemptOutcome.FAILED, status_code=500,
                    error="The webhook answered 500", answer="<b>oops</b>", duration_ms=12)
        )  # fmt: skip
    page = desk.text(f"/admin/deliveries/details/?id={row.id}")
    for words in ("Try 1", "(500)", "&lt;b&gt;oops&lt;/b&gt;", "lead.received", "12 ms"):
        assert words in page
    assert "The webhook answered 500" in desk.text("/admin/attempts/")


@pytest.mark.parametrize("identity", ["", "1", "nonsense", "00000000-0000-0000-0000-000000000000"])
def test_a_delivery_that_is_not_there_is_404(desk, identity):
    assert desk.get(f"/admin/deliveries/details/?id={identity}").status_code == 404


# Send again
def test_send_again_asks_first_and_says_how_many_and_where_to(desk, row):
    settle(row, S.PERMANENTLY_FAILED, tries=6)
    page = desk.post(AGAIN, rowid=str(row.id)).text
    assert "<strong>1 row</strong> will be sent now" in page
    assert "https://hook.example/x" in page
    assert fresh(row).state is S.PERMANENTLY_FAILED


def test_a_confirmed_send_again_makes_the_row_due_and_is_audited(desk, row):
    settle(row, S.PERMANENTLY_FAILED, tries=6)
    page = desk.confirmed(AGAIN, rowid=str(row.id), url=f"/admin/deliveries/details/?id={row.id}").text
    assert "1 row put back in line" in page
    assert (fresh(row).state, fresh(row).tries) == (S.PENDING, 0)
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "send again")).one()
    assert (event.actor, event.subject_id) == (desk.email, str(row.id))


def test_a_delivered_row_is_sent_once_more_but_not_twice_by_two_presses(desk, row):
    settle(row, S.DELIVERED, sent_at=clock.now())
    assert "will arrive once more" in desk.post(AGAIN, rowid=str(row.id)).text
    desk.confirmed(AGAIN, rowid=str(row.id))
    assert "There is nothing here to send again" in desk.confirmed(AGAIN, rowid=str(row.id)).text
    count = select(func.count()).where(Delivery.repeat_of_id == row.id)
    assert db.session.scalar(count) == 1


def test_a_selection_is_sent_again_through_the_list(desk, row):
    settle(row, S.FAILED)
    page = desk.post("/admin/deliveries/action/", action="again", rowid=str(row.id)).text
    assert "Send again?" in page


def test_a_paused_destination_is_named_before_sending_again(desk, row):
    destinations.pause(row.destination_id, "", "test")
    assert "paused or switched off" in desk.post(AGAIN, rowid=str(row.id)).text


@pytest.mark.parametrize("fields", [{}, {"rowid": "nonsense"}, {"rowid": "00000000-0000-0000-0000-000000000000"},
    {"state": "nonsense", "destination": "1"}, {"state": "failed", "destination": "x"}])  # fmt: skip
def test_made_up_rows_are_left_out(desk, row, fields):
    assert "There is nothing here" in desk.confirmed(AGAIN, **fields).text


def test_a_row_that_is_being_sent_is_left_alone(desk, row):
    settle(row, S.SENDING, lease_until=clock.now() + timedelta(minutes=1))
    desk.confirmed(AGAIN, rowid=str(row.id))
    assert fresh(row).state is S.SENDING


def test_send_again_takes_a_post_with_a_token(desk, row):
    settle(row, S.PERMANENTLY_FAILED)
    assert desk.get(AGAIN).status_code == 405
    assert desk.client.post(AGAIN, data={"rowid": str(row.id), "confirmed": "yes"}).status_code == 400
    assert (
        desk.client.post("/admin/deliveries/action/", data={"rowid": str(row.id), "action": "again"}).status_code == 400
    )
    assert fresh(row).state is S.PERMANENTLY_FAILED


@pytest.mark.parametrize("target", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_the_way_back_stays_on_this_site(desk, row, target):
    settle(row, S.PERMANENTLY_FAILED)
    assert desk.confirmed(AGAIN, rowid=str(row.id), url=target, follow=False).location == "/admin/deliveries/"


# Mark as sent, do not send
def test_an_unknown_row_is_marked_as_sent(desk, row):
    settle(row, S.UNKNOWN)
    assert "Mark as sent?" in desk.post("/admin/deliveries/do/mark-sent", rowid=str(row.id)).text
    desk.confirmed("/admin/deliveries/do/mark-sent", rowid=str(row.id))
    assert fresh(row).state is S.DELIVERED


def test_only_an_unknown_row_can_be_marked_as_sent(desk, row):
    desk.confirmed("/admin/deliveries/do/mark-sent", rowid=str(row.id))
    assert fresh(row).state is S.PENDING


def test_a_waiting_row_is_called_off(desk, row):
    assert "Do not send?" in desk.post("/admin/deliveries/do/cancel", rowid=str(row.id)).text
    desk.confirmed("/admin/deliveries/do/cancel", rowid=str(row.id))
    assert fresh(row).state is S.CANCELLED
    assert "not sent: called off by hand" in desk.text("/admin/deliveries/")


def test_there_are_no_other_buttons(desk, row):
    assert desk.post("/admin/deliveries/do/delete", rowid=str(row.id)).status_code == 404


@pytest.mark.parametrize("name", ["deliveries", "attempts", "audit"])
@pytest.mark.parametrize("url", ["new/", "edit/?id=1", "delete/", "ajax/update/"])
def test_nothing_is_edited_by_hand(desk, row, name, url):
    count = db.session.scalar(select(func.count()).select_from(Delivery))
    desk.post(f"/admin/{name}/{url}", id=str(row.id), state="delivered")
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == count
    assert fresh(row).state is S.PENDING


# The work list
def test_the_work_list_has_one_entry_a_cause(desk, app):
    form = add_desk()[0]
    for _ in range(3):
        row = the_row(post_lead(form), Kind.WEBHOOK)
        settle(row, S.PERMANENTLY_FAILED, last_error="The webhook answered 400", last_status_code=400)
    settle(the_row(post_lead(form), Kind.EMAIL), S.PERMANENTLY_FAILED, last_error="mail is not set up")
    settle(the_row(post_lead(form), Kind.EMAIL), S.UNKNOWN)
    page = desk.text("/admin/needs-you/")
    assert page.count('class="card cause"') == 3
    assert "3 leads" in page
    assert "webhook: the webhook answered 400." in page
    assert "Set MAIL_SERVER, then send it again." in page
    assert "may have been sent" in page


def test_a_whole_cause_is_sent_again_at_once(desk, app):
    form = add_desk()[0]
    rows = [the_row(post_lead(form), Kind.WEBHOOK) for _ in range(3)]
    for row in rows:
        settle(row, S.PERMANENTLY_FAILED, last_error="The webhook answered 400", last_status_code=400)
    other = the_row(post_lead(form), Kind.WEBHOOK)
    settle(other, S.PERMANENTLY_FAILED, last_error="The webhook answered 404", last_status_code=404)
    fields = {"state": "permanently_failed", "destination": rows[0].destination_id, "code": 400}
    assert "<strong>3 rows</strong>" in desk.post(AGAIN, **fields).text
    desk.confirmed(AGAIN, **fields)
    assert [fresh(row).state for row in (*rows, other)] == [S.PENDING] * 3 + [S.PERMANENTLY_FAILED]


def test_rows_that_wait_for_a_stopped_destination_need_somebody(desk, row):
    destinations.pause(row.destination_id, "The webhook refuses our token (401)", "system")
    page = desk.text("/admin/needs-you/")
    assert "webhook is paused because the webhook refuses our token (401)." in page
    assert "Resume" in page
    desk.post("/admin/destinations/resume/", id=row.destination_id)
    assert "Nothing needs you" in desk.text("/admin/needs-you/")


def test_the_menu_counts_what_needs_somebody(desk, row):
    assert 'class="count"' not in desk.text("/admin/audit/")
    settle(row, S.UNKNOWN)
    assert '<span class="count">1</span>' in desk.text("/admin/audit/")


# Ops: everything that runs, nothing that is personal
def test_ops_sends_again_but_reads_no_lead(app, row):
    ops = Desk(app, RoleName.OPS)
    settle(row, S.PERMANENTLY_FAILED)
    assert "Ada Lovelace" not in ops.text("/admin/deliveries/")
    page = ops.text(f"/admin/deliveries/details/?id={row.id}")
    assert "lead.received" not in page
    assert "Send again" in page
    assert "Do not send" not in page
    ops.confirmed(AGAIN, rowid=str(row.id))
    assert fresh(row).state is S.PENDING
    assert ops.confirmed("/admin/deliveries/do/cancel", rowid=str(row.id)).status_code == 403
    assert ops.get(f"/admin/deliveries/mail/{row.id}").status_code == 403
    assert ops.get(f"/admin/leads/{row.lead_id}").status_code == 403


# Audit
def test_the_audit_trail_says_states_in_words(desk, row):
    settle(row, S.PERMANENTLY_FAILED)
    desk.confirmed(AGAIN, rowid=str(row.id))
    page = desk.text("/admin/audit/")
    assert "was: refused or given up" in page
    assert "permanently_failed" not in page.split("<tbody>")[1]


def test_the_audit_trail_is_listed(desk, row):
    destinations.pause(row.destination_id, "because", "manager@shop.example")
    page = desk.text("/admin/audit/")
    for words in ("destination paused", "manager@shop.example", "reason: because"):
        assert words in page
