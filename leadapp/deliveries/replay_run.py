"""The clock's part of replays: take what was chosen, let it go at the set rate, give back what was stopped.

Each step is one short transaction under the lock of its replay, so that two clocks at once, or a kill in the middle,
neither send a row twice nor leave one out.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, or_, select
from sqlalchemy.orm import aliased

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.database import release, transaction
from leadapp.deliveries import destinations, outbox, replay
from leadapp.deliveries.due import is_open
from leadapp.deliveries.frozen import FrozenBody
from leadapp.deliveries.models import (
    Delivery,
    DeliveryState,
    Destination,
    HeldReason,
    Replay,
    ReplayState,
    before,
)
from leadapp.deliveries.replay_choice import Selection, Skip, rows_of
from leadapp.extensions import db

TAKEN_AT_ONCE = 500
ANEW_AT_ONCE = 100  # each of them runs the rules
BATCHES = 4  # in one run of the clock
BURST = timedelta(seconds=15)  # a clock that stood still does not make up for it at once
LET_GO_AT_ONCE = 500
PATIENCE = timedelta(seconds=1)  # a row that was rung just now is on its way, and no backlog
STOPPED = "the sending again was stopped before its turn"
REPLACED = "replaced by one with today's rules and mapping"


def advance() -> int:
    """Periodic: one step of every replay. A second run at once finds them locked. Returns how many rows were let go."""
    return sum(step(replay_id) for replay_id in _open())


def _open() -> Sequence[int]:
    """Those that run, and those that were stopped with rows still in line."""
    in_line = exists().where(Delivery.replay_id == Replay.id, Delivery.held_reason == HeldReason.REPLAY_RATE)
    is_left = (Replay.state == ReplayState.STOPPED) & in_line
    found = db.session.scalars(
        select(Replay.id).where(or_(Replay.state == ReplayState.RUNNING, is_left)).order_by(Replay.id)
    ).all()
    release()
    return found


def step(replay_id: int, batches: int = 0) -> int:
    """Take, give back and let go what is due of one replay, in so many batches. Returns how many rows were let go."""
    for batch in (take, give_back):
        for _ in range(batches or BATCHES):
            if not batch(replay_id):
                break
    return len(let_go(replay_id))


def _locked(replay_id: int, state: ReplayState) -> Replay | None:
    """The replay, locked; None while another clock has it, or when it is not (or no longer) in this state."""
    query = select(Replay).where(Replay.id == replay_id, Replay.state == state)
    return db.session.scalar(
        query.with_for_update(key_share=True, skip_locked=True).execution_options(populate_existing=True)
    )


def take(replay_id: int) -> bool:
    """Put the next of the chosen rows in line. Returns whether there is more to take."""
    with transaction():
        row = _locked(replay_id, ReplayState.RUNNING)
        if row is None or row.selection["is_gathered"]:
            return False
        chosen = Selection.read(row.selection["chosen"])
        after = UUID(row.selection["after"]) if row.selection["after"] else None
        found = _take_leads(row, chosen, after) if chosen.is_of_leads else _take_rows(row, chosen, after)
        noted = row.selection | ({"after": str(found)} if found else {"is_gathered": True})
        row.selection = noted
    release()
    return found is not None


def _take_rows(row: Replay, chosen: Selection, after: UUID | None) -> UUID | None:
    query = rows_of(chosen, is_anew=row.is_anew).order_by(Delivery.id)
    if after is not None:
        query = query.where(Delivery.id > after)
    found = db.session.execute(query.limit(ANEW_AT_ONCE if row.is_anew else TAKEN_AT_ONCE)).all()
    why = Counter(skip for _, _, skip in found if skip != Skip.TAKEN)
    rows, moment = outbox.lock([key for key, _, skip in found if skip == Skip.TAKEN])
    dead = [one for one in rows.values() if one.state is DeliveryState.PERMANENTLY_FAILED]
    why[Skip.NOT_REFUSED] += len(rows) - len(dead)  # somebody was quicker
    if row.is_anew:
        taken, refused = _renew(row, dead, moment)
        why += refused
    else:
        taken = [_hold(one, row, moment) for one in dead]
        outbox.changed(taken)
    _count(row, len(taken), why)
    return found[-1][0] if found else None


def _hold(one: Delivery, row: Replay, moment: datetime) -> Delivery:
    """In line, with all its tries; a row that was given up keeps its key and its body."""
    if one.state is not DeliveryState.PENDING:
        one.move(DeliveryState.PENDING, moment)
    one.move(DeliveryState.HELD, moment)
    one.held_reason, one.replay_id, one.tries, one.enqueued_at = HeldReason.REPLAY_RATE, row.id, 0, None
    record(one, "put in line", row.asked_by, replay=row.id)
    return one


def _renew(row: Replay, dead: Sequence[Delivery], moment: datetime) -> tuple[list[Delivery], Counter[str]]:
    """With today's rules and mapping: a new row with a new key, and the old one is called off."""
    destinations.lock({one.destination_id for one in dead})  # repeats are counted one after the other
    bodies = replay.leads().make_anew([one.lead_id for one in dead if one.lead_id is not None]) if dead else {}
    made: list[Delivery] = []
    refused: Counter[str] = Counter()
    for one in dead:
        anew = bodies.get(one.lead_id) if one.lead_id is not None else None
        if anew is None or anew.refused:
            refused[anew.refused if anew else Skip.NOT_CUSTOMER] += 1
            continue
        new = outbox.another(one, FrozenBody(anew.body, anew.mapping_version, anew.left_out), moment)
        if new is None:
            refused[Skip.IN_LINE] += 1
            continue
        made.append(_hold(new, row, moment))
        one.move(DeliveryState.CANCELLED, moment)
        one.last_error, one.enqueued_at = REPLACED, None
        record(one, "cancelled", row.asked_by, was="permanently_failed", reason=REPLACED, replay=row.id)
    outbox.changed([*dead, *made])
    return made, refused


