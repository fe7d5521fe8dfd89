"""The page of a lead says what the rules made of it: rejected at once, repeated, sent with something left out."""

import html

import pytest
from flask import Flask

from leadapp.deliveries.models import Kind
from leadapp.leads import judging, rulesets
from leadapp.leads.models import Form, Lead, MappingSource
from leadapp.leads.rulesets import Draft
from tests.desk import Desk
from tests.factories import add_destination, add_form, post_lead

ZIP = '[{"code": "ZIP", "field": "zip", "check": "pattern", "pattern": "66..."}]'
MAPPED = '{"mail": "email", "street": "street"}'


@pytest.fixture
def desk(app: Flask) -> Desk:
    return Desk(app)


@pytest.fixture
def form(app: Flask) -> Form:
    found = add_form("gateway")
    add_destination(Kind.CRM, "https://api.example/leads", name="Customer")
    add_destination(Kind.EMAIL, "owner@shop.example")
    rulesets.save_version(found, Draft(ZIP, MappingSource.OWN, MAPPED), "owner")
    return found


def page_of(desk: Desk, lead: Lead) -> str:
    return html.unescape(desk.text(f"/admin/leads/{lead.id}"))


def test_the_timeline_begins_with_what_the_rules_said(desk: Desk, form: Form) -> None:
    assert "saved, and rejected by the rules (ZIP)" in page_of(desk, post_lead(form, zip="1"))
    assert "saved, and rejected" not in page_of(desk, post_lead(form, zip="66123"))


def test_the_timeline_says_when_the_rules_broke(desk: Desk, form: Form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "_run", lambda *_: 1 / 0)
    assert "saved; its rules could not be run" in page_of(desk, post_lead(form, zip="1"))


def test_a_repeat_of_a_rejected_lead_does_not_say_that_the_first_was_passed_on(desk: Desk, form: Form) -> None:
    for code, words in (
        ("1", "an earlier one, so nobody"),
        ("66123", "an earlier one, which was passed on, so nobody"),
    ):
        _, again = (post_lead(form, zip=code, message="the same") for _ in range(2))
        assert f"It repeats {words} was told a second time" in page_of(desk, again)


def test_what_the_customer_does_not_get_stands_beside_the_delivery(desk: Desk, form: Form) -> None:
    page = page_of(desk, post_lead(form, zip="66123"))
    assert 'Left out: <span class="mono">street</span>' in page


def test_a_destination_says_what_answers_usually_mean(desk: Desk, form: Form) -> None:
    page = desk.text("/admin/destinations/details/?id=1")
    assert "408, 425, 429, 5xx and no answer are tried again; 401 and 403 pause it, 410 switches it off" in page
