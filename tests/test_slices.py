"""How a run takes its slices: a lead's own rows first, and the next slice before the last one has landed."""

import threading

import pytest
from sqlalchemy import event, select

from leadapp.deliveries import work
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.models import Delivery, DeliveryState, Kind, Purpose
from leadapp.extensions import db
from leadapp.leads import jobs
from tests.factories import FakeChannel, add_destination, add_form, post_lead, the_row

HOOKS = Wanted(kinds=(Kind.WEBHOOK,))
S = DeliveryState


@pytest.fixture
def form(app_with):
    app_with(pool=2)
    add_destination(Kind.WEBHOOK)
    return add_form()


def states() -> list[DeliveryState]:
    return list(db.session.scalars(select(Delivery.state).order_by(Delivery.id)))


def test_the_next_slice_is_claimed_while_the_last_one_is_on_its_way(form, monkeypatch):
    together = threading.Barrier(4)  # twice POOL: opens only when both slices are being sent
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, FakeChannel(meanwhile=lambda _: together.wait(10)))
    for _ in range(4):
        post_lead(form)
    work.run(HOOKS)
    assert states() == [S.DELIVERED] * 4


def test_no_more_than_two_slices_are_on_their_way(form, monkeypatch):
    out, most = [0], []
    turn = threading.Lock()

    def count(_claim):
        with turn:
            out[0] += 1
            most.append(out[0])
        threading.Event().wait(0.01)
        with turn:
            out[0] -= 1

    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, FakeChannel(meanwhile=count))
    for _ in range(9):
        post_lead(form)
    work.run(HOOKS)
    assert states() == [S.DELIVERED] * 9
    assert max(most) <= 4


def test_a_lead_is_claimed_alone_although_others_wait(form):
    first, second = post_lead(form), post_lead(form)
    claims = claim(Wanted(kinds=(Kind.WEBHOOK,), lead=(second.id, Purpose.LEAD_WEBHOOK)), "w")
    assert [one.lead_id for one in claims] == [second.id]
    assert the_row(first, Kind.WEBHOOK).state is S.PENDING


def test_the_job_of_a_lead_takes_others_along_afterwards(form, monkeypatch):
    hook = FakeChannel()
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, hook)
    leads = [post_lead(form) for _ in range(3)]
    jobs.send_lead_webhook(str(leads[2].id))
    assert hook.sent[0].lead_id == leads[2].id
    assert states() == [S.DELIVERED] * 3


def test_the_job_of_a_lead_that_owes_nothing_claims_nothing(form, monkeypatch):
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, FakeChannel())
    done = post_lead(form)
    work.run(HOOKS)
    waiting = post_lead(form)
    jobs.send_lead_webhook(str(done.id))
    assert the_row(waiting, Kind.WEBHOOK).state is S.PENDING


def texts_of(act) -> set[str]:
    """The statements that something runs."""
    said: set[str] = set()

    def note(_connection, _cursor, text, *_rest):
        said.add(text)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    return said


def test_a_rehearsal_makes_every_statement_of_a_delivery_and_touches_nothing(form, monkeypatch):
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, FakeChannel())
    lead = post_lead(form)
    rehearsed = texts_of(work.rehearse)
    assert states() == [S.PENDING]
    delivered = texts_of(lambda: jobs.send_lead_webhook(str(lead.id)))
    assert states() == [S.DELIVERED]
    left = delivered - rehearsed
    begun = {"BEGIN IMMEDIATE", "UPDATE lead", "INSERT INTO audit_event"}  # what a lead shows differs each time
    assert {text.split(" SET ")[0].split(" (")[0] for text in left} <= begun
