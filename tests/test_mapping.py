"""A lead in the customer's words: the shipped mapping, and every way of saying where a value comes from."""

import json

import pytest

from leadapp.rules.mapping import DEFAULT_MAPPING_PATH, read_mapping
from leadapp.rules.normalise import Kind
from leadapp.rules.pipeline import Plan, run
from leadapp.rules.problems import LeftOut
from leadapp.rules.ruleset import DEFAULT_RULES, read_rules

PRODUCT = {"CUSTOMER_PRODUCT_NAME": "Solar roof"}
EXAMPLE = {
    "email": "User@example.com ",
    "address": {"zip": "66123", "street": "123 Main St"},
    "house": {"is_owner": "ja"},
}


def gateway(country="DE", constants=PRODUCT):
    return Plan(read_rules(DEFAULT_RULES), read_mapping(DEFAULT_MAPPING_PATH.read_text(), constants), country)


def filled(mapping, tree, country=""):
    """Body, required targets without a value, left out targets."""
    plan = Plan(mapping=read_mapping(json.dumps(mapping), {"NAME": "Solar", "NOTHING": " "}), country=country)
    outcome = run(tree, plan)
    return outcome.mapped, [one.field for one in outcome.problems], [one.target for one in outcome.left_out]


def one(entry, value):
    """What one target `t` is given for the field `x`; None when it is left out."""
    entry = {"from": "x", **entry} if isinstance(entry, dict) else entry
    return filled({"t": entry}, {"x": value})[0].get("t")


def test_a_lead_with_a_phone_is_mapped_whole():
    outcome = run({**EXAMPLE, "phone": "0170 1234567"}, gateway())
    assert outcome.mapped == {
        "customer_email": "user@example.com",
        "customer_zip": "66123",
        "customer_street": "123 Main St",
        "is_homeowner": True,
        "phone": "+491701234567",
        "product": {"name": "Solar roof"},
    }
    assert (outcome.problems, outcome.left_out) == ((), ())
    assert outcome.fields["email"] == "user@example.com"


def test_the_issues_own_example_lacks_the_phone_that_the_customer_requires():
    outcome = run(EXAMPLE, gateway())
    (problem,) = outcome.problems
    assert (problem.code, problem.field) == ("MISSING_REQUIRED_FIELD", "phone")
    assert problem.message == 'The customer needs "phone": the lead says nothing for "phone".'
    assert outcome.mapped is None


def test_without_a_product_name_the_lead_is_rejected_with_that_target():
    (problem,) = run({**EXAMPLE, "phone": "+491701234567"}, gateway(constants={"CUSTOMER_PRODUCT_NAME": ""})).problems
    assert (problem.code, problem.field) == ("MISSING_REQUIRED_FIELD", "product.name")
    assert "the setting CUSTOMER_PRODUCT_NAME is empty" in problem.message


def test_the_problems_of_rules_and_of_the_customer_are_collected_together():
    problems = run({"address": {"zip": "12345"}}, gateway()).problems
    assert [(one.code, one.field) for one in problems] == [
        ("MISSING_REQUIRED_FIELD", "house.is_owner"),
        ("ZIP_NOT_66XXX", "address.zip"),
        ("MISSING_REQUIRED_FIELD", "phone"),
    ]


def test_optional_targets_that_are_missing_or_unfit_are_left_out_and_listed():
    body = {
        "email": "nobody",
        "address": {"zip": 66123, "street": {"a": 1}},
        "house": {"is_owner": True},
        "phone": "110",
    }
    outcome = run(body, gateway())
    assert outcome.mapped == {
        "customer_zip": "66123",
        "is_homeowner": True,
        "phone": "110",
        "product": {"name": "Solar roof"},
    }
    assert outcome.left_out == (
        LeftOut("customer_email", '"email" is not an e-mail address'),
        LeftOut("customer_street", '"address.street" is not a text'),
    )
    assert outcome.left_out[0].as_dict() == {"target": "customer_email", "reason": '"email" is not an e-mail address'}


@pytest.mark.parametrize("phone", ["call me", "", None, ["+49 170 1234567", "+49 170 7654321"], {"home": "1"}, "12"])
def test_a_required_phone_that_is_no_phone_rejects_the_lead(phone):
    problems = run({**EXAMPLE, "phone": phone}, gateway()).problems
    assert [(one.code, one.field) for one in problems] == [("MISSING_REQUIRED_FIELD", "phone")]


def test_a_phone_without_a_country_goes_as_it_came():
    assert run({**EXAMPLE, "phone": "0170 1234567"}, gateway("")).mapped["phone"] == "0170 1234567"


def test_an_empty_mapping_sends_an_empty_body_and_none_sends_nothing():
    assert run(EXAMPLE, Plan(mapping=read_mapping("{}", {}))).mapped == {}
    assert run(EXAMPLE, Plan()).mapped is None


