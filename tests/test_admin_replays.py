"""Sending many again from the admin: a look first, then the start; its page, its buttons, its words."""

import html
import re

import pytest
from sqlalchemy import event, select

from leadapp import clock
from leadapp.accounts.models import RoleName
from leadapp.audit import AuditEvent
from leadapp.database import transaction
from leadapp.deliveries import destinations, replay, replay_run
from leadapp.deliveries.models import Delivery, DeliveryState, Kind, Replay, ReplayState
from leadapp.deliveries.replay_choice import Selection, What
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.models import Lead, LeadStatus, MappingSource
from leadapp.leads.rulesets import Draft
from tests.desk import Desk
from tests.factories import add_desk, add_destination, add_form, minutes, post_lead, rows_of
from tests.replays import FakeLeads, end_all, refuse, states, the_replay

S = DeliveryState
NEW = "/admin/replays/new/"


@pytest.fixture
def desk(app):
    return Desk(app)


@pytest.fixture
def rows(app):
    return add_desk()


@pytest.fixture
def leads(monkeypatch):
    found = FakeLeads()
    monkeypatch.setattr(replay, "LEADS", found)
    return found


def mark_of(page: str) -> str:
    return html.unescape(re.findall(r'name="mark" value="([^"]*)"', page)[0])


def started(desk: Desk, **fields) -> str:
    """Look, then start; the page that one lands on. The clock stands still, so that one row goes and no second."""
    given = {"per_minute": "60", "how": "as-it-was", **fields}
    mark = mark_of(desk.post(NEW, **given).text)
    with clock.frozen(clock.now()):
        return desk.confirmed(NEW, **given, mark=mark).text


def latest() -> Replay:
    db.session.rollback()
    return db.session.scalars(select(Replay).order_by(Replay.id.desc())).first()


def test_with_nothing_refused_the_page_says_so(desk, rows):
    assert "There is nothing to send again" in desk.text(NEW)
    assert "Nothing was sent again in numbers yet" in desk.text("/admin/replays/")


def test_the_choices_are_what_there_is_something_of(desk, rows):
    refuse(rows[0], 3)
    with transaction():
        post_lead(rows[0]).status = LeadStatus.REJECTED
    page = desk.text(NEW)
    assert "what webhook did not take (3)" in page
    assert "leads of Contact form that its rules rejected (1)" in page
    assert "what email" not in page


def test_a_look_says_how_many_go_where_and_starts_nothing(desk, rows):
    ids = refuse(rows[0], 3)
    page = desk.post(NEW, what=f"destination:{rows[2].id}", how="as-it-was", per_minute="2").text
    assert "<strong>3 rows</strong> are sent again, in about 2 minutes" in page
    assert "<strong>3</strong> to webhook" in page
    assert latest() is None
    assert set(states(ids)) == {S.PERMANENTLY_FAILED}


def test_a_start_puts_rows_in_line_and_is_audited(desk, rows):
    refuse(rows[0], 3)
    page = started(desk, what=f"destination:{rows[2].id}")
    assert "3 rows put in line" in page
    assert "0 of 3 sent, 1 on their way, 60 a minute" in page
    row = latest()
    assert (row.asked_by, row.total, row.per_minute) == (desk.email, 3, 60)
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "replay started")).one()
    assert (event.actor, event.facts["chosen"]["destination_id"]) == (desk.email, rows[2].id)
    assert "Send again" in desk.text("/admin/audit/")


def test_who_changes_something_after_looking_looks_once_more(desk, rows):
    refuse(rows[0], 2)
    mark = mark_of(desk.post(NEW, what=f"destination:{rows[2].id}", how="as-it-was", per_minute="5").text)
    fields = {"what": f"destination:{rows[2].id}", "per_minute": "5", "mark": mark}
    page = desk.confirmed(NEW, how="anew", **fields).text
    assert "change only what goes to the customer" in page
    assert latest() is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"what": "destination:999"}, "Choose one of these."),
        ({"what": "nonsense"}, "Choose one of these."),
        ({"per_minute": "0"}, "between 1 and"),
        ({"per_minute": "x"}, "Write a whole number."),
        ({"since": "yesterday"}, "Write a day and a time."),
        ({"rowid": "nonsense"}, "What would happen"),
    ],
)
def test_what_is_made_up_is_said_beside_the_field(desk, rows, fields, said):
    refuse(rows[0], 1)
    given = {"what": f"destination:{rows[2].id}", "how": "as-it-was", "per_minute": "60", **fields}
    assert said in desk.confirmed(NEW, **given).text
    assert latest() is None


