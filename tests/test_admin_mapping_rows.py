"""The mapping as rows: everything that can be saved comes back as it was, and a fault stands beside its row."""

import html
import json
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from leadapp.admin import mapping_rows
from leadapp.admin.mapping_rows import NEEDED, MappingRow, Way
from leadapp.errors import RulesError
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.models import Form, MappingSource
from leadapp.leads.rulesets import Draft
from leadapp.rules.attributes import Type
from leadapp.rules.mapping import DEFAULT_MAPPING_PATH, AttributeMapping, read_mapping
from tests.desk import Desk
from tests.factories import add_form, post_lead
from tests.test_admin_rules import carried, page_of, save

SETTINGS = {"CUSTOMER_PRODUCT_NAME": "Solar"}
SHIPPED = DEFAULT_MAPPING_PATH.read_text()
NAMES = ("target", "way", "value", "type", "needed")


@pytest.fixture
def desk(app: Flask) -> Desk:
    return Desk(app)


@pytest.fixture
def form(app: Flask) -> Form:
    return add_form(name="Gateway", key="gateway")


def said(mapping: AttributeMapping) -> list[tuple[Any, ...]]:
    """What a mapping does, wherever its lines are. As text: a truth equals a number."""
    return [(one.name, one.path, repr(one.entry), one.is_required) for one in mapping.targets]


def again(text: str) -> str:
    return mapping_rows.text_of(mapping_rows.rows_of(text))


def test_the_shipped_mapping_is_rows_without_any_json() -> None:
    rows = mapping_rows.rows_of(SHIPPED)
    assert [row.way for row in rows] == [Way.FIELD] * 5 + [Way.SETTING]
    assert rows[4] == MappingRow("phone", Way.FIELD, "phone", "phone", NEEDED)
    assert said(read_mapping(again(SHIPPED), SETTINGS)) == said(read_mapping(SHIPPED, SETTINGS))


@pytest.mark.parametrize(
    ("entry", "row"),
    [
        ("email", ("field", "email", "", "")),
        ({"from": ["mobile", "phone"], "type": "phone"}, ("field", "mobile, phone", "phone", "")),
        ({"from": "a, b"}, ("json", '{"from": "a, b"}', "", "")),
        ({"constant": "web"}, ("constant", "web", "", "")),
        ({"constant": "5"}, ("constant", '"5"', "", "")),
        ({"constant": True}, ("constant", "yes", "", "")),
        ({"constant": [1]}, ("json", '{"constant": [1]}', "", "")),
        ({"setting": "CUSTOMER_PRODUCT_NAME", "required": True}, ("setting", "CUSTOMER_PRODUCT_NAME", "", "yes")),
        ({"from": "a", "default": "DE"}, ("json", '{"from": "a", "default": "DE"}', "", "")),
        ({"list": ["a"]}, ("json", '{"list": ["a"]}', "", "")),
    ],
)
def test_each_kind_of_entry_has_its_row(entry: Any, row: tuple[str, ...]) -> None:
    assert mapping_rows.rows_of(json.dumps({"t": entry})) == [MappingRow("t", *row)]


def test_every_type_and_way_can_be_chosen() -> None:
    assert set(mapping_rows.TYPE_WORDS) - {""} == set(Type) - {Type.VALUE}
    assert set(mapping_rows.WAY_WORDS) == set(Way)


PATHS = st.text("ab ,\"'", min_size=1, max_size=6).filter(str.strip)
SCALARS = st.one_of(st.booleans(), st.integers(-999, 99999), st.floats(allow_nan=False, allow_infinity=False), PATHS)
MORE = st.fixed_dictionaries({}, optional={"required": st.booleans(), "type": st.sampled_from([*Type])})
FIELDS = st.builds(
    lambda names, more, lack: {"from": names, **more, **lack},
    PATHS | st.lists(PATHS, min_size=1, max_size=3),
    MORE,
    st.fixed_dictionaries({}, optional={"default": SCALARS}),
)
ENTRIES = st.one_of(PATHS, FIELDS, st.builds(lambda value: {"constant": value}, SCALARS | st.lists(SCALARS)))


@hypothesis_settings(max_examples=200)
@given(st.dictionaries(st.sampled_from("abcde"), ENTRIES, max_size=5))
def test_every_mapping_comes_back_from_rows_as_it_was(entries: dict[str, Any]) -> None:
    text = json.dumps(entries)
    try:
        before = read_mapping(text, SETTINGS)
    except RulesError:
        return  # refused: never shown as rows
    assert said(read_mapping(again(text), SETTINGS)) == said(before)


CELLS = st.builds(
    MappingRow,
    st.text('ab.\\"', max_size=4),
    st.sampled_from([*Way, "made up", ""]),
    st.text("ab5.,:{}[]\"' \\", max_size=12) | st.sampled_from(["NaN", "1" * 5000, "[" * 5000, "null", "1e999"]),
    st.sampled_from([*mapping_rows.TYPE_WORDS, "made up"]),
    st.sampled_from(["", NEEDED, "perhaps"]),
)


