"""Periodic jobs: one at a time, not too often, and a broken one stops nothing."""

from datetime import timedelta

import pytest
from flask import Flask

from leadapp import schedule
from leadapp.clock import frozen
from leadapp.extensions import db
from leadapp.ops.models import PeriodicRun
from leadapp.schedule import Periodic, run_if_due
from tests.factories import NOON


@pytest.fixture
def ran(app: Flask) -> list[str]:
    return []


def job_of(ran: list[str]) -> Periodic:
    return Periodic("look", 10, lambda: ran.append("x"))


def test_a_job_runs_once_in_its_period_however_many_clocks_ask(ran):
    with frozen(NOON):
        assert run_if_due(job_of(ran), "one")
        assert not run_if_due(job_of(ran), "two")
    with frozen(NOON + timedelta(seconds=10)):
        assert run_if_due(job_of(ran), "two")
    assert len(ran) == 2


def test_a_job_that_runs_elsewhere_is_left_alone_until_its_lease_is_over(ran):
    with frozen(NOON):
        assert schedule._take(job_of(ran), "dies")
    with frozen(NOON + timedelta(seconds=19)):
        assert not run_if_due(job_of(ran), "other")
    with frozen(NOON + timedelta(seconds=21)):
        assert run_if_due(job_of(ran), "other")


def test_a_broken_job_is_recorded_and_does_not_raise(app):
    assert run_if_due(Periodic("broken", 10, lambda: 1 / 0), "one")
    row = db.session.get_one(PeriodicRun, "broken")
    assert (row.last_error, row.lease_until) == ("ZeroDivisionError", None)


def test_every_job_of_the_table_runs(app):
    names = [job.name for job in schedule.periodic_jobs(app.config["SETTINGS"])]
    assert "sweep" in names
    for job in schedule.periodic_jobs(app.config["SETTINGS"]):
        job.run()
