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
from leadapp.config import settings
from leadapp.database import release, transaction
from leadapp.deliveries import destinations, outbox
from leadapp.deliveries.claims import ON_ENDED, Claim, Ended, Receipt
from leadapp.deliveries.models import Attempt, AttemptOutcome, Delivery, DeliveryState, Kind, Purpose
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


class Settled(NamedTuple):
    """A row after settling."""

    id: UUID
    state: DeliveryState


def settle(results: Sequence[Result]) -> list[Settled]:
    """Write the results in one transaction. Returns the rows whose fence was still ours."""
    if not results:
        return []
    ordered = sorted(results, key=lambda result: result.claim.delivery_id)
    with transaction():
        rows, moment = outbox.lock([result.claim.delivery_id for result in ordered])
        db.session.connection().execute(COMPLETE, [_completed(result, moment) for result in ordered])
        ours: list[tuple[Result, Delivery]] = []
        for result in ordered:
            row = rows.get(result.claim.delivery_id)
            if row is not None and row.fence == result.claim.fence:
                ours.append((result, row))
        trying = destinations.on_trial({row.destination_id for _, row in ours})
        for result, row in ours:
            _apply(row, result, moment, is_trial=row.destination_id in trying)
        destinations.note([(row.destination_id, result.receipt or result.error) for result, row in ours], moment)
        outbox.changed(row for _, row in ours)
    release()
    for result, row in ours:
        _tell(result, row)
        ended = Ended(row.kind, outcome_of(result.error), row.state, (moment - row.created_at).total_seconds())
        for tell in ON_ENDED:
            tell(ended)
    return [Settled(row.id, row.state) for _, row in ours]


def _tell(result: Result, row: Delivery) -> None:
    """One log line: ids and figures, no addresses and nothing that a receiver said."""
    ids = {"delivery_id": str(row.id), "lead_id": str(row.lead_id), "destination_id": row.destination_id}
    ids["correlation_id"] = result.claim.correlation_id
    figures = {"kind": str(row.kind), "attempt": result.claim.number, "duration_ms": result.duration_ms}
    logger.info("settled", extra={**ids, **figures, "state": str(row.state), "status": row.last_status_code})


def _completed(result: Result, moment: datetime) -> dict[str, Any]:
    """What COMPLETE writes of one result."""
    told = result.receipt or result.error
    assert told is not None
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
