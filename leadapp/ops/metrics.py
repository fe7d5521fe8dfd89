"""/metrics for Prometheus: what every process counts (counted), and gauges that are read when asked (gauges).

No label holds anything of a visitor: forms by their key, the rest are words of our own and process names.
"""

import logging
from collections.abc import Callable, Iterable, Iterator

from flask import Blueprint, Response, request
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
from leadapp.ops import bearer, gauges, health, tally
from leadapp.ops.counted import COUNTERS, HISTOGRAMS
from leadapp.ops.tally import Counter, Histogram

logger = logging.getLogger(__name__)

metrics = Blueprint("metrics", __name__)
metrics.access = guard.PUBLIC  # type: ignore[attr-defined]  # by METRICS_TOKEN
metrics.before_request(bearer.check)


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
