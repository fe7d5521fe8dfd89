"""The start page: what needs you, what came in today, and whether everything is alive; and the work list."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import request, url_for
from flask_admin import AdminIndexView, BaseView, expose
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from leadapp import clock, queue
from leadapp.accounts import guard
from leadapp.admin import bars, replays, senders
from leadapp.admin.causes import MOST_CAUSES, work_list
from leadapp.admin.deliveries import GROUPS, listed
from leadapp.admin.destinations import stopped
from leadapp.admin.filters import said
from leadapp.admin.guard import Guarded
from leadapp.admin.leads import LeadView
from leadapp.config import settings
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, DestinationState, DisabledBy, Kind
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.ops import heartbeats, stats

LATEST = 8
MOST_COUNTED = 100_000  # waiting rows; more are as many for a person


@dataclass(frozen=True)
class Today:
    """Counted from midnight UTC."""

    received: int
    delivered: int
    spam: int


@dataclass(frozen=True)
class Waiting:
    """What is planned and not settled: how many rows, the next try, how long the oldest due one is overdue."""

    rows: int
    next_at: datetime | None
    overdue: timedelta

    def __str__(self) -> str:
        return f"{self.rows:,}{'+' if self.rows == MOST_COUNTED else ''}"


@dataclass(frozen=True)
class Sign:
    """One part of the health line. `tone` is good or bad."""

    name: str
    text: str
    tone: str
    hint: str = ""


@dataclass(frozen=True)
class Notice:
    """One thing that is missing, and where whoever may change it does so."""

    text: str
    address: str = ""
    link: str = ""


class StartView(Guarded, AdminIndexView):  # type: ignore[misc]
    """/admin/"""

    access = guard.STAFF

    def __init__(self) -> None:
        super().__init__(name="Start")
        self.static_folder = None  # our pages use none of the library's scripts and styles, so none are served

    @expose("/")
    def index(self) -> Any:
        waiting, numbers = waiting_now(), stats.count(stats.MOST_DAYS)
        return self.render(
            "admin/start.html",
            work=work_list(),
            today=today(numbers),
            waiting=waiting,
            waiting_url=listed("waiting"),
            spam_url=url_for("leads.index_view", flt2_spam_is="yes"),
            latest=latest() if guard.may(guard.READERS) else None,
            signs=signs(waiting),
            notices=notices(),
            total=numbers.total.received,
            day_bars=bars.day_bars(numbers.days),
            form_bars=bars.form_bars(numbers),
            lead_words=bars.words_of(bars.LEADS),
            stopped=stopped(),
            may_change=guard.may(guard.DESK),
        )


class NeedsYouView(Guarded, BaseView):  # type: ignore[misc]
    """The work list: one row a cause."""

    access = guard.STAFF

    @expose("/")
    def index(self) -> Any:
        return self.render(
            "admin/needs_you.html",
            work=work_list(request.args.get("page", 1, type=int)),
            most_causes=MOST_CAUSES,
            replays=replays.running() if guard.may(guard.SENDERS) else [],
            listed=listed,
            may_send=guard.may(guard.SENDERS),
            may_resume=guard.may(guard.DESK),
        )


def today(numbers: stats.Numbers) -> Today:
    found = numbers.days[numbers.last]
    delivered = found.by_status[LeadStatus.DELIVERED]
    return Today(received=found.received + found.spam, delivered=delivered, spam=found.spam)


def waiting_now() -> Waiting:
    states = [said(Delivery.state, state) for state in GROUPS["waiting"] if state is not DeliveryState.HELD]
    rows = select(Delivery.id).where(Delivery.state.in_(states)).limit(MOST_COUNTED).subquery()
    # Rows of a destination that is stopped are not late: they wait for a person.
    due = select(_next_try(DeliveryState.PENDING), _next_try(DeliveryState.FAILED))
    tries = db.session.execute(due.where(Destination.state == DestinationState.ACTIVE)).all()
    next_at = min((at for row in tries for at in row if at), default=None)
    late = clock.now() - next_at if next_at else timedelta()
    count = db.session.scalar(select(func.count()).select_from(rows)) or 0
    return Waiting(rows=count, next_at=next_at, overdue=max(late, timedelta()))


def _next_try(state: DeliveryState) -> Any:
    """Of one destination, by the index: a million rows that wait cost one look."""
    own = Delivery.destination_id == Destination.id, Delivery.state == said(Delivery.state, state)
    return select(func.min(Delivery.next_attempt_at)).where(*own).correlate(Destination).scalar_subquery()


def latest() -> list[Lead]:
    query = (
        select(Lead)
        .options(LeadView.light, joinedload(Lead.form).load_only(Form.name))
        .where(Lead.is_spam == said(Lead.is_spam, False))
    )
    return list(db.session.scalars(query.order_by(Lead.received_at.desc(), Lead.id.desc()).limit(LATEST)))


def signs(waiting: Waiting) -> list[Sign]:
    """Database, queue, workers, clock, oldest waiting."""
    workers, clocks = heartbeats.alive(heartbeats.WORKER), heartbeats.alive(heartbeats.CLOCK)
    minutes = int(waiting.overdue.total_seconds() // 60)
    return [
        Sign("database", "answers", "good"),
        Sign("queue", "answers", "good")
        if queue.answers()
        else Sign(
            "queue", "no answer", "bad", "Redis does not answer. The workers look into the database by themselves."
        ),
        Sign("workers", str(workers), "good")
        if workers
        else Sign("workers", "none", "bad", "No worker runs: leads are saved and wait. Start `python worker.py`."),
        Sign("clock", "runs", "good")
        if clocks
        else Sign(
            "clock", "stopped", "bad", "Nothing is tried again while the clock stands. It runs in `python worker.py`."
        ),
        Sign("oldest waiting", f"{minutes} min", "good" if minutes < 5 else "bad"),
    ]


def notices() -> list[Notice]:
    """What is missing so that leads reach a person."""
    found = []
    mail = select(Destination.id).where(Destination.kind == Kind.EMAIL)
    if db.session.scalar(mail.where(Destination.state == DestinationState.ACTIVE).limit(1)) is None:
        said = "Nobody is told of new leads. Leads are saved, but no e-mail destination is in use."
        found.append(Notice(said, url_for("destinations.create_view"), "Add an e-mail address"))
    if settings().mail_provider == "none" and db.session.scalar(mail.limit(1)) is not None:
        found.append(Notice("Mail is not set up, so no mail goes out. Set MAIL_SERVER and DEFAULT_FROM_EMAIL."))
    elif settings().mail_provider == "smtp" and not settings().sender_address:
        found.append(Notice("Mail has no sender. Set DEFAULT_FROM_EMAIL to an address of your own domain."))
    return [*found, *_left_out(), *map(Notice, senders.notices())]


def _left_out() -> list[Notice]:
    """What a receiver switched off gets no new leads, also when nothing waits for it that would say so."""
    query = select(Destination).where(
        Destination.state == DestinationState.DISABLED, Destination.disabled_by == DisabledBy.RECEIVER
    )
    return [
        Notice(
            f"{row.name} is switched off and gets no new leads: {row.state_reason}. Put it right, then resume it.",
            url_for("destinations.details_view", id=row.id),
            "Look at it",
        )
        for row in db.session.scalars(query.order_by(Destination.id))
    ]
