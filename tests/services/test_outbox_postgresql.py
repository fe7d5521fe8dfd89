"""The outbox on real PostgreSQL: the model's traces, and each race that states.md names."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from leadapp import audit
from leadapp.database import release, transaction
from leadapp.deliveries import destinations, outbox, sweep
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.deliveries.models import Attempt, Delivery, DeliveryState, Destination, DestinationState, Kind
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import PermanentError, TemporaryError
from leadapp.extensions import db
from leadapp.leads import intake
from leadapp.leads.models import IntegrationStatus, Lead, LeadStatus
from leadapp.leads.reading import Posted
from tests.factories import add_desk, add_destination, add_form, post_lead, rows_of, the_row
from tests.outbox_machine import POOL, REACHED, states_of_traces

S = DeliveryState
WEBHOOK = Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True)


def at_once(app: Flask, *functions: Callable[[], Any]) -> list[Any]:
    """Run all of them at the same moment, each with a session of its own."""
    gate = threading.Barrier(len(functions))

    def run(function: Callable[[], Any]) -> Any:
        with app.app_context():
            gate.wait()
            return function()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(30) for future in [pool.submit(run, one) for one in functions]]


@pytest.mark.timeout(300)
def test_the_same_traces_on_postgresql(pg_app):
    app = pg_app(pool=POOL)
    db.session.rollback()
    assert states_of_traces(app) >= REACHED


def test_many_claims_at_once_share_the_rows_without_a_double(pg_app):
    app = pg_app(destination_cap=1000)
    form, _, _ = add_desk()
    for _ in range(60):
        post_lead(form)
    db.session.rollback()

    def drain() -> list[Claim]:
        taken: list[Claim] = []
        while slice_ := claim(WEBHOOK, "w"):
            taken += slice_
        return taken

    taken = [one.delivery_id for found in at_once(app, *[drain] * 4) for one in found]
    assert (len(taken), len(set(taken))) == (60, 60)


def test_reading_keeps_the_prepared_statements_of_a_connection(pg_app):
    pg_app()
    for _ in range(8):
        db.session.scalar(select(Delivery.id).limit(1))
        release()
    assert db.session.scalar(text("SELECT count(*) FROM pg_prepared_statements"))


def test_a_row_that_an_attempt_touches_is_not_skipped(pg_app):
    app = pg_app()
    form, _, _ = add_desk()
    lead = post_lead(form)
    row_id = the_row(lead, Kind.WEBHOOK).id
    db.session.rollback()
    with app.app_context():  # an insert that references the row holds a key-share lock on it
        db.session.add(Attempt(delivery_id=row_id, fence=99, number=99))
        db.session.flush()
        with app.app_context():
            assert [one.delivery_id for one in claim(WEBHOOK, "w")] == [row_id]
        db.session.rollback()


def test_two_sweepers_at_once_expire_and_ring_each_row_once(pg_app):
    app = pg_app(destination_cap=1000, pool=50)
    form, _, _ = add_desk()
    for _ in range(40):
        post_lead(form)
    claim(WEBHOOK, "killed")
    with transaction():
        db.session.execute(text("UPDATE delivery SET lease_until = now() - interval '1 s' WHERE state = 'sending'"))
        db.session.execute(text("UPDATE delivery SET enqueued_at = NULL WHERE state = 'pending'"))
    db.session.rollback()
    counts = at_once(app, sweep.sweep, sweep.sweep, sweep.sweep)
    assert sum(one["expired"] for one in counts) == 40
    assert sum(one["rung"] for one in counts) == 40
    states = db.session.scalars(select(Delivery.state).where(Delivery.kind == Kind.WEBHOOK))
    assert set(states) == {S.FAILED}


def test_refreshes_at_once_never_leave_an_older_state_over_a_newer_one(pg_app):
    app = pg_app(pool=1)
    form = add_form()
    for number in range(8):
        add_destination(Kind.WEBHOOK, f"https://hook.example/{number}")
    for _ in range(12):
        lead = post_lead(form)
        claims = [claim(WEBHOOK, "w")[0] for _ in range(8)]
        db.session.rollback()
        at_once(app, *[lambda one=one: settle([Result(one, receipt=Receipt(200))]) for one in claims])
        db.session.expire_all()
        found = db.session.get_one(Lead, lead.id)
        assert (found.status, found.webhook_status) == (LeadStatus.DELIVERED, IntegrationStatus.SENT)
        db.session.rollback()


def test_settles_that_meet_in_any_order_do_not_deadlock(pg_app):
    app = pg_app(pool=100, destination_cap=1000)
    form, _, _ = add_desk()
    for _ in range(50):
        post_lead(form)
    claims = claim(WEBHOOK, "w") + claim(Wanted(kinds=(Kind.EMAIL,)), "w")
    db.session.rollback()
    error = TemporaryError("busy")
    halves = [claims[::2], claims[1::2][::-1], claims[::-1]]
    at_once(
        app,
        *[lambda part=part: settle([Result(one, error=error) for one in part]) for part in halves],
        lambda: [outbox.send_again([one.delivery_id for one in claims[:20]], "owner") for _ in range(3)],
        lambda: [destinations.resume(claims[0].destination_id, "owner") for _ in range(3)],
    )
    states = set(db.session.scalars(select(Delivery.state)))
    assert states == {S.FAILED}


def test_resume_and_send_again_at_once_neither_deadlock_nor_lose_a_row(pg_app):
    app = pg_app(pool=100, destination_cap=1000)
    form, _, hook = add_desk()
    for _ in range(40):
        post_lead(form)
    claims = claim(WEBHOOK, "w")
    settle([Result(one, error=PermanentError("no")) for one in claims])
    ids, hook_id = [one.delivery_id for one in claims], hook.id
    destinations.pause(hook_id, "by hand", "owner")
    db.session.rollback()
    began = time.monotonic()
    at_once(
        app,
        lambda: [outbox.send_again(ids, "one") for _ in range(4)],
        lambda: [outbox.send_again(ids[::-1], "other") for _ in range(4)],
        *[lambda: [destinations.resume(hook_id, "owner") for _ in range(8)]] * 2,
    )
    assert time.monotonic() - began < 10
    assert dict(db.session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all()) == {
        S.PENDING: 80  # the owner's mails were never sent
    }
    assert db.session.get_one(Destination, hook_id, populate_existing=True).state is DestinationState.ACTIVE


def test_two_people_who_send_a_delivered_row_once_more_make_one_repeat(pg_app):
    app = pg_app()
    form, _, _ = add_desk()
    lead = post_lead(form)
    (claimed,) = claim(WEBHOOK, "w")
    settle([Result(claimed, receipt=Receipt(200))])
    db.session.rollback()
    pressed = at_once(app, *[lambda: outbox.send_again([claimed.delivery_id], "owner")] * 4)
    assert sorted(map(len, pressed)) == [0, 0, 0, 1]
    repeats = select(Delivery).where(Delivery.repeat_of_id == claimed.delivery_id)
    (repeat,) = db.session.scalars(repeats)
    assert (repeat.state, repeat.lead_id) == (S.PENDING, lead.id)
    assert [event.action for event in audit.history(repeat)] == ["send again"]


def test_a_pause_while_leads_come_in_holds_every_later_claim_back(pg_app):
    app = pg_app()
    form, _, hook = add_desk()
    db.session.rollback()
    at_once(
        app,
        lambda: [post_lead(db.session.merge(form)) for _ in range(20)],
        lambda: destinations.pause(hook.id, "", "owner"),
    )
    assert claim(WEBHOOK, "w") == []
    assert db.session.scalar(select(func.count()).where(Delivery.kind == Kind.WEBHOOK)) == 20
    destinations.resume(hook.id, "owner")
    assert len(claim(WEBHOOK, "w")) > 0


def test_only_one_worker_tries_a_paused_destination(pg_app):
    app = pg_app()
    form, _, hook = add_desk()
    for _ in range(5):
        post_lead(form)
    with transaction():
        db.session.execute(
            text("UPDATE destination SET state = 'paused', paused_until = now() - interval '1 s' WHERE id = :id"),
            {"id": hook.id},
        )
    db.session.rollback()
    taken = at_once(app, *[lambda: claim(WEBHOOK, "w")] * 4)
    assert sum(len(one) for one in taken) == 1


def test_the_same_post_twice_at_once_is_kept_twice_and_sent_once(pg_app):
    app = pg_app()
    form, _, _ = add_desk()
    posted = Posted(payload={"email": "ada@example.com", "message": "Hello"})
    db.session.rollback()
    at_once(app, *[lambda: intake.accept(db.session.merge(form), posted, "form")] * 6)
    leads = list(db.session.scalars(select(Lead)))
    firsts = [lead for lead in leads if lead.duplicate_of_id is None]
    assert (len(leads), len(firsts)) == (6, 1)
    assert len(rows_of(firsts[0])) == db.session.scalar(select(func.count()).select_from(Delivery)) == 2


def test_one_idempotency_key_at_once_answers_with_one_lead(pg_app):
    app = pg_app()
    form, _, _ = add_desk()
    posted = Posted(payload={"message": "Hello"}, idempotency_key="k1")
    db.session.rollback()
    answers = at_once(app, *[lambda: intake.accept(db.session.merge(form), posted, "form").lead_id] * 6)
    assert len(set(answers)) == 1
    assert db.session.scalar(select(func.count()).select_from(Lead)) == 1


def test_a_worker_that_was_stopped_past_its_lease_is_refused_by_the_fence(pg_app):
    pg_app(lease_seconds=60.0)
    form, _, _ = add_desk()
    lead = post_lead(form)
    (old,) = claim(WEBHOOK, "stopped")
    with transaction():
        db.session.execute(text("UPDATE delivery SET lease_until = now() - interval '1 s' WHERE state = 'sending'"))
    sweep.expire_leases()
    outbox.send_again([old.delivery_id], "owner")
    (new,) = claim(WEBHOOK, "fresh")
    assert settle([Result(old, error=PermanentError("no"))]) == []
    settle([Result(new, receipt=Receipt(200))])
    assert the_row(lead, Kind.WEBHOOK).state is S.DELIVERED
    assert db.session.scalar(select(Destination.failures_in_a_row).where(Destination.id == new.destination_id)) == 0


def test_due_rows_are_found_by_their_index(pg_app):
    pg_app()
    form, _, _ = add_desk()
    for _ in range(30):
        post_lead(form)
    db.session.execute(text("SET LOCAL enable_seqscan = off"))
    plan = "\n".join(
        db.session.scalars(
            text(
                "EXPLAIN SELECT id FROM delivery WHERE state IN ('pending', 'failed')"
                " AND next_attempt_at <= statement_timestamp() ORDER BY next_attempt_at, id LIMIT 16"
            )
        )
    )
    assert "ix_delivery_due" in plan
