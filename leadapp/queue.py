"""The bell. Redis carries row ids and nothing else; only this file and workers/process.py import rq.

`ring` is what the rest of the app calls: one pipelined write on a connection that gives up after 0.3 s, does not
retry, and is left alone for 5 s after a failure. A lost Redis costs a visitor less than a second and no lead.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from flask import Flask, current_app
from redis import Redis
from redis.exceptions import RedisError
from rq import Queue, get_current_job
from rq.exceptions import NoSuchJobError
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer
from rq.utils import import_attribute

from leadapp.breaker import Breaker, patient, short_tempered
from leadapp.config import Settings, settings
from leadapp.errors import DeliveryFailed

logger = logging.getLogger(__name__)

NOTIFICATIONS = "notifications"
INTEGRATIONS = "integrations"
PROCESSING = "processing"
SCHEDULED = "scheduled"
QUEUES = (NOTIFICATIONS, INTEGRATIONS, PROCESSING, SCHEDULED)

# The only functions that a worker runs: whoever can write to Redis could otherwise name any.
JOBS = {
    "send_lead_notification": "leadapp.leads.jobs.send_lead_notification",
    "send_lead_webhook": "leadapp.leads.jobs.send_lead_webhook",
    "send_lead_to_customer": "leadapp.leads.jobs.send_lead_to_customer",
    "deliver": "leadapp.deliveries.work.deliver",
    "show_needs_you": "leadapp.deliveries.work.show_needs_you",
}

RING_TIMEOUT = 0.3
RESULT_TTL = 3600
FAILURE_TTL = 7 * 24 * 3600
NEEDS_YOU = "needs_you"  # job.meta: ids of the rows that became permanently_failed
RUNG_AT = "rung_at"  # job.meta: the database's time of the ring


@dataclass(frozen=True)
class Bell:
    """One job to ring: its name in JOBS, its queue, the ids it carries, the database's time of the ring."""

    job: str
    queue: str
    ids: Sequence[str]
    at: datetime


@dataclass
class _Line:
    """The short-tempered connection of the web process, and its breaker."""

    redis: Redis
    breaker: Breaker


def connect(found: Settings, timeout: float) -> Redis:
    """A connection of one's own, without a breaker; every step gives up after `timeout` seconds."""
    return patient(found, timeout)


def init_app(app: Flask) -> None:
    """Prepare the ringing connection; nothing is connected until the first ring."""
    app.extensions["queue"] = _Line(*short_tempered(app.config["SETTINGS"], RING_TIMEOUT))


def line() -> Redis:
    """The short-tempered connection, also for the rate limiter and for looking at queues."""
    return _line().redis


def _line() -> _Line:
    found: _Line = current_app.extensions["queue"]
    return found


def ring(bells: Sequence[Bell]) -> str | None:
    """Enqueue all of them in one round trip. Returns None, or why it could not be done (never raises)."""
    if settings().queue_eager:
        _run_at_once(bells)
        return None
    ours = _line()
    if ours.breaker.is_tripped:
        return "Redis did not answer a moment ago"
    try:
        _write(ours.redis, bells)
    except (RedisError, OSError) as error:
        ours.breaker.trip()
        logger.warning("queue unavailable", exc_info=True)
        return reason(error)
    return None


def _run_at_once(bells: Sequence[Bell]) -> None:
    """QUEUE_EAGER: what a worker would do, in this process; a row that failed for good is shown, not raised."""
    for bell in bells:
        try:
            function(bell.job)(*_arguments(bell))
        except DeliveryFailed:
            logger.warning("a job failed", extra={"job": bell.job})


def _write(redis: Redis, bells: Sequence[Bell]) -> None:
    timeout = int(settings().lease_seconds + 60)
    with redis.pipeline(transaction=False) as pipe:
        for name in dict.fromkeys(bell.queue for bell in bells):
            prepared = [
                Queue.prepare_data(
                    JOBS[bell.job],
                    args=_arguments(bell),
                    job_id=_job_id(bell.job, bell.ids[0]) if _is_for_one_lead(bell.job) else None,
                    timeout=timeout,
                    result_ttl=RESULT_TTL,
                    failure_ttl=FAILURE_TTL,
                    description=f"{bell.job} {' '.join(bell.ids[:3])}{' ...' if len(bell.ids) > 3 else ''}",
                    meta={RUNG_AT: bell.at.timestamp()},
                )
                for bell in bells
                if bell.queue == name
            ]
            open_queue(name, redis).enqueue_many(prepared, pipeline=pipe)
        pipe.execute()


