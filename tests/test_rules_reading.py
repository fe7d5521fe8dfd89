"""Rules and tables of answers that cannot be used are refused with the line and what to do."""

import json

import pytest

from leadapp.deliveries.meanings import Meaning, meaning_of, read_meanings
from leadapp.errors import RulesError
from leadapp.rules.located import read
from leadapp.rules.patterns import Patience, compiled, matches
from leadapp.rules.ruleset import read_rules

GOOD = '  {"field": "a", "check": "required"},\n'


def refused(read_text, text):
    with pytest.raises(RulesError) as caught:
        read_text(text)
    return caught.value.line, caught.value.reason


def rule(text):
    """A list whose third line is this rule."""
    return f"[\n{GOOD}  {text}\n]"


@pytest.mark.parametrize(
    "text, line, words",
    [
        ("", 1, "nothing here"),
        (" \n ", 1, "nothing here"),
        ("{}", 1, "a list"),
        ('"x"', 1, "a list"),
        ("[\n1\n]", 2, "A rule is an object"),
        ('[\n{"a": 1}\n{"b": 2}\n]', 3, "not JSON"),
        ('[\n{"a": 1},\n]', 3, "comma before a closing bracket"),
        ("[\n{'a': 1}]", 2, "straight double quotes"),
        ("[\n{“a”: 1}]", 2, "straight double quotes"),
        ("[\n// no\n]", 2, "no comments"),
        ("[\n# no\n]", 2, "no comments"),
        ('[\n{"a": 1\n"b": 2}]', 3, "comma missing"),
        ("[1, 2,]", 1, "comma before a closing bracket"),
        ("[1 \n}", 2, "not JSON: Expecting ',' delimiter at column 1."),
        ('[\n{"a": }]', 2, "Something is missing before this bracket"),
        ('[\n{"a": 1,\noops', 3, "straight double quotes"),
        ('[\n{"a": True}]', 2, "small letters"),
        ('[{"a": ”b”}]', 1, "straight double quotes"),
        ('[{"a": „b“}]', 1, "straight double quotes"),
        ("[/* no */]", 1, "no comments"),
        ("[", 1, "not JSON: Expecting value at column 2."),
        ('[{"a": "\n"}]', 1, "not JSON"),
        ("[" * 40 + "]" * 40, 1, "nested too deeply"),
        ("[" * 100_000, None, "nested too deeply"),
        ("[1" + " " * 300_000 + "]", None, "longer than 256 KiB"),
    ],
)
def test_what_is_no_list_of_rules_is_refused_with_its_line(text, line, words):
    found, reason = refused(read_rules, text)
    assert (found, words in reason) == (line, True), reason


