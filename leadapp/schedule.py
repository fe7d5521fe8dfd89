"""The one table of periodic jobs. The clock loops over it; a lease in SQL keeps two clocks from running one at once."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, update

from leadapp.clock import db_now
from leadapp.config import Settings
from leadapp.database import insert_into, release, transaction
from leadapp.deliveries import replay_run
from leadapp.deliveries.sweep import sweep
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.daily import recount as recount_leads
from leadapp.leads.jobs import recheck, release_resumed
from leadapp.leads.old_keys import forget_old_keys
from leadapp.ops.heartbeats import forget_the_dead
from leadapp.ops.models import PeriodicRun

logger = logging.getLogger(__name__)

LONGEST_LEASE = timedelta(seconds=60)
SHORTEST_LEASE = timedelta(seconds=8)  # a clock that was killed in the middle delays a sweep by no more


@dataclass(frozen=True)
class Periodic:
    """A function without arguments that is safe to run twice, and how often it runs."""

    name: str
    seconds: float
    run: Callable[[], object]


def periodic_jobs(settings: Settings) -> tuple[Periodic, ...]:
    """Everything that happens by the clock."""
    return (
        Periodic("sweep", settings.sweep_seconds, sweep),
        Periodic("replay", 5, replay_run.advance),
        Periodic("release_resumed", 15, release_resumed),
        Periodic("recheck", 30, recheck),
        Periodic("keep_mapping", 15, rulesets.keep_copy),
        Periodic("recount_leads", 60, recount_leads),
        Periodic("forget_the_dead", 3600, forget_the_dead),
        Periodic("forget_old_keys", 3600, forget_old_keys),
    )


def run_if_due(job: Periodic, holder: str) -> bool:
    """Run one job unless it ran a moment ago or runs elsewhere. Returns whether it ran; its failure is recorded."""
    if not _take(job, holder):
        return False
    problem = ""
    try:
        job.run()
    except Exception as error:
        problem = f"{type(error).__name__}"
        logger.exception("a periodic job broke", extra={"job": job.name})
        db.session.rollback()
    _give_back(job, holder, problem)
    return True


def _take(job: Periodic, holder: str) -> bool:
    with transaction():
        db.session.execute(
            insert_into(PeriodicRun).values(name=job.name, holder="", last_error="").on_conflict_do_nothing()
        )
        taken = db.session.execute(
            update(PeriodicRun)
            .where(
                PeriodicRun.name == job.name,
                or_(PeriodicRun.lease_until.is_(None), PeriodicRun.lease_until < db_now()),
                or_(
                    PeriodicRun.started_at.is_(None),
                    # half a period early: the clocks' loops must not drift to every second turn
                    PeriodicRun.started_at <= db_now(-timedelta(seconds=job.seconds / 2)),
                ),
            )
            .values(lease_until=db_now(_lease(job)), holder=holder, started_at=db_now())
            .execution_options(synchronize_session=False)
        )
    return bool(getattr(taken, "rowcount", 0))


def _lease(job: Periodic) -> timedelta:
    """Every job is safe to run twice, so a lease only saves work: a few periods are enough."""
    return min(LONGEST_LEASE, max(SHORTEST_LEASE, timedelta(seconds=2 * job.seconds)))


def _give_back(job: Periodic, holder: str, problem: str) -> None:
    with transaction():
        db.session.execute(
            update(PeriodicRun)
            .where(PeriodicRun.name == job.name, PeriodicRun.holder == holder)
            .values(lease_until=None, finished_at=db_now(), last_error=problem)
            .execution_options(synchronize_session=False)
        )
    release()