def _arguments(bell: Bell) -> tuple[Any, ...]:
    return (bell.ids[0],) if _is_for_one_lead(bell.job) else (list(bell.ids),)


def _is_for_one_lead(job: str) -> bool:
    return job.startswith("send_")


def _job_id(job: str, lead_id: str) -> str:
    """RQ's id of the job that intake rings for a lead: known without asking Redis."""
    return f"{job}-{lead_id}"


def withdraw(queue: str, jobs: Sequence[tuple[str, str]]) -> int:
    """Take these out of a queue where they still wait: (name in JOBS, lead id). Returns how many did.

    Two round trips for all of them. A job that a worker has popped meanwhile is left alone, and finds nothing to do;
    so does every one of them while Redis is away.
    """
    ids = [_job_id(job, lead_id) for job, lead_id in jobs]
    redis = _line().redis
    ours = open_queue(queue, redis)
    try:
        with redis.pipeline(transaction=False) as pipe:
            for job_id in ids:
                ours.remove(job_id, pipeline=pipe)
            waited = [job_id for job_id, count in zip(ids, pipe.execute(), strict=True) if count]
        if waited:
            redis.delete(*(Job.key_for(job_id) for job_id in waited))
    except (RedisError, OSError) as error:
        logger.warning("could not take back jobs", extra={"reason": reason(error), "count": len(ids)})
        return 0
    return len(waited)


def reason(error: Exception) -> str:
    """Why Redis did not take it, in a few words without addresses or passwords."""
    words = type(error).__name__.removesuffix("Error").lower() or "error"
    text = str(error)
    if "OOM" in text or "maxmemory" in text:
        return "Redis is out of memory"
    if "timeout" in words or "timed out" in text.lower():
        return "Redis does not answer"
    if "connection" in words or isinstance(error, OSError):
        return "Redis refuses the connection"
    return f"Redis says {words}"


def function(job: str) -> Callable[..., Any]:
    """The function that a job's name stands for."""
    found: Callable[..., Any] = import_attribute(JOBS[job])
    return found


@lru_cache(maxsize=16)  # making one costs a tenth of ringing it
def open_queue(name: str, redis: Redis) -> Queue:
    return Queue(name, connection=redis, serializer=JSONSerializer)


def oldest_ring(name: str) -> datetime | None:
    """When the job that is next in this queue was rung, by the database's clock; None when the queue is empty.

    Raises RedisError while Redis is away.
    """
    redis = line()
    queue = open_queue(name, redis)
    ids = queue.get_job_ids(0, 1)
    if not ids:
        return None
    try:
        rung_at = Job.fetch(ids[0], connection=redis, serializer=JSONSerializer).meta.get(RUNG_AT)
    except NoSuchJobError:
        return None
    return datetime.fromtimestamp(rung_at, UTC) if rung_at else None


def rows_to_retry() -> list[str]:
    """Ids that the running job left as permanently_failed last time: somebody requeued it from rq-dashboard."""
    job = get_current_job()
    return list(job.meta.get(NEEDS_YOU, [])) if job else []


def note_needs_you(ids: Sequence[str]) -> None:
    """Write the permanently failed ids of this run on the running job, for a later requeue. [] clears them."""
    job = get_current_job()
    if job and (ids or job.meta.get(NEEDS_YOU)):
        job.meta[NEEDS_YOU] = list(ids)
        job.save_meta()  # type: ignore[no-untyped-call]


def lengths() -> dict[str, int]:
    """Jobs waiting in each queue; raises RedisError while Redis is away."""
    return {name: open_queue(name, line()).count for name in QUEUES}


def failed_counts() -> dict[str, int]:
    """Jobs in each queue's failed list; raises RedisError while Redis is away."""
    return {
        name: FailedJobRegistry(name, connection=line(), serializer=JSONSerializer).get_job_count(cleanup=False)
        for name in QUEUES
    }


def answers() -> bool:
    """Whether Redis answers a ping within 0.3 s."""
    try:
        return bool(line().ping())
    except (RedisError, OSError):
        return False
