"""A receiver that hangs costs nobody else anything: its sends are let go and settle themselves."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future

import pytest
from flask import Flask, current_app
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer
from sqlalchemy import select

from leadapp import queue
from leadapp.deliveries import destinations, work
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import DeliveryFailed, PermanentError
from leadapp.extensions import db
from leadapp.leads.models import Form
from tests.factories import FakeChannel, add_destination, add_form, post_lead
from tests.sinks import time_limit
from tests.test_supervisor import eventually

HOOKS = Wanted(kinds=(Kind.WEBHOOK,))
S = DeliveryState


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed: the slow receiver hangs. It is opened at the end, whatever happens."""
    event = threading.Event()
    yield event
    event.set()
    work.finish(10)
    work._senders.slow.clear()


@pytest.fixture
def desk(app: Flask, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Form:
    def wait_at_the_gate(one: Claim) -> None:
        if one.recipient.endswith("/slow"):
            gate.wait(10)

    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, FakeChannel(meanwhile=wait_at_the_gate))
    monkeypatch.setattr(work, "PATIENCE", 1.5)  # enough for the quick one, also on a slow machine
    form = add_form()
    for name in ("quick", "slow"):
        add_destination(Kind.WEBHOOK, f"https://hook.example/{name}", name=name)
    return form


def states(name: str) -> list[DeliveryState]:
    query = select(Delivery.state).where(Delivery.recipient.endswith(f"/{name}"))
    found = list(db.session.scalars(query))
    db.session.rollback()  # SQLite's lock: the threads write too
    return found


def test_a_run_goes_on_without_the_receiver_that_hangs(desk, gate):
    post_lead(desk)
    work.run(HOOKS)
    assert (states("quick"), states("slow")) == ([S.DELIVERED], [S.SENDING])
    gate.set()
    work.finish(10)
    assert states("slow") == [S.DELIVERED]


def test_nobody_waits_a_second_time_until_it_is_quick_again(desk, gate, monkeypatch):
    post_lead(desk)
    work.run(HOOKS)
    monkeypatch.setattr(work, "PATIENCE", 60.0)
    post_lead(desk)
    work.run(HOOKS)
    assert (states("quick"), states("slow")) == ([S.DELIVERED] * 2, [S.SENDING] * 2)
    gate.set()
    work.finish(10)
    assert work._senders.slow == set()


def test_receivers_that_hang_never_hold_more_threads_than_there_are(desk, monkeypatch):
    monkeypatch.setattr(work, "LANES", 0)
    post_lead(desk)
    work.run(HOOKS, longest=0.1)
    assert states("quick") == [S.PENDING]


def test_a_claim_takes_no_more_than_there_is_room_for(desk):
    for _ in range(3):
        post_lead(desk)
    assert len(claim(Wanted(kinds=(Kind.WEBHOOK,), room=2), "w")) == 2


@pytest.fixture
def few_at_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """One slice fills a destination."""
    fewer = app.config["SETTINGS"].model_copy(update={"destination_cap": 16})
    monkeypatch.setitem(app.config, "SETTINGS", fewer)


@pytest.mark.usefixtures("few_at_once")
def test_rows_that_wait_for_a_full_destination_crowd_out_nobody(desk):
    for _ in range(20):
        post_lead(desk)
    slow = select(Delivery.id).where(Delivery.recipient.endswith("/slow"))
    assert len(claim(Wanted(list(db.session.scalars(slow))), "held up")) == 16
    claimed = claim(HOOKS, "w")
    assert {one.recipient.rpartition("/")[2] for one in claimed} == {"quick"}
    assert len(claimed) == 16


@pytest.mark.usefixtures("few_at_once")
def test_what_waited_behind_a_slow_receiver_is_rung_when_there_is_room(desk, gate):
    for _ in range(20):
        post_lead(desk)
    work.run(HOOKS)
    queue.line().flushall()
    gate.set()
    work.finish(10)
    assert states("slow").count(S.PENDING) == 4
    rung = {row_id for job in waiting_jobs() for row_id in job.args[0]}
    waiting = select(Delivery.id).where(Delivery.state == S.PENDING, Delivery.kind == Kind.WEBHOOK)
    assert rung == set(map(str, db.session.scalars(waiting)))


