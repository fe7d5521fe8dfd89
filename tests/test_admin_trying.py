"""Trying the customer's API: looking sends nothing, sending is asked first, secrets stay hidden."""

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from leadapp import http
from leadapp.accounts.models import RoleName
from leadapp.admin.trying import Answer
from leadapp.clock import db_now
from leadapp.database import transaction
from leadapp.deliveries import destinations, preview
from leadapp.deliveries.channels import crm
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, Kind
from leadapp.extensions import db
from leadapp.leads import trial
from leadapp.leads.jobs import recheck
from leadapp.leads.models import Form, Lead
from leadapp.rules import pipeline
from tests.channels_fixtures import crm_claim, soon
from tests.desk import Desk
from tests.factories import add_destination, add_form, post_lead, rows_of
from tests.sinks import HttpSink
from tests.test_gateway_pipeline import GOOD, a_gateway

TOKEN = "t0p-secret-token"


@pytest.fixture
def desk(app: Flask) -> Desk:
    return Desk(app)


@pytest.fixture
def gateway(app: Flask) -> Form:
    form = a_gateway(country="DE")
    with transaction():
        customer().secret = TOKEN
    return form


def customer() -> Destination:
    return db.session.scalars(select(Destination).where(Destination.kind == Kind.CRM)).one()


def address(verb: str = "") -> str:
    return f"/admin/destinations/try/{verb}?id={customer().id}"


def answers(**given: str) -> dict[str, Any]:
    return {"name": list(given), "value": list(given.values()), "was": [""] * len(given)}


GIVEN = {
    "email": "test@example.com",
    "phone": "0681 123456",
    "address.zip": "66123",
    "house.is_owner": "yes",
}


def count(model: type) -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def body_shown(page: str) -> Any:
    return json.loads(html.unescape(re.search(r"<pre[^>]*>(.*?)</pre>", page, re.DOTALL).group(1)))  # type: ignore[union-attr]


def test_looking_shows_the_request_and_sends_nothing(desk: Desk, gateway: Form) -> None:
    post_lead(gateway, **GOOD)
    before = count(Lead), count(Delivery)
    page = desk.text(address())
    assert "https://crm.example/leads" in page
    assert f"Bearer {preview.HIDDEN}" in page
    assert TOKEN not in page
    assert body_shown(page)["customer_zip"] == "66123"
    assert (count(Lead), count(Delivery)) == before


def test_the_sample_is_a_lead_that_passed_with_a_made_up_person(desk: Desk, gateway: Form) -> None:
    post_lead(gateway, **GOOD)
    page = desk.text(address())
    assert "user@example.com" not in page
    assert "test@example.com" in page
    shown = body_shown(page)
    assert (shown["customer_email"], shown["customer_street"], shown["is_homeowner"]) == (
        "test@example.com",
        "123 Main St",
        True,
    )


def test_what_would_not_be_passed_on_says_why(desk: Desk, gateway: Form) -> None:
    page = desk.post(address(), **answers(**GIVEN | {"address.zip": "10115"})).text
    assert "this lead would not be passed on" in page
    assert "ZIP_NOT_66XXX" in page
    assert "Send a test lead" not in page


def test_a_yes_that_nobody_wrote_over_stays_what_it_was(desk: Desk, gateway: Form) -> None:
    fields = answers(**GIVEN)
    fields["was"][-1] = "true"
    assert body_shown(desk.post(address(), **fields).text)["is_homeowner"] is True
    fields["value"][-1] = "no"
    assert "NOT_HOMEOWNER" in desk.post(address(), **fields).text


def test_sending_is_asked_first_and_says_that_a_record_is_made(desk: Desk, gateway: Form) -> None:
    page = desk.post(address("send/"), **answers(**GIVEN)).text
    assert "A record will be made there." in page
    assert count(Lead) == 0


def test_a_test_lead_goes_there_alone_and_is_marked(desk: Desk, gateway: Form) -> None:
    page = desk.confirmed(address("send/"), **answers(**GIVEN)).text
    assert "A test lead is on its way to crm, and to nobody else." in page
    lead = db.session.scalars(select(Lead)).one()
    assert (lead.is_test, lead.source) == (True, "test")
    assert [row.kind for row in rows_of(lead)] == [Kind.CRM]