def test_targets_nest_by_their_dots():
    mapping = {"a.b": "x", "a.c.d": "x", r"a.e\.f": "x", "g": {"object": {"h": "x", "i.j": "none"}}, "k[0]": "x"}
    assert filled(mapping, {"x": 1}) == (
        {"a": {"b": 1, "c": {"d": 1}, "e.f": 1}, "g": {"h": 1}, "k[0]": 1},
        [],
        ["g.i.j"],
    )


@pytest.mark.parametrize(
    ("entry", "value", "sent"),
    [
        ("x", "a", "a"),
        ("x", 0, 0),
        ("x", False, False),
        ("x", ["a"], "a"),
        ("x", ["a", " "], "a"),
        ("x", ["a", "b"], None),
        ("x", {"a": 1}, None),
        ("x", [["a"]], None),
        ("x", " ", None),
        ("x", float("nan"), None),
        ({"type": "text"}, 66123, "66123"),
        ({"type": "text"}, {"a": 1}, None),
        ({"type": "number"}, "12,5", 12.5),
        ({"type": "number"}, "twelve", None),
        ({"type": "integer"}, "12.0", 12),
        ({"type": "integer"}, 12.5, None),
        ({"type": "integer"}, "x", None),
        ({"type": "boolean"}, "nein", False),
        ({"type": "boolean"}, "perhaps", None),
        ({"type": "email"}, "A@b.example", "a@b.example"),
        ({"type": "email"}, "a", None),
        ({"type": "phone"}, "+49 170 1234567", "+491701234567"),
        ({"type": "list"}, "a", ["a"]),
        ({"type": "list"}, ["a", "", 2, None], ["a", 2]),
        ({"type": "list"}, ["a", {"b": 1}], None),
        ({"type": "any"}, {"a": [1, {"b": "c"}]}, {"a": [1, {"b": "c"}]}),
        ({"type": "any"}, "", None),
        ({"type": "value"}, 1, 1),
        ({"values": {"Solar": "PV", "wind": 2}}, "SOLAR ", "PV"),
        ({"values": {"solar": "PV", "wind": 2}}, "wind", 2),
        ({"values": {"solar": "PV"}}, "coal", None),
        ({"values": {"1": "one"}}, 1, "one"),
        ({"values": {"true": "OWNER", "false": "RENTER"}}, "nein", "RENTER"),
        ({"values": {"true": False, "false": True}}, "ja", False),
        ({"values": {"a": 1, "b": 2}, "type": "list"}, ["a", "b"], [1, 2]),
        ({"values": {"a": 1}, "type": "list"}, ["a", "c"], None),
        ({"default": "d"}, "", "d"),
        ({"default": "d", "type": "number"}, "x", "d"),
        ({"default": 0}, None, 0),
        ({"default": "d"}, "a", "a"),
        ({"constant": "c"}, "a", None),
    ],
)
def test_a_target_gets_its_value(entry, value, sent):
    if isinstance(entry, dict) and "constant" in entry:
        assert filled({"t": entry}, {"x": value})[0] == {"t": "c"}
        return
    found = one(entry, value)
    assert (found, type(found)) == (sent, type(sent))


def test_constants_are_of_any_json():
    value = {"a": [1, True, None, "x"]}
    assert filled({"t": {"constant": value}, "n": {"constant": 0}}, {}) == ({"t": value, "n": 0}, [], [])


def test_a_setting_is_a_constant_and_left_out_when_empty():
    mapping = {"t": {"setting": "NAME"}, "u": {"setting": "NOTHING"}, "v": {"setting": "NOTHING", "required": True}}
    assert filled({"t": mapping["t"], "u": mapping["u"]}, {}) == ({"t": "Solar"}, [], ["u"])
    assert filled(mapping, {}) == (None, ["v"], ["u"])


def test_the_first_field_that_fits_is_taken():
    entry = {"from": ["mobile", "phone", "deep.phone"], "type": "phone", "required": True}
    assert filled({"t": entry}, {"phone": "+491701234567"})[0] == {"t": "+491701234567"}
    assert filled({"t": entry}, {"mobile": "n/a", "phone": "+491701234567"})[0] == {"t": "+491701234567"}
    assert filled({"t": entry}, {"mobile": "n/a", "deep": {"phone": "110"}})[0] == {"t": "110"}
    outcome = run({"mobile": "", "phone": "n/a"}, Plan(mapping=read_mapping(json.dumps({"t": entry}), {})))
    assert outcome.problems[0].message == 'The customer needs "t": "phone" is not a phone number.'


def test_a_reason_names_all_fields_that_were_looked_at():
    outcome = run({}, Plan(mapping=read_mapping('{"t": {"from": ["a", "b"]}}', {})))
    assert outcome.left_out == (LeftOut("t", 'the lead says nothing for "a" or "b"'),)