@pytest.mark.parametrize(
    "text, words",
    [
        ('{"field": "a"}', 'lacks "check"'),
        ('{"field": "a", "check": "nope"}', 'no check "nope"; it is one of required, present'),
        ('{"field": "a", "check": 1}', '"check" is a text'),
        ('{"check": "required"}', 'lacks "field"'),
        ('{"field": " ", "check": "required"}', '"field" is a text'),
        ('{"field": ["a"], "check": "required"}', '"field" is a text'),
        ('{"field": "a", "check": "absent"}', '"code" of capital letters'),
        ('{"field": "a", "check": "absent", "code": "not good"}', '"code" of capital letters'),
        ('{"field": "a", "check": "absent", "code": "NO_\u00dc"}', '"code" of capital letters'),
        ('{"field": "a", "check": "required", "fields": 1}', 'knows no "fields"; it knows code, field'),
        ('{"field": "a", "check": "required", "pattern": "x"}', 'knows no "pattern"'),
        ('{"field": "a", "field": "b", "check": "required"}', '"field" stands here twice'),
        ('{"field": "a", "check": "required", "message": ""}', '"message" is a text of 1 to 200'),
        ('{"field": "a", "check": "pattern", "code": "NO"}', 'needs a "pattern"'),
        ('{"field": "a", "check": "pattern", "code": "NO", "pattern": "("}', "cannot be read"),
        ('{"field": "a", "check": "pattern", "code": "NO", "pattern": "(?a)(?u)x"}', "cannot be read"),
        ('{"field": "a", "check": "pattern", "code": "NO", "pattern": "(?:(?:a{1000}){1000}){1000}"}', "too much"),
        ('{"field": "a", "check": "pattern", "code": "NO", "pattern": "(\\\\d|\\\\d\\\\d)*x"}', "takes too long"),
        ('{"field": "a", "check": "pattern", "code": "NO", "pattern": "\\\\p{L}"}', "needs (?u)"),
        ('{"field": "a", "check": "pattern", "code": "NO", "pattern": "%s"}' % ("a" * 501), "longer than 500"),
        ('{"field": "a", "check": "equals", "code": "NO"}', 'needs "value"'),
        ('{"field": "a", "check": "equals", "code": "NO", "value": null}', "texts, numbers, true or false"),
        ('{"field": "a", "check": "equals", "code": "NO", "value": ["b"]}', "one value"),
        ('{"field": "a", "check": "one_of", "code": "NO", "values": "b"}', "a list"),
        ('{"field": "a", "check": "one_of", "code": "NO", "values": []}', "is empty"),
        ('{"field": "a", "check": "one_of", "code": "NO", "values": [{}]}', "texts, numbers, true or false"),
        ('{"field": "a", "check": "range", "code": "NO"}', 'needs "min", "max" or both'),
        ('{"field": "a", "check": "range", "code": "NO", "min": "1"}', '"min" is a number without quotes'),
        ('{"field": "a", "check": "range", "code": "NO", "max": true}', '"max" is a number without quotes'),
        ('{"field": "a", "check": "range", "code": "NO", "min": 2, "max": 1}', '"min" is above "max"'),
        ('{"field": "a", "check": "range", "code": "NO", "min": NaN}', "no number that JSON knows"),
        ('{"field": "a", "check": "range", "code": "NO", "min": -Infinity}', "no number that JSON knows"),
        ('{"field": "a", "check": "range", "code": "NO", "min": 1e999}', "no number that JSON knows"),
        ('{"field": "a", "check": "range", "code": "NO", "min": 12345678901234567890}', "too large"),
        ('{"field": "a", "check": "range", "code": "NO", "min": %s}' % ("9" * 5000), "too large"),
        ('{"field": "\\ud800", "check": "required"}', "half of a character"),
    ],
)
def test_a_wrong_rule_is_refused_with_its_line_and_what_to_do(text, words):
    line, reason = refused(read_rules, rule(text))
    assert (line, words in reason) == (3, True), reason


def test_a_fault_without_a_known_reason_is_said_plainly():
    assert refused(read_rules, "[+1]") == (1, "This is not JSON: Expecting value at column 2.")


@pytest.mark.parametrize(
    ("pattern", "is_much"), [("(a{1000}){20}", False), ("(a{1000}){20}b", True), ("a{20001}", True)]
)
def test_counted_repeats_may_ask_for_20000_letters(pattern, is_much):
    text = rule('{"field": "a", "check": "pattern", "code": "NO", "pattern": "%s"}' % pattern)  # noqa: UP031
    if is_much:
        assert "multiply to too much" in refused(read_rules, text)[1]
    else:
        assert len(read_rules(text).rules) == 2


@pytest.mark.parametrize("hidden", ["(?x)(?:a{ 300 }){ 300 }", "(?i-s:(?ix:a{ 300 }))", "(?#[)(?:a{300}){300}(?#])"])
def test_repeats_cannot_hide_from_being_counted(hidden):
    with pytest.raises(ValueError, match="without comments"):
        compiled(hidden)


@pytest.mark.parametrize(("pattern", "text"), [(r"\(?x\)?", "(x)"), ("[(?x]", "?"), ("(?i)x", "X"), ("(?<x>a)", "a")])
def test_what_only_looks_like_hiding_is_a_pattern(pattern, text):
    assert matches(compiled(pattern), text, Patience()) is True


def test_the_line_is_that_of_the_entry_within_its_rule():
    text = '[\n{"field": "a",\n "check": "range",\n "code": "NO",\n\n "min":\n "x"}]'
    assert refused(read_rules, text)[0] == 6