def test_what_is_shown_is_what_arrives(desk: Desk, gateway: Form, sink: HttpSink) -> None:
    with transaction():
        customer().settings = {"url": sink.url}
    shown = preview.of_customer(customer(), '{"a":"é"}')
    crm.send(crm_claim(sink.url, secret=TOKEN, payload=shown.body, correlation_id="c"), soon())
    (request,) = sink.requests
    assert (shown.method, shown.address, shown.body.encode()) == (request.method, sink.url, request.body)
    assert set(request.headers) - set(shown.headers) == {"Host", "Content-Length"}
    for name in ("User-Agent", "Accept-Encoding", "Content-Type"):
        assert shown.headers[name] == request.headers[name]
    assert set(http.HEADERS) <= set(shown.headers)


def test_a_token_that_cannot_be_sent_is_said_before_it_fails(desk: Desk, gateway: Form) -> None:
    with transaction():
        customer().secret = "schlüssel"
    page = desk.post(address(), **answers(**GIVEN)).text
    assert "token cannot be sent" in page
    assert "schlüssel" not in page


def test_the_rules_have_the_last_word_also_when_it_was_confirmed(desk: Desk, gateway: Form) -> None:
    page = desk.confirmed(address("send/"), **answers(**GIVEN | {"house.is_owner": "no"})).text
    assert "NOT_HOMEOWNER" in page
    assert count(Lead) == 0


def test_a_paused_customer_gets_it_later_and_a_switched_off_one_never(desk: Desk, gateway: Form) -> None:
    destinations.pause(customer().id, "", "somebody")
    assert "the test waits until somebody presses Resume" in desk.post(address("send/"), **answers(**GIVEN)).text
    desk.confirmed(address("send/"), **answers(**GIVEN))
    assert [row.state for row in db.session.scalars(select(Delivery))] == [DeliveryState.PENDING]
    destinations.switch_off(customer().id, "", "somebody")
    assert "takes no leads now" in desk.confirmed(address("send/"), **answers(**GIVEN)).text
    assert count(Delivery) == 1


def test_without_a_mapping_it_says_what_is_missing(desk: Desk) -> None:
    add_form()
    add_destination(Kind.CRM, "https://crm.example/leads")
    page = desk.text(address())
    assert "No lead goes there yet" in page
    assert "To the forms" in page


def test_it_is_reached_from_the_destination(desk: Desk, gateway: Form) -> None:
    page = desk.text(f"/admin/destinations/details/?id={customer().id}")
    assert f'href="{address()}"' in page
    assert "Send a test" not in page
    assert '<a href="/admin/destinations/" aria-current="page">' in desk.text(address())


def test_only_the_customers_api_has_such_a_page(desk: Desk) -> None:
    hook = add_destination(Kind.WEBHOOK)
    for odd in (hook.id, 10**12, "x"):
        assert desk.get(f"/admin/destinations/try/?id={odd}").status_code == 404


@pytest.mark.parametrize("role", [RoleName.VIEWER, RoleName.OPS])
def test_it_is_for_those_who_may_change_destinations(app: Flask, gateway: Form, role: RoleName) -> None:
    other = Desk(app, role)
    assert other.get(address()).status_code == 403
    assert other.confirmed(address("send/"), **answers(**GIVEN)).status_code == 403
    assert count(Lead) == 0


def test_odd_posts_break_nothing(desk: Desk, gateway: Form) -> None:
    odd = {
        "name": ["a" * 5_000, "", "b\0", "deep"],
        "value": ["x" * 99_999, "y"],
        "was": ["{", "[" * 5_000],
        "form": "7",
    }
    assert desk.post(address(), **odd).status_code == 200
    assert desk.post(address("send/")).status_code == 200


def test_lines_stay_lines(desk: Desk, gateway: Form) -> None:
    """A box of one line would glue them together."""
    fields = answers(**GIVEN | {"note": "one\r\ntwo"})
    page = desk.post(address(), **fields).text
    assert re.search(r"<textarea[^>]*>one\r?\ntwo</textarea>", page)


def test_a_list_that_nobody_wrote_over_stays_one_whatever_ends_its_lines() -> None:
    assert Answer("note", "one\r\ntwo, three", '["one\\ntwo", "three"]').value == ["one\ntwo", "three"]


def test_a_test_for_one_destination_goes_nowhere_else_when_broken_rules_are_mended(
    gateway: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail = add_destination(Kind.EMAIL, "owner@shop.example")
    with monkeypatch.context() as broken:
        broken.setattr(pipeline, "run", lambda *_: 1 / 0)
        lead_id = trial.to(mail, "somebody", form=gateway, payload=GOOD)
    with transaction():
        db.session.execute(
            update(Lead).values(check_at=db_now(-timedelta(minutes=5))).where(Lead.check_at.is_not(None))
        )
    recheck()
    assert [row.kind for row in rows_of(db.session.get_one(Lead, lead_id))] == [Kind.EMAIL]
