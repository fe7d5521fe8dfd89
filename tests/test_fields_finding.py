"""The traps of real forms one by one, and what holds for every payload."""

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leadapp.leads import fields
from leadapp.leads.field_payload import leaves, unwrap
from leadapp.leads.fields import Understood, as_text, understand

ADA = {"name": "Ada Lovelace", "email": "ada@home.example", "phone": "+44 20 7946 0123", "message": "Please call me."}


def told(found: Understood) -> tuple[str, str, str, str]:
    return (found.name, found.email, found.phone, found.message)


@pytest.mark.parametrize(
    "hidden",
    [
        {"admin_email": "owner@shop.example"},
        {"recipient": "owner@shop.example"},
        {"to": "owner@shop.example"},
        {"email_to": "owner@shop.example"},
        {"support-email": "owner@shop.example"},
        {"form_name": "Contact us now", "listname": "awlist12", "company-name": "Acme Ltd"},
        {"friend_email": "bob@pals.example", "friend_name": "Bob Hill"},
        {"submit": "Send", "newsletter": ["", "on"], "privacy": "on", "email_opt_in": "yes", "phone_ok": ["", "on"]},
        {"meta_message": "1", "message_type": "quote", "phone_type": "mobile", "name_format": "short"},
        {"fax_number": "+44 20 7946 9999", "order_number": "0012345678", "card": "4111 1111 1111 1111"},
        {"date": "2026-05-02", "birthday": "02.05.1990", "vat": "DE123456789"},
    ],
)
def test_what_a_page_adds_never_wins(hidden):
    assert told(understand({**hidden, **ADA})) == told(understand(ADA)) == tuple(ADA.values())
    assert told(understand({**ADA, **hidden})) == tuple(ADA.values())


@pytest.mark.parametrize("name", ["admin_email", "recipient", "to", "email_to", "notification_email"])
def test_the_owners_address_is_not_the_visitors_even_when_it_stands_alone(name):
    assert understand({name: "owner@shop.example", "message": "Hello"}).email == ""


def test_a_friends_address_is_better_than_none():
    assert understand({"friend_email": "bob@pals.example"}).email == "bob@pals.example"


def test_an_address_typed_twice_is_one_answer():
    found = understand({"email": "ada@home.example", "email_confirm": "Ada@home.example"})
    assert (found.email, found.answers) == ("ada@home.example", {})


def test_two_addresses_that_differ_are_both_kept():
    found = understand({"email": "ada@home.example", "email_confirm": "ada@hoem.example"})
    assert (found.email, found.answers) == ("ada@home.example", {"email_confirm": "ada@hoem.example"})


def test_an_invalid_address_stays_the_address_although_another_field_holds_one():
    assert understand({"email": "ada at home", "website": "ada.example"}).email == "ada at home"


def test_the_title_of_a_form_gives_way_to_first_and_last_name():
    found = understand({"name": "TAM-ENG", "firstname": "Ada", "lastname": "Lovelace"})
    assert (found.name, found.answers) == ("Ada Lovelace", {"name": "TAM-ENG"})


def test_the_family_comes_first_where_it_is_written_so():
    assert understand({"first_name": "太郎", "last_name": "山田"}).name == "山田 太郎"


@pytest.mark.parametrize(
    ("wrapped", "answers"),
    [
        ({"mailBody": {**ADA, "city": "York"}}, {"city": "York"}),
        ({"data": {**ADA, "city": "York"}, "_next": "/thanks"}, {"city": "York"}),
        ({"form": "name=Ada+Lovelace&email=ada%40home.example&phone=%2B44+20+7946+0123&message=Please+call+me."}, {}),
        ({"payload": json.dumps(ADA)}, {}),
        ({"fields": [{"name": name, "value": value} for name, value in ADA.items()]}, {}),
        ({"lead": {**ADA, "address": {"city": "York"}}}, {"lead": {"address": {"city": "York"}}}),
        ({f"lead[{name}]": value for name, value in ADA.items()}, {}),
        ({f"lead.{name}": value for name, value in ADA.items()}, {}),
    ],
)
def test_wrapped_and_nested_forms_say_the_same(wrapped, answers):
    found = understand(wrapped)
    assert (told(found), found.answers) == (tuple(ADA.values()), answers)


