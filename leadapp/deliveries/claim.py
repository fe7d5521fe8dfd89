"""Claim: take due rows for this worker, under a lease and a fence, in one short transaction (states.md)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Insert,
    Integer,
    Select,
    String,
    Table,
    Uuid,
    bindparam,
    column,
    func,
    insert,
    not_,
    select,
    table,
    update,
)
from sqlalchemy.orm import aliased
from sqlalchemy.sql.dml import ReturningUpdate

from leadapp.clock import db_now, prepared
from leadapp.columns import Enumerated, new_id
from leadapp.config import settings
from leadapp.database import release, transaction
from leadapp.deliveries.claims import Claim
from leadapp.deliveries.due import THESE, claimable
from leadapp.deliveries.models import (
    Attempt,
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
    Kind,
    Purpose,
    before,
)
from leadapp.extensions import db
from leadapp.sql import among, is_word

Due = Select[UUID, int, DestinationState]
OF_LEAD = (
    Delivery.lead_id == bindparam("lead_id", type_=Uuid),
    Delivery.purpose == bindparam("purpose", type_=Enumerated(Purpose)),
)
STILL_OWED = select(Delivery.id).where(*OF_LEAD, is_word(Delivery.state, *before(DeliveryState.SENDING))).limit(1)
IN_FLIGHT = (
    select(Delivery.destination_id, func.count())
    .where(
        among(Delivery.destination_id, "ids"),
        is_word(Delivery.state, DeliveryState.SENDING),
    )
    .group_by(Delivery.destination_id)
)
CLAIMED = (
    *("id", "lead_id", "destination_id", "kind", "purpose", "recipient", "payload"),
    *("fence", "attempts", "tries", "created_at"),
)
DESTINATIONS = select(Destination.id, Destination.settings, Destination.secret).where(among(Destination.id, "ids"))
# Of the lead only what log lines need: by its name, since deliveries/ never looks up into leads/.
_lead = table("lead", column("id", Uuid()), column("correlation_id"))


@dataclass(frozen=True)
class Wanted:
    """What to claim: these rows first, then others of these kinds, of healthy destinations unless said otherwise.

    `lead`: what this lead owes for this purpose, at once and alone; the next slice takes others along. When it owes
    nothing any more, nothing is claimed.
    `room`: for how many rows there are threads; None for POOL.
    """

    ids: Sequence[UUID] = ()
    kinds: tuple[Kind, ...] = ()
    is_any_destination: bool = False
    room: int | None = None
    lead: tuple[UUID, Purpose] | None = None


class _There(NamedTuple):
    """What a Claim holds of its destination, and how many rows are in flight to it."""

    settings: dict[str, Any]
    secret: str | None
    in_flight: int


@dataclass(frozen=True)
class _Candidate:
    id: UUID
    destination_id: int
    is_trial: bool
    there: _There | None = None  # of a lead's own rows, which are few: read with them, to save two round trips


def claim(wanted: Wanted, worker: str) -> list[Claim]:
    """At most POOL rows, now `sending` with their Attempt written, and the database connection given back."""
    with transaction():
        candidates = list(_within_limits(_candidates(wanted)))
        claims = _take(candidates, worker) if candidates else []
    release()
    return claims


def rehearse() -> None:
    """Run each statement of a claim on nothing, in the open transaction (see work.rehearse)."""
    nobody = {"lead_id": new_id(), "purpose": Purpose.LEAD_WEBHOOK}
    _read(_owed(), {**nobody, "ids": [], "most": 0})
    db.session.connection().execute(STILL_OWED, nobody)
    query = _others(is_any_destination=False)
    _read(query, {"kinds": [Kind.WEBHOOK], "ids": [], "most": 0, "cap": settings().destination_cap})
    _in_flight(set())
    db.session.connection().execute(DESTINATIONS, {"ids": []})
    _take([], "")


def _candidates(wanted: Wanted) -> list[_Candidate]:
    limit = settings().pool if wanted.room is None else min(settings().pool, wanted.room)
    found = _read(_asked_for(), {"ids": list(wanted.ids), "most": limit}) if wanted.ids else []
    if wanted.lead is not None and len(found) < limit:
        asked = {"lead_id": wanted.lead[0], "purpose": wanted.lead[1]}
        found += _read(_owed(), {**asked, "ids": [row.id for row in found], "most": limit - len(found)})
        if found or db.session.connection().execute(STILL_OWED, asked).first() is None:
            return found
    if len(found) < limit and wanted.kinds:
        asked = {"kinds": wanted.kinds, "ids": [row.id for row in found], "most": limit - len(found)}
        query = _others(is_any_destination=wanted.is_any_destination)
        found += _read(query, {**asked, "cap": settings().destination_cap})
    return found


# Statements are made once: making one costs about as much as running it.


@prepared
def _due() -> Due:
    query = select(Delivery.id, Delivery.destination_id, Destination.state).join(Delivery.destination)
    # FOR NO KEY UPDATE: plain FOR UPDATE also skips rows that an attempt's foreign key is touching.
    return (
        query.where(claimable())
        .order_by(Delivery.next_attempt_at, Delivery.id)
        .with_for_update(of=Delivery, key_share=True, skip_locked=True)
        .limit(bindparam("most", type_=Integer))
    )


@prepared
def _asked_for() -> Due:
    return _due().where(THESE)


@prepared
def _owed() -> Due:
    """With what _There holds behind it."""
    other = aliased(Delivery)
    in_flight = select(func.count()).where(
        other.destination_id == Delivery.destination_id, is_word(other.state, DeliveryState.SENDING)
    )
    there = (Destination.settings, Destination.secret, in_flight.correlate(Delivery).scalar_subquery())
    return cast(Due, _due().add_columns(*there).where(*OF_LEAD, not_(THESE)))


@prepared
def _others(*, is_any_destination: bool) -> Due:
    query = _due().where(among(Delivery.kind, "kinds"), not_(THESE), Delivery.destination_id.not_in(_full()))
    return query if is_any_destination else query.where(Destination.failures_in_a_row == 0)


def _full() -> Select[int]:
    """Destinations with as many rows in flight as they may have: the rest of theirs would only crowd out others."""
    query = select(Delivery.destination_id).where(is_word(Delivery.state, DeliveryState.SENDING))
    return query.group_by(Delivery.destination_id).having(func.count() >= bindparam("cap", type_=Integer))


def _read(query: Due, asked: Mapping[str, Any]) -> list[_Candidate]:
    rows = db.session.connection().execute(query, asked)
    return [
        _Candidate(row[0], row[1], row[2] is DestinationState.PAUSED, _There(*row[3:]) if len(row) > 3 else None)
        for row in map(tuple[Any, ...], rows)
    ]


def _within_limits(candidates: Sequence[_Candidate]) -> Iterator[_Candidate]:
    """Those that the destination's cap leaves room for; of a paused destination the one trial."""
    destinations = {candidate.destination_id for candidate in candidates}
    trials = _locked_for_trial({candidate.destination_id for candidate in candidates if candidate.is_trial})
    known = {candidate.destination_id: candidate.there.in_flight for candidate in candidates if candidate.there}
    asked = destinations - known.keys()
    in_flight = Counter(known) + (_in_flight(asked) if asked else Counter())
    for candidate in candidates:
        cap = settings().destination_cap
        if candidate.is_trial:
            cap = 1 if candidate.destination_id in trials else 0
        if in_flight[candidate.destination_id] < cap:
            in_flight[candidate.destination_id] += 1
            yield candidate


