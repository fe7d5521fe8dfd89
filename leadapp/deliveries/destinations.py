"""Destinations: pause, resume, switch off, and what deliveries teach about them.

Three reasons hold a destination's rows back, and none of them loses one: a running Retry-After (active, with
`paused_until`), a pause (it refuses us, or failed too often, or a person said so), and being switched off.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import case, select, update

from leadapp.audit import SYSTEM, record
from leadapp.clock import db_now
from leadapp.config import settings
from leadapp.database import transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.claims import Receipt
from leadapp.deliveries.models import (
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
    DisabledBy,
    before,
)
from leadapp.errors import DeliveryError, DestinationError, NotSentError, TemporaryError
from leadapp.extensions import db

RELEASED_AT_ONCE = 1_000  # SQLite takes only so many bound values

Taught = Receipt | DeliveryError | None


def lock(ids: Iterable[int]) -> dict[int, Destination]:
    """Lock destinations in id order; always after deliveries and before leads."""
    query = select(Destination).where(Destination.id.in_(sorted(ids))).order_by(Destination.id)
    found = db.session.scalars(query.with_for_update(key_share=True).execution_options(populate_existing=True))
    return {row.id: row for row in found}


def note(taught: Sequence[tuple[int, Taught]], moment: datetime) -> None:
    """Learn from what deliveries ended with; rows are only written when something changes."""
    lessons = [(destination_id, lesson) for destination_id, lesson in taught if _teaches(lesson)]
    if not lessons:
        return
    rows = lock({destination_id for destination_id, _ in lessons})
    for destination_id, lesson in lessons:
        if destination_id in rows:
            _learn(rows[destination_id], lesson, moment)


def _teaches(lesson: Taught) -> bool:
    return isinstance(lesson, Receipt | DestinationError) or (
        isinstance(lesson, TemporaryError) and not isinstance(lesson, NotSentError)
    )


def _learn(row: Destination, lesson: Taught, moment: datetime) -> None:
    match lesson:
        case Receipt():
            _recover(row, moment)
        case DestinationError(disable=True):
            _change(row, DestinationState.DISABLED, str(lesson), moment)
            row.disabled_by = DisabledBy.RECEIVER
        case DestinationError():
            _refused(row, lesson, moment)
        case TemporaryError():
            _fail(row, lesson, moment)


def _recover(row: Destination, moment: datetime) -> None:
    """A success ends a row of failures, and a pause that was waiting for one (but not one that a person asked for)."""
    row.failures_in_a_row = 0
    row.failing_since = None
    if row.state is DestinationState.PAUSED and row.paused_until is not None:
        row.paused_until = None
        _change(row, DestinationState.ACTIVE, "", moment)


def _refused(row: Destination, error: DestinationError, moment: datetime) -> None:
    """It does not let us in: no trial helps, a person has to put it right and resume it."""
    if row.state is DestinationState.DISABLED:
        return
    row.paused_until = None
    row.state_reason = str(error)[:1000]
    _change(row, DestinationState.PAUSED, str(error), moment)
    row.disabled_by = DisabledBy.RECEIVER


def _fail(row: Destination, error: TemporaryError, moment: datetime) -> None:
    row.failures_in_a_row += 1
    row.failing_since = row.failing_since or moment
    if row.state is DestinationState.PAUSED:
        if row.paused_until is not None:  # a trial failed; what waits for a person has no end and gets none here
            row.paused_until = moment + timedelta(seconds=settings().trial_seconds)
        return
    if error.retry_after is not None:
        row.paused_until = moment + error.retry_after
    lasting = moment - row.failing_since >= timedelta(seconds=settings().pause_after_seconds)
    if row.state is DestinationState.ACTIVE and row.failures_in_a_row >= settings().pause_after_failures and lasting:
        row.paused_until = moment + timedelta(seconds=settings().trial_seconds)
        _change(row, DestinationState.PAUSED, f"{row.failures_in_a_row} failures in a row: {error}", moment)


def _change(row: Destination, state: DestinationState, reason: str, moment: datetime, *, actor: str = SYSTEM) -> None:
    if row.state is state:
        return
    row.state, row.state_reason, row.state_changed_at = state, reason[:1000], moment
    if state is DestinationState.ACTIVE:
        row.disabled_by = None
    record(row, f"destination {state}", actor, reason=reason[:1000])


def _release_waiting(destination_id: int, moment: datetime) -> None:
    """What waited for this destination is due at once, with all its tries; the sweeper rings it."""
    waiting = (
        select(Delivery.id)
        .where(Delivery.destination_id == destination_id, Delivery.state.in_(before(DeliveryState.SENDING)))
        .order_by(Delivery.id)
        .with_for_update(key_share=True)
    )
    # By the ids that are locked, not by the condition again: rows that became due since are not ours to touch.
    ids = db.session.scalars(waiting).all()
    for start in range(0, len(ids), RELEASED_AT_ONCE):
        db.session.execute(
            update(Delivery)
            .where(Delivery.id.in_(ids[start : start + RELEASED_AT_ONCE]))
            .values(
                next_attempt_at=moment,
                enqueued_at=None,
                tries=case((Delivery.state == DeliveryState.FAILED, 0), else_=Delivery.tries),
            )
            .execution_options(synchronize_session=False)
        )


def pause(destination_id: int, reason: str, actor: str) -> None:
    """Hold back everything for this destination until somebody resumes it."""
    _set(destination_id, DestinationState.PAUSED, reason or "paused by hand", actor)


def switch_off(destination_id: int, reason: str, actor: str) -> None:
    """No new leads go there; what already waits, waits on."""
    _set(destination_id, DestinationState.DISABLED, reason or "switched off by hand", actor)


def resume(destination_id: int, actor: str) -> None:
    """Open again, also after a 410 or being switched off; everything that waited is due at once."""
    _set(destination_id, DestinationState.ACTIVE, "", actor)
    outbox.ring_waiting(destination_id)


def _set(destination_id: int, state: DestinationState, reason: str, actor: str) -> None:
    with transaction():
        moment = db.session.scalar(select(db_now()))
        assert moment is not None
        if state is DestinationState.ACTIVE:
            _release_waiting(destination_id, moment)  # deliveries are locked before destinations
        row = lock([destination_id])[destination_id]
        row.paused_until = None
        _change(row, state, reason, moment, actor=actor)
        if state is DestinationState.ACTIVE:
            row.failures_in_a_row, row.failing_since = 0, None
        else:
            row.disabled_by = DisabledBy.PERSON
