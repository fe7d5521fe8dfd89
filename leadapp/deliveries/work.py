"""Deliver: claim a slice, give the database connection back, send on a thread pool, settle as rows finish.

A second run of any job finds its rows settled or claimed and ends at once. Rows that became permanently_failed are
noted on the job, which then fails: rq-dashboard's failed list holds what needs a person.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from leadapp.config import settings
from leadapp.database import release
from leadapp.deliveries import outbox
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claims import Claim
from leadapp.deliveries.due import QUEUE_KINDS, queue_of
from leadapp.deliveries.models import Delivery, DeliveryState, Kind, Purpose, before
from leadapp.deliveries.settle import Result, Settled, settle
from leadapp.errors import DeliveryError, DeliveryFailed, NotSentError, TemporaryError
from leadapp.extensions import db
from leadapp.queue import note_needs_you, rows_to_retry

logger = logging.getLogger(__name__)

LONGEST_RUN = 10.0  # seconds after which a job ends and lets others have a turn
SETTLE_PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)  # while the database is away
STOP = threading.Event()  # set by SIGTERM: nothing new is begun, what is unsent goes back


@dataclass
class _Senders:
    """The threads of this process, and sends that outlived their lease."""

    pool: ThreadPoolExecutor | None = None
    late: set["Future[Result]"] = field(default_factory=set)


_senders = _Senders()


def deliver(delivery_ids: Sequence[str]) -> None:
    """Job: deliver these rows, and others of the same queue that are due. Safe to run twice."""
    ids = [UUID(row_id) for row_id in delivery_ids]
    kind = db.session.scalar(select(Delivery.kind).where(Delivery.id.in_(ids)).limit(1))
    release()
    if kind is not None:
        _run_job(ids, QUEUE_KINDS[queue_of(kind)])


def deliver_owed(lead_id: UUID, purpose: Purpose) -> None:
    """What one lead still owes for one purpose; nothing is owed any more: ends at once. Safe to run twice."""
    query = select(Delivery.id, Delivery.kind).where(
        Delivery.lead_id == lead_id,
        Delivery.purpose == purpose,
        Delivery.state.in_(before(DeliveryState.SENDING)),
    )
    owed = list(db.session.execute(query))
    release()
    if owed or rows_to_retry():
        kinds = QUEUE_KINDS[queue_of(owed[0][1])] if owed else ()
        _run_job([row_id for row_id, _ in owed], kinds)


def _run_job(ids: Sequence[UUID], kinds: tuple[Kind, ...]) -> None:
    retry = [UUID(row_id) for row_id in rows_to_retry()]
    if retry:
        outbox.requeue(retry, actor="rq-dashboard")
    dead = run(Wanted([*retry, *ids], kinds))
    note_needs_you([str(row_id) for row_id in dead])
    if dead:
        raise DeliveryFailed(f"{len(dead)} need a person: {' '.join(map(str, dead))}") from None


def run(wanted: Wanted, longest: float = LONGEST_RUN) -> list[UUID]:
    """Claim and send slices until nothing is claimable, STOP is set or the time is over.

    Returns the ids of rows that became permanently_failed.
    """
    began = time.monotonic()
    dead: list[UUID] = []
    _settle_late()
    while not STOP.is_set():
        claimed_at = time.monotonic()
        claims = claim(wanted, worker_name())
        if not claims:
            break
        settled = _send_all(claims, claimed_at + settings().lease_seconds)
        dead += [row.id for row in settled if row.state is DeliveryState.PERMANENTLY_FAILED]
        if time.monotonic() - began > longest:
            break
    return dead


def _send_all(claims: Sequence[Claim], lease_end: float) -> list[Settled]:
    if _senders.pool is None:
        _senders.pool = ThreadPoolExecutor(settings().pool, thread_name_prefix="send")
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    waiting = {_senders.pool.submit(_send_in_context, app, one, lease_end) for one in claims}
    settled: list[Settled] = []
    while waiting:
        done, waiting = wait(waiting, max(0.0, lease_end - time.monotonic()), FIRST_COMPLETED)
        if not done:  # stuck beyond every deadline: the sweeper has the row, proof is settled when it comes
            _senders.late |= waiting
            break
        settled += _settle([future.result() for future in done])
    return settled


def _settle_late() -> None:
    done = {future for future in _senders.late if future.done()}
    _senders.late -= done
    if done:
        _settle([future.result() for future in done])


def _settle(results: Sequence[Result]) -> list[Settled]:
    """Settle, waiting out a database that is away: what was sent must not be forgotten."""
    for pause in (*SETTLE_PAUSES, None):
        try:
            return settle(results)
        except (DBAPIError, PoolTimeoutError):
            db.session.rollback()
            release()
            if pause is None:
                logger.exception("could not settle; the sweeper will find these rows")
                return []
            time.sleep(pause)
    return []


def _send_in_context(app: Flask, one: Claim, lease_end: float) -> Result:
    with app.app_context():
        return send(one, lease_end)


def send(one: Claim, lease_end: float) -> Result:
    """Send one claim; every way it can end is a Result."""
    began = time.monotonic()
    try:
        channel = CHANNELS[one.kind]
        deadline = began + channel.deadline_seconds(settings())
        if STOP.is_set() or deadline > lease_end:
            raise NotSentError("no time left to send it")
        receipt = channel.send(one, deadline)
    except DeliveryError as error:
        return Result(one, error=error, duration_ms=_since(began))
    except Exception as error:
        logger.exception("a channel broke", extra={"delivery_id": str(one.delivery_id), "kind": str(one.kind)})
        return Result(one, error=TemporaryError(f"unexpected: {type(error).__name__}"), duration_ms=_since(began))
    return Result(one, receipt=receipt, duration_ms=_since(began))


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def worker_name() -> str:
    """Who claims, as the admin shows it: host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"
