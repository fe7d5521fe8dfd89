"""Each sender's own payload: whose it is, which fields are found in it, and what it proves itself with."""

import json
from typing import Any

import pytest

from leadapp.errors import PayloadError
from leadapp.leads.fields import Understood, understand
from leadapp.leads.senders import SENDERS, sender_of
from leadapp.leads.senders.shape import Incoming
from tests import sender_payloads
from tests.sender_payloads import FORMSPREE, PAYLOADS, SECRET, WEBFLOW, payload, signed


def only(parsed: Any, name: str) -> Incoming:
    sender = sender_of(parsed, {})
    assert sender is not None
    assert sender.name == name
    (found,) = sender.leads(parsed)
    return found


def understood(parsed: Any, name: str) -> tuple[Incoming, Understood]:
    found = only(parsed, name)
    return found, understand(found.payload)


@pytest.mark.parametrize("name", PAYLOADS)
def test_every_payload_is_recognised_by_its_shape(name):
    assert sender_of(payload(name), {}).name == name


@pytest.mark.parametrize("name", sorted(PAYLOADS.keys() - {"meta", "flat"}))
def test_name_and_address_are_found_in_every_payload_that_holds_them(name):
    _, found = understood(payload(name), name)
    assert (found.name, found.email) == ("Ada Lovelace", "ada@example.com")


def test_google_ads_columns_ids_and_clicks():
    lead, found = understood(payload("google_ads"), "google_ads")
    assert (lead.external_id, lead.is_test) == ("TeSter-123-ABCDEFGHIJKLMNOPQRSTUVWXYZ", True)
    assert (found.phone, found.attribution["gclid"]) == ("+16505550123", "EAIaIQobChMI")
    assert found.attribution["lead_source"] == "google ads"
    assert found.attribution["utm_campaign"] == "123456789012345678"
    assert found.answers == {
        "POSTAL_CODE": "66123",
        "When do you want to start?": "This year",
        "What shall we build?": "Two floors",
    }
    assert lead.payload["_sender"]["creative_id"] == 30000000000
    assert SECRET not in json.dumps(lead.payload, ensure_ascii=False)


def test_google_ads_ids_may_be_numbers_of_64_bits():
    assert only({**payload("google_ads"), "lead_id": 9223372036854775807}, "google_ads").external_id == str(2**63 - 1)
    assert only({**payload("google_ads"), "lead_id": 0}, "google_ads").external_id == "0"


def test_meta_pings_are_leads_whose_answers_come_later():
    leads = SENDERS["meta"].leads(payload("meta"))
    assert [lead.external_id for lead in leads] == ["123123123123", "9223372036854775807"]
    assert {problem["code"] for lead in leads for problem in lead.problems} == {"ANSWERS_NOT_FETCHED"}
    assert leads[0].payload["form_id"] == 12312312312
    found = understand(leads[0].payload)
    assert (found.name, found.email, found.phone, found.attribution["lead_source"]) == ("", "", "", "facebook")


def test_meta_answers_that_a_go_between_sends_along_are_read():
    body = payload("meta")
    body["entry"][0]["changes"] = body["entry"][0]["changes"][:1]
    body["entry"][0]["changes"][0]["value"]["field_data"] = [{"name": "email", "values": ["ada@example.com"]}]
    lead = only(body, "meta")
    assert (understand(lead.payload).email, lead.problems) == ("ada@example.com", [])


def test_meta_events_of_other_kinds_are_no_leads():
    body = payload("meta")
    body["entry"][0]["changes"] = [{"field": "feed", "value": {"item": "post"}}]
    assert SENDERS["meta"].leads(body) == []


def test_typeform_answers_stand_under_their_questions():
    lead, found = understood(payload("typeform"), "typeform")
    assert lead.external_id == "a3a12ec67a1365927098a606107fac15"
    assert (found.phone, found.attribution["utm_source"]) == ("01512345", "newsletter")
    assert found.answers == {
        "Which of these do you need?": ["Roof", "Floor", "A moat"],
        "How soon?": "Soon",
        "Do you own the house?": False,
        "Rooms": 0,
        "Plans": "https://api.typeform.com/forms/x/plan.pdf",
        "Zip": "66123",
        "pay": ["amount: $1", "last4: 1234", "name: A L", "success: yes"],
        "user_id": "abc123456",
    }
    assert lead.payload["_sender"]["calculated"] == {"score": 9}


def test_tally_choices_are_texts_and_files_addresses():
    lead, found = understood(payload("tally"), "tally")
    assert lead.external_id == "2wgx4n"
    assert (found.phone, found.attribution["utm_campaign"]) == ("+32473123456", "spring")
    assert found.answers == {
        "Roof or floor": "Roof",
        "Days": ["Mon", "Tue"],
        "Rooms": 0,
        "Plans": "https://storage.example/a.pdf",
        "Mood": {"Morning": "Good", "Evening": "Bad"},
    }


def test_hubspot_keeps_the_consent_beside_the_answers():
    lead, found = understood(payload("hubspot"), "hubspot")
    assert found.answers == {"zip": "66123"}
    assert found.attribution["utm_source"] == "ad"
    assert found.attribution["page_url"] == "https://shop.example/contact?utm_source=ad"
    assert lead.payload["_sender"]["legalConsentOptions"]["consent"]["consentToProcess"] is True


def test_whatconverts_says_everything_once():
    lead, found = understood(payload("whatconverts"), "whatconverts")
    assert lead.external_id == "153928"
    assert (found.phone, found.message) == ("+17044695324", "Hello, I like your service!")
    assert found.answers == {"company": "Analytical Engines", "city": "Charlotte", "zip": "28226"}
    said = {name: found.attribution[name] for name in ("utm_source", "utm_medium", "utm_campaign", "utm_term")}
    assert list(said.values()) == ["google", "cpc", "lead generation", "generating leads"]
    assert found.attribution["page_url"] == "https://www.shop.example/contact"


