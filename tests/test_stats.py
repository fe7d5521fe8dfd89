"""/stats and the admin's Figures: the same numbers for machines and for people."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from leadapp import clock
from leadapp.accounts.models import RoleName
from leadapp.database import transaction
from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.extensions import db
from leadapp.leads.models import Lead, LeadStatus
from leadapp.ops import stats

from .desk import Desk
from .factories import add_desk, add_destination, add_form, post_lead, rows_of

TOKEN = "a token for figures"
S = DeliveryState


@pytest.fixture
def app(app_with: Any) -> Flask:
    return app_with(metrics_token=TOKEN)


def ask(app: Flask, query: str = "", status: int = 200) -> dict[str, Any]:
    answer = app.test_client().get(f"/stats{query}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json


def leads_of(form: Any, *wanted: tuple[LeadStatus, int]) -> None:
    """One lead for each (status, days ago)."""
    for status, days in wanted:
        lead = post_lead(form)
        with transaction():
            found = db.session.get_one(Lead, lead.id)
            found.status, found.received_at = status, clock.now() - timedelta(days=days)


def states_of(form: Any, *wanted: DeliveryState) -> None:
    """One lead for each state; all its deliveries are in it."""
    for state in wanted:
        rows = [row.id for row in rows_of(post_lead(form))]
        with transaction():
            for row_id in rows:
                db.session.get_one(Delivery, row_id).state = state


def test_an_empty_desk_has_zeros(app: Flask) -> None:
    told = ask(app)
    assert told["leads"] == {"received": 0, "spam": 0, "by_status": dict.fromkeys(map(str, LeadStatus), 0)}
    assert (len(told["by_day"]), told["days"], told["by_form"], told["by_destination"]) == (30, 30, [], [])


@pytest.mark.usefixtures("one_day")
def test_leads_are_counted_by_status_form_and_day(app: Flask) -> None:
    contact, other = add_form(), add_form("other", name="Other")
    leads_of(contact, (LeadStatus.DELIVERED, 0), (LeadStatus.DELIVERED, 2), (LeadStatus.REJECTED, 2))
    leads_of(other, (LeadStatus.PERMANENTLY_FAILED, 0))
    told = ask(app)
    assert (
        told["leads"]["by_status"] | {"DELIVERED": 2, "REJECTED": 1, "PERMANENTLY_FAILED": 1}
        == told["leads"]["by_status"]
    )
    assert {one["form"]: one["received"] for one in told["by_form"]} == {"contact": 3, "other": 1}
    days = {one["day"]: one["received"] for one in told["by_day"]}
    today = clock.now().date()
    assert days[today.isoformat()] == 2
    assert days[(today - timedelta(days=2)).isoformat()] == 2
    assert (told["to"], told["from"]) == (today.isoformat(), (today - timedelta(days=29)).isoformat())


def test_spam_is_counted_beside_the_others(app: Flask) -> None:
    lead = post_lead(add_form())
    with transaction():
        db.session.get_one(Lead, lead.id).is_spam = True
    told = ask(app)
    assert (told["leads"]["received"], told["leads"]["spam"], told["by_form"][0]["spam"]) == (0, 1, 1)


def test_deliveries_are_counted_by_destination_and_state(app: Flask) -> None:
    form = add_desk()[0]
    states_of(form, *S, S.DELIVERED, S.PERMANENTLY_FAILED)
    told = {one["kind"]: one for one in ask(app)["by_destination"]}
    expected = dict.fromkeys(map(str, S), 1) | {"delivered": 2, "permanently_failed": 2}
    assert told["email"]["by_state"] == told["webhook"]["by_state"] == expected
    assert told["email"]["planned"] == 10


def test_a_destination_that_has_nothing_is_there_with_zeros(app: Flask) -> None:
    add_destination(Kind.WEBHOOK, name="Zapier")
    assert ask(app)["by_destination"][0]["by_state"] == dict.fromkeys(map(str, S), 0)


def test_old_deliveries_are_not_counted(app: Flask) -> None:
    form = add_desk()[0]
    rows = [row.id for row in rows_of(post_lead(form))]
    with transaction():
        for row_id in rows:
            db.session.get_one(Delivery, row_id).created_at = clock.now() - timedelta(days=5)
    assert [one["planned"] for one in ask(app, "?days=3")["by_destination"]] == [0, 0]
    assert [one["planned"] for one in ask(app, "?days=7")["by_destination"]] == [1, 1]


@pytest.mark.usefixtures("one_day")
def test_fewer_days_and_one_form_can_be_asked_for(app: Flask) -> None:
    contact, other = add_form(), add_form("other")
    leads_of(contact, (LeadStatus.DELIVERED, 0), (LeadStatus.DELIVERED, 9))
    leads_of(other, (LeadStatus.DELIVERED, 0))
    told = ask(app, "?days=7&form=contact")
    assert (told["leads"]["received"], told["form"], len(told["by_day"])) == (1, "contact", 7)
    assert [one["form"] for one in told["by_form"]] == ["contact"]
    assert told["by_destination"] == []


@pytest.mark.parametrize("days", ["0", "31", "-1", "x", "1.5", "1e1", "٣", "9999999999"])
def test_odd_days_are_refused_in_words(app: Flask, days: str) -> None:
    told = ask(app, f"?days={days}", status=400)
    assert told["errors"] == [{"code": "DAYS", "field": "days", "message": "days is a number from 1 to 30."}]


@pytest.mark.parametrize("key", ["nobody", "%00", "%ff", "x" * 500])
def test_a_form_that_is_not_there_is_404(app: Flask, key: str) -> None:
    assert ask(app, f"?form={key}", status=404)["errors"][0]["code"] == "FORM_NOT_FOUND"


def test_addresses_in_names_of_destinations_are_left_out(app: Flask) -> None:
    add_destination(Kind.EMAIL, name="Copy to ada@shop.example")
    assert ask(app)["by_destination"][0]["name"] == "Copy to [address]"


# --- the page


@pytest.mark.usefixtures("one_day")
def test_the_page_shows_bars_and_the_same_numbers_as_tables(app: Flask) -> None:
    form = add_desk()[0]
    leads_of(form, (LeadStatus.DELIVERED, 0), (LeadStatus.DELIVERED, 1), (LeadStatus.PERMANENTLY_FAILED, 1))
    page = Desk(app).text("/admin/figures/")
    assert 'aria-current="page">Figures' in page
    assert 'class="chart-needs-you-part"' in page
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    yesterday = clock.now() - timedelta(days=1)
    assert f"{yesterday.day} {yesterday:%b} 2 1 0 0 1 0" in text
    assert "Contact form 3 2 0 0 1 0" in text
    assert "email 3 0 3 0 0" in text


def test_the_page_has_no_inline_style_and_no_script_of_others(app: Flask) -> None:
    leads_of(add_desk()[0], (LeadStatus.DELIVERED, 0))
    page = Desk(app).text("/admin/figures/")
    assert "style=" not in page
    assert not re.search(r'(src|href)="https?://', page)


@pytest.mark.usefixtures("one_day")
def test_one_form_and_its_days_can_be_chosen_on_the_page(app: Flask) -> None:
    form = add_desk()[0]
    leads_of(form, (LeadStatus.DELIVERED, 0), (LeadStatus.DELIVERED, 8))
    page = Desk(app).text("/admin/figures/?days=7&form=contact")
    assert "1 lead" in page
    assert '<option value="contact" selected>' in page
    assert "Destinations are counted for all forms together" in page


@pytest.mark.parametrize("query", ["?days=x", "?form=nobody", "?days=999&form=%00"])
def test_an_odd_address_is_the_usual_view(app: Flask, query: str) -> None:
    assert "Nothing came in" in Desk(app).text(f"/admin/figures/{query}")


@pytest.mark.parametrize("role", list(RoleName))
def test_everybody_at_the_desk_may_look_at_figures(app: Flask, role: RoleName) -> None:
    assert "Figures" in Desk(app, role).text("/admin/figures/")


def test_what_is_not_delivered_has_an_index_for_its_count() -> None:
    """`delivered` is what is left over: a state without its own index would be counted as delivered."""
    from leadapp.deliveries.models import LISTED

    assert all(any(f"'{state}'" in where for where in LISTED.values()) for state in stats.NOT_DELIVERED)
