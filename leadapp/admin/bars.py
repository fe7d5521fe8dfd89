"""Counts as bars, for the start page and the figures: days side by side, forms and destinations one under the other."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from leadapp.deliveries.models import DeliveryState
from leadapp.leads.models import LeadStatus
from leadapp.ops import stats

WIDTH, HEIGHT = 720, 120  # of the bars of days, in the units of the SVG
LENGTH = 240  # of a bar across

# How leads and deliveries are summed up for a bar, in the order from the good end: CSS class, word, what counts
LEADS = (
    ("sent", "delivered", (LeadStatus.DELIVERED,)),
    ("underway", "on the way", (LeadStatus.RECEIVED, LeadStatus.READY, LeadStatus.FAILED)),
    ("rejected", "not passed on", (LeadStatus.REJECTED,)),
    ("needs-you", "needs you", (LeadStatus.PERMANENTLY_FAILED,)),
)
_S = DeliveryState
DELIVERIES = (
    ("sent", "delivered", (_S.DELIVERED,)),
    ("underway", "on the way", (_S.PENDING, _S.HELD, _S.SENDING, _S.FAILED)),
    ("rejected", "not sent", (_S.CANCELLED,)),
    ("needs-you", "needs you", (_S.PERMANENTLY_FAILED, _S.UNKNOWN)),
)
Groups = tuple[tuple[str, str, tuple[Any, ...]], ...]


@dataclass(frozen=True)
class Part:
    """One piece of a bar: what it stands for, how many, where it begins and how long it is."""

    kind: str
    word: str
    number: int
    start: float
    length: float


def parts(groups: Groups, found: Counter[Any], scale: float) -> list[Part]:
    """The pieces of one bar, one after the other; `scale` is the length of one."""
    made, start = [], 0.0
    for kind, word, members in groups:
        number = sum(found[member] for member in members)
        made.append(Part(kind, word, number, round(start, 2), round(number * scale, 2)))
        start += number * scale
    return made


@dataclass(frozen=True)
class Bar:
    """One day, form or destination. Spam is counted beside the others, not among them."""

    of: Any
    parts: list[Part]
    total: int
    spam: int = 0
    x: float = 0.0
    width: float = 0.0


def words_of(groups: Groups) -> list[tuple[str, str]]:
    """CSS class and word of each, for a legend."""
    return [(kind, word) for kind, word, _ in groups]


def day_bars(days: dict[date, stats.Leads]) -> list[Bar]:
    """Side by side; the tallest takes the whole height."""
    top = max((found.received for found in days.values()), default=0)
    step = WIDTH / len(days)
    scale = HEIGHT / top if top else 0.0
    return [
        Bar(day, parts(LEADS, found.by_status, scale), found.received, found.spam, round(at * step, 2), round(step, 2))
        for at, (day, found) in enumerate(days.items())
    ]


def form_bars(numbers: stats.Numbers) -> list[Bar]:
    return across(LEADS, [(form, found.by_status, found.spam) for form, found in numbers.forms])


def destination_bars(numbers: stats.Numbers) -> list[Bar]:
    return across(DELIVERIES, [(one, found, 0) for one, found in stats.by_destination(numbers)])


def across(groups: Groups, rows: Sequence[tuple[Any, Counter[Any], int]]) -> list[Bar]:
    """One under the other, the largest first; the largest takes the whole length."""
    scale = LENGTH / max(1, max((found.total() for _, found, _ in rows), default=0))
    bars = [Bar(of, parts(groups, found, scale), found.total(), spam) for of, found, spam in rows]
    return sorted(bars, key=lambda bar: -bar.total)
