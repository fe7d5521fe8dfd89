"""A small model of the outbox, and a Hypothesis state machine that holds the real one against it.

test_outbox_machine.py runs it on SQLite, services/test_outbox_postgresql.py the same traces on PostgreSQL.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

import hypothesis.strategies as st
from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select, text

from leadapp.clock import frozen
from leadapp.deliveries import destinations, outbox, sweep
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.deliveries.models import TRANSITIONS, Attempt, Delivery, DeliveryState, Kind
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import DestinationError, NotSentError, OutcomeUnknownError, PermanentError, TemporaryError
from leadapp.extensions import Base, db
from leadapp.leads.integration import Row, columns, lead_status
from leadapp.leads.models import Form, Lead
from tests.factories import NOON, add_desk, post_lead

S = DeliveryState
LEASE, POOL = 90, 4
PAUSES = (30, 60, 120, 240, 480)
TRACES = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
# What rows are seen in. No trace pauses a form, and that one loses the same mail's answer twice is left to luck.
REACHED = set(DeliveryState) - {S.HELD, S.UNKNOWN}
OUTCOMES: dict[str, Any] = {
    "delivered": Receipt(200),
    "temporary": TemporaryError("busy"),
    "permanent": PermanentError("no"),
    "unknown": OutcomeUnknownError("lost"),
    "given back": NotSentError("stopping"),
    "refused": DestinationError("401", disable=False),
}


@dataclass
class Model:
    """What one row must look like."""

    kind: Kind
    destination: int
    due: datetime
    state: DeliveryState = S.PENDING
    fence: int = 0
    attempts: int = 0
    tries: int = 0
    lease: datetime | None = None
    unknowns: int = 0

    def to(self, state: DeliveryState) -> None:
        assert state in TRANSITIONS[self.state]
        self.state = state


class OutboxMachine(RuleBasedStateMachine):
    """Every rule does the same to the database and to the model; the invariants compare them."""

    app: ClassVar[Flask]
    reached: ClassVar[set[DeliveryState]]
    claims = Bundle("claims")

    @initialize()
    def start(self) -> None:
        self.context = self.app.app_context()
        self.context.push()
        self.now = NOON
        self.rows: dict[UUID, Model] = {}
        self.paused: set[int] = set()
        self.closed: set[int] = set()
        db.session.rollback()
        for table in reversed(Base.metadata.sorted_tables):
            db.session.execute(text(f'DELETE FROM "{table.name}"'))
        db.session.commit()
        with frozen(self.now):
            form, mail, hook = add_desk()
        self.form_id = form.id
        self.destinations = {Kind.EMAIL: mail.id, Kind.WEBHOOK: hook.id}

    def teardown(self) -> None:
        if hasattr(self, "context"):
            db.session.rollback()
            self.context.pop()

    @rule()
    def a_lead_comes_in(self) -> None:
        with frozen(self.now):
            lead = post_lead(db.session.get_one(Form, self.form_id))
            for row in db.session.scalars(select(Delivery).where(Delivery.lead_id == lead.id)):
                self.rows[row.id] = Model(row.kind, row.destination_id, self.now)
            db.session.rollback()

    @rule(seconds=st.sampled_from([1, 29, 30, 60, 95, 500]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(target=claims, kind=st.sampled_from([Kind.EMAIL, Kind.WEBHOOK]))
    def a_worker_claims(self, kind: Kind) -> tuple[Claim, ...]:
        with frozen(self.now):
            taken = claim(Wanted(kinds=(kind,), is_any_destination=True), "w")
        due = {row_id for row_id, row in self.rows.items() if row.kind is kind and self.is_due(row)}
        assert {one.delivery_id for one in taken} <= due
        assert len(taken) == min(POOL, len(due))
        for one in taken:
            row = self.rows[one.delivery_id]
            row.to(S.SENDING)
            row.fence, row.attempts, row.tries = row.fence + 1, row.attempts + 1, row.tries + 1
            row.lease = self.now + timedelta(seconds=LEASE)
            assert one.fence == row.fence
        return tuple(taken)

    def is_due(self, row: Model) -> bool:
        return row.state in (S.PENDING, S.FAILED) and row.due <= self.now and row.destination not in self.paused

    @rule(taken=consumes(claims), outcome=st.sampled_from(sorted(OUTCOMES)))
    def a_slice_is_settled(self, taken: tuple[Claim, ...], outcome: str) -> None:
        """At once, or long after the lease ran out and others took over."""
        if not taken:
            return
        if outcome == "unknown" and taken[0].kind is not Kind.EMAIL:
            outcome = "temporary"
        found = OUTCOMES[outcome]
        results = [
            Result(one, receipt=found) if isinstance(found, Receipt) else Result(one, error=found) for one in taken
        ]
        with frozen(self.now):
            settle(results)
        on_trial = {row.destination for row in self.rows.values()} & self.paused
        for one in sorted(taken, key=lambda one: one.delivery_id):
            self.settle_model(self.rows[one.delivery_id], one, (outcome, on_trial))
        if outcome == "refused":
            self.paused |= {self.rows[one.delivery_id].destination for one in taken if self.is_ours(one)}

    def is_ours(self, one: Claim) -> bool:
        return self.rows[one.delivery_id].fence == one.fence

    def settle_model(self, row: Model, one: Claim, how: tuple[str, set[int]]) -> None:
        outcome, on_trial = how
        if row.fence != one.fence:
            return
        if outcome == "delivered":
            if row.state in (S.SENDING, S.FAILED, S.PENDING, S.UNKNOWN):
                row.state = S.DELIVERED
            return
        if row.state is not S.SENDING:
            return
        match outcome:
            case "temporary":
                row.tries -= row.destination in on_trial
                self.fail(row)
            case "permanent":
                row.to(S.PERMANENTLY_FAILED)
            case "given back":
                row.to(S.PENDING)
                row.tries, row.due = row.tries - 1, self.now
            case "refused":
                row.to(S.FAILED)
                row.tries, row.due = row.tries - 1, self.now
            case "unknown":
                self.become_unknown(row)

    def fail(self, row: Model) -> None:
        tries = max(row.tries, 1)
        row.to(S.FAILED if tries <= len(PAUSES) else S.PERMANENTLY_FAILED)
        if row.state is S.FAILED:
            row.due = self.now + timedelta(seconds=PAUSES[tries - 1])

    def become_unknown(self, row: Model) -> None:
        row.to(S.UNKNOWN)
        row.unknowns += 1
        if row.unknowns == 1:
            row.to(S.PENDING)
            row.due = self.now

    @rule()
    def the_sweeper_looks(self) -> None:
        with frozen(self.now):
            sweep.expire_leases()
        for row in self.rows.values():
            if row.state is S.SENDING and row.lease is not None and row.lease < self.now:
                if row.kind is Kind.EMAIL:
                    self.become_unknown(row)
                else:
                    self.fail(row)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def a_person_presses_send_again(self, data: st.DataObject) -> None:
        row_id = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[row_id]
        with frozen(self.now):
            due = outbox.send_again([row_id], "owner")
        if row.state is S.SENDING:
            assert due == []
        elif row.state is S.DELIVERED:
            assert due != [row_id]
            self.rows[due[0]] = Model(row.kind, row.destination, self.now)
        else:
            if row.state not in (S.PENDING, S.FAILED):
                row.to(S.PENDING)
            row.tries, row.due = 0, self.now

    @precondition(lambda self: self.rows)
    @rule(data=st.data(), to=st.sampled_from([S.CANCELLED, S.DELIVERED]))
    def a_person_decides(self, data: st.DataObject, to: DeliveryState) -> None:
        row_id = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[row_id]
        with frozen(self.now):
            moved = outbox.cancel([row_id], "no", "owner") if to is S.CANCELLED else outbox.mark_sent([row_id], "owner")
        if moved:
            row.to(to)
        else:
            assert to not in TRANSITIONS[row.state] or (to is S.DELIVERED and row.state is S.SENDING)

    @rule(kind=st.sampled_from([Kind.EMAIL, Kind.WEBHOOK]))
    def a_person_pauses(self, kind: Kind) -> None:
        with frozen(self.now):
            destinations.pause(self.destinations[kind], "", "owner")
        self.paused.add(self.destinations[kind])

    @rule(kind=st.sampled_from([Kind.EMAIL, Kind.WEBHOOK]))
    def a_person_resumes(self, kind: Kind) -> None:
        with frozen(self.now):
            destinations.resume(self.destinations[kind], "owner")
        self.paused.discard(self.destinations[kind])
        for row in self.rows.values():
            if row.destination == self.destinations[kind] and row.state in (S.PENDING, S.FAILED):
                row.due = self.now
                row.tries = 0 if row.state is S.FAILED else row.tries

    @invariant()
    def rows_are_what_the_model_says(self) -> None:
        if not hasattr(self, "rows"):
            return
        fresh = {"populate_existing": True}
        found = {row.id: row for row in db.session.scalars(select(Delivery), execution_options=fresh)}
        assert found.keys() == self.rows.keys()
        for row_id, row in self.rows.items():
            real = found[row_id]
            self.reached.add(real.state)
            assert (real.state, real.fence, real.attempts, real.tries) == (
                row.state,
                row.fence,
                row.attempts,
                row.tries,
            )
            if row.state in (S.PENDING, S.FAILED):
                assert real.next_attempt_at == row.due
        db.session.rollback()

    @invariant()
    def every_claim_left_an_attempt(self) -> None:
        if hasattr(self, "rows"):
            found = sorted(db.session.execute(select(Attempt.delivery_id, Attempt.fence)))
            wanted = sorted((row_id, n) for row_id, row in self.rows.items() for n in range(1, row.fence + 1))
            assert found == wanted
            db.session.rollback()

    @invariant()
    def leads_show_their_deliveries(self) -> None:
        if not hasattr(self, "rows"):
            return
        fresh = {"populate_existing": True}
        for lead in db.session.scalars(select(Lead), execution_options=fresh).all():
            rows = [Row.of(row) for row in db.session.scalars(select(Delivery).where(Delivery.lead_id == lead.id))]
            if any(row.state is S.SENDING for row in rows):
                continue  # a lead is brought up to date when a row is settled, not when it is claimed
            assert lead.status is lead_status(rows)
            assert lead.email_status is columns(row for row in rows if row.kind is Kind.EMAIL).status
            assert lead.webhook_status is columns(row for row in rows if row.kind is Kind.WEBHOOK).status
            assert lead.webhook_attempts == sum(
                row.attempts for row in rows if row.kind is Kind.WEBHOOK and row.state is not S.CANCELLED
            )
        db.session.rollback()


def states_of_traces(app: Flask) -> set[DeliveryState]:
    """Run all traces; AssertionError where the outbox and its model differ. Returns every state that a row was seen in."""
    machine = type("Machine", (OutboxMachine,), {"app": app, "reached": set()})
    run_state_machine_as_test(machine, settings=TRACES)
    return set(machine.reached)
