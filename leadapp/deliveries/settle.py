"""Settle: write down what happened to claimed rows (states.md).

The Attempt is always completed. The row follows the outcome only while its fence is still ours; proof of delivery
also counts when it comes late. Locks are taken delivery -> destination -> lead, each in id order.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, func, select, update

from leadapp.audit import record
from leadapp.columns import new_id
from leadapp.config import settings
from leadapp.database import release, transaction
from leadapp.deliveries import destinations, outbox
from leadapp.deliveries.claims import ON_ENDED, Claim, Ended, Receipt
from leadapp.deliveries.due import THESE
from leadapp.deliveries.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
    Kind,
    Purpose,
)
from leadapp.deliveries.retry import RetryPolicy, next_attempt
from leadapp.errors import (
    DeliveryError,
    DestinationError,
    NotSentError,
    OutcomeUnknownError,
    PermanentError,
    TemporaryError,
)
from leadapp.extensions import db

logger = logging.getLogger(__name__)

ERROR_LENGTH = 1_000
ANSWER_LENGTH = 4_096
# Sent once more by themselves when nobody knows whether they arrived; mail to a customer waits for a person.
SENT_ONCE_MORE = frozenset({Purpose.LEAD_NOTIFICATION})
# The columns of _Held. Plain rows: objects, loaded and flushed, cost three times as much as all statements.
LOCKED = (
    select(
        *(Delivery.id, Delivery.lead_id, Delivery.destination_id, Delivery.kind, Delivery.state, Delivery.fence),
        *(Delivery.created_at, Destination.state, Destination.failures_in_a_row),
    )
    .join(Delivery.destination)
    .where(THESE)
    .order_by(Delivery.id)
    .with_for_update(of=Delivery, key_share=True)
)
DELIVER = (
    update(Delivery)
    .where(THESE)
    .values(
        state=DeliveryState.DELIVERED,
        changed_at=bindparam("at"),
        sent_at=bindparam("at"),
        last_status_code=bindparam("code"),
        lease_until=None,
        enqueued_at=None,
        held_reason=None,
        last_error="",
    )
)
# Past the session: loading attempts only to write them would be a statement and an object more for each.
COMPLETE = (
    update(Attempt)
    .where(Attempt.delivery_id == bindparam("of_delivery"), Attempt.fence == bindparam("of_fence"))
    .values({name: bindparam(name) for name in "finished_at outcome duration_ms status_code answer error".split()})
)


@dataclass(frozen=True)
class Result:
    """How sending one claim ended: a receipt or an error, never both."""

    claim: Claim
    receipt: Receipt | None = None
    error: DeliveryError | None = None
    duration_ms: int = 0

    @property
    def told(self) -> Receipt | DeliveryError:
        """Whichever of the two it is."""
        found = self.receipt or self.error
        assert found is not None
        return found


class Settled(NamedTuple):
    """A row after settling."""

    id: UUID
    state: DeliveryState


class _Held(NamedTuple):
    """What settling must know of a row that it has locked, and of its destination."""

    id: UUID
    lead_id: UUID | None
    destination_id: int
    kind: Kind
    state: DeliveryState
    fence: int
    created_at: datetime
    destination_state: DestinationState
    failures_in_a_row: int


class _Ours(NamedTuple):
    """A result and the row that it belongs to, whose fence is still ours."""

    result: Result
    row: _Held

    @property
    def is_plain(self) -> bool:
        """It was being sent, and arrived."""
        return self.result.receipt is not None and self.row.state is DeliveryState.SENDING


def settle(results: Sequence[Result]) -> list[Settled]:
    """Write the results in one transaction. Returns the rows whose fence was still ours."""
    if not results:
        return []
    ordered = sorted(results, key=lambda result: result.claim.delivery_id)
    with transaction():
        rows = _lock([result.claim.delivery_id for result in ordered])
        moment = outbox.moment()
        db.session.connection().execute(COMPLETE, [_completed(result, moment) for result in ordered])
        found = [
            _Ours(result, rows[result.claim.delivery_id]) for result in ordered if result.claim.delivery_id in rows
        ]
        ours = [one for one in found if one.row.fence == one.result.claim.fence]
        sent, others = [one for one in ours if one.is_plain], [one for one in ours if not one.is_plain]
        states = _mark_delivered(sent, moment) | _follow_outcomes(others, moment)
        destinations.note(_lessons(ours), moment)
        outbox.follow(one.row.lead_id for one in ours)
    release()
    for one in ours:
        _tell(one, states[one.row.id], moment)
    return [Settled(one.row.id, states[one.row.id]) for one in ours]


def rehearse() -> None:
    """Run each statement of a plain success on nothing, in the open transaction (see work.rehearse)."""
    _lock([])
    moment, connection = outbox.moment(), db.session.connection()
    nothing = dict.fromkeys(("finished_at", "duration_ms", "status_code"))
    said = {"outcome": AttemptOutcome.DELIVERED, "answer": "", "error": ""}
    connection.execute(COMPLETE, [{"of_delivery": new_id(), "of_fence": 0, **nothing, **said}])
    connection.execute(DELIVER, {"ids": [], "at": moment, "code": None})
    for tell in outbox.ON_CHANGE:
        tell([])


def _lock(ids: Sequence[UUID]) -> dict[UUID, _Held]:
    """Lock rows in id order; rows that are gone are left out."""
    found = db.session.connection().execute(LOCKED, {"ids": ids})
    return {row[0]: _Held(*row) for row in found}


def _mark_delivered(sent: Sequence[_Ours], moment: datetime) -> dict[UUID, DeliveryState]:
    """sending -> delivered, as nearly all rows go: one UPDATE for all that were answered alike."""
    assert DeliveryState.DELIVERED in outbox.targets(DeliveryState.SENDING)
    by_code: dict[int | None, list[UUID]] = {}
    for result, row in sent:
        assert result.receipt is not None
        by_code.setdefault(result.receipt.status_code, []).append(row.id)
    for code, ids in by_code.items():
        db.session.connection().execute(DELIVER, {"ids": ids, "at": moment, "code": code})
    return {row.id: DeliveryState.DELIVERED for _, row in sent}


def _follow_outcomes(others: Sequence[_Ours], moment: datetime) -> dict[UUID, DeliveryState]:
    """Whatever is not a plain success: each row by itself."""
    if not others:
        return {}
    rows, _ = outbox.lock(one.row.id for one in others)
    for result, row in others:
        _apply(rows[row.id], result, moment, is_trial=row.destination_state is DestinationState.PAUSED)
    return {row.id: row.state for row in rows.values()}


def _lessons(ours: Sequence[_Ours]) -> list[tuple[int, Receipt | DeliveryError | None]]:
    """What destinations learn. One that is well learns nothing from successes alone."""
    unwell = {
        row.destination_id
        for result, row in ours
        if result.error or row.failures_in_a_row or row.destination_state is DestinationState.PAUSED
    }
    return [
        (row.destination_id, result.receipt or result.error) for result, row in ours if row.destination_id in unwell
    ]


def _tell(one: _Ours, state: DeliveryState, moment: datetime) -> None:
    """One log line: ids and figures, no addresses and nothing that a receiver said. Then whoever counts."""
    result, row = one
    ids = {"delivery_id": str(row.id), "lead_id": str(row.lead_id), "destination_id": row.destination_id}
    ids["correlation_id"] = result.claim.correlation_id
    figures = {"kind": str(row.kind), "attempt": result.claim.number, "duration_ms": result.duration_ms}
    logger.info("settled", extra={**ids, **figures, "state": str(state), "status": result.told.status_code})
    ended = Ended(row.kind, outcome_of(result.error), state, (moment - row.created_at).total_seconds())
    for tell in ON_ENDED:
        tell(ended)


def _completed(result: Result, moment: datetime) -> dict[str, Any]:
    """What COMPLETE writes of one result."""
    told = result.told
    return {
        "of_delivery": result.claim.delivery_id,
        "of_fence": result.claim.fence,
        "finished_at": moment,
        "outcome": outcome_of(result.error),
        "duration_ms": result.duration_ms,
        "status_code": told.status_code,
        "answer": _clean(told.answer, ANSWER_LENGTH),
        "error": _clean(str(result.error), ERROR_LENGTH) if result.error else "",
    }


def outcome_of(error: DeliveryError | None) -> AttemptOutcome:
    """The attempt's word for an error; a destination that refuses us leaves the row to be tried again."""
    match error:
        case None:
            return AttemptOutcome.DELIVERED
        case NotSentError():
            return AttemptOutcome.GIVEN_BACK
        case OutcomeUnknownError():
            return AttemptOutcome.UNKNOWN
        case PermanentError() | DestinationError(disable=True):
            return AttemptOutcome.PERMANENTLY_FAILED
        case _:
            return AttemptOutcome.FAILED


