"""When a failed delivery is tried again: a pure function, so that every figure can be read and tested."""

import random as randomness
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from leadapp.config import Settings
from leadapp.errors import DeliveryError, DestinationError, NotSentError, TemporaryError

LONGEST = timedelta(hours=24)


@dataclass(frozen=True)
class RetryPolicy:
    """The first pause, how many retries follow the first try, and the share of jitter on top."""

    base: timedelta = timedelta(seconds=30)
    retries: int = 5
    jitter: float = 0.2

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(
            timedelta(seconds=settings.delivery_retry_base_seconds),
            settings.delivery_max_retries,
            settings.retry_jitter,
        )


def next_attempt(
    tries: int, error: DeliveryError, policy: RetryPolicy, random: Callable[[], float] = randomness.random
) -> timedelta | None:
    """How long to wait after `tries` tries (this one included), or None when there is no further try.

    base x 2^(tries-1), at most 24 h, plus 0 to `jitter` of it; never before Retry-After. A paused destination and
    a row that was not begun cost no try: due at once, and the destination's pause holds it.
    """
    if isinstance(error, NotSentError) or (isinstance(error, DestinationError) and not error.disable):
        return timedelta(0)
    if not isinstance(error, TemporaryError) or tries > policy.retries:
        return None
    pause = min(policy.base.total_seconds() * 2.0 ** min(tries - 1, 40), LONGEST.total_seconds())
    pause *= 1 + policy.jitter * random()
    return max(timedelta(seconds=pause), error.retry_after or timedelta(0))