@pytest.mark.parametrize("code", ["9" * 30, "-1", "x"])
def test_an_answer_that_no_receiver_gives_narrows_nothing(desk, rows, code):
    refuse(rows[0], 1)
    given = {"what": f"destination:{rows[2].id}", "how": "as-it-was", "per_minute": "60"}
    assert "<strong>1 row</strong> is sent again" in desk.post(NEW, code=code, **given).text


def test_chosen_rows_come_from_the_list_of_deliveries(desk, rows):
    ids = refuse(rows[0], 2)
    page = desk.post("/admin/deliveries/action/", action="replay", rowid=str(ids[0])).text
    assert "1 chosen row" in page
    assert "<strong>1 row</strong> is sent again" in page
    started(desk, what="rows", rowid=str(ids[0]))
    assert states(ids) == [S.PENDING, S.PERMANENTLY_FAILED]


def test_what_stays_is_said_with_the_reason(desk, rows):
    ids = refuse(rows[0], 1)
    mails = db.session.scalars(select(Delivery).where(Delivery.kind == Kind.EMAIL)).all()
    page = desk.post(NEW, what="rows", rowid=[str(ids[0]), str(mails[0].id)], how="as-it-was", per_minute="60").text
    assert "not refused: sent, waiting or called off" in page


def test_a_paused_destination_is_named_before_and_after(desk, rows):
    refuse(rows[0], 2)
    destinations.pause(rows[2].id, "", "owner")
    page = desk.post(NEW, what=f"destination:{rows[2].id}", how="as-it-was", per_minute="60").text
    assert "Webhook was paused by hand. What is put in line for it waits" in page
    assert "The rest waits until it is in use again" in started(desk, what=f"destination:{rows[2].id}")


def test_rejected_leads_are_chosen_in_their_list(desk, rows, leads):
    lead = post_lead(rows[0])
    leads.destination_id = add_destination(Kind.CRM, "https://api.example/leads").id
    leads.rejected = [lead.id]
    page = desk.post("/admin/leads/action/", action="recheck", rowid=str(lead.id)).text
    assert "<strong>1 of 1 rejected lead</strong> passes today" in page
    started(desk, what="leads", rowid=str(lead.id))
    assert (latest().total, latest().is_anew) == (1, True)


# Its page
@pytest.fixture
def number(rows):
    """A replay that has let one row go. The clock stands still, so that it stays the only one."""
    refuse(rows[0], 30)
    with clock.frozen(clock.now()):
        found = replay.start(Selection(What.DESTINATION, destination_id=rows[2].id), "owner", per_minute=60)
        replay_run.advance()
        yield found


def test_the_list_and_the_work_list_say_how_far_it_is(desk, number):
    said = "0 of 30 sent, 1 on their way, 60 a minute, about 29 seconds left"
    assert said in desk.text("/admin/replays/")
    assert f"what webhook did not take: {said}" in desk.text("/admin/needs-you/")


def test_a_list_of_many_counts_them_in_one_statement(desk, number):
    with transaction():
        values = {"destination_id": 1, "per_minute": 60, "asked_by": "x", "selection": the_replay(number).selection}
        db.session.add_all(Replay(**values, state=ReplayState.RUNNING, asked_at=clock.now()) for _ in range(3))
    seen = []
    listen = lambda *args: seen.append(args[2])  # noqa: E731
    event.listen(db.engine, "before_cursor_execute", listen)
    for url in ("/admin/replays/", "/admin/needs-you/"):
        assert desk.text(url).count("0 of 0 sent") == 3, url
    event.remove(db.engine, "before_cursor_execute", listen)
    assert len([sql for sql in seen if "GROUP BY delivery.replay_id" in sql]) == 2


def test_pause_resume_and_stop(desk, number):
    assert "Nothing more goes out" in desk.post("/admin/replays/do/pause", id=str(number)).text
    assert the_replay(number).state is ReplayState.PAUSED
    assert "It goes on" in desk.post("/admin/replays/do/resume", id=str(number)).text
    page = desk.post("/admin/replays/do/stop", id=str(number)).text
    assert "What was left needs you again" in page
    assert the_replay(number).state is ReplayState.STOPPED
    count = select(Delivery).where(Delivery.state == S.PERMANENTLY_FAILED)
    assert len(db.session.scalars(count).all()) == 29
    assert "It is over already" in desk.post("/admin/replays/do/resume", id=str(number)).text


