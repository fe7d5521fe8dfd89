"""Leads by day, form, status and spam, quick at a million leads: the newest are counted, the rest was summed up.

`recount` sums up every lead of the last thirty days but the newest few thousand, once a minute, in `lead_count`.
`counts` adds to those sums what came in after them. So a desk with few leads always sees exact figures, and with
many a lead counts at once; only a change of an older lead (its status, spam) shows a minute late.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Select, delete, func, insert, select, text

from leadapp import clock
from leadapp.database import is_postgresql, transaction
from leadapp.extensions import db
from leadapp.leads.models import Lead, LeadCount, LeadStatus

DAYS = 30
NEWEST = 5_000  # are never summed up: a lead's status changes most in its first minutes
ONE_AT_A_TIME = 5_323_268_778  # any fixed number


@dataclass(frozen=True, slots=True)
class Counted:
    """How many leads of one UTC day and one form have this status."""

    day: date
    form_id: int
    status: LeadStatus
    is_spam: bool
    count: int


def first_day() -> date:
    """The first of the last thirty UTC days, today included."""
    return clock.now().date() - timedelta(days=DAYS - 1)


def counts(since: date) -> Iterator[Counted]:
    """Every lead received from the start of this UTC day on; `since` is at most thirty days ago.

    One day, form, status and spam may come twice: summed up, and counted since.
    """
    start, summed_to = _midnight(since), None
    summed = select(
        LeadCount.day, LeadCount.form_id, LeadCount.status, LeadCount.is_spam, LeadCount.leads, LeadCount.counted_to
    )
    for day, form_id, status, is_spam, count, summed_to in db.session.execute(summed):  # noqa: B007 - all hold the same
        if day >= since:
            yield Counted(day, form_id, status, is_spam, count)
    newer = Lead.received_at > summed_to if summed_to and summed_to >= start else Lead.received_at >= start
    for found, form_id, status, is_spam, count in db.session.execute(_grouped().where(newer)):
        yield Counted(_day(found), form_id, status, is_spam, count)


def recount() -> None:
    """Sum up anew; a second run at once does the same again."""
    since = _midnight(first_day())
    newest_first = (Lead.received_at.desc(), Lead.id.desc())
    newest = select(Lead.received_at).where(Lead.received_at >= since).order_by(*newest_first)
    with transaction():
        if is_postgresql():
            db.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        counted_to = db.session.scalar(newest.offset(NEWEST).limit(1))
        db.session.execute(delete(LeadCount))
        if counted_to is not None:
            summed = _grouped().where(Lead.received_at >= since, Lead.received_at <= counted_to)
            rows = [
                {"day": _day(day), "form_id": form_id, "status": status, "is_spam": is_spam, "leads": count}
                for day, form_id, status, is_spam, count in db.session.execute(summed)
            ]
            db.session.execute(insert(LeadCount).values(counted_to=counted_to), rows)


def _grouped() -> Select[object, int, LeadStatus, bool, int]:
    day = func.date(Lead.received_at)  # both databases keep UTC
    key = (day, Lead.form_id, Lead.status, Lead.is_spam)
    return select(*key, func.count()).group_by(*key)


def _day(found: object) -> date:
    return found if isinstance(found, date) else date.fromisoformat(str(found))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
