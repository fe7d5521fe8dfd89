"""What needs a person, one entry a cause and not one a lead."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal_column, or_, select

from leadapp import clock
from leadapp.deliveries import words
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, DestinationState
from leadapp.extensions import db
from leadapp.leads.models import Lead, LeadStatus

WAITING = (DeliveryState.PENDING, DeliveryState.FAILED)
NEEDS_YOU = (DeliveryState.PERMANENTLY_FAILED, DeliveryState.UNKNOWN)
MOST_CAUSES = 50  # of what was given up, on one page
LAST_PAGE = 1_000
COUNTED = 99
STUCK_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Cause:
    """Rows that wait for a person for one reason. `does` is what the button beside it does: resume, again or look."""

    leads: int
    rows: int
    what: str
    todo: str
    since: datetime | None
    does: str
    destination: Destination | None = None
    state: DeliveryState | None = None
    status_code: int | None = None
    error: str | None = None


@dataclass(frozen=True)
class WorkList:
    """One page of what waits for a person, what holds back most first; `more` reasons are on the pages behind it."""

    causes: list[Cause]
    page: int = 1
    more: int = 0


def work_list(page: int = 1) -> WorkList:
    """Everything that waits for a person. Only what was given up can have reasons without number: it has pages."""
    page = max(1, min(page, LAST_PAGE))
    given_up, reasons = _given_up((page - 1) * MOST_CAUSES)
    found = [*given_up, *(() if page > 1 else (*_stopped(), *_stuck()))]
    return WorkList(sorted(found, key=lambda cause: -cause.rows), page, max(0, reasons - page * MOST_CAUSES))


def _is_stopped() -> ColumnElement[bool]:
    """A destination that no trial will open again by itself."""
    is_paused = and_(Destination.state == DestinationState.PAUSED, Destination.paused_until.is_(None))
    return or_(Destination.state == DestinationState.DISABLED, is_paused)


def _stopped() -> list[Cause]:
    query = (
        select(Delivery.destination_id, func.count(), func.count(Delivery.lead_id.distinct()))
        .join(Destination, Delivery.destination_id == Destination.id)
        .where(_is_stopped(), Delivery.state.in_(WAITING))
        .group_by(Delivery.destination_id)
    )
    counted = db.session.execute(query).all()
    named = _destinations() if counted else {}
    return [_stopped_cause(named[found], rows, leads) for found, rows, leads in counted]


def _stopped_cause(destination: Destination, rows: int, leads: int) -> Cause:
    return Cause(
        leads=leads,
        rows=rows,
        what=f"{destination.name} {words.stopped(destination)}.",
        todo=words.remedy(destination),
        since=destination.state_changed_at,
        does="resume",
        destination=destination,
    )


def _destinations() -> dict[int, Destination]:
    return {row.id: row for row in db.session.scalars(select(Destination))}


def _given_up(offset: int) -> tuple[list[Cause], int]:
    """A page of reasons, and how many there are in all."""
    # An answer's code is the cause; without one it is the error. Constants are literal: PostgreSQL would take
    # two bound parameters for two expressions and refuse the GROUP BY.
    error = func.substr(Delivery.last_error, literal_column("1"), literal_column("120"))
    reason = case((Delivery.last_status_code.is_(None), error), else_=literal_column("''"))
    query = (
        select(
            Delivery.destination_id,
            Delivery.state,
            Delivery.last_status_code,
            reason,
            func.count(),
            func.count(Delivery.lead_id.distinct()),
            func.min(Delivery.changed_at),
            func.max(Delivery.last_error),
            func.count().over(),  # of reasons: a window comes after the grouping
        )
        .where(Delivery.state.in_(NEEDS_YOU))
        .group_by(Delivery.destination_id, Delivery.state, Delivery.last_status_code, reason)
        .order_by(func.count().desc(), Delivery.destination_id, Delivery.state, Delivery.last_status_code, reason)
        .limit(MOST_CAUSES)
        .offset(offset)
    )
    found = db.session.execute(query).all()
    named = _destinations() if found else {}
    return [_cause(named[row[0]], tuple(row[:-1])) for row in found], found[0][-1] if found else 0


def _cause(destination: Destination, row: Sequence[Any]) -> Cause:
    _, state, code, reason, count, leads, since, error = row
    like = Delivery(state=state, kind=destination.kind, last_status_code=code, last_error=error)
    if state is DeliveryState.UNKNOWN:
        what, todo = "may have been sent.", "See whether they arrived. Then mark them as sent, or send them again."
    else:
        advice = words.advice(like)
        what, todo = f"{words.cause(like)}.", f"{advice[:1].upper()}{advice[1:]}."
    return Cause(
        leads=leads,
        rows=count,
        what=f"{destination.name}: {what}",
        todo=todo,
        since=since,
        does="look" if state is DeliveryState.UNKNOWN else "again",
        destination=destination,
        state=state,
        status_code=code,
        error=reason if code is None else None,
    )


def _stuck() -> list[Cause]:
    """Leads whose pipeline broke and stays broken; their owner's mail went out all the same."""
    query = select(func.count(), func.min(Lead.received_at)).where(
        Lead.status == LeadStatus.RECEIVED, Lead.received_at < clock.db_now(-STUCK_AFTER)
    )
    count, since = db.session.execute(query).one()
    if not count:
        return []
    words_ = "They are saved, but checking them went wrong. We try again by ourselves; the lead says why."
    return [Cause(count, count, "Leads that could not be checked yet.", words_, since, "leads")]


def needs_you_count() -> str:
    """How many rows wait for a person, for the menu; `99+` above that, so that counting stays cheap."""
    given_up = select(Delivery.id).where(Delivery.state.in_(NEEDS_YOU))
    stopped = (
        select(Delivery.id)
        .join(Destination, Delivery.destination_id == Destination.id)
        .where(_is_stopped(), Delivery.state.in_(WAITING))
    )
    rows = given_up.union_all(stopped).limit(COUNTED + 1).subquery()
    count = db.session.scalar(select(func.count()).select_from(rows)) or 0
    return f"{COUNTED}+" if count > COUNTED else str(count or "")