def _apply(row: Delivery, result: Result, moment: datetime, *, is_trial: bool) -> None:
    if result.receipt is not None:
        _deliver(row, result.receipt, moment)
        return
    if row.state is not DeliveryState.SENDING or result.error is None:
        return  # swept meanwhile: only proof of delivery counts now
    error = result.error
    row.lease_until = None
    row.last_error = _clean(str(error), ERROR_LENGTH)
    row.last_status_code = error.status_code
    match error:
        case NotSentError():
            row.tries -= 1
            row.last_error = ""
            row.move(DeliveryState.PENDING, moment)
            row.make_due(moment)
        case OutcomeUnknownError():
            row.move(DeliveryState.UNKNOWN, moment)
            resend_if_allowed(row, moment)
        case PermanentError() | DestinationError(disable=True):
            row.move(DeliveryState.PERMANENTLY_FAILED, moment)
        case DestinationError():
            row.tries -= 1
            row.move(DeliveryState.FAILED, moment)
            row.make_due(moment)
        case _:
            row.tries -= is_trial  # a destination that is known to be down costs its rows no try
            try_later(row, error, moment)


def _deliver(row: Delivery, receipt: Receipt, moment: datetime) -> None:
    """Proof of delivery applies from sending, failed, pending and unknown while the fence is unchanged."""
    if row.state is DeliveryState.PENDING:
        row.move(DeliveryState.SENDING, moment)  # it was given back in the meantime; it had been sent all the same
    if DeliveryState.DELIVERED not in outbox.targets(row.state):
        return
    row.move(DeliveryState.DELIVERED, moment)
    row.lease_until = row.enqueued_at = None
    row.sent_at = moment
    row.last_error = ""
    row.last_status_code = receipt.status_code


