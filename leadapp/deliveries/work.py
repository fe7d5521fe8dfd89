"""Deliver: claim a slice, give the database connection back, send on a thread pool, settle as rows finish.

A send that takes long is let go: it settles itself when it is over, and the job goes on with what others wait for.
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
from dataclasses import dataclass, field, replace
from functools import cache
from uuid import UUID

from flask import Flask, current_app
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from leadapp.config import settings
from leadapp.database import release, transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.claim import rehearse as rehearse_claim
from leadapp.deliveries.claims import Claim
from leadapp.deliveries.due import QUEUE_KINDS, queue_of
from leadapp.deliveries.models import Delivery, DeliveryState, Purpose
from leadapp.deliveries.settle import Result, Settled, settle
from leadapp.deliveries.settle import rehearse as rehearse_settle
from leadapp.errors import DeliveryError, DeliveryFailed, NotSentError, TemporaryError
from leadapp.extensions import db
from leadapp.http import LANES
from leadapp.queue import Bell, note_needs_you, ring, rows_to_retry

logger = logging.getLogger(__name__)

LONGEST_RUN = 10.0  # seconds after which a job ends and lets others have a turn
PATIENCE = 0.3  # seconds that a job waits for a slice; receivers that need longer hold up nobody else
WITHDRAWN_AT_ONCE = 64  # jobs whose rows were taken along
GATHER = 0.02  # seconds; a settle costs ten statements, for one row or for sixteen
SETTLE_PAUSES = (0.1, 0.3, 1.0, 2.0, 4.0, 8.0)  # while the database is away
STOP = threading.Event()  # set by SIGTERM: nothing new is begun, what is unsent goes back


@dataclass
class _Senders:
    """The threads of this process, the sends that no job waits for, and the destinations that were last so slow."""

    pool: ThreadPoolExecutor | None = None
    out: set["Future[Result]"] = field(default_factory=set)
    slow: set[int] = field(default_factory=set)
    over: list[Result] = field(default_factory=list)  # of the sends that are out: over, and not yet settled
    turn: threading.Lock = field(default_factory=threading.Lock)  # to settle what is over


_senders = _Senders()


def deliver(delivery_ids: Sequence[str]) -> None:
    """Job: deliver these rows, and others of the same queue that are due. Safe to run twice."""
    ids = [UUID(row_id) for row_id in delivery_ids]
    kind = db.session.scalar(select(Delivery.kind).where(Delivery.id.in_(ids)).limit(1))
    release()
    if kind is not None:
        _run_job(Wanted(ids, QUEUE_KINDS[queue_of(kind)]))


def deliver_owed(lead_id: UUID, purpose: Purpose) -> None:
    """What one lead still owes for one purpose; nothing is owed any more: ends at once. Safe to run twice."""
    kinds = QUEUE_KINDS[queue_of(outbox.KIND_OF[purpose])]
    _run_job(Wanted(kinds=kinds, lead=(lead_id, purpose)))


def show_needs_you(delivery_ids: Sequence[str]) -> None:
    """Job: rows that were given up after their own job had ended, for the failed list; sends nothing by itself.

    Requeued from there, it moves exactly these rows back to pending and tries them.
    """
    if rows_to_retry():
        _run_job(Wanted())
        return
    ids = [UUID(row_id) for row_id in delivery_ids]
    given_up = Delivery.state == DeliveryState.PERMANENTLY_FAILED
    dead = list(db.session.scalars(select(Delivery.id).where(Delivery.id.in_(ids), given_up)))
    release()
    _fail_for(dead)


def rehearse() -> None:
    """Run what a delivery runs, on nothing: each process makes its statements once, which takes some 80 ms in all, and
    the first lead need not wait for that."""
    with transaction():
        rehearse_claim()
        rehearse_settle()
    release()


def _run_job(wanted: Wanted) -> None:
    retry = [UUID(row_id) for row_id in rows_to_retry()]
    if retry:
        outbox.requeue(retry, actor="rq-dashboard")
    _fail_for(run(replace(wanted, ids=[*retry, *wanted.ids])))


def _fail_for(dead: Sequence[UUID]) -> None:
    """Note on the running job what needs a person, and fail with it; nothing does: the job is well."""
    note_needs_you([str(row_id) for row_id in dead])
    if dead:
        raise DeliveryFailed(f"{len(dead)} need a person: {' '.join(map(str, dead))}") from None


def run(wanted: Wanted, longest: float = LONGEST_RUN) -> list[UUID]:
    """Claim and send slices until nothing is claimable, STOP is set or the time is over.

    While slices come in full, the next one is claimed before the last one has landed: threads send while this one
    waits for the database. Returns the ids of rows that became permanently_failed.
    """
    ends = time.monotonic() + longest
    flight = _Flight(current_app._get_current_object())  # type: ignore[attr-defined]
    own_jobs = {wanted.lead} if wanted.lead else set()
    dead: list[UUID] = []
    try:
        while not STOP.is_set():
            if not _free(len(flight.waiting)):  # before waiting for a thread: what is over settles as it finishes
                dead += flight.land()
            if not (room := _room(ends, len(flight.waiting))):
                break
            claimed_at = time.monotonic()
            claims = claim(replace(wanted, room=room), worker_name())
            if not claims and not flight.waiting:
                break
            wanted = replace(wanted, lead=None)
            flight.begin(claims, claimed_at + settings().lease_seconds)
            dead += flight.land(leaving=settings().pool if len(claims) == settings().pool else 0)
            if len(flight.landed) >= WITHDRAWN_AT_ONCE:
                _withdraw_jobs(flight.take_landed(), own_jobs)
            if time.monotonic() > ends:
                break
        dead += flight.land()
    finally:  # also when this job breaks: what was sent must not be forgotten
        flight.let_go()
    _withdraw_jobs(flight.take_landed(), own_jobs)
    return dead


def _withdraw_jobs(landed: Sequence[Claim], own_jobs: set[tuple[UUID, Purpose]]) -> None:
    """Of the rows that were taken along."""
    outbox.withdraw_jobs({(one.lead_id, one.purpose) for one in landed if one.lead_id is not None} - own_jobs)


def finish(seconds: float) -> None:
    """Wait until the sends that no job waits for have settled, at most so long."""
    until = time.monotonic() + seconds
    while _senders.out and time.monotonic() < until:
        time.sleep(0.02)


def _room(until: float, waiting: int) -> int:
    """How many threads are free; waits for one while receivers that hang hold them all."""
    while not (room := _free(waiting)) and time.monotonic() < until:
        if STOP.wait(0.02):
            break
    return room


def _free(waiting: int) -> int:
    return max(0, settings().pool * LANES - len(_senders.out) - waiting)


class _Flight:
    """The sends that one run waits for."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.waiting: dict[Future[Result], tuple[Claim, float]] = {}  # the claim, and until when it is waited for
        self.landed: list[Claim] = []  # and those that still are waited for, until take_landed

    def begin(self, claims: Sequence[Claim], lease_end: float) -> None:
        """Hand them to the threads. Who was slow the last time is not waited for."""
        if _senders.pool is None:
            _senders.pool = ThreadPoolExecutor(settings().pool * LANES, thread_name_prefix="send")
        patience_ends = min(time.monotonic() + PATIENCE, lease_end)
        for one in claims:
            self.waiting[_senders.pool.submit(_send_in_context, self.app, one, lease_end)] = (one, patience_ends)
            self.landed.append(one)
        self.let_go({future for future, (one, _) in self.waiting.items() if one.destination_id in _senders.slow})

    def land(self, leaving: int = 0) -> list[UUID]:
        """Settle what is over until no more than `leaving` are waited for. Returns what became permanently_failed."""
        dead: list[UUID] = []
        while len(self.waiting) > leaving:
            first_end = min(ends for _, ends in self.waiting.values())
            done, _ = wait(self.waiting, max(0.0, first_end - time.monotonic()), FIRST_COMPLETED)
            if done:
                done, _ = wait(self.waiting, GATHER)  # what ends in the same moment settles in the same transaction
                dead += self._settle(done)
            else:
                late = {future for future, (_, ends) in self.waiting.items() if ends <= time.monotonic()}
                _senders.slow |= {self.waiting[future][0].destination_id for future in late}
                self.let_go(late)
        return dead

    def _settle(self, done: set["Future[Result]"]) -> list[UUID]:
        settled = _settle([future.result() for future in done])
        for future in done:
            del self.waiting[future]
        return [row.id for row in settled if row.state is DeliveryState.PERMANENTLY_FAILED]

    def let_go(self, sends: set["Future[Result]"] | None = None) -> None:
        """These (all, when none are named) settle themselves in their own threads, together with what is over then."""
        gone = set(self.waiting) if sends is None else sends
        for future in gone:
            del self.waiting[future]
        over = [future for future in gone if future.done()]
        _senders.over.extend(future.result() for future in over[1:])  # one of them settles them all
        still_out = gone.difference(over[1:])
        _senders.out |= still_out
        for future in still_out:
            future.add_done_callback(self._settle_what_is_over)

    def _settle_what_is_over(self, future: "Future[Result]") -> None:
        try:
            _senders.over.append(future.result())
            with self.app.app_context():
                with _senders.turn:
                    results = _take_over()
                    settled = _settle(results)
                if settled:
                    _ring_for(results, settled)
        finally:
            _senders.out.discard(future)

    def take_landed(self) -> list[Claim]:
        """The claims that this run need not wait for any longer, each once."""
        waiting = {one.delivery_id for one, _ in self.waiting.values()}
        landed = [one for one in self.landed if one.delivery_id not in waiting]
        self.landed = [one for one in self.landed if one.delivery_id in waiting]
        return landed


