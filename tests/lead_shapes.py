"""Random leads, rules and mappings for the property tests, and how many of them are tried."""

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from leadapp.errors import RulesError
from leadapp.rules.values import BLANK, NO, YES

FEW = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))

plain_letters = st.characters(codec="utf-8", categories=["L", "N", "P", "S", "M"])
words = st.text(plain_letters, min_size=1, max_size=12)
blanks = st.text(st.sampled_from(BLANK), max_size=4)
texts = st.one_of(
    st.text(max_size=20),
    st.builds(lambda left, word, right: left + word + right, blanks, words, blanks),
    st.sampled_from(sorted(YES | NO)),
    st.sampled_from(
        ["66123", "6612", "66123\n", "٦٦١٢٣", "a@b.example", "A@B.Example", "+49 170 1234567", "0170 1234567"]
    ),
    blanks,
)
numbers = st.one_of(st.integers(-10, 100_000), st.floats(allow_nan=False, allow_infinity=False))
scalars = st.one_of(texts, numbers, st.booleans(), st.none())
names = st.sampled_from("a b c zip is_owner email phone address house owner x".split())
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(names, st.just("")), inner, max_size=3)
    ),
    max_leaves=8,
)
flat_trees = st.dictionaries(names, scalars, max_size=6)
trees = st.dictionaries(names, values, max_size=6)
full_trees = st.fixed_dictionaries(dict.fromkeys(("a", "b", "c", "zip", "is_owner"), values))


@st.composite
def gateway_trees(draw: Any) -> dict[str, Any]:
    """Leads as the gateway gets them, with something odd in any place."""
    tree: dict[str, Any] = dict(draw(trees))
    if draw(st.booleans()):
        tree["address"] = {"zip": draw(st.one_of(st.just("66123"), values)), "street": draw(values)}
    if draw(st.booleans()):
        tree["house"] = {"is_owner": draw(st.one_of(st.just("ja"), values))}
    if draw(st.booleans()):
        tree["phone"] = draw(st.one_of(st.just("+49 170 1234567"), values))
    return tree


_fields = st.sampled_from(["a", "b", "c", "zip", "is_owner", "address.zip", "house.is_owner", "a.b"])
_own = st.one_of(
    st.fixed_dictionaries({"check": st.sampled_from(["required", "present", "absent"])}),
    st.fixed_dictionaries(
        {"check": st.just("pattern"), "pattern": st.sampled_from([r"^66\d{3}$", "a|b", r"\w*", "[^@]+"])}
    ),
    st.fixed_dictionaries({"check": st.just("equals"), "value": st.one_of(words, st.integers(0, 9), st.booleans())}),
    st.fixed_dictionaries(
        {"check": st.just("one_of"), "values": st.lists(st.one_of(words, st.booleans()), min_size=1, max_size=3)}
    ),
    st.fixed_dictionaries({"check": st.just("range"), "min": st.integers(-5, 5), "max": st.integers(6, 90_000)}),
    st.fixed_dictionaries({"check": st.just("length"), "max": st.integers(0, 9)}),
)
codes = st.sampled_from(["NO", "NOT_SO", "NEVER"])
rules = st.builds(lambda own, code, field: {"code": code, "field": field, **own}, _own, codes, _fields)
rulesets = st.lists(rules, max_size=6)

sources = st.one_of(
    _fields,
    st.fixed_dictionaries(
        {"from": st.one_of(_fields, st.lists(_fields, min_size=1, max_size=3))},
        optional={
            "type": st.sampled_from("value text number integer boolean email phone list any".split()),
            "required": st.booleans(),
            "default": st.one_of(words, st.integers(0, 9), st.booleans()),
            "values": st.dictionaries(st.sampled_from(["66123", "true", "x"]), words, min_size=1),
        },
    ).filter(lambda entry: "values" not in entry or entry.get("type") != "any"),
)
entries = st.one_of(
    sources,
    st.fixed_dictionaries({"constant": st.one_of(words, st.integers(0, 9), st.booleans(), st.lists(words))}),
    st.fixed_dictionaries({"setting": st.sampled_from(["NAME", "NOTHING"])}, optional={"required": st.booleans()}),
    st.fixed_dictionaries({"list": st.lists(_fields, min_size=1, max_size=3)}, optional={"required": st.booleans()}),
)
CONSTANTS = {"NAME": "Solar", "NOTHING": ""}
# No target is a part of another one
targets = st.sampled_from("t u v.a v.b v.c.d w.a.b.c".split())
mappings = st.dictionaries(targets, entries, max_size=5)


def refusal(read: Any, *given: Any) -> RulesError | None:
    """How a text is refused; None when it is read."""
    try:
        read(*given)
    except RulesError as error:
        return error
    return None


def text_of(rules_or_mapping: Any, indent: int | None = None) -> str:
    return json.dumps(rules_or_mapping, indent=indent)