def test_wufoo_fields_are_called_as_on_the_form():
    lead, found = understood(payload("wufoo"), "wufoo")
    assert (lead.external_id, found.message) == ("17", "Please call me about the roof.")
    assert found.answers == {"Postal / Zip Code": "66123"}
    assert "HandshakeKey" not in json.dumps(lead.payload)


def test_wufoo_without_its_structure_keeps_the_numbers():
    body = {name: value for name, value in payload("wufoo").items() if name != "FieldStructure"}
    assert only(body, "wufoo").payload["Field106"] == "66123"


def test_a_damaged_structure_of_wufoo_never_reaches_the_database():
    for structure in ("{", "[1]", "[" * 5_000, '{"Fields": [{"ID": "Field4", "Title": "a\\u0000\\ud800"}]}'):
        lead = only({**payload("wufoo"), "FieldStructure": structure}, "wufoo")
        assert "\0" not in json.dumps(lead.payload)
        json.dumps(lead.payload, ensure_ascii=False).encode()


def test_what_is_packed_inside_a_field_is_fit_for_a_database_too():
    for inside in ('{"town": "a\\u0000b", "x": "\\ud800y"}', "town=a%00b&x=%ED%A0%80y"):
        answers = understand({"data": inside}).answers
        assert "\0" not in answers["town"]
        answers["x"].encode()


def test_elementor_is_no_form_called_like_a_person():
    lead, found = understood(payload("elementor"), "elementor")
    assert (found.phone, found.message) == ("96991712835", "A house with two floors")
    assert (found.attribution["utm_source"], found.attribution["page_url"]) == ("ig", "https://shop.example/contact/")
    assert found.answers == {}
    assert lead.payload["_sender"]["form"] == {"id": "a1b2c3d", "name": "New Form"}


def test_elementor_without_advanced_data_sends_plain_names():
    about = {"Date": "1 May", "Page URL": "https://shop.example/", "User Agent": "Mozilla", "Powered by": "Elementor"}
    body = {"Name": "Ada", "Your email": "ada@example.com", **about, "form_id": "a1", "form_name": "New Form"}
    lead, found = understood(body, "elementor")
    assert (found.name, found.email, found.answers) == ("Ada", "ada@example.com", {})
    assert (found.attribution["page_url"], lead.payload["_sender"]["form_name"]) == (
        "https://shop.example/",
        "New Form",
    )


def test_envelopes_are_opened():
    lead, found = understood(payload("wrapped"), "wrapped")
    assert (lead.external_id, found.message) == ("64f0c0ffee", "Hello")
    assert understood(FORMSPREE, "wrapped")[1].email == "ada@example.com"
    lead, found = understood(WEBFLOW, "wrapped")
    assert (lead.external_id, found.email, found.name) == ("6321ca84df3949bfc6752327", "ada@example.com", "Ada")
    assert only({"data": {"email": "a@example.com"}}, "wrapped").payload == {"email": "a@example.com"}


@pytest.mark.parametrize(
    "body",
    [
        {"email": "a@example.com", "data": {"zip": "66123"}},
        {"data": {"a": 1}, "submission": {"b": 2}},
        {"data": {}},
        {"data": "text"},
        {"data": {"a": 1}, "wishes": "a roof"},
    ],
)
def test_what_is_more_than_an_envelope_is_read_whole(body):
    assert only(body, "flat").payload == body


def test_a_list_of_objects_is_several_leads_and_pairs_are_one():
    found = SENDERS["flat"].leads([{"email": "a@example.com"}, {"email": "b@example.com", "is_test": "true"}])
    assert [(lead.payload["email"], lead.is_test) for lead in found] == [
        ("a@example.com", False),
        ("b@example.com", True),
    ]
    pairs = [{"name": "email", "value": "a@example.com"}, {"name": "day", "value": 1}, {"name": "day", "value": 2}]
    assert only(pairs, "flat").payload == {"email": "a@example.com", "day": [1, 2]}


@pytest.mark.parametrize("body", [3, "text", None, True, 1.5, [], [1], [{"a": 1}, 2], [[]]])
def test_what_cannot_be_a_lead_is_422(body):
    with pytest.raises(PayloadError) as caught:
        SENDERS["flat"].leads(body)
    assert caught.value.status == 422


def test_a_form_may_take_one_sender_only():
    assert sender_of(payload("tally"), {}, "tally").name == "tally"
    assert sender_of(payload("flat"), {}, "tally") is None
    assert sender_of(payload("tally"), {}, "flat").name == "flat"
    assert sender_of(payload("tally"), {}, "a sender of an older version").name == "tally"


@pytest.mark.parametrize("name", ["google_ads", "meta", "typeform", "tally", "wufoo"])
def test_a_sender_proves_itself_in_its_own_way(name):
    body = payload(name)
    raw = json.dumps(body).encode()
    headers, prove = signed(name, raw), SENDERS[name].proof
    assert prove(raw, headers, body, SECRET)
    assert not prove(raw, headers, body, SECRET + "x")
    assert not prove(
        raw + b" ", {k: v[:-1] for k, v in headers.items()}, {**body, "google_key": 1, "HandshakeKey": ""}, SECRET
    )
    assert not prove(raw, {}, {}, SECRET)


def test_every_sender_has_an_example_and_the_flat_one_comes_last():
    assert SENDERS.keys() == sender_payloads.PAYLOADS.keys()
    assert list(SENDERS)[-1] == "flat"
    assert all(name == sender.name and sender.label for name, sender in SENDERS.items())
