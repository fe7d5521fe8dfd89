"""What holds for every lead and all rules."""

import copy
import json
import re

from hypothesis import assume, example, given
from hypothesis import strategies as st

from leadapp.rules.located import read
from leadapp.rules.mapping import DEFAULT_MAPPING_PATH, read_mapping
from leadapp.rules.normalise import normalise
from leadapp.rules.patterns import Patience, compiled, matches
from leadapp.rules.pipeline import Plan, run
from leadapp.rules.ruleset import DEFAULT_RULES, read_rules
from leadapp.rules.values import has_value
from tests.lead_shapes import (
    FEW,
    gateway_trees,
    numbers,
    refusal,
    rules,
    rulesets,
    scalars,
    text_of,
    texts,
    trees,
    values,
    words,
)

RULES = Plan(read_rules(DEFAULT_RULES))
GATEWAY = Plan(RULES.rules, read_mapping(DEFAULT_MAPPING_PATH.read_text(), {"CUSTOMER_PRODUCT_NAME": "Solar"}), "DE")
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**15), 10**15),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(),
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


def found(rule_list, tree):
    return [(one.code, one.field) for one in run(tree, Plan(read_rules(text_of(rule_list)))).problems]


def zip_codes(zip_code):
    return [one.code for one in run({"address": {"zip": zip_code}, "house": {"is_owner": True}}, RULES).problems]


def passes(check, value):
    return found([{"code": "NO", "field": "x", **check}], {"x": value}) == []


@FEW
@given(
    st.one_of(
        texts, st.from_regex(r"6?6?\d{1,4}", fullmatch=True), st.from_regex(r"[a6]?66[0-9]{3}[\n0b]?", fullmatch=True)
    )
)
@example("66123\n")
@example("6612")
@example("661234")
@example("67000")
@example("66١٢٣")
def test_a_zip_passes_exactly_when_it_is_66_and_three_ascii_digits(text):
    zip_code = normalise({"x": text}, {})["x"]
    is_wanted = len(zip_code) == 5 and zip_code[:2] == "66" and set(zip_code) <= set("0123456789")
    codes = [] if is_wanted else ["ZIP_NOT_66XXX"] if zip_code else ["MISSING_REQUIRED_FIELD"]
    assert zip_codes(text) == codes


@FEW
@given(st.one_of(st.integers(65_900, 67_100), st.integers()))
def test_a_zip_that_came_as_a_number_is_judged_by_its_digits(number):
    assert (zip_codes(number) == []) is (66_000 <= number <= 66_999)


@FEW
@given(st.integers(0, 999), words, st.integers(0, 5))
def test_a_good_zip_with_anything_more_in_it_is_none(rest, more, where):
    good = f"66{rest:03}"
    assume(zip_codes(good) == [])
    assert zip_codes(good[:where] + more + good[where:]) == ["ZIP_NOT_66XXX"]


@FEW
@given(rulesets, trees)
def test_a_missing_field_gets_no_code_but_those_of_its_presence(rule_list, tree):
    of_value = [rule for rule in rule_list if rule["check"] not in ("required", "present", "absent")]
    without = dict.fromkeys(tree)
    assert found(of_value, without) == []
    assert found(of_value, {}) == []


@FEW
@given(rulesets, trees)
def test_every_rule_speaks_for_itself_and_all_are_heard(rule_list, tree):
    plan = Plan(read_rules(text_of(rule_list)))
    fields = run(tree, plan).fields  # one normalisation, so that only the checks are compared
    together = [(one.code, one.field) for one in plan.rules.check(fields)]
    alone = [(one.code, one.field) for rule in rule_list for one in read_rules(text_of([rule])).check(fields)]
    assert together == list(dict.fromkeys(alone))


@FEW
@given(rulesets, trees, st.randoms(use_true_random=False))
def test_the_order_of_rules_changes_no_verdict(rule_list, tree, random):
    shuffled = random.sample(rule_list, len(rule_list))
    assert set(found(rule_list, tree)) == set(found(shuffled, tree))


@FEW
@given(rulesets, trees)
def test_no_code_is_said_twice_of_a_field(rule_list, tree):
    problems = found(rule_list + rule_list, tree)
    assert len(problems) == len(set(problems))
    assert problems == found(rule_list, tree)


@FEW
@given(values)
@example(None)
@example([None])
def test_required_and_present_want_a_value_and_absent_wants_none(value):
    is_there = has_value(value) and (not isinstance(value, list) or any(map(has_value, value)))
    tree_value = value[""] if isinstance(value, dict) and "" in value else value
    assume(tree_value is value)
    assert passes({"check": "required"}, value) is is_there
    assert passes({"check": "present"}, value) is is_there
    assert passes({"check": "absent"}, value) is not is_there


@FEW
@given(numbers, st.integers(-100, 100), st.integers(0, 100), st.sampled_from(["number", "text"]))
def test_a_range_takes_what_lies_between_its_ends_and_the_ends(number, low, width, sent_as):
    value = str(number) if sent_as == "text" and isinstance(number, int) else number
    assert passes({"check": "range", "min": low, "max": low + width}, value) is (low <= number <= low + width)
    assert passes({"check": "range", "min": low}, value) is (low <= number)
    assert passes({"check": "range", "max": low}, value) is (number <= low)
    assert passes({"check": "range", "min": low}, low)


@FEW
@given(words, st.integers(0, 14), st.integers(0, 5))
def test_a_length_counts_letters(word, low, width):
    assert passes({"check": "length", "min": low, "max": low + width}, f" {word} ") is (low <= len(word) <= low + width)


