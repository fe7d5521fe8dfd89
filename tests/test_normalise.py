"""What is brought into one spelling before rules and mapping look at it, and what stays as it came."""

import json
from typing import Any

import pytest

from leadapp.rules.normalise import Kind, kind_by_name, normalise, together
from leadapp.rules.values import email_of, looks_like_phone, number_of, phone_of, text_of, truth_of


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        (" a b ", "a b"),
        ("\u200b\ufeff\u2060a\u200d", "a"),
        ("\u3000\u2003\xa0a\u2028\x85", "a"),
        ("\t\r\n", ""),
        ("a\u200db", "a\u200db"),
        ("no", "no"),
        ("Si", "Si"),
        ("1", "1"),
        ("007", "007"),
    ],
)
def test_a_text_is_trimmed_and_otherwise_left_alone(text, normal):
    assert normalise({"x": text}, {}) == {"x": normal}


@pytest.mark.parametrize("value", [None, 1, 1.5, True, False, [], {}, {"a": {"b": [1, None]}}])
def test_what_is_no_text_stays(value):
    assert normalise({"x": value}, {}) == {"x": value}


def test_lists_and_nested_answers_are_normalised_inside():
    tree = {"a": [" x ", {"zip": 66123, "b": [" y "]}], "zip": {"": 66123, "more": 1}}
    assert normalise(tree, {}) == {"a": ["x", {"zip": "66123", "b": ["y"]}], "zip": {"": "66123", "more": 1}}


def test_the_tree_itself_is_not_changed():
    tree = {"a": {"email": " A@B.example "}, "b": [" x "]}
    normalise(tree, {})
    assert tree == {"a": {"email": " A@B.example "}, "b": [" x "]}


YES = "true 1 yes ja oui si sí sim on y да evet tak はい 是 TRUE Ja Yes. ＪＡ ✓ da áno kyllä igen ναι".split()
NO = "false 0 no nein non off nee nej nie нет hayır HAYIR Nein! não ne いいえ 否 όχι ei nem".split()


@pytest.mark.parametrize(("words", "truth"), [(YES, True), (NO, False)])
def test_words_of_many_languages_are_truths(words, truth):
    assert [word for word in words if truth_of(word) is not truth] == []


@pytest.mark.parametrize("value", ["perhaps", "", "2", 2, -1, 0.5, None, [], {}, "yes please", "ja " * 9999, "nope"])
def test_what_is_not_sure_is_no_truth(value):
    assert truth_of(value) is None
    assert normalise({"is_x": value}, {}) == {"is_x": value.strip() if isinstance(value, str) else value}


@pytest.mark.parametrize("value", [True, 1, 1.0, " ja "])
def test_truths_come_in_several_types(value):
    assert normalise({"house": {"is_owner": value}}, {})["house"]["is_owner"] is True


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        *[(name, Kind.BOOLEAN) for name in ("is_owner", "isOwner", "has-garden", "hasRoof")],
        *[(name, None) for name in ("island", "hash", "is", "message", "quantity", "owner", "name", "history", "")],
        *[(name, Kind.EMAIL) for name in ("email", "E-Mail", "your_email", "MAIL", "emailAddress")],
        *[(name, Kind.PHONE) for name in ("phone", "Tel", "phone_number", "Téléphone", "mobile-phone")],
        *[(name, Kind.TEXT) for name in ("zip", "ZIP code", "postal_code", "PLZ")],
    ],
)
def test_a_name_says_what_kind_of_field_it_is(name, kind):
    assert kind_by_name(name) is kind


def test_only_known_fields_turn_into_truths():
    tree = {"message": "no", "name": "Si", "quantity": "1", "owner": "ja", "is_owner": "ja"}
    assert normalise(tree, {}) == {**tree, "is_owner": True}
    assert normalise(tree, {("owner",): Kind.BOOLEAN})["owner"] is True


def test_what_is_said_of_a_field_goes_before_its_name():
    tree = {"is_owner": " ja ", "email": "A@B.example", "a": {"zip": 1}}
    kinds = {("is_owner",): Kind.PLAIN, ("email",): Kind.TEXT, ("a", "zip"): Kind.PLAIN}
    assert normalise(tree, kinds) == {"is_owner": "ja", "email": "A@B.example", "a": {"zip": 1}}


def test_a_field_of_which_two_kinds_are_said_is_plain():
    said = [(("a",), Kind.TEXT), (("b",), Kind.BOOLEAN), (("a",), Kind.BOOLEAN), (("b",), Kind.BOOLEAN)]
    assert together(said) == {("a",): Kind.PLAIN, ("b",): Kind.BOOLEAN}
    assert together([*said, (("a",), Kind.TEXT)])[("a",)] is Kind.PLAIN


def test_every_value_of_a_list_is_of_the_lists_kind():
    assert normalise(
        {"emails": ["A@b.example"], "x": ["ja", "?"]}, {("x",): Kind.BOOLEAN, ("emails",): Kind.EMAIL}
    ) == {
        "emails": ["a@b.example"],
        "x": [True, "?"],
    }
    assert normalise({"x": ["ja", "ja"]}, {("x", "1"): Kind.BOOLEAN}) == {"x": ["ja", True]}


