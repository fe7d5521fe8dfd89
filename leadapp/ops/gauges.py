"""What stands now, read when Prometheus asks: rows that are on the way or stuck, queues, signs of life.

Each question uses a partial index, so that a million finished rows cost nothing.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import bindparam, func, select, text

from leadapp import queue
from leadapp.clock import db_now
from leadapp.deliveries.due import QUEUE_KINDS, is_open
from leadapp.deliveries.models import LISTED, Delivery, DeliveryState, Destination, DestinationState, Kind, before
from leadapp.extensions import db
from leadapp.ops import heartbeats
from leadapp.ops.models import Heartbeat, PeriodicRun

ROLES = (heartbeats.WORKER, heartbeats.CLOCK)
REMEMBERED = timedelta(minutes=15)  # a process that was killed is named for so long
OPEN_STATES = (
    *(DeliveryState.PENDING, DeliveryState.HELD, DeliveryState.SENDING, DeliveryState.FAILED),
    *(DeliveryState.PERMANENTLY_FAILED, DeliveryState.UNKNOWN),
)
DEAD_STATES = OPEN_STATES[-2:]

Row = tuple[tuple[str, ...], float]


def gauge(name: str, meaning: str, labels: Iterable[str], rows: Iterable[Row]) -> Metric:
    """One family with its samples."""
    family = GaugeMetricFamily(name, meaning, labels=list(labels))
    for values, number in rows:
        family.add_metric(list(values), number)
    return family


def from_database() -> Iterator[Metric]:
    """Raises SQLAlchemyError while the database is away."""
    yield from _deliveries()
    yield _oldest_due()
    yield _destinations()
    yield from _signs_of_life()
    yield from _periodic()


def from_redis() -> Iterator[Metric]:
    """Raises RedisError while Redis is away."""
    for name, meaning, counts in (
        ("leadapp_queue_length", "Jobs waiting in Redis", queue.lengths()),
        ("leadapp_queue_failed_jobs", "Jobs in the failed lists, kept for a week", queue.failed_counts()),
    ):
        yield gauge(name, meaning, ["queue"], [((queue_name,), count) for queue_name, count in counts.items()])


def _deliveries() -> Iterator[Metric]:
    counts: Counter[tuple[str, ...]] = Counter()
    for listed in ("underway", "needs_you"):
        query = (
            select(Delivery.kind, Delivery.state, func.count())
            .where(text(LISTED[listed]))  # word for word what the partial index says
            .group_by(Delivery.kind, Delivery.state)
        )
        counts.update({(kind, state): number for kind, state, number in db.session.execute(query)})
    meaning = "Deliveries that are not finished, by what they wait for; the finished ones are counted by _settled"
    every = [((kind, state), float(counts[kind, state])) for kind in Kind for state in OPEN_STATES]
    yield gauge("leadapp_deliveries", meaning, ("kind", "state"), every)
    dead = [((kind,), float(sum(counts[kind, state] for state in DEAD_STATES))) for kind in Kind]
    yield gauge("leadapp_deliveries_dead", "Deliveries that need a person: refused, spent, or unknown", ["kind"], dead)


def _oldest_due() -> Metric:
    """0 when nothing is due. Rows of a destination that is paused or asked for patience are not late."""
    meaning = "Seconds for which the oldest delivery that could be sent has been waiting"
    rows = [((name,), _overdue(kinds)) for name, kinds in QUEUE_KINDS.items()]
    return gauge("leadapp_oldest_due_seconds", meaning, ["queue"], rows)


def _overdue(kinds: tuple[Kind, ...]) -> float:
    states = [bindparam(None, state, Delivery.state.type, literal_execute=True) for state in before(_SENDING)]
    oldest = (
        select(Delivery.next_attempt_at)
        .join(Delivery.destination)
        .where(Delivery.state.in_(states), Delivery.next_attempt_at <= db_now(), Delivery.kind.in_(kinds), is_open())
        .order_by(Delivery.next_attempt_at)
        .limit(1)
    )
    due_at, moment = db.session.execute(select(oldest.scalar_subquery(), db_now())).one()
    return _age(moment, due_at)


_SENDING = DeliveryState.SENDING


def _age(moment: datetime, since: datetime | None) -> float:
    return max(0.0, (moment - since).total_seconds()) if since else 0.0


def _destinations() -> Metric:
    query = select(Destination.kind, Destination.state, func.count()).group_by(Destination.kind, Destination.state)
    found = {(kind, state): number for kind, state, number in db.session.execute(query)}
    every = [((kind, state), float(found.get((kind, state), 0))) for kind in Kind for state in DestinationState]
    return gauge("leadapp_destinations", "Destinations by state", ("kind", "state"), every)


def _signs_of_life() -> Iterator[Metric]:
    query = select(Heartbeat.name, Heartbeat.role, Heartbeat.seen_at, db_now())
    found = [
        (name, role, _age(moment, seen_at))
        for name, role, seen_at, moment in db.session.execute(query.where(Heartbeat.seen_at > db_now(-REMEMBERED)))
    ]
    fresh = Counter(role for _, role, age in found if age < heartbeats.FRESH.total_seconds())
    alive = [((role,), float(fresh[role])) for role in ROLES]
    yield gauge("leadapp_processes_alive", "Worker and clock processes seen in the last 30 seconds", ["role"], alive)
    ages = [((role, name.partition(":")[2]), age) for name, role, age in found]
    meaning = "Seconds since a process was last seen; forgotten after 15 minutes"
    yield gauge("leadapp_heartbeat_age_seconds", meaning, ("role", "process"), ages)


def _periodic() -> Iterator[Metric]:
    query = select(PeriodicRun.name, PeriodicRun.finished_at, PeriodicRun.last_error, db_now())
    found = db.session.execute(query.order_by(PeriodicRun.name)).all()
    ages = [((name,), _age(moment, finished)) for name, finished, _, moment in found if finished]
    yield gauge("leadapp_periodic_age_seconds", "Seconds since a periodic job last ended", ["job"], ages)
    broken = [((name,), float(bool(error))) for name, _, error, _ in found]
    yield gauge("leadapp_periodic_broken", "1 when a periodic job's last run broke", ["job"], broken)