def _take_leads(row: Replay, chosen: Selection, after: UUID | None) -> UUID | None:
    """Rejected leads that today's rules let pass, with all that they owe."""
    ids = replay.leads().find(chosen, after, ANEW_AT_ONCE)
    if not ids:
        return None
    moment = db.session.scalars(select(db_now())).one()
    found = replay.leads().readmit(ids)
    # Others wait for something else already, or are spared because the customer was told of the person
    taken = [_hold(new, row, moment) for new in found.rows if new.state is DeliveryState.PENDING]
    outbox.changed(found.rows)
    _count(row, len(taken), Counter(found.refused.values()))
    return ids[-1]


def _count(row: Replay, taken: int, why: Counter[str]) -> None:
    row.total += taken
    row.skipped += sum(why.values())
    row.selection = row.selection | {"why": dict(Counter(row.selection["why"]) + why)}


def give_back(replay_id: int) -> bool:
    """What a stopped replay did not come to needs somebody again. Returns whether it gave any back."""
    with transaction():
        row = _locked(replay_id, ReplayState.STOPPED)
        if row is None:
            return False
        ids = db.session.scalars(_held(replay_id).order_by(Delivery.id).limit(TAKEN_AT_ONCE)).all()
        rows, moment = outbox.lock(ids)
        left = [one for one in rows.values() if one.held_reason is HeldReason.REPLAY_RATE]
        for one in left:
            one.move(DeliveryState.PERMANENTLY_FAILED, moment)
            one.last_error = one.last_error or STOPPED
            record(one, "taken out of line", replay=replay_id, reason=STOPPED)
        outbox.changed(left)
    release()
    return bool(left)


def _held(replay_id: int) -> Select[UUID]:
    return select(Delivery.id).where(
        Delivery.replay_id == replay_id,
        Delivery.state == DeliveryState.HELD,
        Delivery.held_reason == HeldReason.REPLAY_RATE,
    )


def let_go(replay_id: int) -> list[UUID]:
    """The next rows by rate, while nothing of their destination waits and it is open. Returns their ids."""
    with transaction():
        row = _locked(replay_id, ReplayState.RUNNING)
        if row is None:
            return []
        moment = db.session.scalars(select(db_now())).one()
        ids = _next(row, moment)
        rows, _ = outbox.lock(ids)
        freed = [one for one in rows.values() if one.held_reason is HeldReason.REPLAY_RATE]
        for one in freed:
            one.move(DeliveryState.PENDING, moment)
            one.make_due(moment)
            record(one, "released", reason=str(HeldReason.REPLAY_RATE), replay=replay_id)
        if freed:
            row.released_at = _since(row, moment) + len(freed) * _pace(row)
        outbox.changed(freed)
        _finish(row, moment)
        freed_ids = [one.id for one in freed]
    outbox.ring_due(freed_ids)
    release()
    return freed_ids


def _pace(row: Replay) -> timedelta:
    """The time between two rows."""
    return timedelta(minutes=1) / row.per_minute


def _since(row: Replay, moment: datetime) -> datetime:
    """From when on the rate counts: the last row's turn, but not so long ago that it becomes a flood."""
    longest = max(BURST, _pace(row))
    return max(row.released_at or row.asked_at - _pace(row), moment - longest)


def _next(row: Replay, moment: datetime) -> Sequence[UUID]:
    room = int((moment - _since(row, moment)) / _pace(row) + 1e-6)
    if room < 1:
        return []
    query = _held(row.id).join(Delivery.destination).where(is_open(), ~_is_busy())
    return db.session.scalars(query.order_by(Delivery.id).limit(min(room, LET_GO_AT_ONCE))).all()


def _is_busy() -> ColumnElement[bool]:
    """A row of this destination is due and waits: live traffic goes first, and a slow receiver gets no more."""
    other = aliased(Delivery)
    return exists().where(
        other.destination_id == Destination.id,
        other.state.in_(before(DeliveryState.SENDING)),
        other.next_attempt_at <= db_now(-PATIENCE),
    )


def _finish(row: Replay, moment: datetime) -> None:
    """Done once everything that was chosen was taken and let go."""
    if row.selection["is_gathered"] and db.session.scalar(select(exists(_held(row.id)))) is False:
        row.state, row.finished_at = ReplayState.DONE, moment
        record(row, "replay done", taken=row.total, skipped=row.skipped)
