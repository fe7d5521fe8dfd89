"""The work list with more reasons than one page shows: it says so, and leads to the others."""

import html
import re

import pytest
from flask import Flask
from sqlalchemy import select

from leadapp.admin import causes
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.extensions import db
from tests.desk import Desk
from tests.factories import add_desk, post_lead


@pytest.fixture
def desk(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("leadapp.admin.causes.MOST_CAUSES", 3)
    monkeypatch.setattr("leadapp.admin.start.MOST_CAUSES", 3)
    return Desk(app)


def refused(codes: list[int]) -> None:
    """A lead each, whose webhook was refused with one of these codes."""
    form = add_desk()[0]
    for _ in codes:
        post_lead(form)
    with transaction():
        rows = db.session.scalars(select(Delivery).where(Delivery.kind == Kind.WEBHOOK).order_by(Delivery.id))
        for row, code in zip(rows, codes, strict=True):
            row.state, row.last_status_code = DeliveryState.PERMANENTLY_FAILED, code
            row.last_error = f"The webhook answered {code}"


def shown(page: str) -> list[int]:
    return [code for code in range(400, 420) if f"the webhook answered {code}." in page]


def test_a_page_says_how_many_reasons_stand_behind_it(desk: Desk) -> None:
    refused([404, 404, 400, 401, 402, 403])
    page = desk.text("/admin/needs-you/")
    assert shown(page) == [400, 401, 404]
    assert "These hold back most. 2 more reasons stand on the next page." in page
    assert "/admin/deliveries/?flt0_state_is=needs-you" in page
    assert 'href="/admin/needs-you/?page=2"' in page


def test_the_next_page_has_the_others_and_leads_back(desk: Desk) -> None:
    refused([404, 404, 400, 401, 402, 403])
    page = desk.text("/admin/needs-you/?page=2")
    assert shown(page) == [402, 403]
    assert "more reason" not in page
    assert 'rel="prev" href="/admin/needs-you/"' in page
    assert 'name="url" value="/admin/needs-you/?page=2"' in page  # where a button leads back to


def test_what_waits_for_a_stopped_destination_stands_on_the_first_page_alone(desk: Desk) -> None:
    refused([400, 401, 402, 403])
    mail = db.session.scalars(select(Delivery.destination_id).where(Delivery.kind == Kind.EMAIL)).first()
    destinations.pause(mail, "", "somebody")
    assert "was paused by hand" in desk.text("/admin/needs-you/")
    assert "was paused by hand" not in desk.text("/admin/needs-you/?page=2")


def test_the_start_page_counts_them_all(desk: Desk) -> None:
    refused([400, 401, 402, 403, 404, 405])
    assert "and 2 more reasons" in desk.text("/admin/")


def test_one_page_of_reasons_says_nothing_of_others(desk: Desk) -> None:
    refused([400, 401, 402])
    page = desk.text("/admin/needs-you/")
    assert "more reason" not in page
    assert 'aria-label="Pages"' not in page


@pytest.mark.parametrize("page", ["2", "0", "-1", "x", "99999999999999999999"])
def test_a_page_that_is_not_there_breaks_nothing(desk: Desk, page: str) -> None:
    assert "Nothing" in desk.text(f"/admin/needs-you/?page={page}")


def test_a_page_holds_fifty_reasons(app: Flask) -> None:
    assert causes.MOST_CAUSES == 50


def test_the_rows_of_one_reason_are_shown_alone(desk: Desk) -> None:
    refused([400, 400])
    with transaction():
        for number, row in enumerate(db.session.scalars(select(Delivery).where(Delivery.kind == Kind.WEBHOOK))):
            row.last_status_code, row.last_error = None, f"100% of field_{number} is odd"
    addresses = re.findall(r'href="([^"]+)">Show the rows', html.unescape(desk.text("/admin/needs-you/")))
    assert len(addresses) == 2
    for address in addresses:
        page = desk.text(address)
        assert page.count("row-link") == 1
        assert 'value="100% of field_' in page  # a filter that can be taken out again