def _locked_for_trial(destinations: set[int]) -> set[int]:
    """Lock the paused destinations, so that two workers never start two trials of one."""
    if not destinations:
        return set()
    query = select(Destination.id).where(Destination.id.in_(destinations)).order_by(Destination.id)
    return set(db.session.scalars(query.with_for_update(key_share=True, skip_locked=True)))


def _in_flight(destinations: set[int]) -> Counter[int]:
    return Counter(dict(db.session.connection().execute(IN_FLIGHT, {"ids": list(destinations)}).all()))


def _take(candidates: Sequence[_Candidate], worker: str) -> list[Claim]:
    ids, connection = [candidate.id for candidate in candidates], db.session.connection()
    rows = {row.id: row for row in connection.execute(_mark(settings().lease_seconds), {"ids": ids})}
    there: dict[int, Any] = {candidate.destination_id: candidate.there for candidate in candidates}
    if unknown := [destination_id for destination_id, found in there.items() if found is None]:
        there |= {row.id: row for row in connection.execute(DESTINATIONS, {"ids": unknown})}
    connection.execute(_attempts(), {"ids": ids, "worker": worker[:80]})
    return [_describe(rows[row_id], there[rows[row_id].destination_id]) for row_id in ids]


@prepared
def _mark(lease_seconds: float) -> ReturningUpdate[Any]:
    """Take the rows, and read what a Claim holds. Plain rows: nobody changes them here, and objects cost three times
    as much."""
    changes = {
        "state": DeliveryState.SENDING,
        "fence": Delivery.fence + 1,
        "attempts": Delivery.attempts + 1,
        "tries": Delivery.tries + 1,
        "lease_until": db_now(timedelta(seconds=lease_seconds)),
        "changed_at": db_now(),
    }
    correlation_id = select(_lead.c.correlation_id).where(_lead.c.id == Delivery.lead_id).scalar_subquery()
    columns: list[ColumnElement[Any]] = [Delivery.__table__.c[name] for name in CLAIMED]
    more = (db_now().label("claimed_at"), correlation_id.label("correlation_id"))
    return update(cast(Table, Delivery.__table__)).where(THESE).values(changes).returning(*columns, *more)


@prepared
def _attempts() -> Insert:
    written = ("delivery_id", "fence", "number", "worker", "started_at")
    rows = select(Delivery.id, Delivery.fence, Delivery.attempts, bindparam("worker", type_=String), db_now())
    return insert(Attempt).from_select(written, rows.where(THESE))


def _describe(row: Any, destination: Any) -> Claim:
    return Claim(
        **{name: getattr(row, name) for name in CLAIMED if name not in ("id", "attempts")},
        delivery_id=row.id,
        number=row.attempts,
        secret=destination.secret,
        settings=dict(destination.settings),
        claimed_at=row.claimed_at,
        correlation_id=row.correlation_id or "",
    )
