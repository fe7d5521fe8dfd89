"""What was done by a button can be taken back by the next one, where there is a way back."""

import html
import re

import pytest

from leadapp.database import transaction
from leadapp.deliveries.models import DeliveryState, DestinationState, HeldReason, Kind
from leadapp.extensions import db

from .desk import Desk
from .factories import add_desk, add_form, post_lead, the_row


@pytest.fixture
def desk(app):
    return Desk(app)


def undo(desk, page):
    """Press the button beside the notice, as a browser would; None when there is none."""
    found = re.search(r'notice-done.*?<form method="post" action="([^"]+)"(.*?)</form>', page, re.DOTALL)
    if found is None:
        return None
    pairs = re.findall(r'name="([^"]+)" value="([^"]*)"', found[2])
    fields: dict[str, list[str]] = {}
    for name, value in pairs:
        fields.setdefault(name, []).append(html.unescape(value))
    return desk.client.post(html.unescape(found[1]), data=fields, follow_redirects=True).text


def test_a_pause_is_taken_back_and_that_too(desk):
    _, _, hook = add_desk()
    page = desk.post("/admin/destinations/pause/", id=hook.id, reason="holidays").text
    page = undo(desk, page)
    db.session.refresh(hook)
    assert hook.state is DestinationState.ACTIVE
    undo(desk, page)
    db.session.refresh(hook)
    assert (hook.state, hook.state_reason) == (DestinationState.PAUSED, "holidays")


def test_what_was_resumed_from_the_work_list_is_stopped_again_there(desk):
    _, _, hook = add_desk()
    with transaction():
        hook.state, hook.state_reason = DestinationState.PAUSED, "the webhook refuses our token (401)"
    page = desk.post("/admin/destinations/resume/", id=hook.id, url="/admin/needs-you/").text
    assert "<h1>Needs you</h1>" in undo(desk, page)
    db.session.refresh(hook)
    assert (hook.state, hook.state_reason) == (DestinationState.PAUSED, "the webhook refuses our token (401)")


def test_a_destination_that_was_switched_off_comes_back(desk):
    _, _, hook = add_desk()
    undo(desk, desk.post("/admin/destinations/switch-off/", id=hook.id).text)
    db.session.refresh(hook)
    assert hook.state is DestinationState.ACTIVE


def test_a_paused_form_is_switched_on_again(desk):
    form = add_form()
    undo(desk, desk.post("/admin/forms/pause/", id=form.id, to="paused").text)
    db.session.refresh(form)
    assert not form.is_paused


def test_spam_by_mistake_is_no_spam_again_without_a_question(desk):
    lead = post_lead(add_form())
    page = desk.confirmed("/admin/leads/sort/spam", rowid=str(lead.id)).text
    assert "1 lead moved to your leads" in undo(desk, page)
    db.session.refresh(lead)
    assert not lead.is_spam


def test_a_row_that_was_called_off_is_put_back_in_line(desk):
    form, _, _ = add_desk()
    row = the_row(post_lead(form), Kind.WEBHOOK)
    undo(desk, desk.confirmed("/admin/deliveries/do/cancel", rowid=str(row.id)).text)
    db.session.refresh(row)
    assert row.state is DeliveryState.PENDING


def test_nothing_that_was_on_hold_goes_out_by_an_undo(desk):
    form, _, _ = add_desk()
    row = the_row(post_lead(form), Kind.WEBHOOK)
    with transaction():
        row.move(DeliveryState.HELD, row.created_at)
        row.held_reason = HeldReason.SPAM
    page = desk.confirmed("/admin/deliveries/do/cancel", rowid=str(row.id)).text
    assert "1 row called off." in page
    assert undo(desk, page) is None


def test_so_many_leads_that_no_cookie_holds_them_are_only_told_of(desk):
    form = add_form()
    ids = [str(post_lead(form).id) for _ in range(30)]
    page = desk.confirmed("/admin/leads/sort/spam", rowid=ids).text
    assert "30 leads moved to the spam folder." in page
    assert undo(desk, page) is None


def test_rows_that_may_have_been_sent_are_settled_from_the_work_list(desk):
    form, _, _ = add_desk()
    row = the_row(post_lead(form), Kind.EMAIL)
    with transaction():
        row.state = DeliveryState.UNKNOWN
    page = desk.text("/admin/needs-you/")
    assert "Mark as sent" in page
    assert "Send again" in page
    fields = {"destination": row.destination_id, "state": "unknown", "error": "", "url": "/admin/needs-you/"}
    assert "1 row" in desk.post("/admin/deliveries/do/mark-sent", **fields).text


def test_a_refused_webhook_leads_to_where_its_address_is_changed(desk):
    form, _, hook = add_desk()
    row = the_row(post_lead(form), Kind.WEBHOOK)
    with transaction():
        row.state, row.last_status_code = DeliveryState.PERMANENTLY_FAILED, 404
    assert f'href="/admin/destinations/details/?id={hook.id}">Look at' in desk.text("/admin/needs-you/")
