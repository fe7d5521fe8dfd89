"""Weak hints: boxes that belong together, misspelt words, where a field stands and how its value is written."""

import pytest

from leadapp.leads import field_finding, fields
from leadapp.leads.field_finding import find
from leadapp.leads.field_payload import Leaf
from leadapp.leads.field_spelling import misspelt
from leadapp.leads.fields import understand
from tests.sinks import time_limit


@pytest.mark.parametrize(
    ("boxes", "phone"),
    [
        ({"tel1": "080", "tel2": "1234", "tel3": "5678"}, "080-1234-5678"),
        ({"tel": "010", "tel2": "5550", "tel3": "1234"}, "010-5550-1234"),
        ({"tel": "010", "tel2": ["5550", "1234"]}, "010-5550-1234"),
        ({"tel[]": ["010", "5550", "1234"]}, "010-5550-1234"),
        ({"phone": "+44 20 7946 0123", "phone2": "0171 555012"}, "+44 20 7946 0123"),
        ({"phone": "5550123344", "phone2": "12"}, "5550123344"),
    ],
)
def test_a_number_in_boxes_is_one_number(boxes, phone):
    found = understand({"name": "Ada Lovelace", **boxes, "city": "York"})
    assert found.phone == phone
    assert found.answers["city"] == "York"


@pytest.mark.parametrize("names", [("email1", "email2"), ("email", "email2"), ("mail_1", "mail_2")])
def test_an_address_in_boxes_is_one_address(names):
    found = understand({names[0]: "ada", names[1]: "home.example", "tel1": "", "host": "home.example"})
    assert found.email == "ada@home.example"
    assert found.answers == {"host": "home.example"}


def test_an_address_in_boxes_leaves_no_other_answer_out():
    found = understand({"name": "Ada", "email1": ["ada", "home.example", "work"], "email2": "weekly"})
    assert found.email == "ada, home.example, work"
    assert found.answers == {"email2": "weekly"}


def test_numbers_of_other_things_are_not_joined():
    found = understand({"size1": "010", "size2": "5550", "size3": "1234", "email": "ada@home.example"})
    assert not found.phone
    assert found.answers == {"size1": "010", "size2": "5550", "size3": "1234"}


@pytest.mark.parametrize(
    ("word", "role"),
    [
        ("massege", "message"),
        ("messege", "message"),
        ("telephne", "phone"),
        ("massage", None),
        ("contest", None),
        ("mesage", "message"),
    ],
)
def test_one_wrong_letter_in_a_long_word_is_forgiven(word, role):
    assert (misspelt(word) or None) == role


def test_a_misspelt_field_is_found():
    found = understand({"nmae": "x7", "name": "Ada Lovelace", "c_massege": "Please call me.", "massage": "60 min"})
    assert found.message == "Please call me."
    assert found.answers["massage"] == "60 min"


def test_an_unknown_name_right_before_the_address_is_the_name():
    assert understand({"qui": "Ada Lovelace", "email": "ada@home.example"}).name == "Ada Lovelace"
    assert not understand({"qui": "ada lovelace", "email": "ada@home.example"}).name
    assert not understand({"product": "Garden House", "email": "ada@home.example"}).name


def test_a_company_in_the_field_of_the_surname_is_no_surname():
    found = understand({"First Name": "Ada Lovelace", "Last Name": "Engines 2000 Ltd.", "Email": "ada@home.example"})
    assert found.name == "Ada Lovelace"


def test_a_korean_company_in_the_field_of_the_surname_is_no_surname():
    whole = {"First Name": "김민준", "Email": "kim@home.example"}
    assert understand({"Last Name": "한빛소프트", **whole}).name == "김민준"
    assert understand({"Last Name": "남궁", **whole, "First Name": "민준"}).name == "남궁 민준"


def test_letters_before_most_names_say_nothing():
    found = understand({"txtnombre": "Ada", "txtapellido": "Lovelace", "txtedad": "34", "accion": "registrar"})
    assert found.name == "Ada Lovelace"


