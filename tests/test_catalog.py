"""Forms and destinations that a process keeps for half a second: what changes counts at once, or soon."""

import pytest
from sqlalchemy import event, update

from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Destination, Kind
from leadapp.extensions import db
from leadapp.leads import catalog
from leadapp.leads.models import Form, Lead
from leadapp.leads.rulesets import Draft, save_version
from tests.factories import add_destination, add_form


@pytest.fixture
def asked(app) -> list[str]:
    """The statements that are run."""
    found: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: found.append(args[2]))
    return found


def known(key: str = "contact") -> Form:
    found = catalog.form_of(key)
    assert found is not None
    return found.form


def test_a_form_is_read_once_for_many_posts(app, asked):
    add_form()
    known()
    asked.clear()
    assert known() is known()
    assert asked == []


def test_a_change_in_this_process_counts_at_once(app):
    form = add_form()
    assert not known().is_paused
    with transaction():
        form.is_paused = True
    assert known().is_paused


def test_a_change_by_another_process_counts_within_a_second(app, monkeypatch):
    form = add_form()
    known()
    with transaction():
        db.session.execute(update(Form).where(Form.id == form.id).values(name="Renamed"))
    assert known().name != "Renamed"
    monkeypatch.setattr(catalog.time, "monotonic", lambda now=catalog.time.monotonic() + catalog.SECONDS: now)
    assert known().name == "Renamed"


def test_new_rules_are_known_at_once(app):
    form = add_form()
    assert known().newest_rules_id is None
    version = save_version(form, Draft("[]"), "owner@shop.example")
    assert known().newest_rules_id == version.id


def test_a_destination_that_is_switched_off_is_known_at_once(app):
    add_form()
    row = add_destination(Kind.WEBHOOK)
    assert [one.id for one in catalog.destinations_of(known())] == [row.id]
    destinations.switch_off(row.id, "", "owner@shop.example")
    assert catalog.destinations_of(known()) == []


def test_what_does_not_exist_is_looked_for_every_time(app):
    assert catalog.form_of("new") is None
    add_form("new")
    assert known("new").key == "new"


def test_what_is_kept_is_in_no_session(app):
    add_form()
    form = known()
    Lead(form=form)
    assert form not in db.session
    assert all(one not in db.session for one in catalog.destinations_of(form))


def test_no_more_is_kept_than_has_a_use(app, monkeypatch):
    monkeypatch.setattr(catalog, "MOST_KEPT", 2)
    for key in ("one", "two", "three"):
        add_form(key)
    for key in ("one", "two", "three"):
        known(key)
    assert len(app.extensions["catalog"].kept) <= 2


def test_nothing_but_forms_rules_and_destinations_makes_it_forget(app, client, asked):
    add_form()
    add_destination(Kind.EMAIL)
    client.post("/f/contact", data={"message": "first"})
    asked.clear()
    client.post("/f/contact", data={"message": "second"})
    assert not [line for line in asked if "FROM form" in line or f"FROM {Destination.__tablename__} \n" in line]


def test_what_was_read_before_a_change_is_not_kept_after_it(app):
    known_here = app.extensions["catalog"]

    def read_while_somebody_changes_it() -> str:
        known_here.forget()
        return "as it was before"

    known_here.look(Form, "contact", read_while_somebody_changes_it)
    assert known_here.kept == {}
