"""Idempotency-Keys are forgotten after a week, in small steps; the leads stay."""

from datetime import timedelta

from sqlalchemy import func, select

from leadapp.clock import frozen
from leadapp.database import transaction
from leadapp.extensions import db
from leadapp.leads import old_keys
from leadapp.leads.models import Idempotency, Lead
from tests.factories import NOON, add_form, post_lead


def remember(lead, at, *numbers):
    with transaction():
        db.session.add_all(
            Idempotency(scope="form:1", key=f"key {number}", body_hash="x", lead_id=lead.id, created_at=at)
            for number in numbers
        )


def test_keys_of_a_week_are_forgotten_and_younger_ones_kept(app, monkeypatch):
    monkeypatch.setattr(old_keys, "AT_ONCE", 2)
    lead = post_lead(add_form())
    remember(lead, NOON, 1, 2, 3)
    remember(lead, NOON + timedelta(days=6), 4)
    with transaction():  # the id that a sender gave its lead
        mark = Idempotency(scope="sender:1:tally", key="id", body_hash="x", lead_id=lead.id, created_at=NOON)
        db.session.add(mark)
    with frozen(NOON + timedelta(days=7, minutes=1)):
        assert old_keys.forget_old_keys() == 3
        assert old_keys.forget_old_keys() == 0
    assert db.session.scalars(select(Idempotency.key)).all() == ["key 4", "id"]
    assert db.session.scalar(select(func.count()).select_from(Lead)) == 1
