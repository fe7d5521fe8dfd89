"""Counters that are right with many processes: each adds up in memory and writes to one hash in Redis.

Written every few seconds by a thread of its own, never by a request: a Redis that is away delays nobody. What could
not be written stays in memory, bounded. A flushed Redis sets counters back to nothing, which Prometheus understands.
"""

import atexit
import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from flask import Flask, current_app
from redis import Redis
from redis.exceptions import RedisError

from leadapp.config import settings
from leadapp.queue import line

logger = logging.getLogger(__name__)

HASH = "leadapp:counters"
FLUSH_SECONDS = 2.0
MOST_SERIES = 5_000  # in one process; forms times sources times states is far below


@dataclass(frozen=True)
class Counter:
    """What is counted, under the name that Prometheus reads (it adds `_total`)."""

    name: str
    meaning: str
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Histogram(Counter):
    """Seconds, sorted into buckets by their upper bounds; one more takes the rest."""

    bounds: tuple[float, ...]

    def bucket(self, seconds: float) -> str:
        return next((str(bound) for bound in self.bounds if seconds <= bound), "+Inf")


class Tally:
    """What this process has counted and not yet written."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._waiting: dict[str, float] = {}
        self._is_armed = False
        self._writes_by_itself = not app.testing

    def add(self, amounts: Mapping[str, float]) -> None:
        with self._lock:
            for series, amount in amounts.items():
                if series in self._waiting or len(self._waiting) < MOST_SERIES:
                    self._waiting[series] = self._waiting.get(series, 0.0) + amount
            must_arm = self._writes_by_itself and not self._is_armed
            self._is_armed = self._is_armed or must_arm
        if must_arm:
            self._arm()

    def _arm(self) -> None:
        timer = threading.Timer(FLUSH_SECONDS, self._fire)
        timer.daemon = True
        timer.start()

    def _fire(self) -> None:
        with self._app.app_context():
            is_written = self.flush()
        with self._lock:
            self._is_armed = not is_written
        if not is_written:
            self._arm()

    def flush(self) -> bool:
        """Write what waits. Returns whether nothing is left to write. Needs an app context."""
        with self._lock:
            taken, self._waiting = self._waiting, {}
        if not taken:
            return True
        try:
            _write(line(), taken)
        except (RedisError, OSError):
            self._put_back(taken)
            return False
        return True

    def _put_back(self, taken: Mapping[str, float]) -> None:
        with self._lock:
            for series, amount in taken.items():
                self._waiting[series] = self._waiting.get(series, 0.0) + amount

    def waiting(self) -> dict[str, float]:
        with self._lock:
            return dict(self._waiting)


def _write(redis: Redis, amounts: Mapping[str, float]) -> None:
    with redis.pipeline(transaction=True) as pipe:
        for series, amount in amounts.items():
            pipe.hincrbyfloat(HASH, series, amount)
        pipe.execute()


def init_app(app: Flask) -> None:
    tally = app.extensions["tally"] = Tally(app)
    if not app.testing:
        atexit.register(_last_flush, app, tally)


def _last_flush(app: Flask, tally: Tally) -> None:
    with app.app_context():
        tally.flush()


def _tally() -> Tally:
    found: Tally = current_app.extensions["tally"]
    return found


def count(what: Counter, *labels: str, by: float = 1.0) -> None:
    """Add to a counter; `labels` in the order in which it names them."""
    _tally().add({json.dumps([what.name, *labels]): by})


def observe(what: Histogram, seconds: float, *labels: str) -> None:
    """One more duration."""
    own = [what.name, *labels]
    _tally().add({json.dumps([*own, what.bucket(seconds)]): 1.0, json.dumps([*own, "sum"]): max(0.0, seconds)})


def flush() -> bool:
    """Write what this process has counted; also done by itself every few seconds, and once at the end."""
    return _tally().flush()


def totals() -> dict[tuple[str, ...], float]:
    """Everything that every process wrote: (name, labels..., and for a histogram its bucket or "sum").

    Raises RedisError while Redis is away: no figure is better than one that seems to fall back.
    """
    flush()
    if settings().queue_eager:  # there is no Redis: one process is all there is
        return dict(_read(_tally().waiting()))
    stored = cast(dict[bytes, bytes], line().hgetall(HASH))
    return dict(_read({series.decode(): float(amount) for series, amount in stored.items()}))


def _read(amounts: Mapping[str, float]) -> Iterator[tuple[tuple[str, ...], float]]:
    for series, amount in amounts.items():
        yield tuple(json.loads(series)), amount
