"""The outbox: plan what must go out, ring for it, and change it by hand (states.md).

Every change of a delivery ends with `changed`, which lets those who show deliveries follow in the same transaction.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Select, Uuid, select

from leadapp.audit import record
from leadapp.clock import db_now, prepared
from leadapp.columns import new_id
from leadapp.config import settings
from leadapp.database import release, transaction
from leadapp.deliveries.due import JOB_OF, THESE, claimable, queue_of
from leadapp.deliveries.frozen import FrozenBody
from leadapp.deliveries.models import (
    TRANSITIONS,
    Delivery,
    DeliveryState,
    Destination,
    HeldReason,
    Kind,
    Purpose,
    before,
)
from leadapp.errors import TransitionError
from leadapp.extensions import db
from leadapp.queue import Bell, ring, withdraw
from leadapp.sql import among, not_word

# Called with the lead ids of changed rows, inside the transaction that changes them; desk.py fills it, in sight.
ON_CHANGE: list[Callable[[Sequence[UUID]], None]] = []

PURPOSES = {
    Kind.EMAIL: Purpose.LEAD_NOTIFICATION,
    Kind.WEBHOOK: Purpose.LEAD_WEBHOOK,
    Kind.CRM: Purpose.LEAD_TO_CUSTOMER,
}
# Made once: making a statement costs about as much as running it.
LOCKED = (
    select(Delivery)
    .where(THESE)
    .order_by(Delivery.id)
    .with_for_update(of=Delivery, key_share=True)
    .execution_options(populate_existing=True)
)
NOT_OVER = select(Delivery.lead_id, Delivery.purpose).where(
    among(Delivery.lead_id, "lead_ids", Uuid()),
    not_word(Delivery.state, (DeliveryState.DELIVERED, DeliveryState.CANCELLED)),
)
KIND_OF = {purpose: kind for kind, purpose in PURPOSES.items()}


def plan(
    lead_id: UUID, destination: Destination, body: FrozenBody, start: tuple[datetime, HeldReason | None]
) -> Delivery:
    """The row for one lead and one destination, for the caller to add after the lead.

    `start` is the database's time and what the row waits for, if anything; otherwise it counts as rung.
    """
    moment, held = start
    return Delivery(
        id=new_id(),
        lead_id=lead_id,
        destination_id=destination.id,
        kind=destination.kind,
        purpose=PURPOSES[destination.kind],
        recipient=destination.recipient,
        payload=body.text,
        mapping_version=body.mapping_version,
        left_out=list(body.left_out),
        dedupe_key=f"{lead_id}:{destination.id}",
        state=DeliveryState.HELD if held else DeliveryState.PENDING,
        held_reason=held,
        next_attempt_at=moment,
        enqueued_at=None if held else moment,
        created_at=moment,
        changed_at=moment,
        last_error="",
        fence=0,
        attempts=0,
        tries=0,
    )


def targets(state: DeliveryState) -> frozenset[DeliveryState]:
    """Where a row in this state may go."""
    return TRANSITIONS[state]


@prepared
def _moment() -> Select[datetime]:
    return select(db_now())


def moment() -> datetime:
    """The database's clock, inside the open transaction."""
    found = db.session.scalar(_moment())
    assert found is not None
    return found


def lock(ids: Iterable[UUID]) -> tuple[dict[UUID, Delivery], datetime]:
    """Lock rows in id order and read the database's clock; rows that are gone are left out."""
    rows = {row.id: row for row in db.session.scalars(LOCKED, {"ids": sorted(ids)})}
    return rows, moment()


def changed(rows: Iterable[Delivery]) -> None:
    """Flush, then let everybody in ON_CHANGE follow, still in this transaction."""
    follow(row.lead_id for row in rows)


def follow(lead_ids: Iterable[UUID | None]) -> None:
    """The same for the leads of rows that were changed in SQL."""
    known = sorted({lead_id for lead_id in lead_ids if lead_id is not None})
    db.session.flush()
    if known:
        for tell in ON_CHANGE:
            tell(known)


def ring_failed(ids: Sequence[UUID], reason: str) -> None:
    """The bell could not be rung for rows that nobody has touched: say so on them; the sweeper finds them."""
    with transaction():
        rows, _ = lock(ids)
        untouched = [row for row in rows.values() if row.fence == 0 and row.state is DeliveryState.PENDING]
        for row in untouched:
            row.enqueued_at = None
            row.last_error = f"queue unavailable: {reason}"
        changed(untouched)


