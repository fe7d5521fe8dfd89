"""Rules and mapping in force: versions, the file, and what happens when one is broken."""

import json
import logging
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import event, select

from leadapp.audit import AuditEvent
from leadapp.config import ROOT
from leadapp.errors import RulesError
from leadapp.extensions import db
from leadapp.leads import mapping_file, rulesets
from leadapp.leads.models import Form, MappingCopy, MappingSource, RulesVersion
from leadapp.leads.rulesets import Draft, keep_copy, plan_of, save_version
from leadapp.leads.setup import ensure_forms
from leadapp.rules.pipeline import Plan, run
from leadapp.rules.ruleset import DEFAULT_RULES
from tests.factories import add_form

LEAD = {"phone": "+49681123456", "email": "a@b.example"}
ONE = '{"tel": {"from": "phone", "type": "phone"}}'
TWO = '{"mail": {"from": "email"}}'
BROKEN = '{\n  "tel": {"from": \n}'
OWN = Draft("[]", MappingSource.OWN, ONE)
FROM_FILE = Draft("[]", MappingSource.FILE)


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "mapping.json"
    path.write_text(ONE)
    return path


@pytest.fixture
def following(app_with, file, monkeypatch) -> Form:
    """A form whose mapping is that file, which is looked at each time."""
    monkeypatch.setattr(mapping_file, "LOOK_SECONDS", 0.0)
    app_with(attribute_mapping_path=str(file))
    form = add_form()
    save_version(form, FROM_FILE, "owner")
    return form


@pytest.fixture
def fresh(app_with, file):
    """fresh() -> the same form in a process that has just begun."""

    def build() -> Form:
        db.session.rollback()
        app_with(attribute_mapping_path=str(file))
        return db.session.scalars(select(Form)).one()

    return build


def mapped(form: Form) -> dict:
    return run(LEAD, plan_of(form)[0]).mapped


def name_of(form: Form) -> str:
    return plan_of(form)[1]


# --- versions


def test_a_form_without_versions_has_no_rules_and_no_mapping(app):
    assert plan_of(add_form(country="DE")) == (Plan(country="DE"), "")


def test_the_highest_version_is_in_force_from_the_next_lead_on(app):
    form = add_form()
    save_version(form, OWN, "owner")
    assert (name_of(form), mapped(form)) == ("v1", {"tel": "+49681123456"})
    save_version(form, Draft("[]", MappingSource.OWN, TWO), "owner")
    assert (name_of(form), mapped(form)) == ("v2", {"mail": "a@b.example"})
    save_version(form, Draft("[]"), "owner")
    assert (name_of(form), mapped(form)) == ("v3", None)


def test_who_saved_what_is_kept_and_audited(app):
    form = add_form()
    version = save_version(form, Draft(DEFAULT_RULES, note="first"), "owner@shop.example")
    assert (version.number, version.note, version.made_by) == (1, "first", "owner@shop.example")
    found = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "rules saved")).one()
    assert (found.actor, found.facts) == ("owner@shop.example", {"version": 1, "mapping": "none"})


@pytest.mark.parametrize(
    "draft", [Draft("{}"), Draft('[{"field": "x"}]'), Draft("[]", MappingSource.OWN, BROKEN), Draft("")]
)
def test_a_broken_version_is_refused_with_its_reason_and_nothing_changes(app, draft):
    form = add_form()
    save_version(form, OWN, "owner")
    with pytest.raises(RulesError) as failed:
        save_version(form, draft, "owner")
    assert failed.value.reason
    assert failed.value.line
    assert (name_of(form), len(db.session.scalars(select(RulesVersion)).all())) == ("v1", 1)


def test_two_people_who_save_at_once_do_not_overwrite_each_other(app):
    form = add_form()
    save_version(form, OWN, "ada")
    save_version(form, Draft("[]", based_on=1), "bob")
    with pytest.raises(RulesError, match="Somebody saved version 2 meanwhile"):
        save_version(form, Draft("[]", based_on=1), "ada")


def test_another_process_takes_a_new_version_at_once(app_with):
    first = app_with()
    form_id = add_form().id
    save_version(db.session.get_one(Form, form_id), OWN, "owner")
    assert name_of(db.session.get_one(Form, form_id)) == "v1"
    db.session.rollback()
    app_with()
    save_version(db.session.get_one(Form, form_id), Draft("[]", MappingSource.OWN, TWO), "owner")
    with first.app_context():
        assert name_of(db.session.get_one(Form, form_id)) == "v2"


def test_a_plan_costs_no_statement_once_it_is_known(app):
    form = add_form()
    save_version(form, OWN, "owner")
    plan_of(form)
    db.session.expire(form)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    plan_of(db.session.scalars(select(Form).where(Form.key == "contact")).one())
    assert len(statements) == 1, statements


# --- the file


def test_the_shipped_file_is_the_default_and_a_relative_path_counts_from_the_project(app):
    path = rulesets.mapping_file().path
    assert path == ROOT / "leadapp/rules/customer_attribute_mapping.json"
    assert rulesets.mapping_fault() == ""


