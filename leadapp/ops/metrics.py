"""/metrics for Prometheus: counters that every process adds to (tally), gauges that are read when asked (gauges).

No label holds anything of a visitor: forms by their key, the rest are words of our own and process names.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator

from flask import Blueprint, Flask, Response, g, has_request_context, request
from flask.typing import ResponseReturnValue
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from leadapp import __version__
from leadapp.accounts import guard
from leadapp.database import release
from leadapp.deliveries.claims import Ended
from leadapp.deliveries.models import DeliveryState
from leadapp.leads.intake import Accepted
from leadapp.leads.models import Form
from leadapp.ops import bearer, gauges, health, tally
from leadapp.ops.tally import Counter, Histogram

logger = logging.getLogger(__name__)

ACCEPT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
DELIVERED_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86400.0)

ACCEPTED = Counter("leadapp_leads_accepted", "Leads that were saved and answered with success", ("form", "source"))
ACCEPT_SECONDS = Histogram(
    "leadapp_accept_seconds", "Seconds from the whole post to its answer", ("source",), ACCEPT_BOUNDS
)
SETTLED = Counter("leadapp_deliveries_settled", "Deliveries as each attempt left them", ("kind", "state"))
ATTEMPTS = Counter("leadapp_attempts", "Attempts by how they ended", ("kind", "outcome"))
DELIVERED_SECONDS = Histogram(
    "leadapp_accept_to_delivered_seconds",
    "Seconds from planning a delivery (for most: accepting its lead) until it was taken",
    ("kind",),
    DELIVERED_BOUNDS,
)
COUNTERS = (ACCEPTED, SETTLED, ATTEMPTS)
HISTOGRAMS = (ACCEPT_SECONDS, DELIVERED_SECONDS)

metrics = Blueprint("metrics", __name__)
metrics.access = guard.PUBLIC  # type: ignore[attr-defined]  # by METRICS_TOKEN
metrics.before_request(bearer.check)


def init_app(app: Flask) -> None:
    tally.init_app(app)
    app.register_blueprint(metrics)
    app.after_request(_time_accepting)


def count_accepted(form: Form, accepted: Accepted, source: str) -> None:
    """A lead was saved: intake calls this, through a list that app.py fills. A repeated Idempotency-Key counts once."""
    if accepted.is_new:
        tally.count(ACCEPTED, form.key, source)
    if has_request_context():
        g.accepted_from = source


def _time_accepting(response: Response) -> Response:
    began = request.environ.get("leadapp.began_at")
    source = g.pop("accepted_from", None)
    if source and began is not None:
        tally.observe(ACCEPT_SECONDS, time.monotonic() - began, source)
    return response


def count_ended(ended: Ended) -> None:
    """An attempt ended and is written down: called by settle and sweep, through a list that app.py fills."""
    tally.count(ATTEMPTS, ended.kind, ended.outcome)
    tally.count(SETTLED, ended.kind, ended.state)
    if ended.state is DeliveryState.DELIVERED:
        tally.observe(DELIVERED_SECONDS, ended.seconds, ended.kind)


@metrics.get("/metrics")
def show() -> ResponseReturnValue:
    """Everything, in the format that the caller prefers; whatever is away is left out and said by `leadapp_up`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Everything())
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), headers={"Content-Type": content_type, "Cache-Control": "no-store"})


class _Everything(Collector):
    """Asked once for each scrape."""

    def collect(self) -> Iterator[Metric]:
        from_database, database_up = _if_there(_database, SQLAlchemyError)
        from_redis, redis_up = _if_there(gauges.from_redis, RedisError)
        counted, counted_up = _if_there(_counted, RedisError)
        yield from (*from_database, *from_redis, *counted)
        up = [(("database",), float(database_up)), (("redis",), float(redis_up and counted_up))]
        yield gauges.gauge("leadapp_up", "1 when this part answered", ["part"], up)
        yield gauges.gauge("leadapp_build_info", "The version that runs", ["version"], [((__version__,), 1.0)])


def _database() -> list[Metric]:
    """In a time box, so that a database that hangs does not hide what Redis tells."""

    def read() -> list[Metric]:
        try:
            return list(gauges.from_database())
        finally:
            release()

    return health.in_time(read)


def _if_there(read: Callable[[], Iterable[Metric]], error: type[Exception]) -> tuple[list[Metric], bool]:
    try:
        return list(read()), True
    except (error, OSError):
        logger.warning("figures are incomplete", exc_info=True)
        return [], False


def _counted() -> Iterator[Metric]:
    totals = tally.totals()
    for counter in COUNTERS:
        family = CounterMetricFamily(counter.name, counter.meaning, labels=list(counter.labels))
        for labels, number in _of(counter, totals):
            family.add_metric(list(labels), number)
        yield family
    for histogram in HISTOGRAMS:
        yield _as_histogram(histogram, dict(_of(histogram, totals)))


def _of(counter: Counter, totals: dict[tuple[str, ...], float]) -> Iterator[tuple[tuple[str, ...], float]]:
    """The series of one counter without its name; what an older version wrote with other labels is left out."""
    length = len(counter.labels) + isinstance(counter, Histogram)
    for series, number in sorted(totals.items()):
        if series[0] == counter.name and len(series) == length + 1:
            yield series[1:], number


def _as_histogram(histogram: Histogram, parts: dict[tuple[str, ...], float]) -> Metric:
    family = HistogramMetricFamily(histogram.name, histogram.meaning, labels=list(histogram.labels))
    for labels in sorted({series[:-1] for series in parts}):
        buckets, sum_so_far = [], 0.0
        for bound in (*map(str, histogram.bounds), "+Inf"):
            sum_so_far += parts.get((*labels, bound), 0.0)
            buckets.append((bound, sum_so_far))
        family.add_metric(list(labels), buckets, parts.get((*labels, "sum"), 0.0))
    return family
