"""Time to fill in and number of links: off unless set, then kept as spam with reason and score."""

import re
from datetime import timedelta

from sqlalchemy import select

from leadapp.clock import frozen, now
from leadapp.extensions import db
from leadapp.leads.models import Lead
from leadapp.leads.suspicion import stamp, suspicion
from tests.conftest import make_settings
from tests.factories import add_form

LINKS = {"message": "see https://a.example and www.b.example and <a href=x>"}


def the_lead():
    return db.session.scalars(select(Lead)).one()


def page_of(client) -> str:
    return client.get("/f/contact").text


def made(page: str) -> str:
    return re.search(r'name="_made" value="([^"]+)"', page)[1]


def test_both_are_off_by_default(app, client):
    add_form()
    db.session.remove()
    assert "_made" not in page_of(client)
    client.post("/f/contact", data=LINKS)
    assert not the_lead().is_spam


def test_what_comes_sooner_than_anybody_types_is_kept_as_spam(app_with):
    client = app_with(spam_min_seconds=300).test_client()
    add_form()
    db.session.remove()
    client.post("/f/contact", data={"name": "Ada", "_made": made(page_of(client))})
    lead = the_lead()
    assert lead.is_spam
    assert re.fullmatch(r"sent \d+ s after the page was opened; score 60 of 100", lead.spam_reason)
    assert "_made" not in lead.fields


def test_who_takes_their_time_is_no_robot():
    limits = make_settings(spam_min_seconds=60)
    page = {"_made": stamp("contact", limits)}
    assert suspicion("contact", page, limits)
    with frozen(now() + timedelta(seconds=61)):
        assert suspicion("contact", page, limits) == ""


def test_a_stamp_of_another_form_or_by_somebody_else_tells_nothing():
    limits = make_settings(spam_min_seconds=3)
    for said in ("", "contact.abc.def", "x" * 10_000, ["a", "b"], stamp("other", limits)):
        assert suspicion("contact", {"_made": said}, limits) == ""


def test_many_links_are_counted_in_writing_only():
    limits = make_settings(spam_max_links=2)
    assert suspicion("contact", LINKS, limits) == "3 links in what was written; score 40 of 100"
    addresses = {"site": "https://a.example", "shop": "https://b.example", "blog": "https://c.example"}
    assert suspicion("contact", addresses | {"_next": "https://d.example x"}, limits) == ""
    assert suspicion("contact", LINKS, make_settings(spam_max_links=3)) == ""
