"""Replay: send many refused rows again at a set rate. Ask for it, look at it, pause it, stop it.

A replay is a row; what it takes is held for `replay rate` and carries its id. `deliveries.replay_run` takes and
releases by the clock, so nothing is lost when a process ends in the middle.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlalchemy import func, select

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.database import transaction
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, HeldReason, Replay, ReplayState
from leadapp.deliveries.replay_choice import Leads, Selection, Skip, rows_of
from leadapp.errors import TransitionError
from leadapp.extensions import db

PER_MINUTE = 60
LOOKED_AT = 500  # leads that a preview runs today's rules on; a few milliseconds each
MOST_PER_MINUTE = 6_000
# What the layer above knows of leads; desk.py puts it in, in sight.
LEADS: Leads | None = None

_R = ReplayState
MOVES: dict[ReplayState, frozenset[ReplayState]] = {
    _R.RUNNING: frozenset({_R.PAUSED, _R.STOPPED, _R.DONE}),
    _R.PAUSED: frozenset({_R.RUNNING, _R.STOPPED}),
    _R.DONE: frozenset(),
    _R.STOPPED: frozenset(),
}


@dataclass(frozen=True)
class Preview:
    """What a replay would do: rows or leads that go in line, where to, and how many stay for which reason.

    `unseen` are those beyond LOOKED_AT, on which today's rules were not run yet.
    """

    count: int
    where: Mapping[int, int] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)
    unseen: int = 0


@dataclass(frozen=True)
class Progress:
    """How far a replay is. `waiting` rows are held until their turn, `underway` ones are let go and not settled."""

    taken: int
    waiting: int
    underway: int
    sent: int
    refused: int
    called_off: int
    per_minute: int

    @property
    def left(self) -> timedelta:
        """How long the rows that wait will take at this rate."""
        return timedelta(minutes=self.waiting / self.per_minute)


def leads() -> Leads:
    """The layer above, or an error for whoever forgot to put it in."""
    if LEADS is None:
        raise NotImplementedError("replay.LEADS is filled by create_app")
    return LEADS


def preview(selection: Selection, *, is_anew: bool) -> Preview:
    """Count, and write nothing; where today's rules decide, they are run."""
    if selection.is_of_leads:
        return _of_leads(selection)
    rows = rows_of(selection, is_anew=is_anew).subquery()
    query = select(rows.c.destination_id, rows.c.skip, func.count()).group_by(rows.c.destination_id, rows.c.skip)
    where: Counter[int] = Counter()
    skipped: Counter[str] = Counter()
    for destination_id, skip, count in db.session.execute(query):
        if skip == Skip.TAKEN:
            where[destination_id] += count
        else:
            skipped[skip] += count
    if is_anew and where:
        return _anew(selection, where.total(), skipped)
    return Preview(where.total(), where, skipped)


def _of_leads(selection: Selection) -> Preview:
    ids = leads().find(selection, None, LOOKED_AT)
    found = leads().foresee(ids)
    where = Counter(chain.from_iterable(found.where.values()))
    unseen = leads().count(selection) - len(ids) if len(ids) == LOOKED_AT else 0
    return Preview(len(found.where), where, Counter(found.refused.values()), max(0, unseen))


def _anew(selection: Selection, total: int, skipped: Counter[str]) -> Preview:
    """Of the rows that may get a new body, those for which today's rules and mapping make one."""
    rows = rows_of(selection, is_anew=True).add_columns(Delivery.lead_id).subquery()
    query = select(rows.c.destination_id, rows.c.lead_id).where(rows.c.skip == Skip.TAKEN)
    asked = db.session.execute(query.order_by(rows.c.id).limit(LOOKED_AT)).all()
    bodies = leads().make_anew([lead_id for _, lead_id in asked])
    where: Counter[int] = Counter()
    for (destination_id, lead_id), count in Counter(map(tuple, asked)).items():
        refused = bodies[lead_id].refused
        where[destination_id] += not refused
        skipped[refused or Skip.IN_LINE] += count if refused else count - 1  # of one lead one goes
    where, skipped = +where, +skipped
    return Preview(where.total(), where, skipped, max(0, total - len(asked)))