@pytest.mark.parametrize("value", ["a=1", "just words & more = less", "{not json", "[1, 2]", ""])
def test_a_field_that_only_looks_wrapped_stays_a_field(value):
    assert unwrap({"data": value}) == {"data": value}


def test_a_wrapper_beside_other_fields_is_a_field():
    assert understand({"data": {"email": "a@b.example"}, "topic": "Roof"}).answers == {"topic": "Roof"}


def test_inside_a_wrapper_a_honeypot_counts():
    assert understand({"data": {**ADA, "_gotcha": "x"}}).spam_reason


def test_a_forms_own_honeypot_is_never_an_answer_or_a_role():
    found = understand({**ADA, "email": "", "your-mail": "bot@spam.example"}, honeypot="your-mail")
    assert (found.email, found.answers) == ("", {})
    assert "your-mail" in found.spam_reason


@pytest.mark.parametrize("trap", ["_gotcha", "botcheck", "bot-field", "Bot-Field", "BotCheck", "my-trap", "My-Trap"])
def test_a_trap_is_one_however_it_is_written(trap):
    assert understand({**ADA, trap: "x"}, honeypot="my-trap").spam_reason
    assert told(understand({**ADA, trap: "x"}, honeypot="my-trap")) == tuple(ADA.values())


@pytest.mark.parametrize(
    "trap", ["wpforms[hp]", "everest_forms[hp]", "tx_powermail_pi1[field][__hp]", "aG9uZXlwb3Q", "b_12345678_9abc"]
)
def test_the_traps_of_plug_ins_are_known(trap):
    assert understand({**ADA, trap: "x"}).spam_reason
    assert not understand({**ADA, trap: "", "no_hp": "0812345678", "contact[hp]": "0812345678"}).spam_reason


@pytest.mark.parametrize("untouched", [False, "false", "", [], None])
def test_a_box_that_nobody_ticked_is_no_trap_sprung(untouched):
    found = understand({**ADA, "botcheck": untouched})
    assert (found.spam_reason, found.answers) == ("", {})
    assert understand({**ADA, "botcheck": True}).spam_reason


def test_the_key_of_the_form_is_no_answer_in_any_spelling():
    assert understand({**ADA, "accessKey": "contact", "API_KEY": "contact", "Form-Name": "contact"}).answers == {}


@pytest.mark.parametrize(
    ("payload", "page"), [({"gbraid": "x"}, ""), ({"wbraid": "x"}, ""), ({}, "https://shop.example/?gbraid=x")]
)
def test_a_click_on_an_iphone_came_from_google_ads_too(payload, page):
    assert understand({**ADA, **payload}, page=page).attribution["lead_source"] == "google ads"


def test_what_hubspot_puts_beside_its_fields_stays_beside_them():
    fields = [{"objectTypeId": "0-1", "name": name, "value": value} for name, value in ADA.items()]
    found = understand({"fields": fields, "context": {"pageName": "Contact"}})
    assert (told(found), found.answers) == (tuple(ADA.values()), {"context": {"pageName": "Contact"}})


def test_a_word_before_all_names_says_nothing():
    form = {"zq_1": "Ada Lovelace", "zq_2": "ada@home.example", "zq_3": "Please call me about it."}
    assert told(understand(form)) == ("Ada Lovelace", "ada@home.example", "", "Please call me about it.")


def test_letters_glued_to_all_names_say_nothing():
    form = {"xname": "Ada Lovelace", "xemail": "ada@home.example", "xtel": "020 7946 0123", "xmsg": "Call"}
    assert told(understand(form)) == ("Ada Lovelace", "ada@home.example", "020 7946 0123", "Call")
    assert understand({"tel1": "020", "tel2": "7946", "tel3": "0123"}).message == ""


def test_who_keeps_an_animal_is_the_visitor():
    kept = {"owner_name": "Ada Lovelace", "owner_email": "ada@home.example"}
    assert understand({**kept, "pet_name": "Rex"}).email == "ada@home.example"
    assert understand(kept).email == ""


def test_a_short_message_in_a_numbered_field_is_found():
    form = {"input_1": "Ada Lovelace", "input_2": "ada@home.example", "input_3": "Roof repair", "input_4": "Call me"}
    assert told(understand(form)) == ("Ada Lovelace", "ada@home.example", "", "Call me")
    assert understand({**form, "input_4": "Acme Ltd"}).message == "Roof repair"
    assert understand({"EMAIL": "ada@home.example", "group[12][8]": "Fire recovery"}).message == ""


