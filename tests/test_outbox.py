"""states.md, line by line, on SQLite with a channel that does as it is told."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from leadapp import audit, queue
from leadapp.clock import frozen
from leadapp.database import transaction
from leadapp.deliveries import destinations, outbox, sweep, work
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claims import Receipt
from leadapp.deliveries.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
    DisabledBy,
    HeldReason,
    Kind,
)
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import (
    DeliveryFailed,
    DestinationError,
    NotSentError,
    OutcomeUnknownError,
    PermanentError,
    TemporaryError,
    TransitionError,
)
from leadapp.extensions import db
from leadapp.leads import jobs
from leadapp.leads.models import Form, IntegrationStatus, Lead, LeadStatus
from tests.factories import NOON, FakeChannel, add_desk, add_destination, add_form, post_lead, rows_of, the_row

S = DeliveryState
EMAIL, WEBHOOK = Wanted(kinds=(Kind.EMAIL,)), Wanted(kinds=(Kind.WEBHOOK,))


@pytest.fixture
def mail(monkeypatch) -> FakeChannel:
    channel = FakeChannel(answers=[Receipt(250, "250 OK")])
    monkeypatch.setitem(CHANNELS, Kind.EMAIL, channel)
    return channel


@pytest.fixture
def hook(monkeypatch) -> FakeChannel:
    channel = FakeChannel()
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, channel)
    return channel


@pytest.fixture
def desk(app: Flask, mail: FakeChannel, hook: FakeChannel) -> Form:
    form, _, _ = add_desk()
    return form


def reload(lead: Lead) -> Lead:
    return db.session.get_one(Lead, lead.id, populate_existing=True)


def destination(kind: Kind) -> Destination:
    query = select(Destination).where(Destination.kind == kind)
    return db.session.scalars(query, execution_options={"populate_existing": True}).one()


def attempts_of(row: Delivery) -> list[Attempt]:
    return list(db.session.scalars(select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.fence)))


def test_a_lead_owes_one_row_for_each_destination(desk):
    lead = post_lead(desk)
    assert {row.kind: row.state for row in rows_of(lead)} == {Kind.EMAIL: S.PENDING, Kind.WEBHOOK: S.PENDING}
    assert {row.dedupe_key for row in rows_of(lead)} == {f"{lead.id}:{row.destination_id}" for row in rows_of(lead)}
    assert (lead.status, lead.email_status, lead.crm_status) == (
        LeadStatus.READY,
        IntegrationStatus.PENDING,
        IntegrationStatus.DISABLED,
    )


def test_a_delivered_lead_says_so_everywhere(desk, mail, hook):
    lead = post_lead(desk)
    jobs.send_lead_notification(str(lead.id))
    jobs.send_lead_webhook(str(lead.id))
    lead = reload(lead)
    assert lead.status is LeadStatus.DELIVERED
    assert lead.email_status is lead.webhook_status is IntegrationStatus.SENT
    assert lead.webhook_last_status_code == 200
    assert lead.email_sent_at is not None
    assert (lead.email_attempts, lead.email_last_error) == (1, "")


def test_a_second_run_of_a_job_sends_nothing(desk, mail):
    lead = post_lead(desk)
    jobs.send_lead_notification(str(lead.id))
    jobs.send_lead_notification(str(lead.id))
    assert len(mail.sent) == 1


def test_a_job_takes_others_of_its_queue_along(desk, mail):
    first, others = post_lead(desk), [post_lead(desk) for _ in range(20)]
    jobs.send_lead_notification(str(first.id))
    assert mail.sent[0].lead_id == first.id
    assert {one.lead_id for one in mail.sent} == {lead.id for lead in (first, *others)}


def test_a_job_takes_none_along_to_a_failing_destination(desk, hook):
    with transaction():
        destination(Kind.WEBHOOK).failures_in_a_row = 1
    hook.answers = [TemporaryError("busy")]
    first, _ = post_lead(desk), post_lead(desk)
    jobs.send_lead_webhook(str(first.id))
    assert [one.lead_id for one in hook.sent] == [first.id]


def test_retries_follow_the_policy_and_end_permanently(desk, hook):
    hook.answers = [TemporaryError("The webhook answered 500", status_code=500)]
    with frozen(NOON):
        lead = post_lead(desk)
        work.run(WEBHOOK)
    moment = NOON
    for pause in (30, 60, 120, 240, 480):
        row = the_row(lead, Kind.WEBHOOK)
        assert (row.state, row.next_attempt_at) == (S.FAILED, moment + timedelta(seconds=pause))
        assert row.enqueued_at is None
        with frozen(moment + timedelta(seconds=pause - 1)):
            assert claim(Wanted([row.id], (Kind.WEBHOOK,)), "early") == []
        moment += timedelta(seconds=pause)
        with frozen(moment):
            work.run(Wanted([row.id]))
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.attempts, row.last_status_code) == (S.PERMANENTLY_FAILED, 6, 500)
    lead = reload(lead)
    assert (lead.webhook_status, lead.webhook_attempts) == (IntegrationStatus.FAILED, 6)
    assert (lead.status, lead.webhook_last_error) == (LeadStatus.PERMANENTLY_FAILED, "The webhook answered 500")


def test_a_permanent_refusal_is_permanent_at_once(desk, hook):
    hook.answers = [PermanentError("The webhook answered 400", status_code=400)]
    lead = post_lead(desk)
    work.run(WEBHOOK)
    assert the_row(lead, Kind.WEBHOOK).state is S.PERMANENTLY_FAILED
    assert attempts_of(the_row(lead, Kind.WEBHOOK))[0].outcome is AttemptOutcome.PERMANENTLY_FAILED


def test_a_channels_bug_is_recorded_and_retried(desk, hook):
    hook.answers = [ZeroDivisionError("secret detail")]
    lead = post_lead(desk)
    work.run(WEBHOOK)
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.last_error) == (S.FAILED, "unexpected: ZeroDivisionError")


def test_retry_after_holds_the_whole_destination(desk, hook):
    hook.answers = [TemporaryError("busy", status_code=429, retry_after=timedelta(minutes=20)), Receipt(200)]
    with frozen(NOON):
        first, second = post_lead(desk), None
        work.run(WEBHOOK)
        second = post_lead(desk)
    with frozen(NOON + timedelta(minutes=19)):
        assert claim(Wanted([row.id for row in rows_of(second)], (Kind.WEBHOOK,), True), "w") == [] or all(
            one.kind is Kind.EMAIL for one in claim(Wanted((), (Kind.WEBHOOK,), True), "w")
        )
    with frozen(NOON + timedelta(minutes=21)):
        work.run(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True))
    assert the_row(first, Kind.WEBHOOK).state is the_row(second, Kind.WEBHOOK).state is S.DELIVERED


def test_a_refused_token_pauses_the_destination_and_costs_no_try(desk, hook):
    hook.answers = [DestinationError("refuses our token (401)", disable=False, status_code=401), Receipt(200)]
    first = post_lead(desk)
    work.run(WEBHOOK)
    second = post_lead(desk)
    row = the_row(first, Kind.WEBHOOK)
    assert (row.state, row.tries, row.attempts) == (S.FAILED, 0, 1)
    paused = destination(Kind.WEBHOOK)
    assert (paused.state, paused.state_reason) == (DestinationState.PAUSED, "refuses our token (401)")
    assert claim(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True), "w") == []
    destinations.resume(paused.id, "owner@shop.example")
    work.run(WEBHOOK)
    assert the_row(first, Kind.WEBHOOK).state is the_row(second, Kind.WEBHOOK).state is S.DELIVERED


def test_a_410_disables_the_destination_and_its_other_rows_wait(desk, hook):
    with frozen(NOON):
        first, second = post_lead(desk), post_lead(desk)
        hook.answers = [DestinationError("gone", disable=True, status_code=410)]
        work.run(Wanted([the_row(first, Kind.WEBHOOK).id]))
    gone = destination(Kind.WEBHOOK)
    assert (gone.state, gone.disabled_by) == (DestinationState.DISABLED, DisabledBy.RECEIVER)
    assert the_row(first, Kind.WEBHOOK).state is S.PERMANENTLY_FAILED
    assert the_row(second, Kind.WEBHOOK).state is S.PENDING
    assert [row.kind for row in rows_of(post_lead(desk))] == [Kind.EMAIL]


def test_many_failures_over_an_hour_pause_and_one_trial_finds_out(desk, hook):
    hook.answers = [TemporaryError("The webhook answered 500")]
    with transaction():
        row = destination(Kind.WEBHOOK)
        row.failures_in_a_row, row.failing_since = 19, NOON - timedelta(hours=2)
    with frozen(NOON):
        leads = [post_lead(desk) for _ in range(3)]
        work.run(Wanted([the_row(leads[0], Kind.WEBHOOK).id]))
        paused = destination(Kind.WEBHOOK)
        assert (paused.state, paused.paused_until) == (DestinationState.PAUSED, NOON + timedelta(minutes=10))
        assert claim(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True), "w") == []
    with frozen(NOON + timedelta(minutes=10)):
        trial = claim(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True), "w")
        assert len(trial) == 1
        assert claim(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True), "other") == []
        settle([Result(trial[0], error=TemporaryError("still down"))])
        tried = db.session.get_one(Delivery, trial[0].delivery_id)
        assert tried.tries == trial[0].tries - 1  # a trial costs no try
    hook.answers = [Receipt(200)]
    with frozen(NOON + timedelta(minutes=20)):
        work.run(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True))
        assert destination(Kind.WEBHOOK).state is DestinationState.ACTIVE
        assert destination(Kind.WEBHOOK).failures_in_a_row == 0
    with frozen(NOON + timedelta(minutes=40)):
        work.run(Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True))
    assert {the_row(lead, Kind.WEBHOOK).state for lead in leads} == {S.DELIVERED}


def test_two_claims_never_take_the_same_row(desk):
    post_lead(desk)
    first, second = claim(EMAIL, "one"), claim(EMAIL, "two")
    assert (len(first), second) == (1, [])


def test_no_more_than_the_cap_goes_to_one_destination(app_with, mail):
    app_with(pool=16, destination_cap=3)
    form = add_form()
    add_destination(Kind.EMAIL)
    for _ in range(6):
        post_lead(form)
    assert (len(claim(EMAIL, "one")), len(claim(EMAIL, "two"))) == (3, 0)


def test_the_attempt_is_written_before_anything_is_sent(desk):
    lead = post_lead(desk)
    (claimed,) = claim(EMAIL, "host:1")
    row = the_row(lead, Kind.EMAIL)
    (attempt,) = attempts_of(row)
    assert (attempt.fence, attempt.number, attempt.worker, attempt.outcome) == (1, 1, "host:1", None)
    assert (row.state, row.fence, row.attempts, row.tries) == (S.SENDING, 1, 1, 1)
    assert claimed.payload == row.payload


def test_an_expired_webhook_fails_and_the_try_counts(desk):
    with frozen(NOON):
        lead = post_lead(desk)
        claim(WEBHOOK, "killed")
    with frozen(NOON + timedelta(seconds=89)):
        assert sweep.expire_leases() == 0
    with frozen(NOON + timedelta(seconds=91)):
        assert sweep.expire_leases() == 1
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.tries) == (S.FAILED, 1)
    assert attempts_of(row)[0].outcome is AttemptOutcome.LOST
    assert reload(lead).webhook_status is IntegrationStatus.FAILED


def test_a_row_that_kills_its_worker_ends_permanently_failed(desk):
    moment = NOON
    with frozen(moment):
        lead = post_lead(desk)
    for _ in range(6):
        with frozen(moment):
            assert len(claim(Wanted([the_row(lead, Kind.WEBHOOK).id]), "killed")) == 1
        moment += timedelta(seconds=100)
        with frozen(moment):
            sweep.expire_leases()
        moment += timedelta(minutes=10)
    assert the_row(lead, Kind.WEBHOOK).state is S.PERMANENTLY_FAILED


def test_an_expired_notice_is_sent_once_more_with_a_recorded_reason(desk, mail):
    with frozen(NOON):
        lead = post_lead(desk)
        claim(EMAIL, "killed")
    later = NOON + timedelta(seconds=91)
    with frozen(later):
        sweep.expire_leases()
        row = the_row(lead, Kind.EMAIL)
        assert row.state is S.PENDING
        assert "sent once more" in [event.action for event in audit.history(row)]
        claim(EMAIL, "killed again")
    with frozen(later + timedelta(seconds=91)):
        sweep.expire_leases()
    assert the_row(lead, Kind.EMAIL).state is S.UNKNOWN  # a person decides about a third time
    assert reload(lead).email_status is IntegrationStatus.FAILED


def test_a_lost_answer_after_the_final_dot_is_sent_once_more(desk, mail):
    mail.answers = [OutcomeUnknownError("the answer was lost"), OutcomeUnknownError("again")]
    lead = post_lead(desk)
    work.run(EMAIL)
    row = the_row(lead, Kind.EMAIL)
    assert (row.state, len(mail.sent)) == (S.UNKNOWN, 2)
    assert [attempt.outcome for attempt in attempts_of(row)] == [AttemptOutcome.UNKNOWN] * 2


def test_late_proof_is_never_thrown_away(desk):
    with frozen(NOON):
        lead = post_lead(desk)
        (claimed,) = claim(WEBHOOK, "stopped")
    with frozen(NOON + timedelta(seconds=91)):
        sweep.expire_leases()
        settle([Result(claimed, receipt=Receipt(200))])
    row = the_row(lead, Kind.WEBHOOK)
    assert row.state is S.DELIVERED
    assert attempts_of(row)[0].outcome is AttemptOutcome.DELIVERED


def test_late_proof_counts_for_a_notice_that_waits_to_be_sent_once_more(desk):
    with frozen(NOON):
        lead = post_lead(desk)
        (claimed,) = claim(EMAIL, "stopped")
    with frozen(NOON + timedelta(seconds=91)):
        sweep.expire_leases()
        settle([Result(claimed, receipt=Receipt(250))])
    assert the_row(lead, Kind.EMAIL).state is S.DELIVERED


def test_a_late_failure_changes_nothing(desk):
    with frozen(NOON):
        lead = post_lead(desk)
        (claimed,) = claim(WEBHOOK, "stopped")
    with frozen(NOON + timedelta(seconds=91)):
        sweep.expire_leases()
        before = the_row(lead, Kind.WEBHOOK).next_attempt_at
        settle([Result(claimed, error=PermanentError("no"))])
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.next_attempt_at) == (S.FAILED, before)


def test_the_fence_refuses_a_worker_whose_row_was_claimed_again(desk):
    with frozen(NOON):
        lead = post_lead(desk)
        (old,) = claim(WEBHOOK, "stopped")
    with frozen(NOON + timedelta(seconds=91)):
        sweep.expire_leases()
    with frozen(NOON + timedelta(seconds=200)):
        (new,) = claim(Wanted([old.delivery_id]), "fresh")
        assert settle([Result(old, error=PermanentError("no"))]) == []
        assert the_row(lead, Kind.WEBHOOK).state is S.SENDING
        settle([Result(new, receipt=Receipt(200))])
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, [one.outcome for one in attempts_of(row)]) == (
        S.DELIVERED,
        [AttemptOutcome.PERMANENTLY_FAILED, AttemptOutcome.DELIVERED],
    )


def test_a_row_goes_back_unsent_when_the_lease_has_no_room_left(desk, hook):
    lead = post_lead(desk)
    (claimed,) = claim(WEBHOOK, "slow")
    result = work.send(claimed, lease_end=0.0)
    assert isinstance(result.error, NotSentError)
    settle([result])
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.tries, hook.sent) == (S.PENDING, 0, [])


def test_sigterm_gives_unsent_rows_back(desk, hook, monkeypatch):
    lead = post_lead(desk)
    (claimed,) = claim(WEBHOOK, "stopping")
    work.STOP.set()
    try:
        settle([work.send(claimed, lease_end=1e12)])
    finally:
        work.STOP.clear()
    assert (the_row(lead, Kind.WEBHOOK).state, hook.sent) == (S.PENDING, [])


def test_a_full_queue_is_not_rung_twice(desk, app):
    post_lead(desk)
    with frozen(NOON):
        pass
    assert sweep.sweep()["rung"] == 0


def test_a_flushed_redis_is_rung_again(desk, app):
    lead = post_lead(desk)
    queue.line().flushall()
    with transaction():
        for row in rows_of(lead):
            row.enqueued_at -= timedelta(seconds=6)
    assert sweep.sweep()["rung"] == 2
    assert queue.lengths()["notifications"] == queue.lengths()["integrations"] == 1
    assert sweep.sweep()["rung"] == 0


def test_a_row_older_than_the_first_job_was_lost_on_the_way(desk, app):
    lost, waiting = post_lead(desk), post_lead(desk)
    redis = queue.line()
    redis.lpop("rq:queue:notifications")  # a worker was killed after the pop
    with transaction():
        for row in rows_of(lost):
            row.enqueued_at -= timedelta(seconds=60)
    assert sweep.ring_left_behind("notifications", (Kind.EMAIL,)) == 1
    assert the_row(lost, Kind.EMAIL).enqueued_at > the_row(waiting, Kind.EMAIL).enqueued_at


def test_send_again_gives_all_tries_back(desk, hook):
    hook.answers = [PermanentError("no"), Receipt(200)]
    lead = post_lead(desk)
    work.run(WEBHOOK)
    row = the_row(lead, Kind.WEBHOOK)
    assert outbox.send_again([row.id], "owner@shop.example") == [row.id]
    assert reload(lead).status is LeadStatus.READY
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.tries) == (S.PENDING, 0)
    assert audit.history(row)[-1].actor == "owner@shop.example"
    work.run(WEBHOOK)
    assert the_row(lead, Kind.WEBHOOK).state is S.DELIVERED


def test_a_failed_row_sent_again_is_due_at_once(desk, hook):
    hook.answers = [TemporaryError("no")]
    with frozen(NOON):
        lead = post_lead(desk)
        work.run(WEBHOOK)
        row = the_row(lead, Kind.WEBHOOK)
        outbox.send_again([row.id], "owner@shop.example")
        row = the_row(lead, Kind.WEBHOOK)
        assert (row.state, row.next_attempt_at, row.tries) == (S.FAILED, NOON, 0)


def test_a_delivered_row_sent_again_is_a_new_row_with_a_new_id(desk, hook):
    lead = post_lead(desk)
    work.run(WEBHOOK)
    first = the_row(lead, Kind.WEBHOOK)
    (again,) = outbox.send_again([first.id], "owner@shop.example")
    assert again != first.id
    copy = db.session.get_one(Delivery, again)
    assert (copy.repeat_of_id, copy.payload) == (first.id, first.payload)
    assert copy.dedupe_key == f"{first.dedupe_key}:1"


def test_a_row_that_is_being_sent_is_not_sent_again(desk):
    lead = post_lead(desk)
    claim(WEBHOOK, "w")
    assert outbox.send_again([the_row(lead, Kind.WEBHOOK).id], "owner@shop.example") == []


def test_marking_and_cancelling_by_a_person(desk, mail):
    mail.answers = [OutcomeUnknownError("lost")]
    lead = post_lead(desk)
    work.run(EMAIL)
    row = the_row(lead, Kind.EMAIL)
    assert outbox.mark_sent([row.id], "owner@shop.example") == [row.id]
    assert reload(lead).email_status is IntegrationStatus.SENT
    hook_row = the_row(lead, Kind.WEBHOOK)
    assert outbox.cancel([hook_row.id], "not wanted", "owner@shop.example") == [hook_row.id]
    lead = reload(lead)
    assert (lead.webhook_status, lead.status) == (IntegrationStatus.DISABLED, LeadStatus.DELIVERED)


def test_delivered_is_the_end():
    row = Delivery(state=S.DELIVERED)
    with pytest.raises(TransitionError):
        row.move(S.PENDING)


def test_the_job_fails_with_ids_only_and_a_requeue_moves_exactly_its_rows(desk, hook, app):
    hook.answers = [PermanentError("no such thing: ada@example.com"), Receipt(200)]
    lead, dead = post_lead(desk), None
    with pytest.raises(DeliveryFailed) as raised:
        jobs.send_lead_webhook(str(lead.id))
    dead = the_row(lead, Kind.WEBHOOK)
    assert str(dead.id) in str(raised.value)
    assert "ada@" not in str(raised.value)
    assert outbox.requeue([dead.id], "rq-dashboard") == [dead.id]
    assert outbox.requeue([dead.id], "rq-dashboard") == []
    jobs.send_lead_webhook(str(lead.id))
    assert the_row(lead, Kind.WEBHOOK).state is S.DELIVERED


def test_a_paused_forms_leads_are_held_and_go_out_when_it_is_resumed(desk, mail):
    with transaction():
        db.session.get_one(Form, desk.id).is_paused = True
    lead = post_lead(desk)
    assert {row.held_reason for row in rows_of(lead)} == {HeldReason.FORM_PAUSED}
    work.run(EMAIL)
    assert jobs.release_resumed() == 0
    with transaction():
        db.session.get_one(Form, desk.id).is_paused = False
    assert jobs.release_resumed() == 2
    work.run(EMAIL)
    assert the_row(lead, Kind.EMAIL).state is S.DELIVERED


def test_a_pause_that_raced_an_intake_holds_its_row_back(desk, hook):
    lead = post_lead(desk)
    destinations.pause(destination(Kind.WEBHOOK).id, "", "owner@shop.example")
    jobs.send_lead_webhook(str(lead.id))
    assert (the_row(lead, Kind.WEBHOOK).state, hook.sent) == (S.PENDING, [])


def test_a_late_failure_opens_no_destination_that_a_person_paused(desk, hook):
    destinations.pause(destination(Kind.WEBHOOK).id, "", "owner@shop.example")
    with transaction():
        destinations.note(
            [(destination(Kind.WEBHOOK).id, TemporaryError("busy", retry_after=timedelta(seconds=1)))], NOON
        )
    paused = destination(Kind.WEBHOOK)
    assert (paused.state, paused.paused_until) == (DestinationState.PAUSED, None)


def test_a_delivered_row_is_repeated_once_while_its_repeat_is_on_its_way(desk, hook):
    lead = post_lead(desk)
    work.run(WEBHOOK)
    first = the_row(lead, Kind.WEBHOOK)
    assert len(outbox.send_again([first.id], "owner@shop.example")) == 1
    assert outbox.send_again([first.id], "owner@shop.example") == []
    work.run(WEBHOOK)
    assert len(outbox.send_again([first.id], "owner@shop.example")) == 1