def test_a_changed_file_is_followed_and_named(following, file):
    assert mapped(following) == {"tel": "+49681123456"}
    first = name_of(following)
    file.write_text(TWO)
    assert mapped(following) == {"mail": "a@b.example"}
    second = name_of(following)
    assert first != second
    assert all(name.startswith("v1, file ") and len(name) == len("v1, file 1a2b3c4d") for name in (first, second))


def test_the_file_is_looked_at_every_two_seconds_at_most(following, file, monkeypatch):
    looked_at = time.monotonic()
    monkeypatch.setattr(mapping_file, "time", SimpleNamespace(monotonic=lambda: looked_at, time=time.time))
    mapped(following)
    monkeypatch.setattr(mapping_file, "LOOK_SECONDS", 2.0)
    monkeypatch.setattr(mapping_file, "time", SimpleNamespace(monotonic=lambda: looked_at + 1.9))
    monkeypatch.setattr(mapping_file, "_read", lambda _: pytest.fail("read again"))
    file.write_text(TWO)
    assert mapped(following) == {"tel": "+49681123456"}


def test_a_change_within_the_same_tick_and_of_the_same_size_is_seen(following, file, monkeypatch):
    monkeypatch.setattr(mapping_file, "TICK_SECONDS", 60.0)  # a slow machine may need two seconds to come to the look
    mapped(following)
    found = file.stat()
    file.write_text(ONE.replace("tel", "fon"))
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert mapped(following) == {"fon": "+49681123456"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (BROKEN.encode(), "Line"),
        (b"\xff\xfe", "UTF-8"),
        (b"{" + b" " * mapping_file.LARGEST + b"}", "larger than"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_broken_file_is_refused_and_the_last_good_one_stays_in_force(following, file, content, words, caplog):
    before = (mapped(following), name_of(following))
    file.unlink() if content is None else file.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        assert (mapped(following), name_of(following)) == before
        assert (mapped(following), name_of(following)) == before
    assert words in rulesets.mapping_fault()
    assert "The last good version stays in force." in rulesets.mapping_fault()
    assert len([line for line in caplog.records if line.message == "the mapping file cannot be used"]) == 1
    file.write_text(TWO)
    assert (rulesets.mapping_fault(), mapped(following)) == ("", {"mail": "a@b.example"})


def test_a_process_that_begins_with_a_broken_file_goes_on_with_the_last_good_one(following, file, fresh):
    assert keep_copy() is True
    assert keep_copy() is False  # once for each version
    name = name_of(following)
    file.write_text(BROKEN)
    form = fresh()
    assert (mapped(form), name_of(form)) == ({"tel": "+49681123456"}, name)
    assert "The last good version stays in force." in rulesets.mapping_fault()
    assert keep_copy() is False
    file.write_text(TWO)
    assert mapped(form) == {"mail": "a@b.example"}


def test_a_copy_that_comes_too_late_neither_replaces_a_good_file_nor_calls_it_broken(following):
    known = rulesets.mapping_file()
    in_force = known.look()
    assert (known.fall_back(TWO), known.fault) == (in_force, "")


def test_without_any_good_version_the_form_says_so(following, file, fresh):
    file.write_text(BROKEN)
    form = fresh()
    with pytest.raises(RulesError, match=r"mapping\.json cannot be used. Line"):
        plan_of(form)
    assert "Leads that need it wait." in rulesets.mapping_fault()


def test_going_back_to_an_earlier_file_makes_it_the_last_good_one_again(following, file, fresh):
    for content in (ONE, TWO, ONE):
        file.write_text(content)
        keep_copy()
    assert len(db.session.scalars(select(MappingCopy)).all()) == 2
    file.write_text(BROKEN)
    assert mapped(fresh()) == {"tel": "+49681123456"}


# --- what an install begins with


def test_every_install_has_a_gateway_with_the_shipped_rules_and_mapping(app):
    ensure_forms()
    ensure_forms()
    form = db.session.scalars(select(Form).where(Form.key == "gateway")).one()
    assert (form.name, form.country) == ("Gateway", "DE")
    version = db.session.scalars(select(RulesVersion)).one()
    assert (version.form_id, version.number, version.mapping_source) == (form.id, 1, MappingSource.FILE)
    assert json.loads(version.rules) == json.loads(DEFAULT_RULES)
    contact = db.session.scalars(select(Form).where(Form.key == "contact")).one()
    assert plan_of(contact) == (Plan(), "")


def test_setting_up_again_keeps_what_a_person_saved(app):
    ensure_forms()
    form = db.session.scalars(select(Form).where(Form.key == "gateway")).one()
    save_version(form, Draft("[]"), "owner")
    ensure_forms()
    assert name_of(form) == "v2"


def test_a_form_that_a_person_called_gateway_gets_no_rules(app):
    form = add_form("gateway")
    ensure_forms()
    assert plan_of(form) == (Plan(), "")
