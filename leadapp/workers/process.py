"""One worker process: serves its queues while Redis answers, and looks into SQL by itself while it does not.

RQ's SimpleWorker without its fork, its remote commands and its signal handlers: SIGTERM only sets a flag, what is
being sent is finished, and nothing new is begun.
"""

import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.worker import SimpleWorker
from rq.worker.base import WorkerStatus
from sqlalchemy.exc import DBAPIError

from leadapp import queue
from leadapp.config import settings
from leadapp.database import release
from leadapp.deliveries import work
from leadapp.deliveries.claim import Wanted
from leadapp.deliveries.due import QUEUE_KINDS
from leadapp.errors import DeliveryFailed
from leadapp.extensions import db
from leadapp.ops import heartbeats, logs, tally
from leadapp.workers import supervisor

logger = logging.getLogger(__name__)

POP_SECONDS = 2
REDIS_TIMEOUT = POP_SECONDS + 1.5  # a Redis that says nothing is given up soon
WORKER_TTL = 60
BEAT_SECONDS = 5.0
_names = count(1)


class BellWorker(SimpleWorker):
    """RQ's worker for our queues: takes turns between them, runs only what JOBS names, stops at work.STOP."""

    def dequeue_job_and_maintain_ttl(
        self,
        timeout: int | None,
        max_idle_time: int | None = None,  # noqa: ARG002 - RQ's signature
    ) -> tuple[Job, Queue] | None:
        """The next job, or None when it is time to stop. A lost Redis raises: the process then looks into SQL."""
        self.set_state(WorkerStatus.IDLE)
        while not work.STOP.is_set():
            self.heartbeat()
            if self.should_run_maintenance_tasks:
                self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
            try:
                found: tuple[Job, Queue] | None = self.queue_class.dequeue_any(
                    self._ordered_queues,
                    POP_SECONDS if timeout is not None else None,
                    connection=self.connection,
                    job_class=self.job_class,
                    serializer=self.serializer,
                    death_penalty_class=self.death_penalty_class,
                )
            except DequeueTimeout:
                continue
            if found:
                self.reorder_queues(found[1])
            return found
        return None

    def reorder_queues(self, reference_queue: Queue) -> None:
        """In turn, so that a flood in one queue never holds up the other."""
        place = self._ordered_queues.index(reference_queue)
        self._ordered_queues = self._ordered_queues[place + 1 :] + self._ordered_queues[: place + 1]

    def perform_job(self, job: Job, queue: Queue, execution: Any) -> bool:
        """Run it if its name is on our list; otherwise it fails without anything of it being imported."""
        if reason := _refusal(job):
            logger.error("refused a job", extra={"job_id": job.id, "reason": reason})
            self.prepare_job_execution(job)
            self.handle_job_failure(job, queue, exc_string=f"refused: {reason}", execution=execution)
            return False
        try:
            with logs.job(str(job.func_name).rpartition(".")[2], str(job.id), job.args):
                done: bool = super().perform_job(job, queue, execution)
            return done
        finally:
            db.session.remove()

    def _finalize_failure(self, job: Job, queue: Queue, execution: Any, exc_info: Any) -> None:
        """What RQ keeps in Redis quotes nobody: an unexpected error's own text may hold a lead's words."""
        error = exc_info[1]
        if error is not None and not isinstance(error, DeliveryFailed):
            logger.error("a job broke", exc_info=exc_info, extra={"job_id": job.id})
            told = RuntimeError(f"{type(error).__name__}: {logs.message_of(error)}")
            exc_info = (type(told), told, exc_info[2])
        super()._finalize_failure(job, queue, execution, exc_info)

    def teardown(self) -> None:
        """Sign off, if Redis is there to hear it."""
        try:
            super().teardown()  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            logger.warning("could not sign off: Redis does not answer")

    def _set_connection(self, connection: Redis) -> Redis:
        return connection  # ours gives up sooner than RQ would have it

    def _install_signal_handlers(self) -> None:
        """Ours are installed once for the process."""

    def subscribe(self) -> None:
        """No remote commands: whoever can write to Redis must not stop our workers."""

    def unsubscribe(self) -> None:
        """Nothing was subscribed to."""


def _refusal(job: Job) -> str:
    """Why a job is not one of ours; "" when it is."""
    if job.func_name not in queue.JOBS.values():
        return "not on the list of job names"
    callbacks = (job._success_callback_name, job._failure_callback_name, job._stopped_callback_name)
    if any(callbacks):
        return "it carries a callback"
    if getattr(job, "webhooks", None):
        return "it carries a webhook"
    return ""


def queues_for(index: int, total: int) -> Sequence[str]:
    """With two or more processes the first never takes imports or periodic work; with one it serves all."""
    return queue.QUEUES[:2] if index == 0 and total > 1 else queue.QUEUES


def run_worker(index: int, total: int) -> None:
    """The body of a worker process, until SIGTERM or until its supervisor is gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    app = supervisor.application()
    threading.Thread(target=_watch, args=(app,), daemon=True, name="heartbeat").start()
    with app.app_context():
        names = queues_for(index, total)
        _rehearse()
        while not work.STOP.is_set():
            if queue.answers():
                serve(names)
            if not work.STOP.is_set():
                look_into_sql(names)
                work.STOP.wait(1.0)
        work.finish(settings().shutdown_grace_seconds)
        _sign_off()


def _rehearse() -> None:
    try:
        work.rehearse()
    except DBAPIError:  # not there yet, or without its tables: the first job tells
        db.session.rollback()


def serve(names: Sequence[str], *, is_burst: bool = False) -> None:
    """Work for Redis until it is lost or it is time to stop; `is_burst` stops when the queues are empty."""
    try:
        connection = queue.connect(settings(), REDIS_TIMEOUT)
        worker = BellWorker(
            [Queue(name, connection=connection, serializer=JSONSerializer) for name in names],
            name=f"{socket.gethostname()[:40]}-{os.getpid()}-{next(_names)}",
            connection=connection,
            serializer=JSONSerializer,
            worker_ttl=WORKER_TTL,
            default_result_ttl=queue.RESULT_TTL,
        )
        worker.work(burst=is_burst)
    except (RedisError, OSError) as error:
        logger.warning("lost Redis; looking into SQL meanwhile", extra={"reason": queue.reason(error)})


def look_into_sql(names: Sequence[str]) -> None:
    """Deliver what is due without the queue: claim, send, settle."""
    kinds = tuple(kind for name in names for kind in QUEUE_KINDS.get(name, ()))
    try:
        work.run(Wanted(kinds=kinds, is_any_destination=True))
    except DBAPIError:
        logger.warning("the database does not answer", exc_info=True)
        db.session.rollback()
    release()


def _stop(*_: Any) -> None:
    work.STOP.set()
    supervisor.told()


def _watch(app: Any) -> None:
    """Say every few seconds that this process lives; stop it when its supervisor was killed."""
    beaten_at = 0.0
    while not work.STOP.is_set():
        if supervisor.parent_is_gone():
            work.STOP.set()
        if time.monotonic() - beaten_at >= BEAT_SECONDS:
            beaten_at = time.monotonic()
            with app.app_context():
                _beat(heartbeats.WORKER)
        work.STOP.wait(1.0)


def _beat(role: str) -> None:
    try:
        heartbeats.beat(role)
    except DBAPIError:
        db.session.rollback()  # the next beat tells; what matters is shown by the database being away


def _sign_off() -> None:
    tally.flush()
    try:
        heartbeats.forget(heartbeats.own_name(heartbeats.WORKER))
    except DBAPIError:
        logger.warning("could not sign off: the database does not answer")