def test_another_rate(desk, number):
    assert "From now on 600 a minute" in desk.post("/admin/replays/do/rate", id=str(number), per_minute="600").text
    assert the_replay(number).per_minute == 600
    assert "Give a number from 1 to 6,000" in desk.post("/admin/replays/do/rate", id=str(number), per_minute="0").text


def test_a_replay_that_is_over_says_what_came_of_it(desk, rows, number):
    replay.change_rate(number, 6000, "owner")
    end_all(Kind.WEBHOOK)
    with clock.frozen(clock.now() + minutes(1)):
        replay_run.advance()
        end_all(Kind.WEBHOOK)
    page = desk.text(f"/admin/replays/details/?id={number}")
    assert "0 of 30 sent, 30 not taken again" in page
    assert "all let go" in page


@pytest.mark.parametrize("identity", ["", "0", "x", "999"])
def test_a_replay_that_is_not_there_is_404(desk, rows, identity):
    assert desk.get(f"/admin/replays/details/?id={identity}").status_code == 404
    assert desk.post("/admin/replays/do/pause", id=identity).status_code == 404


def test_a_lead_tells_that_it_was_put_in_line(desk, number):
    lead = db.session.scalars(select(Lead).order_by(Lead.id)).first()
    page = desk.text(f"/admin/leads/{lead.id}")
    assert "webhook: owner put it in line to be sent again" in page
    assert "on hold: replay rate" in desk.text("/admin/deliveries/")


def test_a_viewer_sends_nothing_again(app, rows):
    desk = Desk(app, RoleName.VIEWER)
    assert desk.get(NEW).status_code == 403
    assert desk.get("/admin/replays/").status_code == 403


# One lead: checked again, or sent although the customer knows the person
ZIP = '[{"code": "ZIP", "field": "zip", "check": "pattern", "pattern": "66..."}]'
PHONED = '{"phone": {"from": "phone", "required": true}}'


@pytest.fixture
def gateway(app):
    form = add_form("gateway", country="DE", person_keys=["email"])
    add_destination(Kind.CRM, "https://api.example/leads", name="Customer")
    rulesets.save_version(form, Draft(ZIP, MappingSource.OWN, PHONED), "owner")
    return form


def customer_rows(lead) -> list[Delivery]:
    db.session.rollback()
    return [row for row in rows_of(lead) if row.kind is Kind.CRM]


def test_a_rejected_lead_says_why_and_is_checked_again_after_a_fix(desk, gateway):
    lead = post_lead(gateway, zip="12345", phone="030 5550100")
    page = desk.text(f"/admin/leads/{lead.id}")
    assert "Rejected by the rules of its form (ZIP)" in page
    assert "version 1" in page
    assert "would not help: today&#39;s rules reject it: ZIP" in page
    rulesets.save_version(gateway, Draft("[]", MappingSource.OWN, PHONED), "owner")
    assert "Check again" in desk.text(f"/admin/leads/{lead.id}")
    assert "passes today" in desk.post(f"/admin/leads/{lead.id}/check").text
    assert [row.state for row in customer_rows(lead)] == [S.PENDING]
    assert "Nothing was sent: it is on its way." in desk.post(f"/admin/leads/{lead.id}/check").text


def test_rejected_leads_of_a_form_are_sent_after_its_rules_were_put_right(desk, gateway):
    leads = [post_lead(gateway, zip="12345", phone=f"030 55501{n:02}", email=f"{n}@example.com") for n in range(3)]
    spoilt = post_lead(gateway, zip="12345", email="none@example.com")
    rulesets.save_version(gateway, Draft("[]", MappingSource.OWN, PHONED), "owner")
    page = desk.post(NEW, what=f"form:{gateway.id}", how="as-it-was", per_minute="60").text
    assert "<strong>3 of 4 rejected leads</strong> pass today" in page
    assert "<strong>3</strong> to Customer" in page
    assert '<strong>1</strong> <span class="muted">today&#39;s rules reject it: MISSING_REQUIRED_FIELD' in page
    assert "Send 3 leads again" in page
    page = started(desk, what=f"form:{gateway.id}")
    assert "today&#39;s rules reject it: MISSING_REQUIRED_FIELD" in page
    assert [row.state for lead in leads for row in customer_rows(lead)] == [S.PENDING, S.HELD, S.HELD]
    assert customer_rows(spoilt) == []
    assert customer_rows(leads[0])[0].payload == '{"phone":"+49305550100"}'