@pytest.mark.parametrize("value", ["1500000", "5000-10000", "2019-2026", "12/05/26", "01310-100"])
def test_a_sum_a_span_and_a_post_code_are_no_phone(value):
    assert understand({"email": "ada@home.example", "numeric_field": value, "input_7": value}).phone == ""
    assert understand({"numeric_field": "020 7946 0123"}).phone == "020 7946 0123"


def test_the_first_of_two_partners_is_who_writes():
    form = {"partner_1_name": "Ada Lovelace", "partner_2_name": "Bob Hill", "email": "ada@home.example"}
    assert understand(form).name == "Ada Lovelace"
    assert understand({"contact_name": "Ada", "partner_name": "Acme Ltd"}).name == "Ada"


def test_a_button_is_no_message():
    form = {"email": "ada@home.example", "request": "Send request", "about": "Please call me about it."}
    assert understand(form).message == "Please call me about it."
    assert understand({"request": "Send me the new catalogue"}).message == "Send me the new catalogue"


def test_who_pays_comes_after_who_asks():
    form = {"billing_name": "Bob Hill", "contactName": "Ada Lovelace"}
    assert understand(form).name == "Ada Lovelace"
    assert understand({"billing_name": "Bob Hill"}).name == "Bob Hill"


def test_fname_beside_a_whole_name_is_the_fathers():
    assert understand({"txtName": "Ada Lovelace", "txtFname": "George Byron"}).name == "Ada Lovelace"
    assert understand({"fname": "Ada", "name": "Lovelace"}).name == "Ada Lovelace"


def test_both_halves_of_a_name_in_one_field_are_a_name():
    found = understand({"voornaam_achternaam": "Ada Lovelace"})
    assert (found.name, found.name_parts) == ("Ada Lovelace", {})


@pytest.mark.parametrize(
    "form",
    [
        {"nameowner": "Ada", "lastnameowner": "Lovelace", "emailowner": "ada@home.example", "desc": "Please call me"},
        {"clientename": "Ada Lovelace", "clienteemail": "ada@home.example", "observa": "Please call me"},
    ],
)
def test_people_glued_to_a_word_and_shortened_words_are_read(form):
    assert told(understand(form)) == ("Ada Lovelace", "ada@home.example", "", "Please call me")


def test_a_field_without_a_name_is_no_honeypot():
    assert understand({"": "Anything"}).spam_reason == ""


def test_number_of_an_order_or_a_member_is_no_phone():
    payload = {"order_number": "0012345678", "membership": "123 456 789", "card_number": "4111 1111 1111 1111"}
    assert understand(payload).answers == payload


def test_questions_written_out_are_names_too():
    payload = {
        "Your name (required)": "Ada Lovelace",
        "E-Mail-Adresse*": "ada@home.example",
        "Telefon (optional)": "+44 20 7946 0123",
        "How can we help you?": "Please call me.",
    }
    assert told(understand(payload)) == tuple(ADA.values())


def test_a_form_may_pin_its_own_names():
    payload = {"a": "Ada", "b": "07946 0123", "c": "ada@home.example", "d": "Hi", "email": "second@home.example"}
    found = understand(payload, pinned={"name": "a", "phone": "b", "email": "c", "message": "d"})
    assert told(found) == ("Ada", "ada@home.example", "07946 0123", "Hi")
    assert (found.reasons["email"], found.answers) == ("the form says so (c)", {"email": "second@home.example"})


def test_a_pinned_name_is_found_in_brackets_and_nests_alike():
    for payload in ({"lead[x]": "Ada"}, {"lead.x": "Ada"}, {"lead": {"x": "Ada"}}):
        assert understand(payload, pinned={"name": "lead[x]"}).name == "Ada"


def test_a_pinned_name_loses_neither_first_nor_last():
    found = understand({"first_name": "Ada", "last_name": "L", "title": "Countess Ada"}, pinned={"name": "title"})
    assert (found.name, found.answers) == ("Countess Ada", {"first_name": "Ada", "last_name": "L"})


def test_a_pin_without_its_field_changes_nothing():
    assert understand(ADA, pinned={"email": "nowhere"}).email == "ada@home.example"


