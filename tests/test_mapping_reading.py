"""A mapping that cannot be used is refused with the line and what to do."""

import pytest

from leadapp.errors import RulesError
from leadapp.rules.mapping import DEFAULT_MAPPING_PATH, read_mapping
from leadapp.rules.paths import clashes, path_of, place, source_of, target_of, value_at

CONSTANTS = {"CUSTOMER_PRODUCT_NAME": "Solar"}


def refused(text):
    with pytest.raises(RulesError) as caught:
        read_mapping(text, CONSTANTS)
    return caught.value.line, caught.value.reason


def test_the_shipped_mapping_can_be_read():
    mapping = read_mapping(DEFAULT_MAPPING_PATH.read_text(), CONSTANTS)
    assert [(one.name, one.is_required) for one in mapping.targets] == [
        ("customer_email", False),
        ("customer_zip", False),
        ("customer_street", False),
        ("is_homeowner", False),
        ("phone", True),
        ("product.name", True),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("", 1, "nothing here"),
        ("[]", 1, "A mapping is an object"),
        ('{\n"a": "x",\n"b": "y"\n"c": "z"}', 4, "comma missing"),
        ('{\n"a": "x",\n}', 3, "comma before a closing bracket"),
        ('{\n"a": "x",\n\n"a": "y"}', 4, '"a" stands here twice'),
        ('{\n"a": "x",\n"a.b": "y"}', 3, '"a.b" and "a" (line 2) cannot both be there'),
        ('{\n"a.b.c": "x",\n"a": "y"}', 3, '"a" and "a.b.c" (line 2) cannot both'),
        ('{\n"a.b": "x",\n"a": {"object": {\n"b": "y"}}}', 4, '"a.b" and "a.b" (line 2)'),
        ('{\n"a": {"constant": {}},\n"a.b": "y"}', 3, "cannot both be there"),
        ('{"a": {"list": [{"object": {"b": "x",\n"b.c": "x"}}]}}', 2, "cannot both be there"),
    ],
)
def test_what_is_no_mapping_is_refused_with_its_line(text, line, words):
    found, reason = refused(text)
    assert (found, words in reason) == (line, True), reason


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('"t": 5', "does not say where the value comes from"),
        ('"t": null', "does not say where the value comes from"),
        ('"t": true', "does not say where"),
        ('"t": ["x"]', "does not say where"),
        ('"t": ""', "a field is missing"),
        ('"t": {}', "exactly one of from, constant, setting, list, object; this one has none"),
        ('"t": {"form": "x"}', "this one has none"),
        ('"t": {"from": "x", "constant": 1}', "this one has 2"),
        ('"t": {"from": "x", "typ": "text"}', 'An entry with "from" knows no "typ"; it knows from, type'),
        ('"t": {"constant": 1, "required": true}', 'knows no "required"'),
        ('"t": {"constant": null}', "null is no value"),
        ('"t": {"setting": "SECRET_KEY"}', 'no setting "SECRET_KEY" for mappings; there is CUSTOMER_PRODUCT_NAME'),
        ('"t": {"setting": 5}', '"setting" is a text'),
        ('"t": {"from": []}', "is empty"),
        ('"t": {"from": 5}', "a field in double quotes"),
        ('"t": {"from": ["x", 5]}', "a field in double quotes"),
        ('"t": {"from": {"x": 1}}', '"from" takes texts'),
        ('"t": {"from": " "}', "a field is missing"),
        ('"t": {"from": "x", "type": "string"}', 'no type "string"; it is one of value, text'),
        ('"t": {"from": "x", "required": "yes"}', '"required" is true or false'),
        ('"t": {"from": "x", "values": []}', '"values" translates'),
        ('"t": {"from": "x", "values": {}}', '"values" translates'),
        ('"t": {"from": "x", "values": {"a": 1, "A ": 2}}', "capitals do not count"),
        ('"t": {"from": "x", "values": {"a": 1}, "type": "any"}', '"values" translates single values'),
        ('"t": {"from": "x", "values": {"a": null}}', "null is no value"),
        ('"t": {"from": "x", "default": null}', "null is no value"),
        ('"t": {"from": "x", "default": NaN}', "no number that JSON knows"),
        ('"t": {"list": []}', "a list of entries"),
        ('"t": {"list": "x"}', "a list of entries"),
        ('"t": {"list": [{"from": "x", "required": true}]}', "of the whole list only"),
        ('"t": {"list": [{"object": {"a": {"from": "x", "required": true}}}]}', "of the whole list only"),
        ('"t": {"object": {}}', '"object" holds targets'),
        ('"t": {"object": "x"}', '"object" holds targets'),
        ('"t": {"object": {"a": "x"}, "required": true}', 'knows no "required"'),
        ('"t..u": "x"', "empty part"),
        ('".t": "x"', "empty part"),
        ('"": "x"', "empty part"),
        ('"%s": "x"' % ".".join("t" * 33), "32 is the most"),  # noqa: UP031
    ],
)
def test_a_wrong_entry_is_refused_with_its_line_and_what_to_do(entry, words):
    line, reason = refused(f'{{\n"good": "x",\n{entry}\n}}')
    assert (line, words in reason) == (3, True), reason


def test_too_many_targets_are_refused():
    entries = ",\n".join(f'"t{number}": "x"' for number in range(501))
    assert refused(f"{{{entries}}}") == (501, "There are more than 500 targets.")


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("zip", ("zip",)),
        ("address.zip", ("address", "zip")),
        ("lead[address][zip]", ("lead", "address", "zip")),
        ("lead.items[0].name", ("lead", "items", "0", "name")),
        ("tags[]", ("tags",)),
        ("What is your zip?.", ("What is your zip?.",)),
        ("a..b", ("a..b",)),
        ("[a]", ("[a]",)),
        (".".join("x" * 32), ("x",) * 32),
        (".".join("x" * 34), (*("x",) * 31, "x.x.x")),
    ],
)
def test_a_name_has_its_steps(name, path):
    assert path_of(name) == path
    assert source_of(f" {name} ") == path


def test_a_dot_of_a_name_is_escaped():
    assert source_of(r"a\.b.c") == ("a.b", "c")
    assert target_of(r"a\.b.c") == ("a.b", "c")


@pytest.mark.parametrize(
    ("path", "value"),
    [("a.b", 1), ("a", {"b": 1}), ("c.1", "y"), ("c.2", None), ("c.x", None), ("d", "own"), ("d.e", 5), ("f", None)],
)
def test_a_value_is_found_at_the_end_of_its_path(path, value):
    tree = {"a": {"b": 1}, "c": ["x", "y"], "d": {"": "own", "e": 5}, "f": None}
    assert value_at(tree, source_of(path)) == value


def test_values_are_placed_side_by_side():
    body: dict = {}
    place(body, ("a", "b"), 1)
    place(body, ("a", "c"), 2)
    assert body == {"a": {"b": 1, "c": 2}}


def test_clashes_name_the_later_and_the_earlier():
    assert list(clashes([("a", "b"), ("a", "c"), ("a",), ("a", "b", "d"), ("a", "c")])) == [(2, 0), (3, 0), (4, 1)]
    assert list(clashes([("a", "b"), ("b", "a"), ("ab",)])) == []