def test_nothing_is_started_while_todays_rules_still_say_no(desk, gateway):
    post_lead(gateway, zip="12345", phone="030 5550100")
    page = desk.post(NEW, what=f"form:{gateway.id}", how="as-it-was", per_minute="60").text
    assert "Nothing would be sent." in page
    assert "today&#39;s rules reject it: ZIP" in page
    assert 'name="confirmed"' not in page
    desk.confirmed(NEW, what=f"form:{gateway.id}", per_minute="60", how="as-it-was", mark=mark_of(page))
    assert latest() is None


def test_more_than_a_look_can_try_are_sent_all_the_same(desk, gateway, monkeypatch):
    monkeypatch.setattr(replay, "LOOKED_AT", 2)
    for number in range(5):
        post_lead(gateway, zip="12345", phone="030 5550100", email=f"{number}@example.com")
    rulesets.save_version(gateway, Draft("[]", MappingSource.OWN, PHONED), "owner")
    page = desk.post(NEW, what=f"form:{gateway.id}", how="as-it-was", per_minute="60").text
    assert "<strong>2 of the first 2 rejected leads</strong> pass" in page
    assert "3 more go through today" in page
    assert "Send what passes again" in page
    started(desk, what=f"form:{gateway.id}")
    assert latest().total == 5


def test_who_presses_the_button_waits_for_one_batch_and_the_clock_takes_the_rest(desk, gateway, monkeypatch):
    monkeypatch.setattr(replay_run, "ANEW_AT_ONCE", 2)
    for number in range(5):
        post_lead(gateway, zip="12345", phone="030 5550100", email=f"{number}@example.com")
    rulesets.save_version(gateway, Draft("[]", MappingSource.OWN, PHONED), "owner")
    started(desk, what=f"form:{gateway.id}")
    assert latest().total == 2
    replay_run.advance()
    assert latest().total == 5


def test_a_look_at_refused_rows_runs_todays_rules_and_mapping_too(desk, gateway):
    for number, code in enumerate(("66123", "66124")):
        post_lead(gateway, zip=code, phone="030 5550100", email=f"{number}@example.com")
    end_all(Kind.CRM)
    rules = ZIP.replace("66...", "66123")
    rulesets.save_version(gateway, Draft(rules, MappingSource.OWN, PHONED), "owner")
    destination_id = db.session.scalars(select(Delivery.destination_id).where(Delivery.kind == Kind.CRM)).first()
    page = desk.post(NEW, what=f"destination:{destination_id}", how="anew", per_minute="60").text
    assert "<strong>1 row</strong> is sent again" in page
    assert '<strong>1</strong> <span class="muted">today&#39;s rules reject it: ZIP' in page


def test_a_refused_row_is_sent_anew_with_todays_mapping(desk, gateway):
    lead = post_lead(gateway, zip="66123", phone="030 5550100")
    end_all(Kind.CRM)
    mapped = '{"tel": {"from": "phone", "required": true}}'
    rulesets.save_version(gateway, Draft("[]", MappingSource.OWN, mapped), "owner")
    destination_id = customer_rows(lead)[0].destination_id
    started(desk, what=f"destination:{destination_id}", how="anew")
    old, new = sorted(customer_rows(lead), key=lambda row: row.id)
    assert (old.state, new.state, new.mapping_version) == (S.CANCELLED, S.PENDING, "v2")
    assert new.payload == '{"tel":"+49305550100"}'


def test_a_person_who_writes_again_can_be_sent_anyway(desk, gateway):
    first = post_lead(gateway, zip="66123", phone="030 5550100")
    second = post_lead(gateway, zip="66124", phone="030 5550100")
    page = desk.text(f"/admin/leads/{second.id}")
    assert f'<a href="/admin/leads/{first.id}">the lead before</a>' in page
    assert "Send anyway" in page
    assert "On its way to the customer" in desk.post(f"/admin/leads/{second.id}/send-anyway").text
    assert [row.state for row in customer_rows(second)] == [S.PENDING]
    assert "There is nothing left to send" in desk.post(f"/admin/leads/{second.id}/send-anyway").text


def test_a_viewer_checks_and_sends_nothing(app, gateway):
    lead = post_lead(gateway, zip="12345")
    desk = Desk(app, RoleName.VIEWER)
    assert "Check again" not in desk.text(f"/admin/leads/{lead.id}")
    for verb in ("check", "send-anyway"):
        assert desk.post(f"/admin/leads/{lead.id}/{verb}").status_code == 403