@hypothesis_settings(max_examples=200)
@given(st.lists(CELLS, max_size=4))
def test_whatever_is_typed_into_rows_is_read_or_refused_in_a_row_of_them(rows: list[MappingRow]) -> None:
    rows = [row for row in rows if not row.is_blank]
    if any(map(mapping_rows.fault_of, rows)):
        return  # said beside its row already
    line = 2
    try:
        read_mapping(mapping_rows.text_of(rows), SETTINGS)
    except RulesError as error:
        line = error.line or line
    assert 2 <= line <= max(2, len(rows) + 1)


# --- on the page


def row_post(desk: Desk, form: Form, *rows: tuple[str, ...], do: str = "try", **fields: str) -> str:
    columns = {f"map_{name}": [row[index] for row in rows] for index, name in enumerate(NAMES)}
    given = {"mode": "text", "rules": "[]", "source": "own", "based_on": "0", "mapping_mode": "rows"}
    return desk.post(page_of(form), do=do, **given | fields, **columns).text


MAIL, BLANK = ("customer_email", "field", "email", "email", "yes"), ("", "field", "", "", "")


def test_rows_are_tried_saved_and_shown_again(desk: Desk, form: Form) -> None:
    post_lead(form, email="ada@example.com")
    page = row_post(desk, form, MAIL, BLANK, ("source", "constant", "web", "", ""))
    assert "ada@example.com" in page
    save(desk, form, carried(page.partition('<main id="main">')[2]))
    version = rulesets.newest(db.session.get_one(Form, form.id))
    assert version
    assert json.loads(version.mapping) == {
        "customer_email": {"from": "email", "type": "email", "required": True},
        "source": {"constant": "web"},
    }
    page = desk.text(page_of(form))
    assert page.count('name="map_target"') == 4
    assert '<option value="constant" selected>' in page


def test_a_fault_stands_beside_its_row_and_nothing_typed_is_lost(desk: Desk, form: Form) -> None:
    wrong = [
        (("b", "json", "{oops", "", ""), "This is not JSON"),
        (("b", "json", '"x", "c": "y"', "", ""), "This is not JSON"),
        (("b", "setting", "SECRET_KEY", "", ""), "There is no setting"),
        (("b", "field", "", "", ""), "a field is missing"),
        (("", "field", "email", "", ""), "target"),
        (("customer_email", "field", "mail", "", ""), "stands here twice"),
        (("customer_email.x", "field", "mail", "", ""), "cannot both be there"),
    ]
    for row, words in wrong:
        page = html.unescape(row_post(desk, form, MAIL, row))
        beside = page.partition('name="map_target"')[2].partition('name="map_target"')[2].partition("</tr>")[0]
        assert "Nothing is saved yet" in page
        assert words in beside, (row, beside)
        assert row[2] in beside


def test_rows_become_text_and_text_becomes_rows(desk: Desk, form: Form) -> None:
    page = html.unescape(row_post(desk, form, MAIL, do="map-text"))
    assert '"customer_email": {"from": "email"' in page.partition('name="mapping"')[2].partition("</textarea>")[0]
    page = row_post(desk, form, do="map-rows", mapping_mode="text", mapping='{"a": "b"}')
    assert 'name="map_target" value="a"' in page
    broken = row_post(desk, form, do="map-rows", mapping_mode="text", mapping="{")
    assert "Line 1" in broken.partition('id="mapping-error"')[2]


def test_more_rows_and_the_example(desk: Desk, form: Form) -> None:
    assert row_post(desk, form, do="map-add").count('name="map_target"') == 5
    page = row_post(desk, form, do="map-example", source="none")
    assert 'value="customer_street"' in page
    assert '<option value="own" selected>' in page


def test_a_saved_mapping_that_needs_json_is_shown_in_rows_too(desk: Desk, form: Form) -> None:
    text = '{"a": {"from": "roof", "values": {"flat": "F"}}}'
    rulesets.save_version(form, Draft("[]", MappingSource.OWN, text), "owner")
    page = html.unescape(desk.text(page_of(form)))
    assert '<option value="json" selected>' in page
    assert '{"from": "roof", "values": {"flat": "F"}}' in page


@pytest.mark.parametrize("field", ["rules", "mapping"])
def test_a_byte_order_mark_pasted_along_is_no_fault(desk: Desk, form: Form, field: str) -> None:
    texts = {"rules": "[]", "mapping": "{}"} | {field: "\ufeff" + {"rules": "[]", "mapping": "{}"}[field]}
    do = {"rules": "rows", "mapping": "map-rows"}[field]
    answer = desk.post(page_of(form), do=do, mode="text", mapping_mode="text", source="own", based_on="0", **texts)
    assert answer.status_code == 200


def test_a_version_that_was_saved_with_one_opens(desk: Desk, form: Form) -> None:
    rulesets.save_version(form, Draft("\ufeff[]", MappingSource.OWN, '\ufeff{"a": "b"}'), "owner")
    assert 'name="map_target" value="a"' in desk.text(page_of(form))


def test_an_older_version_by_the_file_says_that_the_file_is_todays(desk: Desk, form: Form) -> None:
    rulesets.save_version(form, Draft("[]", MappingSource.FILE), "owner")
    page = desk.text(f"/admin/forms/rules/version/?id={form.id}&number=1")
    assert "By the mapping file of this installation, as the file is now" in page
