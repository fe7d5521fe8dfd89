"""Many refused rows sent again at a set rate: what is taken, when it goes, and that live leads go first."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from leadapp.audit import AuditEvent
from leadapp.clock import frozen
from leadapp.columns import new_id
from leadapp.deliveries import destinations, outbox, replay, replay_run
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claims import Receipt
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, Kind, ReplayState
from leadapp.deliveries.replay_choice import Anew, Selection, Skip, What
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import OutcomeUnknownError, PermanentError, TemporaryError, TransitionError
from leadapp.extensions import db
from leadapp.leads.models import Lead, LeadStatus
from tests.factories import NOON, add_desk, add_destination, post_lead
from tests.replays import REFUSED, FakeLeads, add_customer_row, end_all, refuse, row_of, states, the_replay

S = DeliveryState
WEBHOOK = Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True)


@pytest.fixture
def clock():
    """now(seconds) runs what follows at noon and so many seconds."""
    with frozen(NOON):
        yield lambda seconds: frozen(NOON + timedelta(seconds=seconds))


@pytest.fixture
def desk(app, clock):
    return add_desk()


@pytest.fixture
def leads(monkeypatch):
    found = FakeLeads()
    monkeypatch.setattr(replay, "LEADS", found)
    return found


def chosen(ids) -> Selection:
    return Selection(What.ROWS, ids=tuple(ids))


def of(destination, **values) -> Selection:
    return Selection(What.DESTINATION, destination_id=destination.id, **values)


def deliver_due() -> int:
    claims = claim(WEBHOOK, "w")
    if claims:
        settle([Result(one, receipt=Receipt(200)) for one in claims])
    return len(claims)


# What is taken
def test_a_preview_counts_where_to_and_writes_nothing(desk):
    form, _, hook = desk
    ids = refuse(form, 3)
    assert replay.preview(of(hook), is_anew=False) == replay.Preview(3, {hook.id: 3}, {})
    assert states(ids) == [S.PERMANENTLY_FAILED] * 3


def test_a_selection_says_which_rows_stay_and_why(desk):
    form, mail, _ = desk
    ids = refuse(form, 2)
    end_all(Kind.EMAIL, OutcomeUnknownError("lost"))
    end_all(Kind.EMAIL, OutcomeUnknownError("lost"))
    mails = list(db.session.scalars(select(Delivery.id).where(Delivery.destination_id == mail.id)))
    outbox.cancel(ids[:1], "by hand", "owner")
    found = replay.preview(chosen([*ids, *mails]), is_anew=False)
    assert (found.count, found.skipped) == (1, {Skip.NOT_REFUSED: 1, Skip.UNKNOWN: 2})


def test_all_since_a_time_leaves_older_ones_alone(desk, clock):
    form, _, hook = desk
    early = refuse(form, 2)
    with clock(100):
        refuse(form, 3)
        assert replay.preview(of(hook, since=NOON + timedelta(seconds=50)), is_anew=False).count == 3
        assert replay.preview(of(hook, code=401), is_anew=False).count == 0
        number = replay.start(of(hook, since=NOON + timedelta(seconds=50)), "owner")
        replay_run.advance()
    assert states(early) == [S.PERMANENTLY_FAILED] * 2
    assert the_replay(number).total == 3


def test_as_it_was_keeps_row_and_key_and_gives_all_tries_back(desk):
    (row_id,) = refuse(desk[0], 1)
    key, body = row_of(row_id).dedupe_key, row_of(row_id).payload
    replay_run.take(replay.start(chosen([row_id]), "owner"))
    row = row_of(row_id)
    assert (row.state, row.held_reason, row.tries) == (S.HELD, HeldReason.REPLAY_RATE, 0)
    assert (row.dedupe_key, row.payload) == (key, body)
    assert db.session.get_one(Lead, row.lead_id, populate_existing=True).status is LeadStatus.READY


def test_each_row_and_the_replay_are_audited_with_who(desk):
    ids = refuse(desk[0], 2)
    number = replay.start(chosen(ids), "owner")
    replay_run.advance()
    events = db.session.scalars(select(AuditEvent).where(AuditEvent.actor == "owner")).all()
    assert {(one.action, one.subject_id) for one in events} == {
        ("replay started", str(number)),
        *(("put in line", str(one)) for one in ids),
    }


def test_a_large_selection_is_taken_in_small_transactions(desk, monkeypatch):
    monkeypatch.setattr(replay_run, "TAKEN_AT_ONCE", 2)
    monkeypatch.setattr(replay_run, "BATCHES", 2)
    ids = refuse(desk[0], 7)
    number = replay.start(of(desk[2]), "owner", per_minute=1)
    for taken in (4, 7, 7):
        replay_run.advance()
        assert the_replay(number).total == taken
    assert states(ids).count(S.HELD) == 6


def test_a_row_is_in_line_once(desk):
    ids = refuse(desk[0], 3)
    first = replay.start(chosen(ids), "owner", per_minute=1)
    replay_run.take(first)
    second = replay.start(chosen(ids), "owner")
    replay_run.take(second)
    assert (the_replay(second).total, the_replay(second).selection["why"]) == (0, {Skip.IN_LINE: 3})
    replay_run.advance()
    assert the_replay(second).state is ReplayState.DONE


def test_what_fails_again_is_not_taken_by_the_same_replay(desk, clock):
    number = replay.start(of(desk[2]), "owner") if refuse(desk[0], 1) else 0
    replay_run.advance()
    with clock(5):
        end_all(Kind.WEBHOOK, REFUSED)
        replay_run.advance()
    assert (the_replay(number).total, the_replay(number).state) == (1, ReplayState.DONE)


def test_what_is_refused_after_it_was_asked_for_is_left(desk, clock):
    refuse(desk[0], 1)
    number = replay.start(of(desk[2]), "owner")
    with clock(5):
        refuse(desk[0], 2)
        replay_run.advance()
    assert the_replay(number).total == 1


# At a rate
def test_rows_go_at_the_set_rate_oldest_first(desk, clock):
    ids = refuse(desk[0], 5)
    number = replay.start(chosen(ids), "owner", per_minute=30)
    gone = []
    for seconds in (0, 1, 2, 3, 4, 5, 8):
        with clock(seconds):
            replay_run.take(number)
            gone.append(len(replay_run.let_go(number)))
            deliver_due()
    assert gone == [1, 0, 1, 0, 1, 0, 2]
    assert states(ids) == [S.DELIVERED] * 5
    assert the_replay(number).state is ReplayState.DONE


def test_a_clock_that_stood_still_makes_no_flood(desk, clock):
    ids = refuse(desk[0], 40)
    number = replay.start(chosen(ids), "owner", per_minute=60)
    replay_run.take(number)
    with clock(3600):
        assert len(replay_run.let_go(number)) == 15
        assert replay_run.let_go(number) == []


def test_live_leads_go_before_a_replay(desk, clock):
    form, _, _ = desk
    ids = refuse(form, 3)
    number = replay.start(chosen(ids), "owner", per_minute=60)
    replay_run.take(number)
    post_lead(form)
    with clock(3):
        assert replay_run.let_go(number) == []
        assert deliver_due() == 1
        assert len(replay_run.let_go(number)) == 3


def test_what_waits_for_its_next_try_holds_nothing_up(desk, clock):
    form, _, _ = desk
    ids = refuse(form, 1)
    post_lead(form)
    end_all(Kind.WEBHOOK, TemporaryError("busy", status_code=503))
    number = replay.start(chosen(ids), "owner")
    replay_run.take(number)
    with clock(3):
        assert replay_run.let_go(number) == ids


def test_a_replay_waits_for_a_paused_destination(desk, clock):
    form, _, hook = desk
    number = replay.start(chosen(refuse(form, 2)), "owner")
    destinations.pause(hook.id, "", "owner")
    with clock(10):
        assert replay_run.advance() == 0
        assert [one.id for one in replay.waiting_for(the_replay(number))] == [hook.id]
        destinations.resume(hook.id, "owner")
        assert replay_run.advance() == 2


# Paused, resumed, stopped
def test_a_paused_replay_lets_nothing_go_and_goes_on_without_a_flood(desk, clock):
    ids = refuse(desk[0], 30)
    number = replay.start(chosen(ids), "owner")
    assert replay_run.advance() == 1
    replay.pause(number, "owner")
    with clock(600):
        assert replay_run.advance() == 0
        replay.resume(number, "owner")
        deliver_due()
        assert replay_run.advance() == 15


def test_a_stopped_replay_gives_back_what_needs_somebody(desk, clock):
    ids = refuse(desk[0], 3)
    number = replay.start(chosen(ids), "owner")
    replay_run.advance()
    replay.stop(number, "owner")
    replay_run.advance()
    assert states(ids) == [S.PENDING, S.PERMANENTLY_FAILED, S.PERMANENTLY_FAILED]
    assert row_of(ids[1]).last_error == "The receiver answered 400"
    lead = db.session.get_one(Lead, row_of(ids[1]).lead_id, populate_existing=True)
    assert lead.status is LeadStatus.PERMANENTLY_FAILED
    with pytest.raises(TransitionError):
        replay.resume(number, "owner")


def test_the_rate_can_be_changed_on_the_way(desk, clock):
    number = replay.start(chosen(refuse(desk[0], 20)), "owner", per_minute=1)
    replay_run.advance()
    replay.change_rate(number, 600, "owner")
    with clock(5):
        deliver_due()
        assert replay_run.advance() == 19


def test_the_rate_that_is_audited_is_the_one_that_holds(desk):
    number = replay.start(chosen(refuse(desk[0], 1)), "owner", per_minute=1)
    replay.change_rate(number, 1_000_000, "owner")
    noted = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "replay rate changed")).one()
    assert noted.facts["now"] == the_replay(number).per_minute == replay.MOST_PER_MINUTE


def test_progress_is_told_in_numbers(desk, clock):
    number = replay.start(chosen(refuse(desk[0], 4)), "owner", per_minute=60)
    replay_run.advance()
    deliver_due()
    found = replay.progress(the_replay(number))
    assert (found.taken, found.waiting, found.sent, found.left) == (4, 3, 1, timedelta(seconds=3))


def test_a_held_row_can_be_sent_or_called_off_by_hand(desk, clock):
    ids = refuse(desk[0], 3)
    number = replay.start(chosen(ids), "owner", per_minute=1)
    replay_run.advance()
    outbox.send_again(ids[1:2], "owner")
    outbox.cancel(ids[2:], "by hand", "owner")
    replay_run.advance()
    assert states(ids) == [S.PENDING, S.PENDING, S.CANCELLED]
    assert the_replay(number).state is ReplayState.DONE


# With today's rules and mapping
@pytest.fixture
def customer(desk):
    return add_destination(Kind.CRM, "https://api.example/leads")


def refused_by_customer(form, customer, *errors) -> Delivery:
    row_id = add_customer_row(post_lead(form).id, customer)
    for error in errors or (PermanentError("no", status_code=422),):
        (one,) = claim(Wanted(ids=[row_id]), "w")
        settle([Result(one, error=error)])
        if row_of(row_id).state is S.FAILED:
            outbox.send_again([row_id], "test")
    return row_of(row_id)


def test_anew_is_a_new_row_with_a_new_key_and_the_old_one_is_called_off(desk, customer, leads):
    old = refused_by_customer(desk[0], customer)
    number = replay.start(of(customer), "owner", is_anew=True)
    replay_run.advance()
    new = db.session.scalars(select(Delivery).where(Delivery.repeat_of_id == old.id)).one()
    assert (new.dedupe_key, new.payload) == (f"{old.dedupe_key}:1", '{"new": true}')
    assert (new.mapping_version, new.left_out[0]["target"], new.replay_id) == ("v2", "street", number)
    assert (new.state, new.attempts) == (S.PENDING, 0)
    assert (row_of(old.id).state, row_of(old.id).last_error) == (S.CANCELLED, replay_run.REPLACED)


@pytest.mark.parametrize(
    "errors",
    [
        (TemporaryError("time-out"), PermanentError("no", status_code=400)),
        (TemporaryError("oops", status_code=502), PermanentError("no", status_code=400)),
        (PermanentError("conflict", status_code=409),),
    ],
    ids=["no answer", "a broken answer", "conflict"],
)
def test_what_the_receiver_may_have_is_not_sent_anew(desk, customer, leads, errors):
    row = refused_by_customer(desk[0], customer, *errors)
    assert row.state is S.PERMANENTLY_FAILED
    found = replay.preview(of(customer), is_anew=True)
    assert (found.count, found.skipped) == (0, {Skip.MAY_HAVE_IT: 1})
    assert replay.preview(of(customer), is_anew=False).count == 1


def test_what_was_refused_after_a_busy_answer_is_sent_anew(desk, customer, leads):
    busy, no = TemporaryError("busy", status_code=503), PermanentError("no", status_code=400)
    refused_by_customer(desk[0], customer, busy, no)
    assert replay.preview(of(customer), is_anew=True).count == 1


def test_retries_spent_are_no_refusal(app_with, clock, leads):
    app_with(delivery_max_retries=0)
    form, _, _ = add_desk()
    customer = add_destination(Kind.CRM, "https://api.example/leads")
    refused_by_customer(form, customer, TemporaryError("busy", status_code=503))
    assert replay.preview(of(customer), is_anew=True).skipped == {Skip.MAY_HAVE_IT: 1}


def test_what_todays_rules_refuse_stays_where_it_is(desk, customer, leads):
    leads.body = Anew(refused="rejected: ZIP_NOT_66XXX")
    old = refused_by_customer(desk[0], customer)
    number = replay.start(of(customer), "owner", is_anew=True)
    replay_run.advance()
    assert row_of(old.id).state is S.PERMANENTLY_FAILED
    assert the_replay(number).selection["why"] == {"rejected: ZIP_NOT_66XXX": 1}


def test_two_refused_rows_of_one_lead_become_one_that_is_sent_anew(desk, customer, leads):
    old = refused_by_customer(desk[0], customer)
    replay.start(of(customer), "owner", is_anew=True)
    replay_run.advance()
    outbox.send_again([old.id], "owner")
    end_all(Kind.CRM)
    number = replay.start(of(customer), "owner", is_anew=True)
    replay_run.advance()
    assert (the_replay(number).total, the_replay(number).selection["why"]) == (1, {Skip.IN_LINE: 1})
    assert the_replay(number).state is ReplayState.DONE


def test_only_the_customers_api_is_sent_anew(desk, leads):
    refuse(desk[0], 1)
    assert replay.preview(of(desk[2]), is_anew=True).skipped == {Skip.NOT_CUSTOMER: 1}


def test_rejected_leads_that_pass_today_go_in_line(desk, customer, leads, clock):
    found = [post_lead(desk[0]).id for _ in range(3)]
    leads.rejected, leads.refused, leads.destination_id = found, {found[1]: "rejected: NOT_HOMEOWNER"}, customer.id
    number = replay.start(Selection(What.FORM, form_id=desk[0].id), "owner", per_minute=60)
    replay_run.advance()
    assert len(claim(Wanted(kinds=(Kind.CRM,)), "w")) == 1
    with clock(1):
        replay_run.advance()
        assert len(claim(Wanted(kinds=(Kind.CRM,)), "w")) == 1
    row = the_replay(number)
    assert (row.total, row.skipped, row.state) == (2, 1, ReplayState.DONE)


def test_a_selection_survives_being_written_down():
    whole = Selection(What.DESTINATION, destination_id=3, code=422, since=NOON, until=NOON + timedelta(days=1))
    rows = Selection(What.LEADS, ids=(new_id(), new_id()))
    assert Selection.read(whole.as_json()) == whole
    assert Selection.read(rows.as_json()) == rows
