"""Forms: made and changed by hand, with their snippet and destinations."""

import re

import pytest
from sqlalchemy import select

from leadapp.accounts.models import RoleName
from leadapp.audit import AuditEvent
from leadapp.database import transaction
from leadapp.deliveries.models import DeliveryState, Destination, DestinationState, Kind, ManagedBy
from leadapp.extensions import db
from leadapp.leads.models import Form, LeadStatus

from .desk import Desk
from .factories import add_desk, add_destination, add_form, post_lead, rows_of


@pytest.fixture
def desk(app):
    return Desk(app)


def the_form():
    db.session.rollback()
    return db.session.scalars(select(Form).order_by(Form.id.desc())).first()


def test_an_empty_list_offers_the_first_form(desk):
    page = desk.text("/admin/forms/")
    assert "No forms yet" in page
    assert "New form" in page


def test_a_form_is_made_with_a_key_that_nobody_guesses(desk):
    page = desk.post(
        "/admin/forms/new/", name="Ask for a quote", allowed_origins="https://a.example\r\n\r\nhttps://b.example "
    ).text
    form = the_form()
    assert form.key.startswith("ask-for-a-quote-")
    assert len(form.key) == len("ask-for-a-quote-") + 8
    assert form.allowed_origins == ["https://a.example", "https://b.example"]
    assert form.form_type == "contact"
    assert f"/f/{form.key}" in page
    assert "data-copy" in page
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "form made")).one()
    assert event.actor == desk.email


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": ""}, "Give the form a name."),
        ({"name": "x", "key": "Not A Key"}, "small letters"),
        ({"name": "x", "key": "contact"}, "Another form has this key"),
        ({"name": "x", "site_url": "javascript:alert(1)"}, "begins with https://"),
        ({"name": "x", "site_url": "https://me:secret@x.example"}, "Leave the name and the password out"),
        ({"name": "x", "allowed_origins": "https://a.example/path"}, "is not a site"),
        ({"name": "x", "allowed_origins": "*"}, "is not a site"),
        ({"name": "x" * 121}, "longer"),
    ],
)
def test_what_does_not_fit_is_said_beside_the_field(desk, fields, words):
    add_form()
    page = desk.post("/admin/forms/new/", **fields).text
    assert words in page
    assert 'aria-invalid="true"' in page
    assert "Nothing is saved yet" in page
    assert the_form().key == "contact"


def test_nul_in_a_field_breaks_nothing(desk):
    assert desk.post("/admin/forms/new/", name="a\0b", honeypot="\0").status_code == 200
    assert the_form().name == "ab"


def test_an_owner_changes_the_key_before_the_first_lead_only(desk):
    form = add_form()
    url = f"/admin/forms/edit/?id={form.id}"
    desk.post(url, name="Contact", key="better")
    assert the_form().key == "better"
    post_lead(the_form())
    assert 'name="key"' not in desk.text(url)
    desk.post(url, name="Contact", key="worse")
    assert the_form().key == "better"


def test_a_manager_never_sets_the_key(app):
    manager = Desk(app, RoleName.MANAGER)
    manager.post("/admin/forms/new/", name="Mine", key="mine")
    assert the_form().key.startswith("mine-")
    manager.post(f"/admin/forms/edit/?id={the_form().id}", name="Mine", key="mine")
    assert the_form().key != "mine"


def test_a_change_is_audited_with_what_changed(desk):
    form = add_form()
    desk.post(f"/admin/forms/edit/?id={form.id}", name="New name", key="contact", form_type="contact")
    assert the_form().name == "New name"
    event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "form changed")).one()
    assert event.facts == {"changed": ["name"]}


def test_pausing_keeps_leads_and_switching_on_sends_what_waited(desk):
    form = add_desk()[0]
    desk.post("/admin/forms/pause/", id=form.id, to="paused")
    assert the_form().is_paused
    lead = post_lead(the_form())
    assert {row.state for row in rows_of(lead)} == {DeliveryState.HELD}
    page = desk.post("/admin/forms/pause/", id=form.id, to="on").text
    assert "2 rows waited and will be sent now" in page
    assert {row.state for row in rows_of(lead)} == {DeliveryState.PENDING}