def try_later(row: Delivery, error: DeliveryError, moment: datetime) -> None:
    """sending -> failed with its next time, or permanently_failed when the retries are spent."""
    pause = next_attempt(max(row.tries, 1), error, RetryPolicy.from_settings(settings()))
    if pause is None:
        row.move(DeliveryState.PERMANENTLY_FAILED, moment)
        return
    row.move(DeliveryState.FAILED, moment)
    row.make_due(moment + pause)


def resend_if_allowed(row: Delivery, moment: datetime) -> None:
    """An internal notice whose answer was lost goes out once more with the same Message-ID, and says so."""
    unknown_before = db.session.scalar(
        select(func.count())
        .select_from(Attempt)
        .where(
            Attempt.delivery_id == row.id,
            Attempt.fence < row.fence,
            Attempt.outcome.in_((AttemptOutcome.UNKNOWN, AttemptOutcome.LOST)),
        )
    )
    if row.purpose not in SENT_ONCE_MORE or unknown_before:
        return
    row.move(DeliveryState.PENDING, moment)
    row.make_due(moment)
    record(
        row,
        "sent once more",
        reason="the answer was lost, so it may have arrived; same Message-ID",
        number=row.attempts,
    )


def lost(row: Delivery, moment: datetime) -> None:
    """The worker that held this lease was never heard of again."""
    row.lease_until = None
    row.last_error = "the worker that was sending it stopped"
    if row.kind is Kind.EMAIL:
        row.move(DeliveryState.UNKNOWN, moment)
        resend_if_allowed(row, moment)
        return
    try_later(row, TemporaryError(row.last_error), moment)


def _clean(text: str, length: int) -> str:
    """Fit for a text column: no NUL, no lone surrogates, no more than `length` characters."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "")[:length]