def _take_over() -> list[Result]:
    results = _senders.over[:]
    del _senders.over[: len(results)]
    _senders.slow -= {one.claim.destination_id for one in results if one.duration_ms < PATIENCE * 1000}
    return results


def _ring_for(results: Sequence[Result], settled: Sequence[Settled]) -> None:
    """No job waits for these sends any more. So one is made to fail for each that was given up (without Redis the
    admin's list has it), and one to take what waited behind them while their destination was full."""
    dead = {row.id for row in settled if row.state is DeliveryState.PERMANENTLY_FAILED}
    claims = [result.claim for result in results]
    given_up = [one for one in claims if one.delivery_id in dead]
    if given_up:
        ring([Bell("show_needs_you", queue_of(one.kind), [str(one.delivery_id)], one.claimed_at) for one in given_up])
    outbox.ring_next({one.destination_id for one in claims}, len(claims))


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
        ids = {"delivery_id": str(one.delivery_id), "lead_id": str(one.lead_id), "correlation_id": one.correlation_id}
        logger.exception("a channel broke", extra={**ids, "kind": str(one.kind)})
        return Result(one, error=TemporaryError(f"unexpected: {type(error).__name__}"), duration_ms=_since(began))
    return Result(one, receipt=receipt, duration_ms=_since(began))


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def worker_name() -> str:
    """Who claims, as the admin shows it: host and process."""
    return f"{_host()}:{os.getpid()}"


@cache
def _host() -> str:
    return socket.gethostname()