@FEW
@given(words, words)
def test_equals_takes_the_same_word_in_any_case_and_no_other(word, other):
    assume(word.upper().casefold() == word.casefold())
    assert passes({"check": "equals", "value": word}, f" {word.upper()}\u200b")
    assert passes({"check": "equals", "value": word}, word + "x" + other) is False


@FEW
@given(st.data(), st.sampled_from([words, st.integers(0, 9), st.booleans()]))
def test_one_of_is_several_equals(data, kind):
    wanted = data.draw(st.lists(kind, min_size=1, max_size=4))
    value = data.draw(st.sampled_from(wanted) if data.draw(st.booleans()) else scalars)
    each = [passes({"check": "equals", "value": one}, value) for one in wanted]
    assert passes({"check": "one_of", "values": wanted}, value) is any(each)


@FEW
@given(rules, st.lists(scalars, min_size=1, max_size=4))
def test_a_field_that_came_several_times_passes_when_each_of_its_values_does(rule, several):
    assume(rule["check"] not in ("required", "present", "absent"))
    rule = {**rule, "field": "x"}
    assert (found([rule], {"x": several}) == []) is all(found([rule], {"x": one}) == [] for one in several)


PARTS = {r"\d": "1٣x", r"\w": "aéٌ ", "[a-c]": "abx", "x?": "xa", "66": "6", r"\D": "a٣1", ".": "a\n", r"\s": " \xa0a"}


@FEW
@given(
    st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=3), st.data(), st.sampled_from(["", "", "\n", "a"])
)
def test_a_pattern_is_for_the_whole_value_in_ascii(parts, data, end):
    pattern = "".join(parts)
    text = "".join(data.draw(st.sampled_from(PARTS[part])) * (1 + (part == "66")) for part in parts) + end
    fits = re.fullmatch(pattern, text, re.ASCII) is not None
    assert matches(compiled(pattern), text, Patience()) is fits
    assert matches(compiled(f"^{pattern}$"), text, Patience()) is fits


@FEW
@given(gateway_trees())
def test_any_lead_goes_through_and_is_mapped_or_has_problems(tree):
    outcome = run(tree, GATEWAY)
    assert (outcome.mapped is None) is bool(outcome.problems)
    json.dumps([outcome.fields, outcome.mapped, [one.as_dict() for one in outcome.problems]], allow_nan=False)


@FEW
@given(gateway_trees(), rulesets)
def test_a_lead_is_not_changed_by_its_run(tree, rule_list):
    before = copy.deepcopy(tree)
    run(tree, Plan(read_rules(text_of(rule_list)), GATEWAY.mapping, "DE"))
    assert tree == before


@FEW
@given(gateway_trees())
def test_a_run_of_what_a_run_made_says_the_same(tree):
    first = run(tree, GATEWAY)
    second = run(first.fields, GATEWAY)
    assert (second.fields, second.mapped, second.problems) == (first.fields, first.mapped, first.problems)


@FEW
@given(gateway_trees(), values)
def test_a_field_that_no_rule_names_changes_nothing(tree, value):
    more = {**tree, "unrelated": value}
    first, second = run(tree, GATEWAY), run(more, GATEWAY)
    assert (first.problems, first.mapped, first.left_out) == (second.problems, second.mapped, second.left_out)


@FEW
@given(st.from_regex(r"secret[0-9]{8}", fullmatch=True), st.sampled_from(["address", "house", "phone", "email"]))
def test_no_problem_says_what_the_visitor_wrote(secret, where):
    tree = {
        "phone": secret,
        "email": secret,
        "address": {"zip": secret, "street": {"x": secret}},
        "house": {"is_owner": secret},
    }
    tree[where] = {"x": secret}
    outcome = run(tree, GATEWAY)
    assert secret not in repr((outcome.problems, outcome.left_out))


@FEW
@given(JSON, st.sampled_from([None, 0, 1, 4]))
def test_json_is_read_as_json_reads_it(value, indent):
    text = json.dumps(value, indent=indent, ensure_ascii=bool(indent))
    assert read(text).plain() == json.loads(text)


@FEW
@given(st.lists(rules, min_size=1, max_size=8), st.data(), st.integers(0, 3))
def test_a_wrong_rule_is_pointed_at_wherever_it_stands(rule_list, data, gap):
    at = data.draw(st.integers(0, len(rule_list) - 1))
    wrong = data.draw(
        st.sampled_from(
            [{**rule_list[at], "check": "nope"}, {**rule_list[at], "more": 1}, 5, {**rule_list[at], "code": "x"}]
        )
    )
    lines = [json.dumps(wrong if number == at else rule) for number, rule in enumerate(rule_list)]
    error = refusal(read_rules, "\n" * gap + "[\n" + ",\n".join(lines) + "]")
    assert error is not None
    assert error.line == gap + 2 + at


@FEW
@given(st.one_of(st.text(), st.text('[]{}",:0aefnul\n \\'), rulesets.map(text_of).map(lambda text: text[:-3])))
def test_any_text_is_read_or_refused_with_a_line_that_it_has(text):
    error = refusal(read_rules, text)
    assert error is None or error.line is None or 1 <= error.line <= text.count("\n") + 1


@FEW
@given(st.text(r"()[]{}*+?|\.^$ab1,:<>=!PpdwsnRuiLK-", max_size=12), st.text("ab1 ", max_size=30))
def test_any_pattern_is_used_or_refused(pattern, text):
    try:
        ready = compiled(pattern)
    except ValueError:
        return
    assert matches(ready, text, Patience()) in (True, False, None)
