"""Replays on real PostgreSQL: two clocks at once, live posts meanwhile, and a kill in the middle of each step."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select, text

from leadapp.database import transaction
from leadapp.deliveries import outbox, replay, replay_run
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, ReplayState
from leadapp.deliveries.replay_choice import Selection, What
from leadapp.extensions import db
from leadapp.leads.models import Form
from tests.factories import add_desk, post_lead
from tests.replays import refuse, the_replay
from tests.services.test_outbox_postgresql import at_once

S = DeliveryState


def count(*conditions) -> int:
    return db.session.scalar(select(func.count()).select_from(Delivery).where(*conditions)) or 0


def make_old(replay_id: int) -> None:
    """As if the rate had long allowed the next rows, and everything that was let go had been sent."""
    with transaction():
        db.session.execute(
            text("UPDATE replay SET released_at = now() - interval '1 h' WHERE id = :id"), {"id": replay_id}
        )


def in_line(form: Form, rows: int, hook_id: int, per_minute: int = 60) -> int:
    refuse(form, rows)
    return replay.start(Selection(What.DESTINATION, destination_id=hook_id), "owner", per_minute=per_minute)


def test_two_clocks_at_once_take_and_let_go_each_row_once(pg_app, monkeypatch):
    app = pg_app()
    monkeypatch.setattr(replay_run, "TAKEN_AT_ONCE", 7)
    form, _, hook = add_desk()
    number = in_line(form, 60, hook.id, per_minute=120)
    form_id = form.id
    db.session.rollback()
    let_go = 0
    for _ in range(6):
        let_go += sum(
            at_once(app, *[replay_run.advance] * 3, lambda: [post_lead(db.session.get_one(Form, form_id)), 0][1])
        )
        with transaction():
            db.session.execute(text("UPDATE delivery SET state = 'delivered' WHERE state = 'pending'"))
        make_old(number)
    assert let_go == count(Delivery.replay_id == number) == the_replay(number).total == 60
    assert the_replay(number).state is ReplayState.DONE


class KilledError(BaseException):
    """A kill that no `except Exception` may catch."""


@pytest.mark.parametrize("place", ["changed", "ring_due"])
def test_a_kill_in_the_middle_loses_and_doubles_nothing(pg_app, monkeypatch, place):
    pg_app()
    form, _, hook = add_desk()
    number = in_line(form, 20, hook.id)
    whole = getattr(outbox, place)
    calls = iter(range(100))

    def killed(*args: object) -> object:
        if next(calls) % 2 == 0:
            raise KilledError
        return whole(*args)

    monkeypatch.setattr(outbox, place, killed)
    for _ in range(12):
        make_old(number)
        try:
            replay_run.advance()
        except KilledError:
            db.session.rollback()
    assert the_replay(number).total == 20
    assert count(Delivery.replay_id == number) == 20
    assert count(Delivery.held_reason == HeldReason.REPLAY_RATE) == 0


def test_a_stop_while_rows_are_let_go_leaves_none_in_line(pg_app):
    app = pg_app()
    form, _, hook = add_desk()
    number = in_line(form, 40, hook.id, per_minute=600)
    replay_run.take(number)
    db.session.rollback()
    gate: list[Callable[[], object]] = [replay_run.advance, replay_run.advance, lambda: replay.stop(number, "owner")]
    at_once(app, *gate)
    replay_run.advance()
    assert count(Delivery.state == S.HELD) == 0
    assert count(Delivery.state.in_((S.PENDING, S.PERMANENTLY_FAILED)), Delivery.replay_id == number) == 40
