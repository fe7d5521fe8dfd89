"""Sweep: find what was left behind, in SQL, and ring for it again (states.md).

One rule covers a flushed Redis, a worker killed after the pop, a web process killed between commit and ring, and a
long backlog that must not be rung twice. Two sweepers at once do no harm: rows are taken with SKIP LOCKED.
"""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from redis.exceptions import RedisError
from sqlalchemy import or_, select, update

from leadapp.clock import db_now
from leadapp.database import release, transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.claims import ON_ENDED, Ended
from leadapp.deliveries.due import QUEUE_KINDS, claimable
from leadapp.deliveries.models import Attempt, AttemptOutcome, Delivery, DeliveryState, Kind
from leadapp.deliveries.settle import lost
from leadapp.extensions import db
from leadapp.queue import oldest_ring

logger = logging.getLogger(__name__)

GRACE = timedelta(seconds=5)  # a row that was rung so recently is still on its way
EXPIRED_AT_ONCE = 200
RUNG_AT_ONCE = 1_000


def sweep() -> dict[str, int]:
    """Both steps once. Returns how many leases had run out and how many rows were rung."""
    counts = {"expired": expire_leases(), "rung": 0}
    for queue, kinds in QUEUE_KINDS.items():
        counts["rung"] += ring_left_behind(queue, kinds)
    if any(counts.values()):
        logger.info("swept", extra=counts)
    return counts


def expire_leases() -> int:
    """Rows whose worker was never heard of again: webhooks are tried again, mail becomes unknown."""
    expired = (
        select(Delivery.id)
        .where(Delivery.state == DeliveryState.SENDING, Delivery.lease_until < db_now())
        .order_by(Delivery.id)
        .limit(EXPIRED_AT_ONCE)
        .with_for_update(of=Delivery, key_share=True, skip_locked=True)
    )
    with transaction():
        rows, moment = outbox.lock(list(db.session.scalars(expired)))
        for row in rows.values():
            _close_attempt(row, moment)
            lost(row, moment)
        outbox.changed(rows.values())
    release()
    for row in rows.values():
        for tell in ON_ENDED:
            tell(Ended(row.kind, AttemptOutcome.LOST, row.state, (moment - row.created_at).total_seconds()))
    return len(rows)


def _close_attempt(row: Delivery, moment: datetime) -> None:
    db.session.execute(
        update(Attempt)
        .where(Attempt.delivery_id == row.id, Attempt.fence == row.fence, Attempt.outcome.is_(None))
        .values(outcome=AttemptOutcome.LOST, finished_at=moment, error="the worker that was sending it stopped")
        .execution_options(synchronize_session=False)
    )


def ring_left_behind(queue: str, kinds: tuple[Kind, ...]) -> int:
    """Ring for claimable rows that were never rung, or whose ring is gone from the queue. 0 while Redis is away."""
    try:
        oldest = oldest_ring(queue)
    except (RedisError, OSError):
        return 0  # the workers look into SQL themselves
    with transaction():
        found, moment = _left_behind(kinds, oldest)
    release()
    if not found or outbox.ring_rows(found, moment) is None:
        return len(found)
    with transaction():
        outbox.forget_ring([row_id for row_id, _ in found], moment)
    return 0


def _left_behind(kinds: tuple[Kind, ...], oldest: datetime | None) -> tuple[Sequence[tuple[UUID, Kind]], datetime]:
    stale = Delivery.enqueued_at < db_now(-GRACE)
    if oldest is not None:
        stale = stale & (Delivery.enqueued_at < oldest)
    query = (
        select(Delivery.id, Delivery.kind)
        .join(Delivery.destination)
        .where(claimable(), Delivery.kind.in_(kinds), or_(Delivery.enqueued_at.is_(None), stale))
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .limit(RUNG_AT_ONCE)
        .with_for_update(of=Delivery, key_share=True, skip_locked=True)
    )
    found = list(db.session.execute(query))
    moment = db.session.scalar(select(db_now()))
    assert moment is not None
    if found:
        db.session.execute(
            update(Delivery)
            .where(Delivery.id.in_([row_id for row_id, _ in found]))
            .values(enqueued_at=moment)
            .execution_options(synchronize_session=False)
        )
    return found, moment
