"""Which field is which: pinned on the form's page, explained on the lead's."""

import pytest

from leadapp.admin import pins
from leadapp.extensions import db
from leadapp.leads import judging
from leadapp.leads.models import Form

from .desk import Desk
from .factories import add_form, post_lead


@pytest.fixture
def desk(app):
    return Desk(app)


def pinned():
    db.session.rollback()
    return db.session.get(Form, 1, populate_existing=True).pinned_fields


def test_a_pinned_field_wins_over_what_we_would_find(desk):
    form = add_form()
    page = desk.post("/admin/forms/pin/", id="1", email=" kontakt ", phone="").text
    assert "It counts for leads from now on" in page
    assert 'value="kontakt"' in page
    assert pinned() == {"email": "kontakt"}
    db.session.refresh(form)
    lead = post_lead(form, email="ada@example.com", kontakt="grace@example.com")
    assert lead.email == "grace@example.com"


def test_the_names_of_the_latest_leads_are_offered(desk):
    form = add_form()
    post_lead(form, **{"your-mail": "ada@example.com", "_gotcha": "", "csrf_token": "x"})
    page = desk.text("/admin/forms/details/?id=1")
    assert '<option value="your-mail">' in page
    assert '<option value="csrf_token">' not in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"email": "a", "name": "a"}, "stands there twice"), ({"message": "x" * 201}, "at most 200 letters")],
)
def test_pins_that_cannot_be_are_refused_in_words(desk, fields, words):
    add_form()
    assert words in desk.post("/admin/forms/pin/", id="1", **fields).text
    assert pinned() == {}


def test_a_lead_says_which_field_was_taken_how_surely_and_why(desk):
    form = add_form(pinned_fields={"phone": "zahl"})
    lead = post_lead(form, **{"email": "", "name": "", "your-email": "ada@example.com", "vorname": "Ada", "zahl": "12"})
    found = {one.role: one for one in pins.readings(lead, lead.raw_payload)}
    assert (found["E-mail"].field, found["E-mail"].certainty) == ("your-email", "sure")
    assert (found["Phone"].field, found["Phone"].certainty) == ("zahl", "set by you")
    assert found["Name"].field == "vorname"
    page = desk.text(f"/admin/leads/{lead.id}")
    assert "How it was read" in page
    assert "its name says so (your-email)" in page


def test_a_payload_that_cannot_be_read_again_costs_nothing(desk, monkeypatch):
    lead = post_lead(add_form())
    assert pins.readings(lead, '{"cut": "off') == []
    monkeypatch.setattr(judging, "understand", lambda *_: 1 / 0)
    assert "How it was read" not in desk.text(f"/admin/leads/{lead.id}")


def test_a_strict_form_knows_its_pinned_fields(app, client):
    add_form(is_strict=True, required_fields=["email"], pinned_fields={"email": "kontakt"})
    db.session.remove()
    answer = client.post("/f/contact", json={"kontakt": "a@example.com", "message": "hello"})
    assert answer.status_code == 200
