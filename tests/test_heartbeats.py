"""Signs of life in the database."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import func, select

from leadapp import clock
from leadapp.extensions import db
from leadapp.ops import heartbeats
from leadapp.ops.models import Heartbeat

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _app(app: Flask) -> None:
    """Inside an app with an empty database."""


def test_nobody_is_alive_at_first() -> None:
    assert heartbeats.alive(heartbeats.WORKER) == 0


def test_a_process_counts_once_however_often_it_beats() -> None:
    for doing in ("", "sending"):
        heartbeats.beat(heartbeats.WORKER, doing)
    assert heartbeats.alive(heartbeats.WORKER) == 1
    assert heartbeats.alive(heartbeats.CLOCK) == 0
    assert db.session.scalars(select(Heartbeat.doing)).one() == "sending"


def test_it_keeps_when_it_started() -> None:
    with clock.frozen(NOON):
        heartbeats.beat(heartbeats.WORKER)
    with clock.frozen(NOON + timedelta(minutes=5)):
        heartbeats.beat(heartbeats.WORKER)
    row = db.session.scalars(select(Heartbeat)).one()
    assert (row.started_at, row.seen_at) == (NOON, NOON + timedelta(minutes=5))


@pytest.mark.parametrize(("seconds", "count"), [(29, 1), (31, 0)])
def test_who_was_not_seen_for_half_a_minute_is_not_alive(seconds: int, count: int) -> None:
    with clock.frozen(NOON):
        heartbeats.beat(heartbeats.WORKER)
    with clock.frozen(NOON + timedelta(seconds=seconds)):
        assert heartbeats.alive(heartbeats.WORKER) == count


def test_who_ends_in_order_is_off_the_list_at_once() -> None:
    heartbeats.beat(heartbeats.CLOCK)
    for _ in range(2):
        heartbeats.forget(heartbeats.own_name(heartbeats.CLOCK))
    assert heartbeats.alive(heartbeats.CLOCK) == 0


def test_the_long_dead_leave_the_table() -> None:
    with clock.frozen(NOON):
        heartbeats.beat(heartbeats.WORKER)
    with clock.frozen(NOON + timedelta(hours=25)):
        heartbeats.forget_the_dead()
    assert db.session.scalar(select(func.count()).select_from(Heartbeat)) == 0
