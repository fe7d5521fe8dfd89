"""The last thirty days in numbers: the bars of the start page and the table of forms. One query for both."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select

from leadapp import clock
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead, LeadStatus

DAYS = 30
HEIGHT = 120  # of the tallest bar, in the units of the SVG
STEP = 24  # from one bar to the next
NEEDS_YOU = (LeadStatus.PERMANENTLY_FAILED,)


@dataclass
class Count:
    """Leads of one day or one form. Spam is counted beside the others, not among them."""

    received: int = 0
    delivered: int = 0
    needs_you: int = 0
    spam: int = 0

    @property
    def underway(self) -> int:
        """Neither there yet nor stuck: waiting, being tried again, or not passed on."""
        return self.received - self.delivered - self.needs_you

    def add(self, status: LeadStatus, is_spam: bool, count: int) -> None:
        if is_spam:
            self.spam += count
            return
        self.received += count
        if status is LeadStatus.DELIVERED:
            self.delivered += count
        elif status in NEEDS_YOU:
            self.needs_you += count


@dataclass(frozen=True)
class Part:
    """One piece of a bar, from the top down in the SVG's units."""

    kind: str
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """One day."""

    day: date
    count: Count
    x: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Figures:
    """What the start page shows of thirty days."""

    bars: list[Bar]
    top: int
    total: Count
    forms: list[tuple[Form, Count]]


def last_days() -> Figures:
    """Counted by UTC days, today included."""
    today = clock.now().date()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    by_day, by_form, total = {day: Count() for day in days}, dict[int, Count](), Count()
    for day, form_id, status, is_spam, count in _counted(days[0]):
        for one in (by_day.get(day, Count()), by_form.setdefault(form_id, Count()), total):
            one.add(status, is_spam, count)
    top = max((one.received for one in by_day.values()), default=0)
    bars = [_bar(place, day, by_day[day], top) for place, day in enumerate(days)]
    forms = db.session.scalars(select(Form).order_by(Form.name, Form.id))
    return Figures(bars, top, total, [(form, by_form.get(form.id, Count())) for form in forms])


def _counted(first: date) -> Iterable[tuple[date, int, LeadStatus, bool, int]]:
    day = func.date(Lead.received_at)  # both databases keep UTC
    since = clock.now().replace(year=first.year, month=first.month, day=first.day, hour=0, minute=0, second=0)
    query = (
        select(day, Lead.form_id, Lead.status, Lead.is_spam, func.count())
        .where(Lead.received_at >= since.replace(microsecond=0))
        .group_by(day, Lead.form_id, Lead.status, Lead.is_spam)
    )
    for found, *rest in db.session.execute(query):
        yield (found if isinstance(found, date) else date.fromisoformat(found), *rest)


def _bar(place: int, day: date, count: Count, top: int) -> Bar:
    """Sent leads lie at the bottom, those that need somebody on top."""
    parts, y = [], float(HEIGHT)
    for kind, number in (("sent", count.delivered), ("underway", count.underway), ("needs-you", count.needs_you)):
        height = round(number * HEIGHT / top, 2) if top else 0.0
        if number:
            y = round(y - height, 2)
            parts.append(Part(kind, y, height))
    return Bar(day, count, place * STEP, tuple(parts))