def test_the_second_of_two_keys_is_pointed_at():
    assert refused(read_rules, '[{"field": "a",\r\n"check": "required",\r\n"field": "b"}]')[0] == 3


def test_too_many_rules_are_refused():
    rules = ",\n".join(['{"field": "a", "check": "required"}'] * 201)
    assert refused(read_rules, f"[{rules}]") == (201, "There are more than 200 rules.")


def test_the_error_reads_as_a_sentence():
    with pytest.raises(RulesError, match=r"^Line 1: Rules are a list"):
        read_rules("{}")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm():
    assert len(read_rules(f"\ufeff[\r\n{GOOD[:-2]}\r\n]").rules) == 1


def test_a_text_is_read_as_json_reads_it():
    text = '{"a": [1, -2.5e3, "x\\n\\"{[,:\\u00e9", true, null, {}, []], "": {"b": false}}'
    assert read(text).plain() == json.loads(text)


TABLE = """[
  {"status": 409, "means": "duplicate"},
  {"status": "2xx", "field": "result.code", "equals": "DUP", "means": "duplicate"},
  {"status": 200, "field": "ok", "equals": false, "means": "permanent"},
  {"field": "errors.0.retry", "equals": true, "means": "retry"},
  {"status": "422", "means": "delivered"}
]"""


@pytest.mark.parametrize(
    "status, body, means",
    [
        (409, "", Meaning.DUPLICATE),
        (201, '{"result": {"code": "dup"}}', Meaning.DUPLICATE),
        (200, '{"ok": false}', Meaning.PERMANENT),
        (200, '{"ok": true}', None),
        (202, '{"ok": false}', None),
        (500, '{"errors": [{"retry": "yes"}]}', Meaning.RETRY),
        (500, '{"errors": [{"retry": false}]}', None),
        (422, "not JSON", Meaning.DELIVERED),
        (200, '{"ok": ', None),
        (200, "[" * 20_000, None),
        (200, '{"ok": %s}' % ("9" * 5000), None),
        (200, '{"ok": false, "x": "%s"}' % ("x" * 70_000), None),
        (200, "[1]", None),
        (300, '{"result": {"code": "DUP"}}', None),
    ],
)
def test_an_answer_means_what_the_table_says(status, body, means):
    assert meaning_of(status, body, read_meanings(TABLE)) is means


def test_the_first_entry_that_fits_decides_and_an_empty_table_says_nothing():
    table = read_meanings('[{"status": "2xx", "means": "retry"}, {"status": 200, "means": "permanent"}]')
    assert meaning_of(200, "", table) is Meaning.RETRY
    assert meaning_of(200, "", read_meanings("[]")) is None


@pytest.mark.parametrize(
    "entry, words",
    [
        ("1", "An entry is an object"),
        ('{"status": 200}', '"means": one of delivered, duplicate'),
        ('{"status": 200, "means": "sent"}', '"means": one of delivered, duplicate'),
        ('{"means": "retry"}', 'needs a "status"'),
        ('{"field": "a", "means": "retry"}', "go together"),
        ('{"equals": "a", "status": 200, "means": "retry"}', "go together"),
        ('{"status": 99, "means": "retry"}', "a number such as 409"),
        ('{"status": 600, "means": "retry"}', "a number such as 409"),
        ('{"status": true, "means": "retry"}', "a number such as 409"),
        ('{"status": "6xx", "means": "retry"}', "a number such as 409"),
        ('{"field": "a", "equals": ["b"], "means": "retry"}', "one value"),
        ('{"field": "a", "equals": null, "means": "retry"}', "texts, numbers"),
        ('{"status": 200, "when": 1, "means": "retry"}', 'knows no "when"'),
    ],
)
def test_a_wrong_table_of_answers_is_refused_with_its_line(entry, words):
    line, reason = refused(read_meanings, f'[\n{{"status": 201, "means": "retry"}},\n{entry}\n]')
    assert (line, words in reason) == (3, True), reason


def test_a_table_is_a_list_of_at_most_50_entries():
    assert refused(read_meanings, "{}")[1].startswith("This is a list")
    entries = ",".join(['{"status": 201, "means": "retry"}'] * 51)
    assert refused(read_meanings, f"[{entries}]")[1] == "There are more than 50 entries."
