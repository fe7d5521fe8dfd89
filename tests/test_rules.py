"""The rules, fact by fact: what the shipped ones accept, and what every check does."""

from time import process_time

import pytest

from leadapp.rules.patterns import Patience, matches
from leadapp.rules.pipeline import Plan, run
from leadapp.rules.problems import Problem
from leadapp.rules.ruleset import DEFAULT_RULES, read_rules

GATEWAY = Plan(read_rules(DEFAULT_RULES))


def codes(zip_code="66123", is_owner=True):
    body = {"address": {"zip": zip_code}, "house": {"is_owner": is_owner}}
    return [(one.code, one.field) for one in run(body, GATEWAY).problems]


def found(rule, value, **more):
    """The codes of one rule for the field `x`."""
    text = f'[{{"field": "x", "code": "NO", {rule}}}]'
    tree = {"x": value, **more} if value is not ... else more
    return [one.code for one in run(tree, Plan(read_rules(text))).problems]


@pytest.mark.parametrize(
    "zip_code", ["66000", "66123", "66999", " 66123 ", "\u200b66123\ufeff", 66123, 66123.0, ["66123"]]
)
def test_a_zip_of_66_and_three_digits_passes(zip_code):
    assert codes(zip_code) == []


@pytest.mark.parametrize(
    "zip_code",
    [
        "12345",
        "65999",
        "67000",
        "6612",
        "661234",
        "66 123",
        "66123-0001",
        "a66123",
        "66123\n66123",
        "٦٦١٢٣",
        "６６１２３",
        "66١٢٣",
        12345,
        66123.5,
        True,
        {"code": "66123"},
        ["66123", "12345"],
    ],
)
def test_every_other_zip_is_rejected_with_its_one_code(zip_code):
    assert codes(zip_code) == [("ZIP_NOT_66XXX", "address.zip")]


def test_the_pattern_is_for_the_whole_value_and_a_line_end_is_part_of_it():
    rules = read_rules(DEFAULT_RULES)  # as the value came, before blanks were trimmed
    (rule,) = [one for one in rules.rules if one.code == "ZIP_NOT_66XXX"]
    assert rule.pattern.fullmatch("66123")
    assert not rule.pattern.fullmatch("66123\n")


@pytest.mark.parametrize(
    "is_owner", [True, "true", "ja", "Ja", "JA ", "yes", "1", 1, "on", "oui", "sí", "да", "はい", "evet", "tak"]
)
def test_a_homeowner_in_any_language_passes(is_owner):
    assert codes(is_owner=is_owner) == []


@pytest.mark.parametrize(
    "is_owner", [False, "false", "nein", "no", "0", 0, "off", "non", "нет", "perhaps", "2", 2, ["ja", "nein"], {"a": 1}]
)
def test_who_does_not_say_yes_is_no_homeowner(is_owner):
    assert codes(is_owner=is_owner) == [("NOT_HOMEOWNER", "house.is_owner")]


@pytest.mark.parametrize("nothing", [None, "", "  ", "\u200b", [], {}, ["", None]])
def test_a_missing_field_gives_its_one_code_and_not_also_those_of_its_pattern(nothing):
    assert codes(nothing, nothing) == [
        ("MISSING_REQUIRED_FIELD", "address.zip"),
        ("MISSING_REQUIRED_FIELD", "house.is_owner"),
    ]


def test_both_fields_are_needed():
    assert [(one.code, one.field) for one in run({}, GATEWAY).problems] == [
        ("MISSING_REQUIRED_FIELD", "address.zip"),
        ("MISSING_REQUIRED_FIELD", "house.is_owner"),
    ]


def test_every_code_is_collected():
    assert codes("12345", "nein") == [("ZIP_NOT_66XXX", "address.zip"), ("NOT_HOMEOWNER", "house.is_owner")]
    assert codes("12345", "") == [("MISSING_REQUIRED_FIELD", "house.is_owner"), ("ZIP_NOT_66XXX", "address.zip")]


def test_no_rules_let_everything_pass():
    assert run({"a": 1}, Plan()).problems == ()
    assert read_rules("[]").rules == ()


def test_a_problem_says_code_field_and_words():
    (problem, _) = run({}, GATEWAY).problems
    assert problem.as_dict() == {
        "code": "MISSING_REQUIRED_FIELD",
        "field": "address.zip",
        "message": "The zip code is missing.",
    }


