"""The clock process: runs the periodic jobs of schedule.py when they are due."""

import logging
import signal
import threading
import time
from typing import Any

from sqlalchemy.exc import DBAPIError

from leadapp import schedule
from leadapp.config import settings
from leadapp.extensions import db
from leadapp.ops import heartbeats, tally
from leadapp.workers import supervisor

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
LOOK_SECONDS = 0.25
_stop = threading.Event()


def run_clock() -> None:
    """The body of the clock process, until SIGTERM or until its supervisor is gone."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _be_told)
    app = supervisor.application()
    with app.app_context():
        jobs = [
            *schedule.periodic_jobs(settings()),
            schedule.Periodic("heartbeat", BEAT_SECONDS, lambda: heartbeats.beat(heartbeats.CLOCK)),
        ]
        next_at = dict.fromkeys((job.name for job in jobs), 0.0)
        while not _stop.is_set() and not supervisor.parent_is_gone():
            for job in jobs:
                if time.monotonic() >= next_at[job.name]:
                    next_at[job.name] = time.monotonic() + job.seconds
                    _run(job)
            _stop.wait(LOOK_SECONDS)
        _sign_off()


def _run(job: schedule.Periodic) -> None:
    """A database that is away costs a turn, not the clock."""
    try:
        if job.name == "heartbeat":  # every clock's own; needs no lease
            job.run()
        else:
            schedule.run_if_due(job, heartbeats.own_name(heartbeats.CLOCK))
    except DBAPIError:
        logger.warning("the database does not answer", extra={"job": job.name})
        db.session.rollback()


def _sign_off() -> None:
    tally.flush()
    try:
        heartbeats.forget(heartbeats.own_name(heartbeats.CLOCK))
    except DBAPIError:
        logger.warning("could not sign off: the database does not answer")


def _be_told(*_: Any) -> None:
    _stop.set()
    supervisor.told()