def test_lists_hold_what_their_entries_find():
    mapping = {
        "t": {"list": ["x", {"from": "none"}, {"constant": 5}, {"object": {"a.b": "x", "c": "none"}}, {"list": ["x"]}]},
        "u": {"list": ["none", {"object": {"a": "none"}}]},
        "v": {"list": ["x"], "required": True},
    }
    assert filled(mapping, {"x": "1"}) == ({"t": ["1", 5, {"a": {"b": "1"}}, ["1"]], "v": ["1"]}, [], ["u"])
    assert filled({"v": mapping["v"]}, {}) == (None, ["v"], [])


def test_a_required_target_of_an_object_is_named_with_its_path():
    mapping = {"product": {"object": {"name": {"from": "x", "required": True}, "more": {"object": {"a": "x"}}}}}
    assert filled(mapping, {}) == (None, ["product.name"], ["product.more.a"])
    assert filled(mapping, {"x": 1}) == ({"product": {"name": 1, "more": {"a": 1}}}, [], [])


def test_a_mapping_says_how_its_fields_are_normalised():
    mapping = {"a": {"from": "owner", "type": "boolean"}, "b": {"list": [{"from": "is_x", "type": "text"}]}}
    plan = Plan(mapping=read_mapping(json.dumps(mapping), {}))
    outcome = run({"owner": "ja", "is_x": "ja", "is_y": "ja"}, plan)
    assert outcome.fields == {"owner": True, "is_x": "ja", "is_y": True}
    assert outcome.mapped == {"a": True, "b": ["ja"]}


def test_rules_read_a_field_that_the_mapping_keeps_as_text():
    rules = read_rules('[{"field": "owner", "check": "equals", "value": true, "code": "NO"}]')
    plan = Plan(rules, read_mapping('{"a": {"from": "owner", "type": "text"}}', {}))
    assert run({"owner": "Ja"}, plan).mapped == {"a": "Ja"}
    assert [one.code for one in run({"owner": "Nein"}, plan).problems] == ["NO"]


def test_no_reason_says_what_the_visitor_wrote():
    outcome = run(
        {"x": "secret words", "y": "secret words"},
        Plan(
            read_rules('[{"field": "x", "check": "equals", "value": "a", "code": "NO"}]'),
            read_mapping(
                '{"a": {"from": "x", "type": "number", "required": true}, "b": {"from": "y", "type": "email"}}', {}
            ),
        ),
    )
    assert "secret" not in repr((outcome.problems, outcome.left_out))


def test_a_mapping_reads_fields_by_itself_that_nobody_normalised():
    mapping = {
        "phone": {"from": "x", "type": "phone"},
        "email": {"from": "e", "type": "email"},
        "is": {"from": "b", "type": "boolean"},
        "more": {"list": [{"object": {"phone": {"from": "x", "type": "phone"}}}, {"from": "x", "type": "phone"}]},
    }
    body, _, _ = read_mapping(json.dumps(mapping), {}).fill({"x": "0170 1234567", "e": "A@b.example", "b": "ja"}, "DE")
    number = "+491701234567"
    assert body == {"phone": number, "email": "a@b.example", "is": True, "more": [{"phone": number}, number]}


def test_fields_inside_lists_and_objects_are_normalised_as_their_types_say():
    mapping = {
        "t": {"list": [{"object": {"a": {"from": ["p", "q"], "type": "boolean"}}}, {"from": "r", "type": "any"}]}
    }
    kinds = read_mapping(json.dumps(mapping), {}).kinds
    assert kinds == {("p",): Kind.BOOLEAN, ("q",): Kind.BOOLEAN, ("r",): Kind.PLAIN}


@pytest.mark.parametrize(
    ("entry", "value", "reason"),
    [
        ("x", {"a": 1}, '"x" is not a single value'),
        ("x", ["a", "b"], '"x" came with several values'),
        ("x", " ", 'the lead says nothing for "x"'),
        ({"from": "x", "type": "number"}, "many", '"x" is not a number'),
        ({"from": "x", "type": "integer"}, 1.5, '"x" is not a whole number'),
        ({"from": "x", "type": "boolean"}, "perhaps", '"x" is not clearly yes or no'),
        ({"from": "x", "type": "list"}, [{"a": 1}], '"x" is not a list of single values'),
        ({"from": "x", "type": "any"}, "", 'the lead says nothing for "x"'),
        ({"from": "x", "values": {"a": "b"}}, "c", '"x" says what "values" does not translate'),
        ({"from": ["x", "y"], "type": "number"}, "many", '"x" is not a number'),
        ({"list": ["y"]}, "a", "the lead says nothing for any entry"),
    ],
)
def test_what_is_left_out_has_its_reason_in_words(entry, value, reason):
    outcome = run({"x": value}, Plan(mapping=read_mapping(json.dumps({"t": entry}), {})))
    assert [one.reason for one in outcome.left_out] == [reason]
