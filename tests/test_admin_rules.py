"""The rules page: sentences, rows and text, what is wrong beside its box, the trial before saving, and versions."""

import html
import json
import re

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from leadapp.accounts.models import RoleName
from leadapp.admin import rule_draft, rule_rows
from leadapp.admin.rule_draft import Typed
from leadapp.admin.rule_words import lines, sentences
from leadapp.admin.senders import notices
from leadapp.audit import AuditEvent
from leadapp.database import transaction
from leadapp.errors import RulesError
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.models import Form, MappingSource, RulesVersion
from leadapp.leads.rulesets import Draft
from leadapp.rules.checks import Check
from leadapp.rules.mapping import DEFAULT_MAPPING_PATH, read_mapping
from leadapp.rules.ruleset import DEFAULT_RULES, read_rules
from tests.desk import Desk
from tests.factories import add_form, post_lead

ZIP_RULE = {"code": "ZIP", "field": "zip", "check": "pattern", "pattern": "^66\\d{3}$"}
ZIP = json.dumps([ZIP_RULE])
OWN = json.dumps({"customer_email": "email", "customer_zip": "zip"})


@pytest.fixture
def desk(app):
    return Desk(app)


@pytest.fixture
def form(app):
    return add_form(name="Gateway", key="gateway")


def page_of(form) -> str:
    return f"/admin/forms/rules/?id={form.id}"


def text_post(desk, form, do="try", **fields):
    given = {"mode": "text", "rules": ZIP, "source": "none", "mapping": "{}", "based_on": "0", **fields}
    return html.unescape(desk.post(page_of(form), do=do, **given).text)


