"""What holds for every mapping and every lead."""

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from leadapp.rules.mapping import read_mapping
from leadapp.rules.paths import clashes, path_of, place, source_of, target_of, value_at
from leadapp.rules.pipeline import Plan, run
from leadapp.rules.ruleset import read_rules
from leadapp.rules.values import folded
from leadapp.rules.values import text_of as as_text
from tests.lead_shapes import (
    CONSTANTS,
    FEW,
    full_trees,
    mappings,
    numbers,
    refusal,
    rulesets,
    scalars,
    sources,
    text_of,
    trees,
    values,
    words,
)

PATHS = st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=3).map(tuple), max_size=5)
STEPS = st.lists(
    st.text("ab.é\\-[] ", min_size=1, max_size=4).filter(lambda step: step.strip() and "\\" not in step),
    min_size=1,
    max_size=4,
)
COUNTRIES = st.sampled_from(["", "DE", "US"])


def reads(mapping):
    return read_mapping(text_of(mapping), CONSTANTS)


def fill(mapping, tree, country=""):
    return run(tree, Plan(mapping=reads(mapping), country=country))


def found(body, target):
    return value_at(body, target_of(target))


@FEW
@given(mappings, trees)
def test_every_target_is_sent_or_left_out_or_a_problem(mapping, tree):
    body, missing, left_out = reads(mapping).fill(tree)
    sent = {target for target in mapping if found(body, target) is not None}
    lacking = [one.field for one in missing] + [one.target for one in left_out]
    assert sorted([*sent, *lacking]) == sorted(mapping)


@FEW
@given(mappings, trees)
def test_a_body_holds_nothing_but_its_targets(mapping, tree):
    body, _, _ = reads(mapping).fill(tree)
    for target in mapping:
        steps = target_of(target)
        parent = value_at(body, steps[:-1]) if steps[:-1] else body
        if isinstance(parent, dict):
            parent.pop(steps[-1], None)
    assert not list(_leaves(body))


def _leaves(body):
    for one in body.values():
        if isinstance(one, dict):
            yield from _leaves(one)
        else:
            yield one


@FEW
@given(mappings, trees)
def test_targets_do_not_influence_each_other(mapping, tree):
    body, _, _ = reads(mapping).fill(tree)
    for target, entry in mapping.items():
        alone, _, _ = reads({target: entry}).fill(tree)
        assert found(alone, target) == found(body, target)


@FEW
@given(mappings, trees, COUNTRIES)
def test_a_body_is_json_that_comes_back_as_it_was(mapping, tree, country):
    mapped = fill(mapping, tree, country).mapped
    assume(mapped is not None)
    assert json.loads(json.dumps(mapped, allow_nan=False)) == mapped


FITS = {
    "text": lambda value: isinstance(value, str) and value == value.strip(),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: type(value) is int,
    "boolean": lambda value: type(value) is bool,
    "email": lambda value: isinstance(value, str) and value.count("@") == 1 and value == value.lower(),
    "phone": lambda value: isinstance(value, str) and 3 <= sum(map(str.isdigit, value)) <= 20,
    "value": lambda value: isinstance(value, str | int | float),
    "list": lambda value: (
        isinstance(value, list) and all(isinstance(one, str | int | float) for one in value) and value
    ),
}


@FEW
@given(st.one_of(values, numbers, numbers.map(str)), COUNTRIES)
def test_a_target_gets_what_its_type_says_or_nothing(value, country):
    for kind, fits in FITS.items():
        mapped = fill({"t": {"from": "x", "type": kind}}, {"x": value}, country).mapped
        assert mapped == {} or fits(mapped["t"]), kind


@FEW
@given(sources.filter(lambda entry: isinstance(entry, dict)), st.one_of(trees, full_trees), words)
def test_a_default_stands_in_for_every_lack(entry, tree, default):
    entry.pop("default", None)
    plain, filled = fill({"t": entry}, tree), fill({"t": {**entry, "default": default}}, tree)
    is_lacking = bool(plain.problems or plain.left_out)
    assert filled.mapped["t"] == (default if is_lacking else plain.mapped["t"])
    assert not filled.problems
    assert not filled.left_out


@FEW
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True),
    trees,
    st.sampled_from(["text", "number", "phone"]),
)
def test_of_several_fields_the_first_that_fits_is_sent(names, tree, kind):
    each = [fill({"t": {"from": name, "type": kind}}, tree).mapped.get("t") for name in names]
    together = fill({"t": {"from": names, "type": kind}}, tree).mapped.get("t")
    assert together == next((one for one in each if one is not None), None)


@FEW
@given(sources.filter(lambda entry: isinstance(entry, dict)), trees)
def test_required_changes_what_a_lack_costs_and_nothing_else(entry, tree):
    needed, optional = fill({"t": {**entry, "required": True}}, tree), fill({"t": {**entry, "required": False}}, tree)
    assert [one.target for one in optional.left_out] == [one.field for one in needed.problems]
    assert optional.problems == needed.left_out == ()
    assert needed.mapped == (None if needed.problems else optional.mapped)


@FEW
@given(st.dictionaries(st.one_of(words, st.sampled_from(["ja", "Ja", "Nein"])), words, min_size=1, max_size=4), scalars)
def test_a_table_translates_what_it_has_and_sends_nothing_else(table, value):
    error = refusal(reads, {"t": {"from": "x", "values": table, "type": "text"}})
    assert (error is not None) is (len({folded(key) for key in table}) < len(table))
    if error is not None:
        assert "capitals" in error.reason
        return
    mapping = reads({"t": {"from": "x", "values": table, "type": "text"}})
    sent = run({"x": value}, Plan(mapping=mapping)).mapped.get("t")
    keys = {key: key.casefold() for key in table}
    if sent is not None:
        assert sent in table.values()
    for key in keys:
        assert run({"x": key}, Plan(mapping=mapping)).mapped == {"t": table[key]}


