"""What an owner reads in the admin: whole words and names, nothing that has to be scrolled or guessed."""

import html
import re

import pytest
from flask import Flask

from leadapp.accounts.models import RoleName
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Delivery, DeliveryState, DestinationState, DisabledBy, Kind
from leadapp.extensions import db
from leadapp.leads import integration
from leadapp.leads.models import Lead
from tests.desk import Desk
from tests.factories import add_desk, add_destination, add_form, post_lead, rows_of


@pytest.fixture
def desk(app: Flask) -> Desk:
    return Desk(app)


def settle(lead: Lead, **states: DeliveryState) -> None:
    with transaction():
        for row in rows_of(lead):
            found = db.session.get_one(Delivery, row.id)
            found.state = states.get(str(row.kind), found.state)
        db.session.flush()
        integration.refresh([lead.id])


def cell(page: str, column: str) -> str:
    found = re.search(rf'class="col-{column}">(.*?)</td>', page, re.DOTALL)
    assert found, column
    return re.sub(r"<[^>]+>|\s+", " ", found.group(1)).strip()


# What "failed" promises
@pytest.mark.parametrize(
    ("mail", "webhook", "said"),
    [
        (DeliveryState.DELIVERED, DeliveryState.PERMANENTLY_FAILED, ("sent", "needs you")),
        (DeliveryState.UNKNOWN, DeliveryState.PENDING, ("needs you", "waiting")),
        (DeliveryState.DELIVERED, DeliveryState.FAILED, ("sent", "failed")),
        (DeliveryState.FAILED, DeliveryState.PERMANENTLY_FAILED, ("failed", "failed")),  # which of them, no column says
    ],
)
def test_a_column_says_needs_you_where_nothing_is_tried_again(
    desk: Desk, mail: DeliveryState, webhook: DeliveryState, said: tuple[str, str]
) -> None:
    settle(post_lead(add_desk()[0]), email=mail, webhook=webhook)
    page = desk.text("/admin/leads/")
    assert cell(page, "email_status").endswith(said[0])
    assert cell(page, "webhook_status").endswith(said[1])


# The page of a lead
def test_where_a_lead_stands_is_said_in_sentences(desk: Desk) -> None:
    form = add_form()
    for name in ("zapier", "make", "billing"):
        add_destination(Kind.WEBHOOK, name=name)
    lead = post_lead(form)
    first, second, third = rows_of(lead)
    with transaction():
        for row, state in ((first, DeliveryState.DELIVERED), (second, DeliveryState.PERMANENTLY_FAILED)):
            db.session.get_one(Delivery, row.id).state = state
        db.session.get_one(Delivery, second.id).last_error = "The webhook answered 400"
        db.session.get_one(Delivery, second.id).last_status_code = 400
    destinations.pause(third.destination_id, "", "somebody")
    page = html.unescape(desk.text(f"/admin/leads/{lead.id}"))
    names = {row.id: row.destination.name for row in (first, second, third)}
    assert (
        f"Sent to {names[first.id]}. {names[second.id]} needs you: the webhook answered 400; ask the receiver what it "
        f"wants, then send it again. {names[third.id]} was paused by hand."
    ) in page


def test_questions_are_written_as_a_person_would(desk: Desk) -> None:
    lead = post_lead(add_form(), **{"house[is_owner]": "yes", "preferredDay": "Monday"})
    page = desk.text(f"/admin/leads/{lead.id}")
    assert 'title="preferredDay">Preferred Day</dt>' in page
    assert ">House is owner</dt>" in page


def test_two_mails_of_a_lead_are_told_apart_by_those_who_hear(desk: Desk) -> None:
    form = add_form()
    for who in ("sales", "owner"):
        add_destination(Kind.EMAIL, f"{who}@shop.example", name=who)
    page = desk.text(f"/admin/leads/{post_lead(form).id}")
    titles = re.findall(r'<iframe title="([^"]+)"', page)
    assert len(set(titles)) == len(titles) == 2


def test_only_a_long_text_is_a_stop_for_the_keyboard(desk: Desk) -> None:
    form, stop = add_form(), 'tabindex="0" role="region" aria-label="Message"'
    assert stop not in desk.text(f"/admin/leads/{post_lead(form, message='Short.').id}")
    assert stop in desk.text(f"/admin/leads/{post_lead(form, message='Long. ' * 200).id}")


# Audit, menu, start page
def test_the_audit_trail_calls_things_by_their_names(desk: Desk) -> None:
    form, mail, _ = add_desk()
    post_lead(form)
    destinations.pause(mail.id, "", "somebody")
    page = re.sub(r"<[^>]+>", "", desk.text("/admin/audit/"))
    assert "Lead Ada Lovelace" in page
    assert "Destination email" in page


