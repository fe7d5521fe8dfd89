"""SQL whose text never changes with its values."""

import pytest
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from leadapp.deliveries.models import Delivery, DeliveryState, Destination, Kind
from leadapp.extensions import db
from leadapp.sql import among, is_word, not_word
from tests.factories import add_destination

THESE = select(Destination.id).where(among(Destination.id, "ids"))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_as_many_are_found_as_are_asked_for(app, count):
    ids = [add_destination(Kind.WEBHOOK).id for _ in range(3)][:count]
    assert sorted(db.session.scalars(THESE, {"ids": ids})) == ids


def test_words_are_found_too(app):
    add_destination(Kind.EMAIL)
    add_destination(Kind.WEBHOOK)
    query = select(Destination.kind).where(among(Destination.kind, "kinds"))
    assert list(db.session.scalars(query, {"kinds": (Kind.WEBHOOK, Kind.CRM)})) == [Kind.WEBHOOK]


def test_postgresql_gets_one_value_however_many_there_are():
    text = str(THESE.compile(dialect=postgresql.dialect()))
    assert "= ANY (%(ids)s" in text.replace("::INTEGER[]", "")


def test_words_of_ours_stand_in_the_statement_itself():
    query = select(Delivery.id).where(
        is_word(Delivery.state, DeliveryState.PENDING, DeliveryState.FAILED), not_word(Delivery.kind, [Kind.CRM])
    )
    compiled = query.compile(dialect=postgresql.dialect())
    assert "'pending', 'failed'" in str(compiled)
    assert compiled.params == {}


def test_sqlite_finds_them_by_its_index(app):
    text = str(THESE.compile(db.engine))
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", ("[1]",)).all()
    assert any("SEARCH destination" in str(line) for line in plan)
    assert not any("SCAN destination" in str(line) for line in plan)