def carried(page: str) -> dict[str, str]:
    """The hidden fields of the page's first form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.partition("</form>")[0])
    return {name: html.unescape(value) for name, value in found if name != "csrf_token"}


def tried(desk, form, **fields) -> dict[str, str]:
    given = {"mode": "text", "rules": ZIP, "source": "none", "mapping": "{}", "based_on": "0", **fields}
    main = desk.post(page_of(form), do="try", **given).text.partition('<main id="main">')[2]
    return carried(main)


def save(desk, form, fields) -> str:
    return html.unescape(desk.post(f"/admin/forms/rules/save/?id={form.id}", **fields).text)


def versions() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(RulesVersion)) or 0


# In plain words
def test_the_shipped_rules_as_sentences():
    said = [f"{one.name} {one.must}; otherwise {one.code}" for one in sentences(read_rules(DEFAULT_RULES))]
    assert said[2:] == [
        "Zip must look like 66___, each _ a digit; otherwise ZIP_NOT_66XXX",
        "Is owner must be yes; otherwise NOT_HOMEOWNER",
    ]


@pytest.mark.parametrize(
    ("rule", "must"),
    [
        ({"check": "pattern", "pattern": "^[A-Z]+$"}, "must match the pattern ^[A-Z]+$"),
        ({"check": "pattern", "pattern": "DE-\\d\\d"}, "must look like DE-__, each _ a digit"),
        ({"check": "one_of", "values": ["Bonn", 5, False]}, "must be “Bonn”, 5 or no"),
        ({"check": "range", "min": 18}, "must be at least 18"),
        ({"check": "range", "max": 2.5}, "must be at most 2.5"),
        ({"check": "range", "min": 1000000, "max": 12345678}, "must be 1000000 to 12345678"),
        ({"check": "equals", "value": 0.12345678}, "must be 0.12345678"),
        ({"check": "length", "min": 3, "max": 3}, "must have exactly 3 letters"),
        ({"check": "absent"}, "must be empty"),
    ],
)
def test_each_check_has_its_sentence(rule, must):
    (found,) = sentences(read_rules(json.dumps([{"code": "NO", "field": "a.b_c", **rule}])))
    assert (found.name, found.field, found.must) == ("B c", "a.b_c", must)


def test_the_shipped_mapping_as_lines():
    found = lines(read_mapping(DEFAULT_MAPPING_PATH.read_text(), {"CUSTOMER_PRODUCT_NAME": "Solar"}))
    said = {line.target: (line.source, line.is_required) for line in found}
    assert said["phone"] == ("phone, as a phone number", True)
    assert said["product.name"] == ("always what the setting CUSTOMER_PRODUCT_NAME says (“Solar”)", True)
    assert said["customer_street"] == ("address.street, as text", False)


# Rows and text
VALUES = st.one_of(st.booleans(), st.integers(-999, 99999), st.text("ab ,.\"'yesnotrue05[]{}", max_size=8)).filter(
    lambda value: not isinstance(value, str) or value == value.strip()
)


@hypothesis_settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(["equals", "one_of"]), st.lists(VALUES, min_size=1, max_size=3))))
def test_rules_come_back_from_rows_as_they_were(rules):
    text = json.dumps(
        [
            {
                "code": "NO",
                "field": "a",
                "check": check,
                **({"value": ones[0]} if check == "equals" else {"values": ones}),
            }
            for check, ones in rules
        ]
    )
    again = rule_rows.text_of(rule_rows.rows_of(text))
    assert read_rules(again) == read_rules(text)


NUMBERS = st.integers(-(10**12), 10**12) | st.floats(-1e9, 1e9, allow_nan=False)


@hypothesis_settings(max_examples=60)
@given(st.sampled_from(["range", "length"]), st.tuples(NUMBERS, NUMBERS).map(sorted))
def test_no_number_is_another_one_in_rows(check, ends):
    text = json.dumps([{"code": "NO", "field": "a", "check": check, "min": ends[0], "max": ends[1]}])
    typed = rule_draft.with_rule_rows(Typed(rules=text))
    shown = rule_rows.text_of(typed.rows) if typed.mode == "rows" else typed.rules
    assert read_rules(shown) == read_rules(text)


@pytest.mark.parametrize(("low", "shown"), [(1_000_000, "1000000..2500000"), (0.1234567, "0.1234567..2500000")])
def test_large_and_fine_numbers_are_shown_as_they_are(low, shown):
    text = json.dumps([{"code": "NO", "field": "a", "check": "range", "min": low, "max": 2_500_000}])
    typed = rule_draft.with_rule_rows(Typed(rules=text))
    assert [row.value for row in typed.rows] == [shown]
    assert read_rules(rule_rows.text_of(typed.rows)) == read_rules(text)


def test_rules_that_rows_would_change_stay_text(desk, form):
    huge = json.dumps([{"code": "NO", "field": "a", "check": "equals", "value": 1e300}])
    page = text_post(desk, form, do="rows", rules=huge)
    assert "1e+300" in page.partition('name="rules"')[2].partition("</textarea>")[0]


def test_every_check_can_be_chosen_in_a_row():
    assert set(rule_rows.CHECK_WORDS) == set(Check)


def test_the_shipped_rules_come_back_from_rows():
    assert read_rules(rule_rows.text_of(rule_rows.rows_of(DEFAULT_RULES))) == read_rules(DEFAULT_RULES)


def row_post(desk, form, *rows, do="try"):
    names = ("field", "check", "value", "code", "message")
    columns = {f"rule_{name}": [row[index] for row in rows] for index, name in enumerate(names)}
    given = {"mode": "rows", "source": "none", "mapping": "{}", "based_on": "0", **columns}
    return html.unescape(desk.post(page_of(form), do=do, **given).text)


def test_rows_are_tried_and_their_empty_ones_left_out(desk, form):
    page = row_post(
        desk, form, ("zip", "pattern", "^66\\d{3}$", "ZIP", ""), ("", "required", "", "", ""), ("age", "range", "18..", "AGE", "")
    )  # fmt: skip
    assert "must look like 66___" in page
    assert "must be at least 18" in page


def test_a_fault_stands_beside_its_row_and_what_was_typed_is_kept(desk, form):
    page = row_post(
        desk, form, ("zip", "required", "", "", ""), ("", "required", "", "", ""), ("age", "range", "old", "AGE", "Too young")
    )  # fmt: skip
    assert "Nothing is saved yet" in page
    row = page.partition('aria-label="Field of rule 2"')[2].partition("</tr>")[0]
    assert '"min" is a number without quotes.' in row
    assert 'value="old"' in row
    assert 'value="Too young"' in row


def test_rows_become_text_and_text_becomes_rows(desk, form):
    page = row_post(desk, form, ("zip", "pattern", "^66\\d{3}$", "ZIP", ""), do="text")
    assert '"pattern": "^66\\\\d{3}$"' in page.partition('name="rules"')[2].partition("</textarea>")[0]
    assert 'value="^66\\d{3}$"' in text_post(desk, form, do="rows")
    assert "Line 1" in text_post(desk, form, do="rows", rules="{")


def test_more_rows_and_the_example(desk, form):
    assert row_post(desk, form, do="add").count('name="rule_field"') == 5
    assert "ZIP_NOT_66XXX" in row_post(desk, form, do="example").partition('name="rule_code"')[2]


@pytest.mark.parametrize(
    ("fields", "said", "box"),
    [
        ({"rules": "[\n{]"}, "Line 2", "rules-error"),
        ({"rules": '[{"field": "zip", "check": "shine"}]'}, "There is no check", "rules-error"),
        ({"source": "own", "mapping": "[]"}, "A mapping is an object", "mapping-error"),
    ],
)
def test_a_fault_stands_beside_its_box(desk, form, fields, said, box):
    page = text_post(desk, form, **fields)
    assert said in page.partition(f'id="{box}"')[2].partition("</p>")[0]
    for typed in fields.values():
        assert typed in page
    assert versions() == 0


# Tried, then saved
def test_a_trial_says_for_each_lead_what_would_change_and_writes_nothing(desk, form):
    post_lead(form, name="Near", zip="66123")
    post_lead(form, name="Far", zip="12345")
    page = text_post(desk, form, source="own", mapping=OWN)
    assert "2 of the last 2 leads would end up otherwise" in page
    far = page.partition("Far</a>")[2].partition("</tr>")[0]
    assert "passes" in far
    assert "rejected" in far
    assert "ZIP" in far
    near = page.partition("Near</a>")[2].partition("</tr>")[0]
    assert "66123" in near
    assert "rejected" not in near
    assert versions() == 0


def test_a_trial_of_the_same_says_that_nothing_changes(desk, form):
    post_lead(form, zip="66123")
    rulesets.save_version(form, Draft(ZIP), "owner")
    assert "Nothing would change for the last 1 lead." in text_post(desk, form, based_on="1")


def test_tests_and_spam_are_not_tried_on(desk, form):
    post_lead(form, name="Trial", _test="1")
    post_lead(form, name="Robot", _gotcha="x")
    assert "No real lead came in through this form yet" in text_post(desk, form)


def test_what_was_tried_is_saved_as_a_version_and_audited(desk, form):
    page = save(desk, form, tried(desk, form, source="own", mapping=OWN, note="only near ones"))
    assert "Saved as version 1" in page
    assert "only near ones" in page
    found = db.session.scalars(select(RulesVersion)).one()
    assert (found.rules, found.mapping, found.made_by) == (ZIP, OWN, desk.email)
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "rules saved")).one()
    assert (event.actor, event.facts["version"]) == (desk.email, 1)


def test_what_was_not_tried_is_tried_first(desk, form):
    fields = tried(desk, form)
    assert "What would change" in save(desk, form, {**fields, "rules": "[]"})
    assert "What would change" in save(desk, form, {"rules": ZIP, "mode": "text"})
    assert versions() == 0


def test_saving_over_somebody_elses_version_is_refused_and_nothing_typed_is_lost(desk, form):
    fields = tried(desk, form, note="mine")
    rulesets.save_version(form, Draft("[]"), "other@shop.example")
    page = save(desk, form, fields)
    assert "Somebody saved version 1 meanwhile" in page
    assert 'value="mine"' in page
    assert "ZIP" in page
    assert versions() == 1
    assert "other@shop.example saved version 1 while you were at it" in text_post(desk, form)


def test_an_old_version_is_shown_compared_and_used_again(desk, form):
    rulesets.save_version(form, Draft(ZIP, note="strict"), "owner")
    rulesets.save_version(form, Draft("[]", MappingSource.OWN, OWN), "owner")
    page = desk.text(f"/admin/forms/rules/version/?id={form.id}&number=1")
    assert "must look like 66___" in page
    assert "gone:" in page
    assert "new:" in page
    again = desk.post(page_of(form), do="try", **carried(page.partition('<main id="main">')[2])).text
    save(desk, form, carried(again.partition('<main id="main">')[2]))
    found = rulesets.newest(db.session.get(Form, form.id))
    assert (found.number, found.rules, found.note) == (3, ZIP, "version 1 again")


def test_the_installations_file_is_shown_with_its_version_and_its_fault(app_with, tmp_path):
    file = tmp_path / "mapping.json"
    file.write_text('{"mail": "email"}')
    desk = Desk(app_with(attribute_mapping_path=str(file)))
    form = add_form()
    page = text_post(desk, form, do="edit", source="file")
    assert '{"mail": "email"}' in page
    assert "version <span" in page
    file.write_text("{oops")
    rulesets._known().file._looked_at = 0.0
    assert "The last good version stays in force" in text_post(desk, form, do="edit", source="file")


@pytest.mark.parametrize("query", ["", "?id=0", "?id=x", "?id=99999999999999"])
def test_a_form_that_is_not_there_is_404(desk, form, query):
    assert desk.get(f"/admin/forms/rules/{query}").status_code == 404
    assert desk.get(f"/admin/forms/senders/{query}").status_code == 404
    assert desk.get(f"/admin/forms/rules/version/?id={form.id}&number=9").status_code == 404


@pytest.mark.parametrize("role", [RoleName.VIEWER, RoleName.OPS])
def test_who_only_reads_or_sends_changes_no_rules_and_no_secret(app, form, role):
    desk = Desk(app, role)
    assert desk.get(page_of(form)).status_code == 403
    assert desk.get(f"/admin/forms/senders/?id={form.id}").status_code == 403
    for path in ("rules/", "rules/save/", "senders/", "senders/secret/"):
        assert desk.post(f"/admin/forms/{path}?id={form.id}", secret="open sesame").status_code == 403, path


# Senders
def senders(form) -> str:
    return f"/admin/forms/senders/?id={form.id}"


def test_country_sender_and_person_are_set_and_audited(desk, form):
    page = desk.text(senders(form))
    assert "Germany" in page
    assert "Typeform" in page
    assert "/webhooks/leads/" in page
    desk.post(senders(form), country="DE", sender="typeform", person_keys="email\nphone\n")
    row = db.session.get_one(Form, form.id, populate_existing=True)
    assert (row.country, row.sender, row.person_keys, row.tells_rejected) == (
        "DE",
        "typeform",
        ["email", "phone"],
        False,
    )
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "form changed")).one()
    assert event.facts["changed"] == ["country", "person_keys", "sender", "tells_rejected"]


@pytest.mark.parametrize(("hours", "said"), [(24, "24 hours"), (1, "an hour"), (0.5, "0.5 hours")])
def test_the_page_says_how_long_a_person_is_the_same_one(app_with, hours, said):
    desk = Desk(app_with(duplicate_window_hours=hours))
    assert f"writes again within {said} you are told" in desk.text(senders(add_form()))


@pytest.mark.parametrize(
    "fields", [{"country": "XX"}, {"sender": "nobody"}, {"person_keys": "\n".join("abcdefghijkl")}]
)
def test_what_is_made_up_is_not_saved(desk, form, fields):
    page = desk.post(senders(form), **{"country": "", "sender": "", "person_keys": "", **fields}).text
    assert "Nothing is saved yet" in page


def test_a_secret_is_set_replaced_and_removed_and_never_shown(desk, form):
    address = f"/admin/forms/senders/secret/?id={form.id}"
    page = desk.post(address, do="set", secret="open sesame now").text
    assert "The secret counts from now on" in page
    assert "sesame" not in page
    assert db.session.get_one(Form, form.id, populate_existing=True).secret == "open sesame now"
    assert "A secret is set." in desk.text(senders(form))
    assert "8 to 500 letters" in desk.post(address, do="set", secret="short").text
    assert "The secret is gone" in desk.post(address, do="remove").text
    assert db.session.get_one(Form, form.id, populate_existing=True).secret is None
    facts = db.session.scalars(select(AuditEvent.facts).where(AuditEvent.subject_kind == "form")).all()
    assert "sesame" not in str(facts)


def test_the_start_page_tells_of_a_faulty_mapping_file_that_a_form_needs(app_with, tmp_path):
    file = tmp_path / "mapping.json"
    file.write_text("[]")
    desk = Desk(app_with(attribute_mapping_path=str(file)))
    form = add_form()
    assert "mapping file" not in desk.text("/admin/")
    with transaction():
        db.session.add(RulesVersion(form_id=form.id, number=1, mapping_source=MappingSource.FILE))
    page = html.unescape(desk.text("/admin/"))
    assert f"The mapping file {file} cannot be used. Line 1: A mapping is an object" in page


@pytest.mark.parametrize(("secret", "is_warned"), [("", True), ("a shared secret", False)])
def test_the_start_page_warns_in_production_when_anybody_can_send(app_with, secret, is_warned):
    app = app_with(app_env="production", webhook_shared_secret=secret, frontend_base_url="https://leads.example")
    rulesets.save_version(add_form(name="Gateway"), Draft(ZIP), "owner")
    with app.test_request_context("/admin/"):
        said = [one for one in notices() if "Anybody who knows the address can send leads of Gateway" in one]
    assert bool(said) is is_warned


def test_saving_is_refused_by_the_lock_too(form):
    rulesets.save_version(form, Draft("[]", based_on=0), "one")
    with pytest.raises(RulesError, match="Somebody saved version 1 meanwhile"):
        rulesets.save_version(form, Draft("[]", based_on=0), "two")