@FEW
@given(PATHS)
def test_a_mapping_is_refused_exactly_when_targets_clash(paths):
    apart = [path for number, path in enumerate(paths) if path not in paths[:number]]
    is_clash = any(one != other and other[: len(one)] == one for one in apart for other in apart)
    error = refusal(reads, {".".join(path): "x" for path in apart})
    assert (error is not None and "cannot both be there" in error.reason) is is_clash


@FEW
@given(PATHS)
def test_paths_without_a_clash_all_keep_their_values(paths):
    wrong = {number for number, _ in clashes(paths)}
    body: dict = {}
    kept = [path for number, path in enumerate(paths) if number not in wrong]
    for number, path in enumerate(kept):
        place(body, path, number)
    assert [value_at(body, path) for path in kept] == list(range(len(kept)))


@FEW
@given(STEPS)
def test_an_escaped_target_is_read_step_by_step(steps):
    written = ".".join(step.replace(".", r"\.") for step in steps)
    assert target_of(written) == tuple(steps)
    body: dict = {}
    place(body, target_of(written), 1)
    assert value_at(body, steps) == 1


@FEW
@given(st.text("ab.[]\\ 0", min_size=1, max_size=12).filter(lambda name: name.strip() and "\\." not in name))
def test_a_field_is_named_as_it_was_posted(name):
    assert source_of(name) == path_of(name.strip())
    assert path_of(name)


@FEW
@given(mappings, st.sampled_from([None, 0, 2]), st.booleans())
def test_how_a_mapping_is_written_changes_nothing(mapping, indent, is_windows):
    text = text_of(mapping, indent)
    written = "\ufeff" + text.replace("\n", "\r\n") if is_windows else text
    again = read_mapping(written, CONSTANTS)
    assert [(one.name, one.path, one.entry, one.is_required) for one in again.targets] == [
        (one.name, one.path, one.entry, one.is_required) for one in reads(mapping).targets
    ]


@FEW
@given(st.lists(sources, min_size=2, max_size=6), st.data())
def test_the_second_of_two_equal_targets_is_pointed_at(entries, data):
    first, second = sorted(data.draw(st.lists(st.integers(0, len(entries) - 1), min_size=2, max_size=2, unique=True)))
    names = [f"t{number}" for number in range(len(entries))]
    names[second] = names[first]
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in zip(names, entries, strict=True)]
    error = refusal(read_mapping, "{\n" + ",\n".join(lines) + "\n}", CONSTANTS)
    assert error is not None
    assert (error.line, "twice" in error.reason) == (second + 2, True)


@FEW
@given(st.one_of(st.text(), st.text('[]{}",:0aefnul\n \\.'), mappings.map(text_of).map(lambda text: text[1:-2])))
def test_any_text_is_read_or_refused_with_a_line_that_it_has(text):
    error = refusal(read_mapping, text, CONSTANTS)
    assert error is None or error.line is None or 1 <= error.line <= text.count("\n") + 1


@FEW
@given(mappings, rulesets, trees)
def test_the_customers_needs_come_after_the_rules_and_both_are_heard(mapping, rule_list, tree):
    plan = Plan(read_rules(text_of(rule_list)), reads(mapping))
    outcome = run(tree, plan)
    by_rules, by_customer = plan.rules.check(outcome.fields), plan.mapping.fill(outcome.fields)[1]
    assert outcome.problems[: len(by_rules)] == by_rules
    assert {(one.code, one.field) for one in outcome.problems} == {
        (one.code, one.field) for one in (*by_rules, *by_customer)
    }


@FEW
@given(scalars)
def test_a_list_of_one_is_sent_like_its_one_value(value):
    assert fill({"t": "x"}, {"x": [value]}).mapped == fill({"t": "x"}, {"x": value}).mapped
    sent = fill({"t": {"from": "x", "type": "text"}}, {"x": value}).mapped.get("t")
    assert sent == (as_text(value) or None)


SINGLE = ("value", "text", "number", "integer", "boolean", "email", "phone")


@FEW
@given(st.lists(st.sampled_from(["yes", "5", "a@b.example", "+496815006123"]), min_size=2, max_size=4))
def test_several_values_fit_a_list_and_whatever_and_nothing_else(several):
    for kind in SINGLE:
        assert fill({"t": {"from": "x", "type": kind}}, {"x": several}).mapped == {}, kind
    for kind in ("list", "any"):
        assert fill({"t": {"from": "x", "type": kind}}, {"x": several}).mapped == {"t": several}


@FEW
@given(st.integers(-9999, 9999), st.integers(0, 99))
def test_a_whole_number_is_never_made_out_of_a_broken_one(whole, hundredths):
    number = float(f"{whole}.{hundredths:02}")
    mapped = fill({"t": {"from": "x", "type": "integer"}}, {"x": number}).mapped
    assert mapped == ({} if hundredths else {"t": whole})


@FEW
@given(st.sampled_from(["yes", "JA", "1", "nein"]))
def test_the_mappings_word_about_a_field_goes_before_that_of_a_rule(said):
    rules = read_rules('[{"code": "NO", "field": "x", "check": "one_of", "values": [true, false]}]')
    for kind, wanted in (("text", said), ("boolean", said != "nein")):
        outcome = run({"x": said}, Plan(rules, reads({"t": {"from": "x", "type": kind}})))
        assert (outcome.fields["x"], outcome.mapped) == (wanted, {"t": wanted})