def test_a_honeypot_cannot_be_pinned():
    assert understand({"_gotcha": "bot@spam.example"}, pinned={"email": "_gotcha"}).email == ""


def test_reasons_are_told_in_words():
    found = understand({"your-email": "ada@home.example", "Field1": "Ada Lovelace", "vorname": ""})
    assert found.reasons["email"] == "its name says so (your-email)"
    assert found.reasons["name"] == "its value looks like a name (Field1)"
    assert understand({"who": "ada@home.example"}).reasons["email"] == "its value looks like an address (who)"
    halves = understand({"vorname": "Ada", "nachname": "Lovelace"})
    assert halves.reasons["name"] == "its name says so (vorname); its name says so (nachname)"
    assert found.scores["email"] > found.scores["name"] > 0


def test_tokens_are_no_answers_and_a_real_website_is():
    payload = {**ADA, "authenticity_token": "x", "utf8": "✓", "wpforms[nonce]": "8f", "website": "ada.example"}
    assert understand(payload).answers == {"website": "ada.example"}


KEYS = st.sampled_from(
    "name email e-mail vorname nachname tel phone message text field1 field2 topic city lead[email] lead.phone "
    "admin_email company お名前 メール имя телефон subject notes q3_name[first] x input_1_3 contact address".split()
) | st.text(min_size=1, max_size=12)
VALUES = st.sampled_from(
    ["Ada Lovelace", "ada@home.example", "+44 20 7946 0123", "030 5550123", "Please call me about the loom.", "on", "7"]
) | st.text(max_size=30)
PAYLOADS = st.dictionaries(
    KEYS,
    VALUES | st.lists(VALUES, max_size=3) | st.integers() | st.booleans() | st.dictionaries(KEYS, VALUES, max_size=3),
)
MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@MANY
@given(PAYLOADS)
def test_no_value_is_lost(payload: dict[str, Any]):
    found = understand(payload)
    kept = [*told(found), *(one.text for one in leaves(found.answers))]
    kept = [text.strip() for text in kept] + [found.name]
    for leaf in leaves(unwrap(payload)):
        is_machinery = fields._means_nothing(leaf.path) != ""
        is_kept = leaf.text.strip() in kept or leaf.text.strip() in found.name
        assert is_kept or is_machinery


@MANY
@given(PAYLOADS, st.sampled_from(["_gotcha", "botcheck", "bot-field", "_honey", "my-trap"]), VALUES)
def test_a_honeypot_is_never_picked(payload: dict[str, Any], trap: str, bait: str):
    bait = f"{bait} trapped"
    found = understand({**payload, trap: bait}, honeypot="my-trap")
    assert found.spam_reason
    assert all("trapped" not in text for text in (*told(found), as_text(found.answers)))


@MANY
@given(PAYLOADS)
def test_the_same_payload_is_told_the_same_way_twice(payload: dict[str, Any]):
    assert understand(payload) == understand(json.loads(json.dumps(payload)))


@MANY
@given(st.permutations([*ADA.items(), ("city", "York"), ("subject", "Roof"), ("budget", "500"), ("hear", "A friend")]))
def test_the_order_of_fields_does_not_matter_to_named_roles(pairs: list[tuple[str, str]]):
    assert told(understand(dict(pairs))) == tuple(ADA.values())


@pytest.mark.parametrize("value", ["a" * 1_000_000, "1 " * 500_000, "@" * 1_000_000, "a@b." * 250_000, "あ" * 300_000])
@pytest.mark.parametrize("name", ["email", "phone", "name", "message", "x", "wpforms[fields][1]", "form"])
def test_a_huge_value_costs_little_time(name, value):
    began = time.process_time()
    understand({name: value})
    assert time.process_time() - began < 1


@pytest.mark.parametrize("name", ["a" * 200_000, "[" * 200_000, "a[b]" * 50_000, "email_" * 40_000, "-A" * 100_000])
def test_a_huge_name_costs_little_time(name):
    began = time.process_time()
    for number in range(20):
        understand({f"{number}{name}": "ada@home.example"})
    assert time.process_time() - began < 2


def test_a_thousand_fields_cost_little_time():
    payload = {f"wpforms[fields][{number}]": f"Some words about number {number}" for number in range(1000)}
    began = time.process_time()
    understand(payload)
    assert time.process_time() - began < 1
