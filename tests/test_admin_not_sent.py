"""What the admin says where nothing was sent: "not set up" only where nothing is, otherwise why."""

import re
from collections.abc import Callable

import pytest
from flask import Flask

from leadapp.deliveries import outbox
from leadapp.deliveries.models import Destination, DestinationState, Kind
from leadapp.extensions import db
from leadapp.leads.models import IntegrationStatus, Lead, LeadStatus

from .desk import Desk
from .factories import add_destination, add_form, post_lead, the_row
from .test_gateway_pipeline import ELSEWHERE, GOOD, a_gateway, send

KINDS = {"email": "Mail", "webhook": "Webhook", "crm": "CRM"}


@pytest.fixture
def desk(app: Flask) -> Desk:
    return Desk(app)


def cell(page: str, kind: str) -> str:
    """What a list says in the column of one kind, of its only lead."""
    [found] = re.findall(rf'col-{kind}_status">(.*?)</td>', page, re.DOTALL)
    return re.sub(r"<[^>]+>|[○●◔▲]", "", found).strip()


def in_lists(desk: Desk, kind: str) -> set[str]:
    """The words for one kind on the start page, in the list of leads, and in its export."""
    exported = desk.get("/admin/leads/export/json/").json[0][f"{kind}_status"]
    return {cell(desk.text("/admin/"), kind), cell(desk.text("/admin/leads/"), kind), exported}


def on_its_page(desk: Desk, lead: Lead) -> dict[str, str]:
    """The kinds for which there is no row, and what the page says of each."""
    page = desk.text(f"/admin/leads/{lead.id}")
    return dict(re.findall(r'<p class="missing">([\w-]+) .*?state-word">([^<]+)<', page))


def call_off(lead: Lead, kind: Kind) -> None:
    outbox.cancel([the_row(lead, kind).id], "called off", "ada")


def test_a_rejected_lead_was_not_sent_to_the_customer_because_it_was_rejected(desk: Desk) -> None:
    lead = send(a_gateway(), ELSEWHERE)
    assert (lead.status, lead.crm_status) == (LeadStatus.REJECTED, IntegrationStatus.DISABLED)
    assert in_lists(desk, "crm") == {"not sent: rejected"}
    assert on_its_page(desk, lead) == {"CRM": "not sent: rejected"}


def test_a_rejected_lead_that_nobody_is_told_of_is_not_sent_though_all_is_set_up(desk: Desk) -> None:
    lead = send(a_gateway(tells_rejected=False), ELSEWHERE)
    assert on_its_page(desk, lead) == {"E-mail": "not sent", "Webhook": "not sent", "CRM": "not sent: rejected"}
    assert in_lists(desk, "email") == {"not sent"}
    assert "set up" not in desk.text(f"/admin/leads/{lead.id}")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_called_off_is_not_sent(desk: Desk, kind: str) -> None:
    lead = send(a_gateway(), GOOD)
    call_off(lead, Kind(kind))
    assert in_lists(desk, kind) == {"not sent"}
    assert on_its_page(desk, lead) == {}  # its card says why
    assert "not sent: called off" in desk.text(f"/admin/leads/{lead.id}")


def test_a_lead_of_which_all_was_called_off_is_not_without_anybody_to_tell(desk: Desk) -> None:
    form = add_form()
    add_destination(Kind.EMAIL)
    lead = post_lead(form)
    call_off(lead, Kind.EMAIL)
    page = desk.text("/admin/leads/")
    assert "saved, nobody was told" in page
    assert "nobody to tell" not in page


def switched_off(kind: Kind) -> None:
    row: Destination = add_destination(kind)
    row = db.session.merge(row)
    row.state = DestinationState.DISABLED
    db.session.commit()


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (lambda: None, "not set up"),
        (lambda: add_destination(Kind.WEBHOOK, form_id=add_form("another").id), "not set up"),
        (lambda: switched_off(Kind.WEBHOOK), "not sent"),
    ],
    ids=["none", "another form's", "switched off"],
)
def test_not_set_up_is_where_the_form_has_no_destination(desk: Desk, prepare: Callable[[], None], words: str) -> None:
    prepare()
    lead = post_lead(add_form())
    assert in_lists(desk, "webhook") == {words}
    assert on_its_page(desk, lead)["Webhook"] == words


def test_the_customers_api_is_not_set_up_for_a_form_without_rules(desk: Desk) -> None:
    a_gateway()
    lead = post_lead(add_form("other"))
    assert on_its_page(desk, lead) == {"CRM": "not set up"}