@pytest.mark.parametrize(
    "rule, passes, fails",
    [
        ('"check": "required"', ["a", 0, False, ["a"], {"b": 1}], [..., None, " ", [], ["", None]]),
        ('"check": "present"', ["a", 0, False], [..., None, "\xa0"]),
        ('"check": "absent"', [..., None, "", " ", []], ["a", 0, False]),
        (
            '"check": "pattern", "pattern": "a|bc"',
            ["a", "bc", ..., "", ["a", "bc"]],
            ["ab", "abc", ["a", "x"], {"a": 1}],
        ),
        ('"check": "pattern", "pattern": "^\\\\d+$"', ["12", 12, 12.0], ["٣", "1 2", 1.5, True]),
        (
            '"check": "equals", "value": "Solar"',
            ["solar", " SOLAR ", ["Solar"], ...],
            ["solar roof", 1, True, ["Solar", "x"]],
        ),
        ('"check": "equals", "value": 3', [3, "3", 3.0, "3.0", "3,0", " 3"], ["4", "x", True, "3 pieces"]),
        ('"check": "equals", "value": false', [False, "no", "0", "nein"], [True, "yes", "perhaps"]),
        ('"check": "one_of", "values": ["a", "b", 7]', ["A", "b", 7, "7", ["a", "b"]], ["c", 8, ["a", "c"]]),
        ('"check": "range", "min": 2, "max": 4.5', [2, "2", 4.5, "4,5", "3.25"], [1.9, 4.6, "x", "1,999", True, "٣"]),
        ('"check": "range", "min": 2', [2, 10**9], [1]),
        ('"check": "range", "max": 2', [2, -(10**9)], [3]),
        ('"check": "range", "min": 0', [0, "0", 0.0], [-1, -0.1]),
        ('"check": "range", "max": 0', [0, -1], [1, 0.1]),
        ('"check": "length", "min": 2, "max": 3', ["ab", " abc ", 12], ["a", "abcd", 1, {"a": 1}]),
    ],
)
def test_a_check_passes_and_fails(rule, passes, fails):
    assert [value for value in passes if found(rule, value)] == []
    assert [value for value in fails if found(rule, value) != ["NO"]] == []


def test_a_value_under_which_others_hang_is_checked():
    assert found('"check": "equals", "value": "a"', {"": "a", "more": "b"}) == []


@pytest.mark.parametrize("field", ["lead.address.zip", "lead[address][zip]", "list.1.zip", "odd\\\\.name"])
def test_a_field_is_found_by_its_path(field):
    tree = {"lead": {"address": {"zip": "1"}}, "list": [{}, {"zip": "1"}], "odd.name": "1"}
    text = '[{"code": "NO", "field": "%s", "check": "%s"}]'
    assert run(tree, Plan(read_rules(text % (field, "present")))).problems == ()
    assert run(tree, Plan(read_rules(text % (field, "absent")))).problems


@pytest.mark.parametrize(
    "field", ["list.2", "list.x", "lead.address.zip.more", "list.-1", "list.٠", "list.9999999999", "none"]
)
def test_a_path_that_leads_nowhere_is_a_missing_field(field):
    tree = {"lead": {"address": {"zip": "1"}}, "list": ["a", "b"]}
    text = f'[{{"field": "{field}", "check": "required"}}]'
    assert [one.code for one in run(tree, Plan(read_rules(text))).problems] == ["MISSING_REQUIRED_FIELD"]


def test_letters_of_every_script_are_there_for_patterns_that_ask():
    assert found(r'"check": "pattern", "pattern": "(?u)\\p{L}+"', "Müller") == []
    assert found(r'"check": "pattern", "pattern": "\\w+"', "Müller") == ["NO"]


def test_a_pattern_that_takes_for_ever_on_one_value_is_a_problem_and_not_a_hang():
    begun = process_time()
    slow = r'"check": "pattern", "pattern": "(?:xyz|x?y?z?)+q(?:xyz|x?y?z?)+"'
    try:
        plan = Plan(read_rules(f'[{{"field": "x", "code": "NO", {slow}}}]'))
    except Exception as error:
        pytest.fail(f"refused when read, which is not what is tested here: {error}")
    problems = run({"x": "xyz" * 2000 + "q" + "xyz" * 2000 + "!"}, plan).problems
    assert [(one.code, one.field) for one in problems] == [("PATTERN_TOO_SLOW", "x")]
    assert process_time() - begun < 2


def test_the_same_code_of_the_same_field_is_said_once():
    text = '[{"code": "NO", "field": "x", "check": "equals", "value": "a", "message": "one"}, %s]'
    rules = read_rules(text % '{"code": "NO", "field": "x", "check": "equals", "value": "b", "message": "two"}')
    assert run({"x": "c"}, Plan(rules)).problems == (Problem("NO", "x", "one"),)


@pytest.mark.parametrize(
    "rule, words",
    [
        ('"check": "required"', '"x" is missing.'),
        ('"check": "absent"', '"x" should be empty.'),
        ('"check": "pattern", "pattern": "a"', '"x" does not have the form that is wanted.'),
        ('"check": "equals", "value": 1', '"x" is not what is wanted.'),
        ('"check": "range", "min": 18, "max": 99', '"x" is not a number of at least 18 and at most 99.'),
        ('"check": "length", "max": 5', 'The length of "x" is not at most 5.'),
        ('"check": "required", "message": "Say it."', "Say it."),
    ],
)
def test_a_rule_has_words_of_its_own_or_is_given_some(rule, words):
    assert read_rules(f'[{{"code": "NO", "field": "x", {rule}}}]').rules[0].message == words


def test_a_match_that_only_waited_for_its_turn_is_tried_again():
    class Busy:
        """A pattern whose first three matches are put aside by a busy machine."""

        tries = 0

        def fullmatch(self, text: str, timeout: float) -> object:
            self.tries += 1
            if self.tries <= 3:
                raise TimeoutError
            return text

    assert matches(Busy(), "66123", Patience()) is True
