"""Connections to Redis that give up soon; after a failure the whole process leaves Redis alone for a while.

The rate limiter and the bell share one pool, so that a request which meets a silent Redis waits for it once.
"""

import time
from typing import Any, Self

from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from leadapp.config import Settings

CLOSED_SECONDS = 5.0


class Breaker:
    """Whether Redis is left alone right now."""

    def __init__(self) -> None:
        self._until = 0.0

    def trip(self) -> None:
        self._until = time.monotonic() + CLOSED_SECONDS

    @property
    def is_tripped(self) -> bool:
        return time.monotonic() < self._until

    def __deepcopy__(self, _memo: Any) -> Self:
        """redis-py copies the retry policy for every connection; they all share this breaker."""
        return self


class _TellingRetry(Retry):
    """One try only, and the breaker hears of its failure."""

    def __init__(self, breaker: Breaker) -> None:
        super().__init__(NoBackoff(), 0)
        self._breaker = breaker

    def call_with_retry(self, *args: Any, **options: Any) -> Any:
        try:
            return super().call_with_retry(*args, **options)
        except (RedisConnectionError, RedisTimeoutError):
            self._breaker.trip()
            raise


class _GuardedPool(ConnectionPool):
    """Hands out no connection while the breaker is tripped."""

    breaker: Breaker

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if self.breaker.is_tripped:
            raise RedisConnectionError("Redis did not answer a moment ago")
        return super().get_connection(*args, **options)


def patient(settings: Settings, timeout: float) -> Redis:
    """A client whose every step gives up after `timeout` seconds, without a second try; for workers."""
    return Redis.from_url(settings.redis_url, retry=Retry(NoBackoff(), 0), **_options(settings, timeout))


def short_tempered(settings: Settings, timeout: float) -> tuple[Redis, Breaker]:
    """The same behind a breaker, for requests: after a failure nobody waits for Redis for 5 seconds."""
    breaker = Breaker()
    pool = _GuardedPool.from_url(settings.redis_url, retry=_TellingRetry(breaker), **_options(settings, timeout))
    pool.breaker = breaker
    return Redis(connection_pool=pool), breaker


def _options(settings: Settings, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {"socket_timeout": timeout, "socket_connect_timeout": min(timeout, 2.0)}
    if settings.redis_url.startswith("rediss://") and not settings.redis_tls_verify:
        options |= {"ssl_cert_reqs": "none", "ssl_check_hostname": False}
    return options
