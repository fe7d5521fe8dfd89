"""Which field is which."""

import pytest

from leadapp.leads.fields import is_address, understand


@pytest.mark.parametrize(
    ("payload", "wanted"),
    [
        ({"name": "Ada", "email": "a@b.example", "message": "Hi"}, ("Ada", "a@b.example", "", "Hi")),
        ({"your-name": "Ada", "your-email": "a@b.example", "your-message": "Hi"}, ("Ada", "a@b.example", "", "Hi")),
        ({"Vorname": "Ada", "Nachname": "Lovelace", "E-Mail": "a@b.example"}, ("Ada Lovelace", "a@b.example", "", "")),
        ({"first_name": "Ada", "last_name": "Lovelace", "tel": "+1 2"}, ("Ada Lovelace", "", "+1 2", "")),
        ({"vorname": "Ada", "name": "Lovelace"}, ("Ada Lovelace", "", "", "")),
        ({"prénom": "Ada", "nom": "Lovelace", "téléphone": "1"}, ("Ada Lovelace", "", "1", "")),
        ({"lead[email]": "a@b.example", "lead[phone]": "7"}, ("", "a@b.example", "7", "")),
        ({"contact_info": "a@b.example"}, ("", "a@b.example", "", "")),
        ({"phone": 4917012345}, ("", "", "4917012345", "")),
        ({"correo": "a@b.example", "mensaje": ["x", "y"]}, ("", "a@b.example", "", "x, y")),
    ],
)
def test_roles_are_found_by_usual_names(payload, wanted):
    found = understand(payload)
    assert (found.name, found.email, found.phone, found.message) == wanted


def test_everything_else_is_an_answer_and_nothing_is_lost():
    payload = {"email": "a@b.example", "budget": "10", "website": "x.example", "subject": "Roof"}
    assert understand(payload).answers == {"budget": "10", "website": "x.example", "subject": "Roof"}


def test_machinery_and_honeypots_are_no_answers():
    payload = {"message": "Hi", "_subject": "x", "_gotcha": "", "csrf_token": "t", "g-recaptcha-response": "r"}
    found = understand(payload)
    assert (found.answers, found.spam_reason) == ({}, "")


def test_a_forms_own_honeypot_counts():
    assert "website" in understand({"message": "Hi", "website": "spam"}, honeypot="website").spam_reason


@pytest.mark.parametrize("name", ["replyto", "_replyto"])
def test_a_trap_that_is_named_like_the_reply_to_gives_no_address(name):
    found = understand({name: "bot@spam.example", "name": "Ada"}, honeypot=name)
    assert (found.email, bool(found.spam_reason)) == ("", True)


def test_a_bad_address_is_kept_and_noted():
    found = understand({"email": "ada at example"})
    assert (found.email, found.problems[0]["field"]) == ("ada at example", "email")


@pytest.mark.parametrize(
    ("payload", "page", "wanted"),
    [
        ({"utm_source": "mail", "gclid": "1"}, "", "mail"),
        ({"gclid": "1"}, "", "google ads"),
        ({"fbclid": "1", "referrer": "https://news.example/"}, "", "facebook"),
        ({"referrer": "https://www.news.example/x"}, "", "news.example"),
        ({"referrer": "https://shop.example/"}, "https://www.shop.example/contact", "direct"),
        ({}, "https://shop.example/?utm_source=ad", "ad"),
        ({"lead_source": "fair", "utm_source": "mail"}, "", "fair"),
        ({"page_url": "http://[bad"}, "", "direct"),
        ({}, "", "direct"),
    ],
)
def test_where_a_lead_came_from(payload, page, wanted):
    assert understand(payload, page=page).attribution["lead_source"] == wanted


def test_a_very_long_value_is_no_address_and_costs_no_time():
    assert understand({"text": "a@" + "." * 500_000}).email == ""


@pytest.mark.parametrize(("text", "wanted"), [("a@b.example", True), ("ü@müller.example", True), ("a@b", False)])
def test_addresses_are_judged_by_their_form(text, wanted):
    assert is_address(text) is wanted