def ring_rows(rows: Sequence[tuple[UUID, Kind]], at: datetime) -> str | None:
    """Ring `deliver` jobs of POOL ids each, one pipeline for all. Returns why it could not be done, or None."""
    by_queue: dict[str, list[str]] = {}
    for row_id, kind in rows:
        by_queue.setdefault(queue_of(kind), []).append(str(row_id))
    size = settings().pool
    bells = [
        Bell("deliver", queue, ids[start : start + size], at)
        for queue, ids in by_queue.items()
        for start in range(0, len(ids), size)
    ]
    return ring(bells) if bells else None


def ring_waiting(destination_id: int) -> None:
    """Ring at once for what just became due at one destination; what is left out the sweeper rings."""
    query = select(Delivery.id).where(
        Delivery.destination_id == destination_id,
        Delivery.state.in_(before(DeliveryState.SENDING)),
        Delivery.enqueued_at.is_(None),
    )
    ring_due(list(db.session.scalars(query.order_by(Delivery.next_attempt_at).limit(200))))


def ring_next(destination_ids: Iterable[int], count: int) -> None:
    """Ring for what waits at these destinations, whose own ring may be spent; leaves `enqueued_at` as it is."""
    query = select(Delivery.id, Delivery.kind, db_now()).join(Delivery.destination)
    query = query.where(claimable(), Delivery.destination_id.in_(destination_ids))
    found = db.session.execute(query.order_by(Delivery.next_attempt_at, Delivery.id).limit(count)).all()
    release()
    if found:
        ring_rows([(row_id, kind) for row_id, kind, _ in found], found[0][2])


def withdraw_jobs(owed: Iterable[tuple[UUID | None, Purpose]]) -> None:
    """Rows that another lead's job took along have a job of their own, which would find nothing: out of the queue.

    Only where everything that the lead owed of this purpose is over, and well: any other job still has its use.
    """
    pairs = {(lead_id, purpose) for lead_id, purpose in owed if lead_id is not None and purpose in JOB_OF}
    if not pairs:
        return
    found = db.session.connection().execute(NOT_OVER, {"lead_ids": list({lead_id for lead_id, _ in pairs})})
    open_ones = {(lead_id, purpose) for lead_id, purpose in found}
    release()
    jobs: dict[str, list[tuple[str, str]]] = {}
    for lead_id, purpose in pairs - open_ones:
        jobs.setdefault(queue_of(KIND_OF[purpose]), []).append((JOB_OF[purpose], str(lead_id)))
    for queue, names in jobs.items():
        withdraw(queue, names)


def ring_due(ids: Sequence[UUID]) -> None:
    """Mark as rung, commit, ring; a lost Redis leaves them for the sweeper."""
    if not ids:
        return
    with transaction():
        rows, moment = lock(ids)
        due = [row for row in rows.values() if row.state in before(DeliveryState.SENDING)]
        for row in due:
            row.enqueued_at = moment
        described = [(row.id, row.kind) for row in due]
    if ring_rows(described, moment) is not None:
        with transaction():
            forget_ring([row_id for row_id, _ in described], moment)


def forget_ring(ids: Sequence[UUID], moment: datetime) -> None:
    """Take back the mark of a ring that did not happen, unless somebody moved the row since."""
    rows, _ = lock(ids)
    for row in rows.values():
        if row.enqueued_at == moment:
            row.enqueued_at = None


def send_again(ids: Sequence[UUID], actor: str) -> list[UUID]:
    """Try these rows now, with all their tries; a delivered one is repeated as a new row with a new id.

    Rows that are being sent are left alone. Returns the ids that are due now.
    """
    with transaction():
        rows, moment = lock(ids)
        _one_repeat_at_a_time(row.destination_id for row in rows.values() if row.state is DeliveryState.DELIVERED)
        due = [again for row in rows.values() if (again := _again(row, moment, actor))]
        changed(due)
        due_ids = [row.id for row in due]
    ring_due(due_ids)
    return due_ids


def _again(row: Delivery, moment: datetime, actor: str) -> Delivery | None:
    if row.state is DeliveryState.SENDING:
        return None
    if row.state is DeliveryState.DELIVERED:
        return _repeat(row, moment, actor)
    was = row.state
    if row.state not in before(DeliveryState.SENDING):
        row.move(DeliveryState.PENDING, moment)
    row.tries = 0
    row.make_due(moment)
    record(row, "send again", actor, was=str(was))
    return row