def start(selection: Selection, actor: str, *, per_minute: int = PER_MINUTE, is_anew: bool = False) -> int:
    """Write the replay down; its rows are taken and let go by the clock. Returns its id.

    What is given up after this moment is not taken, so that a replay never takes its own failures.
    """
    with transaction():
        moment = db.session.scalars(select(db_now())).one()
        chosen = replace(selection, until=selection.until or moment)
        row = Replay(
            destination_id=chosen.destination_id,
            is_anew=is_anew or chosen.is_of_leads,
            selection={"chosen": chosen.as_json(), "after": "", "is_gathered": False, "why": {}},
            per_minute=_bounded(per_minute),
            state=ReplayState.RUNNING,
            asked_by=actor,
            asked_at=moment,
        )
        db.session.add(row)
        db.session.flush()
        record(row, "replay started", actor, per_minute=row.per_minute, anew=row.is_anew, chosen=_short(chosen))
        return row.id


def _bounded(per_minute: int) -> int:
    return max(1, min(per_minute, MOST_PER_MINUTE))


def _short(chosen: Selection) -> dict[str, Any]:
    """For the audit trail: each row has its own entry there, so their number is enough."""
    found = chosen.as_json()
    return found | {"ids": len(chosen.ids)} if chosen.ids else found


def pause(replay_id: int, actor: str) -> None:
    """Let nothing more go until it is resumed."""
    _move(replay_id, ReplayState.PAUSED, actor)


def resume(replay_id: int, actor: str) -> None:
    """Go on where it was; the time in between is not made up for."""
    _move(replay_id, ReplayState.RUNNING, actor)


def stop(replay_id: int, actor: str) -> None:
    """Let nothing more go, for good: what waits needs somebody again (replay_run gives it back)."""
    _move(replay_id, ReplayState.STOPPED, actor)


def change_rate(replay_id: int, per_minute: int, actor: str) -> None:
    """From now on this many a minute."""
    with transaction():
        row = lock(replay_id)
        now = _bounded(per_minute)
        if row.per_minute != now:
            record(row, "replay rate changed", actor, was=row.per_minute, now=now)
        row.per_minute = now


def _move(replay_id: int, to: ReplayState, actor: str) -> None:
    with transaction():
        row = lock(replay_id)
        if row.state is to:
            return
        if to not in MOVES[row.state]:
            raise TransitionError(f"a replay that is {row.state} cannot become {to}")
        row.state = to
        if to is ReplayState.STOPPED:
            row.finished_at = db.session.scalars(select(db_now())).one()
        record(row, f"replay {to}", actor)


def lock(replay_id: int) -> Replay:
    """Lock it, before any delivery: replay -> delivery -> destination -> lead."""
    query = select(Replay).where(Replay.id == replay_id).with_for_update(key_share=True)
    return db.session.scalars(query.execution_options(populate_existing=True)).one()


def progress(row: Replay) -> Progress:
    """Counted from its rows."""
    return progress_of([row])[row.id]


def progress_of(rows: Sequence[Replay]) -> dict[int, Progress]:
    """The same of several, by their ids, in one statement."""
    key = (Delivery.replay_id, Delivery.state, Delivery.held_reason)
    query = select(*key, func.count()).where(Delivery.replay_id.in_([row.id for row in rows])).group_by(*key)
    counts: dict[int | None, Counter[str]] = {row.id: Counter() for row in rows}
    for replay_id, state, reason, count in db.session.execute(query):
        counts[replay_id]["waiting" if reason is HeldReason.REPLAY_RATE else str(state)] += count
    return {row.id: _progress(row, counts[row.id]) for row in rows}


def _progress(row: Replay, counts: Counter[str]) -> Progress:
    underway = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED, DeliveryState.HELD)
    return Progress(
        taken=row.total,
        waiting=counts["waiting"],
        underway=sum(counts[state] for state in underway),
        sent=counts[DeliveryState.DELIVERED],
        refused=counts[DeliveryState.PERMANENTLY_FAILED] + counts[DeliveryState.UNKNOWN],
        called_off=counts[DeliveryState.CANCELLED],
        per_minute=row.per_minute,
    )


def waiting_for(row: Replay) -> list[Destination]:
    """The destinations that its rows wait for, to say which of them are paused."""
    held = select(Delivery.destination_id).where(
        Delivery.replay_id == row.id, Delivery.held_reason == HeldReason.REPLAY_RATE
    )
    return list(db.session.scalars(select(Destination).where(Destination.id.in_(held)).order_by(Destination.id)))