@pytest.mark.parametrize(
    ("value", "address"),
    [
        (" User@Example.COM ", "user@example.com"),
        ("Jane Doe <Jane@Example.com>", "jane@example.com"),
        ("\u200bjane@bücher.example", "jane@bücher.example"),
        ("no address", None),
        ("a@b", None),
        ("a@b.example, c@d.example", None),
        ("a@b@c.example", None),
        ("x" * 320 + "@b.example", None),
        (5, None),
        (None, None),
        ("a@b.example" + " " * 1000, None),
    ],
)
def test_an_address_is_trimmed_and_in_small_letters(value, address):
    assert email_of(value) == address


def test_what_is_no_address_stays_but_for_its_capitals():
    assert normalise({"email": " Please CALL "}, {}) == {"email": "Please CALL"}
    assert normalise({"email": " A@b.example, C@d.example "}, {}) == {"email": "a@b.example, c@d.example"}


@pytest.mark.parametrize(
    ("value", "country", "number"),
    [
        ("+49 170 1234567", "", "+491701234567"),
        ("+49 (0) 170/1234567", "", "+491701234567"),
        ("0170 1234567", "DE", "+491701234567"),
        ("0170 1234567", "de", "+491701234567"),
        ("0049 170 1234567", "DE", "+491701234567"),
        ("(202) 456-1111", "US", "+12024561111"),
        (2024561111, "US", "+12024561111"),
        ("+39 06 698 12345", "", "+390669812345"),
        ("+1 202-456-1111 ext. 5", "", "+12024561111"),
        ("+12025550123", "DE", "+12025550123"),
        ("٠١٧٠١٢٣٤٥٦٧", "DE", "+491701234567"),
        ("0170 1234567", "", None),
        ("0170 1234567", "XX", None),
        ("110", "DE", None),
        ("1234567", "US", None),
        ("+1234567890", "", None),
        ("+1 555 555 0123", "", "+15555550123"),
        ("(555) 555-0123", "US", None),
        ("call me", "DE", None),
        ("0170 1234567" + " " * 60, "DE", "+491701234567"),
        ("+49 170 1234567" + "x" * 60, "DE", None),
        (True, "DE", None),
        (None, "DE", None),
        (["+49 170 1234567"], "DE", None),
        ("", "DE", None),
    ],
)
def test_a_phone_number_is_read_with_the_country_or_not_at_all(value, country, number):
    assert phone_of(value, country) == number


def test_a_number_that_cannot_be_read_stays_as_it_came():
    assert normalise({"phone": " 0170 1234567 "}, {}) == {"phone": "0170 1234567"}
    assert normalise({"phone": " 0170 1234567 "}, {}, "DE") == {"phone": "+491701234567"}


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        *[
            (one, True)
            for one in ("+1234567890", "1234567890", "030/123-45 x12", "1" * 20, "123", "(030) 12 34", 1234567, "110")
        ],
        *[(one, False) for one in ("call me", "12", "1" * 21, "", True, "a1234567", "12.05.2026 at 3", "-----", None)],
    ],
)
def test_what_looks_like_a_number_can_still_be_dialled(value, is_one):
    assert looks_like_phone(value) is is_one


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (66123, "66123"),
        (66123.0, "66123"),
        ("06123", "06123"),
        (1.5, "1.5"),
        (-0.0, "0"),
        (1e300, "1e+300"),
        (1e14, "100000000000000"),
        (True, "true"),
        (False, "false"),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (None, None),
        ([], None),
        ({}, None),
    ],
)
def test_a_value_as_text(value, text):
    assert text_of(value) == text


def test_a_zip_is_a_text_and_keeps_its_zeros():
    assert normalise({"zip": 1067}, {}) == {"zip": "1067"}
    assert normalise({"zip": "01067"}, {}) == {"zip": "01067"}
    assert normalise({"zip": True}, {}) == {"zip": True}


@pytest.mark.parametrize(
    ("value", "number"),
    [
        *[(one, one) for one in (5, 2.5, -1, 10**30)],
        *[("5", 5), (" 5.0 ", 5.0), ("-2,5", -2.5), ("0.234", 0.234), ("-0,234", -0.234), ("1.2345", 1.2345)],
        *[("+7", 7), ("12,50", 12.5), ("007", 7), (1.234, 1.234), ("1.23", 1.23)],
        *[(one, None) for one in ("1,234", "1.234", "-12.500", "+7,000")],
        *[(one, None) for one in ("1e5", "5 €", "", "NaN", "٣", "0x1", "1.2.3", "9" * 16, True, None, [5])],
        (float("nan"), None),
        (float("-inf"), None),
    ],
)
def test_a_number_is_one_that_reads_the_same_everywhere(value, number):
    assert number_of(value) == number
    assert type(number_of(value)) is type(number)


@pytest.mark.parametrize("name", ["x", ""])
def test_trees_of_any_depth_and_size_do_no_harm(name):
    tree: Any = " a "
    for level in range(20_000):
        tree = [tree] if level % 2 else {name: tree}
    normal = normalise({"deep": tree, "wide": [" a "] * 10_000, "long": " " * 1_000_000}, {})
    assert normal["wide"][-1] == "a"
    assert normal["long"] == ""


def test_what_lies_below_64_levels_stays_as_it_came():
    def deep(levels):
        return {"x": deep(levels - 1)} if levels else " a "

    assert normalise(deep(64), {}) == json.loads(json.dumps(deep(64)).replace(" a ", "a"))
    assert normalise(deep(65), {}) == deep(65)