def _one_repeat_at_a_time(destination_ids: Iterable[int]) -> None:
    """Two people who press at once are counted one after the other (SQLite: its write lock does that)."""
    wanted = sorted(set(destination_ids))
    if wanted:
        query = select(Destination.id).where(Destination.id.in_(wanted)).order_by(Destination.id)
        db.session.execute(query.with_for_update(key_share=True))


def _repeat(row: Delivery, moment: datetime, actor: str) -> Delivery | None:
    copy = another(row, FrozenBody(row.payload, row.mapping_version, row.left_out), moment)
    if copy is not None:
        record(copy, "send again", actor, was=str(row.state), repeat_of=str(row.id))
    return copy


def another(row: Delivery, body: FrozenBody, moment: datetime) -> Delivery | None:
    """A new row with a new key for the lead and destination of `row`, which has ended; None while one of them is on
    its way. The caller has locked the destination: they are counted one after the other."""
    same = (Delivery.lead_id == row.lead_id, Delivery.destination_id == row.destination_id)
    states = db.session.scalars(select(Delivery.state).where(*same)).all()
    if set(states) - {DeliveryState.DELIVERED, DeliveryState.CANCELLED, row.state}:
        return None
    copy = Delivery(
        id=new_id(),
        lead_id=row.lead_id,
        destination_id=row.destination_id,
        kind=row.kind,
        purpose=row.purpose,
        recipient=row.recipient,
        payload=body.text,
        mapping_version=body.mapping_version,
        left_out=list(body.left_out),
        dedupe_key=f"{row.lead_id}:{row.destination_id}:{len(states)}",
        state=DeliveryState.PENDING,
        next_attempt_at=moment,
        changed_at=moment,
        created_at=moment,
        repeat_of_id=row.id,
        fence=0,
        attempts=0,
        tries=0,
        last_error="",
    )
    db.session.add(copy)
    db.session.flush()
    return copy


def mark_sent(ids: Sequence[UUID], actor: str) -> list[UUID]:
    """A person says that these arrived: unknown (or failed) -> delivered. Returns the ids that changed."""
    return _move_all(ids, DeliveryState.DELIVERED, actor, "marked as sent")


def cancel(ids: Sequence[UUID], reason: str, actor: str) -> list[UUID]:
    """These will not be sent; `reason` is shown. Returns the ids that changed."""
    return _move_all(ids, DeliveryState.CANCELLED, actor, reason)


def _move_all(ids: Sequence[UUID], to: DeliveryState, actor: str, reason: str) -> list[UUID]:
    with transaction():
        rows, moment = lock(ids)
        moved = []
        for row in rows.values():
            was = row.state
            try:
                row.move(to, moment)
            except TransitionError:
                continue  # it changed under the person's hands; the page shows what it is now
            row.lease_until = row.enqueued_at = None
            row.last_error = "" if to is DeliveryState.DELIVERED else reason
            if to is DeliveryState.DELIVERED:
                row.sent_at = moment
            record(
                row,
                reason if to is DeliveryState.DELIVERED else "cancelled",
                actor,
                was=str(was),
                reason=reason,
            )
            moved.append(row)
        changed(moved)
    return [row.id for row in moved]


def release_held(reason: HeldReason, lead_ids: Sequence[UUID], actor: str) -> list[UUID]:
    """held -> pending for these leads' rows that wait for `reason`. Returns the ids that are due now."""
    query = select(Delivery.id).where(
        Delivery.lead_id.in_(lead_ids), Delivery.state == DeliveryState.HELD, Delivery.held_reason == reason
    )
    with transaction():
        rows, moment = lock(list(db.session.scalars(query)))
        released = [row for row in rows.values() if row.state is DeliveryState.HELD]
        for row in released:
            row.move(DeliveryState.PENDING, moment)
            row.make_due(moment)
            record(row, "released", actor, reason=str(reason))
        changed(released)
        ids = [row.id for row in released]
    ring_due(ids)
    return ids


def requeue(ids: Sequence[UUID], actor: str) -> list[UUID]:
    """Exactly these rows, where they are permanently_failed: back to pending, with all their tries, not rung."""
    with transaction():
        rows, moment = lock(ids)
        dead = [row for row in rows.values() if row.state is DeliveryState.PERMANENTLY_FAILED]
        for row in dead:
            _again(row, moment, actor)
        changed(dead)
    return [row.id for row in dead]