def test_the_audit_trail_shows_no_names_to_those_who_read_no_leads(app: Flask) -> None:
    form, mail, _ = add_desk()
    lead = post_lead(form)
    destinations.pause(mail.id, "", "somebody")
    page = Desk(app, RoleName.OPS).text("/admin/audit/")
    assert "Ada Lovelace" not in page
    assert str(lead.id)[-12:] in page


@pytest.mark.parametrize(
    ("path", "entry"),
    [
        ("forms/rules/?id={form}", "forms"),
        ("forms/senders/?id={form}", "forms"),
        ("replays/", "needs-you"),
        ("replays/new/", "needs-you"),
    ],
)
def test_the_menu_says_where_one_is(desk: Desk, path: str, entry: str) -> None:
    page = desk.text(f"/admin/{path.format(form=add_form().id)}")
    assert re.findall(r'<a href="/admin/([^"]*)/" aria-current="page"', page) == [entry]


def test_what_a_receiver_switched_off_is_one_press_away(desk: Desk) -> None:
    row = add_destination(Kind.WEBHOOK, state=DestinationState.DISABLED, disabled_by=DisabledBy.RECEIVER)
    assert f'<a href="/admin/destinations/details/?id={row.id}">Look at it</a>' in desk.text("/admin/")


def test_that_nobody_is_told_leads_to_where_it_is_changed_for_who_may(app: Flask, desk: Desk) -> None:
    link = '<a href="/admin/destinations/new/">Add an e-mail address</a>'
    assert link in desk.text("/admin/")
    assert link not in Desk(app, RoleName.VIEWER).text("/admin/")


# Figures lead on
def test_figures_lead_to_the_leads_of_a_form_and_to_a_destination(app: Flask, desk: Desk) -> None:
    form, mail, _ = add_desk()
    post_lead(form)
    leads, destination = f"/admin/leads/?flt1_form_is={form.id}", f"/admin/destinations/details/?id={mail.id}"
    page = desk.text("/admin/figures/")
    assert f'href="{leads}"' in page
    assert f'href="{destination}"' in page
    other = Desk(app, RoleName.OPS).text("/admin/figures/")
    assert leads not in other
    assert destination not in other


def test_a_new_destination_says_which_fields_are_for_which_kind(desk: Desk) -> None:
    page = desk.text("/admin/destinations/new/")
    assert "data-kinds" in page
    assert page.count('data-only-for="crm"') == 2


def test_filters_that_are_used_stay_open(desk: Desk) -> None:
    assert "data-fold" in desk.text("/admin/deliveries/")
    post_lead(add_desk()[0])
    page = desk.text("/admin/deliveries/?flt0_state_is=waiting")
    assert "data-fold" not in page
    assert "Filters (1)" in page


def test_those_who_hear_know_what_a_box_chooses(app: Flask, desk: Desk) -> None:
    post_lead(add_desk()[0])
    assert 'aria-label="Choose Ada Lovelace"' in desk.text("/admin/leads/")
    assert 'aria-label="Choose E-mail to email for Ada Lovelace"' in desk.text("/admin/deliveries/")
    assert 'aria-label="Choose E-mail to email"' in Desk(app, RoleName.OPS).text("/admin/deliveries/")


# Empty lists, and what stands in the way
@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("forms/", "New form"),
        ("destinations/", "New destination"),
        ("deliveries/", "Send a test lead from a form's page"),
        ("attempts/", "Send a test lead from a form's page"),
        ("figures/", "Send a test lead from a form's page"),
        ("forms/migrate", "New form"),
    ],
)
def test_an_empty_list_offers_the_first_step(desk: Desk, path: str, step: str) -> None:
    page = html.unescape(desk.text(f"/admin/{path}"))
    assert step in page[page.index('class="empty"') :]


def test_an_empty_list_offers_nothing_that_is_not_allowed(app: Flask) -> None:
    assert "Send a test lead" not in Desk(app, RoleName.OPS).text("/admin/deliveries/")


def test_without_a_form_there_is_nothing_to_move_one_to(desk: Desk) -> None:
    page = desk.post("/admin/forms/migrate", html="<form><input name=a></form>").text
    assert "Make a form first" in page
    assert "no field with a name" not in page


def test_that_no_worker_runs_stands_above_everything_else(desk: Desk) -> None:
    page = desk.text("/admin/")
    assert 0 < page.index("No worker runs") < page.index("All leads are where they should be")
    assert page.count("No worker runs") == 1