@pytest.mark.parametrize("other", ["ID:12 - Porter, Sam", "Oak Road 4, Leeds", "Ada Lovelace, Bob Hill, Eve Stone"])
def test_codes_and_lists_are_no_messages(other):
    assert not understand({"email": "ada@home.example", "LOGGED-IN-AS": other}).message


def test_a_code_in_a_field_called_comment_gives_way_to_words():
    found = understand({"email": "ada@home.example", "comment": "comment1", "note": "Please call me tomorrow."})
    assert found.message == "Please call me tomorrow."


def test_the_names_of_a_form_are_read_alike_from_its_second_post_on():
    posts = [
        {"uname": f"Ada {last}", "umail": "ada@home.example", "umsg": "Hi there"} for last in ("Lovelace", "Byron")
    ]
    assert [understand(post).name for post in posts] == ["Ada Lovelace", "Ada Byron"]


def test_a_form_of_many_fields_is_read_like_a_small_one():
    payload = {"uname": "Ada Lovelace", "umail": "ada@home.example"} | {f"uq{at}": str(at) for at in range(60)}
    assert understand(payload).email == "ada@home.example"


def test_long_names_cost_no_time():
    with time_limit(8):
        assert misspelt("x" * 100_000) == ""


def test_many_unknown_fields_cost_no_time():
    fields = [Leaf(("form", f"zq{at}"), "+49 30 1234567") for at in range(6_000)]
    with time_limit(8):
        assert find(fields, {}).texts == {"phone": "+49 30 1234567"}


def test_names_without_end_are_not_kept_in_memory():
    kept = (fields._kept_kind, field_finding._kept_facts)
    before = [one.cache_info().currsize for one in kept]
    payload = {"n" * 40 + f"{at}": "some words" for at in range(60)}
    for _ in range(20):
        payload = {"q" * 299: payload}
    understand(payload)
    assert [one.cache_info().currsize for one in kept] == before


def test_what_programmers_write_before_two_of_many_names_says_nothing():
    found = understand({"txtvoornaam": "Ada", "fldachternaam": "Lovelace", "email": "ada@home.example", "maat": "L"})
    assert found.name == "Ada Lovelace"


@pytest.mark.parametrize("address", ["from_email", "reply_to"])
def test_beside_the_visitors_address_from_name_is_the_visitor(address):
    found = understand({"from_name": "Ada Lovelace", address: "ada@home.example", "message": "Please call me."})
    assert (found.name, found.email, found.answers) == ("Ada Lovelace", "ada@home.example", {})
    assert found.reasons["name"]


def test_from_name_is_the_sites_beside_another_name_or_address():
    assert understand({"from_name": "My site", "name": "Ada", "reply_to": "ada@home.example"}).name == "Ada"
    assert not understand({"from_name": "My site", "email": "ada@home.example"}).name


@pytest.mark.parametrize("name", ["topic", "subject", "assunto", "project"])
def test_a_sentence_in_a_topic_is_the_message_of_a_form_without_one(name):
    person = {"name": "Ada Lovelace", "email": "ada@home.example"}
    assert understand({**person, name: "Our server is slow since yesterday."}).message
    assert understand({**person, name: "Is it slow?", "message": "Yes, it is."}).message == "Yes, it is."
    for title in ("New enquiry from the website", "Spring Offer.", "Server"):
        found = understand({**person, name: title})
        assert (found.message, found.answers) == ("", {name: title})


def test_a_phone_number_in_the_subject_counts_without_an_address():
    assert understand({"your-name": "Ada Lovelace", "your-subject": "+44 20 7946 0123"}).phone == "+44 20 7946 0123"
    found = understand({"name": "Ada Lovelace", "email": "ada@home.example", "subject": "+44 20 7946 0123"})
    assert found.answers == {"subject": "+44 20 7946 0123"}


def test_a_ticked_word_is_no_message():
    assert not understand({"name": "Ada Lovelace", "dietary_requirements": "other"}).message
    assert understand({"name": "Ada Lovelace", "message": "hello"}).message == "hello"