def test_sends_that_are_over_while_another_settles_are_settled_together(desk, gate, monkeypatch):
    settled, settle = [], work.settle
    monkeypatch.setattr(work, "settle", lambda results: settled.append(len(results)) or settle(results))
    for _ in range(5):
        post_lead(desk)
    work.run(HOOKS)
    settled.clear()
    with work._senders.turn:
        gate.set()
        eventually(lambda: len(work._senders.over) == 5)
    work.finish(10)
    assert (settled[0], sum(settled), states("slow")) == (5, 5, [S.DELIVERED] * 5)


def test_what_a_broken_job_had_sent_is_settled_all_the_same(desk, gate, monkeypatch):
    settle = work.settle

    def breaks_once(_results: object) -> None:
        monkeypatch.setattr(work, "settle", settle)
        raise LookupError("a bug")

    monkeypatch.setattr(work, "settle", breaks_once)
    post_lead(desk)
    with pytest.raises(LookupError):
        work.run(HOOKS)
    gate.set()
    work.finish(10)
    assert states("slow") == [S.DELIVERED]


def test_a_job_that_waits_for_a_thread_leaves_the_processor_to_others(app, monkeypatch):
    over: Future[Result] = Future()
    over.set_result(None)  # but not yet settled
    monkeypatch.setattr(work._senders, "out", {over})
    monkeypatch.setattr(work, "LANES", 0)
    began = time.thread_time()
    assert work._room(time.monotonic() + 0.3, 0) == 0
    assert time.thread_time() - began < 0.1


def test_a_row_given_up_after_its_job_had_ended_is_in_the_failed_list_and_can_be_requeued(desk, gate, monkeypatch):
    refusing = FakeChannel([PermanentError("no such thing"), Receipt(200)], meanwhile=lambda _: gate.wait(10))
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, refusing)
    monkeypatch.setattr(work, "PATIENCE", 0.0)
    post_lead(desk)
    slow = db.session.scalar(select(Delivery.id).where(Delivery.recipient.endswith("/slow")))
    db.session.rollback()
    work.run(Wanted([slow]))
    gate.set()
    work.finish(10)
    assert states("slow") == [S.PERMANENTLY_FAILED]
    [job] = [one for one in waiting_jobs() if one.func_name.endswith("show_needs_you")]
    [dead] = job.args[0]
    monkeypatch.setattr(work, "PATIENCE", 60.0)
    monkeypatch.setattr(queue, "get_current_job", lambda: job)
    with pytest.raises(DeliveryFailed, match=dead):
        work.show_needs_you(job.args[0])
    assert job.meta["needs_you"] == [dead]
    work.show_needs_you(job.args[0])  # as rq-dashboard's requeue does
    work.finish(10)
    assert (job.meta["needs_you"], states("slow")) == ([], [S.DELIVERED])


def waiting_jobs() -> list[Job]:
    redis = queue.line()
    return Queue("integrations", connection=redis, serializer=JSONSerializer).jobs


def test_nothing_that_was_sent_waits_for_a_thread_of_a_slow_receiver(app_with, gate, monkeypatch):
    app_with(pool=2)
    form = add_form()
    monkeypatch.setattr(work, "LANES", 2)  # the slow rows take half of the threads, the quick ones the other half
    monkeypatch.setattr(work, "PATIENCE", 0.2)
    hook = FakeChannel(meanwhile=lambda one: gate.wait(20) if one.recipient.endswith("/slow") else None)
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, hook)
    slow = add_destination(Kind.WEBHOOK, "https://hook.example/slow", name="slow")
    for _ in range(2):
        post_lead(form)
    work.run(HOOKS)
    destinations.switch_off(slow.id, "", "owner@shop.example")
    add_destination(Kind.WEBHOOK, "https://hook.example/quick", name="quick")
    for _ in range(2):
        post_lead(form)
    monkeypatch.setattr(work, "PATIENCE", 60.0)
    with time_limit(10):
        work.run(HOOKS, longest=30)
    assert (states("quick"), states("slow")) == ([S.DELIVERED] * 2, [S.SENDING] * 2)


def test_what_is_over_when_a_run_breaks_is_settled_at_once_in_one_go(desk, gate, monkeypatch):
    for _ in range(4):
        post_lead(desk)
    settled: list[int] = []
    monkeypatch.setattr(work, "settle", lambda results: settled.append(len(results)) or settle(results))
    flight = work._Flight(current_app._get_current_object())
    rows = select(Delivery.id).where(Delivery.recipient.endswith("/quick"))
    flight.begin(claim(Wanted(list(db.session.scalars(rows))), "w"), time.monotonic() + 60)
    eventually(lambda: all(future.done() for future in flight.waiting))
    flight.let_go()
    assert settled == [4]
    assert work._senders.out == set()