def test_the_page_of_a_form_lists_its_destinations(desk):
    form = add_form()
    page = desk.text(f"/admin/forms/details/?id={form.id}")
    assert "Nobody is told of leads of this form" in page
    add_destination(Kind.EMAIL, name="Sales", form_id=form.id)
    other = add_form("other")
    add_destination(Kind.EMAIL, name="Not mine", form_id=other.id)
    page = desk.text(f"/admin/forms/details/?id={form.id}")
    assert "Sales" in page
    assert "Not mine" not in page


@pytest.mark.parametrize(
    "url", ["/admin/forms/details/?id=99", "/admin/forms/details/?id=x", "/admin/forms/details/?id=99999999999999"]
)
def test_a_form_that_is_not_there_is_404(desk, url):
    assert desk.get(url).status_code == 404


def test_forms_are_not_deleted(desk):
    form = add_form()
    desk.post("/admin/forms/delete/", id=form.id)
    desk.post("/admin/forms/action/", action="delete", rowid=form.id)
    assert the_form() is not None


def test_a_form_is_set_strict_and_shows_what_it_needs(desk):
    form = add_form()
    desk.post(
        f"/admin/forms/edit/?id={form.id}", name="Contact", is_strict="y", required_fields="email\r\n\r\n budget "
    )
    assert (the_form().is_strict, the_form().required_fields) == (True, ["email", "budget"])
    assert "needs email, budget" in desk.text(f"/admin/forms/details/?id={form.id}")


def test_a_listed_address_for_copies_is_a_destination_that_the_form_sets(desk):
    form = add_form()
    url = f"/admin/forms/edit/?id={form.id}"
    desk.post(url, name="Contact", cc_allowed="boss@shop.example")
    row = db.session.scalars(select(Destination)).one()
    assert (row.recipient, row.form_id, row.managed_by) == ("boss@shop.example", form.id, ManagedBy.FORM)
    assert "when a post asks for it" in desk.text(f"/admin/forms/details/?id={form.id}")
    assert "list of copies" in desk.text(f"/admin/destinations/details/?id={row.id}")
    desk.post(url, name="Contact", cc_allowed="")
    db.session.expire_all()
    assert db.session.scalars(select(Destination)).one().state is DestinationState.DISABLED


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"cc_allowed": "nobody"}, "not one e-mail address"),
        ({"cc_allowed": "\n".join(f"a{n}@b.example" for n in range(21))}, "At most 20 addresses"),
        ({"required_fields": "x" * 201}, "at most 200 letters"),
    ],
)
def test_a_bad_list_is_said_beside_the_field(desk, fields, words):
    add_form()
    assert words in desk.post("/admin/forms/new/", name="x", **fields).text
    assert the_form().key == "contact"


def test_a_form_shows_its_numbers_of_thirty_days(desk):
    form, quiet = add_form(), add_form(key="quote", name="Quote form")
    good, bad, spam = post_lead(form), post_lead(form), post_lead(form, _gotcha="x")
    with transaction():
        bad.status = LeadStatus.PERMANENTLY_FAILED
        db.session.add(bad)
    assert (good.status, spam.is_spam) == (LeadStatus.DELIVERED, True)
    page = desk.text(f"/admin/forms/details/?id={form.id}")
    figures = re.findall(r"<strong>(\d+)</strong> <span>([^<]+)</span>", page)
    assert figures == [("2", "received in 30 days"), ("1", "delivered"), ("1", "need you"), ("1", "kept as spam")]
    page = desk.text("/admin/forms/")
    assert "Leads, 30 days" in page
    assert f"flt1_form_is={form.id}" in page
    assert f"flt1_form_is={quiet.id}" not in page
