"""The customer's API against a real HTTP server, and how its destination is set up."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from leadapp.deliveries.channels import crm
from leadapp.deliveries.models import Destination, DestinationState, DisabledBy, Kind, ManagedBy
from leadapp.deliveries.setup import upsert_destinations
from leadapp.errors import ConfigurationError, DestinationError, PermanentError, TemporaryError
from leadapp.extensions import db
from tests.channels_fixtures import crm_claim, soon
from tests.desk import Desk
from tests.factories import add_destination, the_row
from tests.sinks import RawServer, read_request
from tests.test_gateway_pipeline import GOOD, a_gateway, send

URL = "https://crm.example/leads"


@pytest.fixture(autouse=True)
def _app(app):
    """Every test runs inside the app's context."""


def answering(sink, status, body=b"", **headers):
    sink.answer = lambda _: (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
    return sink


# --- what goes out


def test_the_frozen_body_arrives_with_token_key_and_correlation_id(sink):
    claim = crm_claim(sink.url, payload='{"name":"Zoë"}', correlation_id="c-1")
    assert crm.send(claim, soon()).status_code == 200
    (request,) = sink.requests
    assert request.body == '{"name":"Zoë"}'.encode()
    wanted = {
        "Content-Type": "application/json",
        "Authorization": "Bearer t0ken",
        "Idempotency-Key": str(claim.delivery_id),
        "X-Correlation-Id": "c-1",
    }
    assert {name: request.headers[name] for name in wanted} == wanted


def test_every_try_has_the_same_key_and_body(sink):
    claim = crm_claim(sink.url)
    crm.send(claim, soon())
    crm.send(replace(claim, fence=2, number=2), soon())
    first, second = sink.requests
    assert (first.body, first.headers["Idempotency-Key"]) == (second.body, second.headers["Idempotency-Key"])


def test_without_a_token_there_is_no_authorization(sink):
    crm.send(crm_claim(sink.url, secret=None), soon())
    assert "Authorization" not in sink.requests[0].headers


@pytest.mark.parametrize("token", ["two words", "line\r\nX-Evil: 1", "schlüssel"])
def test_a_token_that_no_header_carries_holds_the_destination(sink, token):
    with pytest.raises(DestinationError, match="token cannot be sent") as failed:
        crm.send(crm_claim(sink.url, secret=token), soon())
    assert (failed.value.disable, sink.requests) == (False, [])


# --- what comes back


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, PermanentError),
        (400, PermanentError),
        (401, DestinationError),
        (403, DestinationError),
        (404, PermanentError),
        (408, TemporaryError),
        (409, PermanentError),
        (410, DestinationError),
        (422, PermanentError),
        (425, TemporaryError),
        (429, TemporaryError),
        (500, TemporaryError),
        (503, TemporaryError),
    ],
)
def test_an_answer_means_what_the_contract_says(sink, status, kind):
    answering(sink, status, b"because", Location="http://169.254.169.254/")
    with pytest.raises(kind, match="The customer's API") as failed:
        crm.send(crm_claim(sink.url), soon())
    assert (failed.value.status_code, failed.value.answer, len(sink.requests)) == (status, "because", 1)
    assert getattr(failed.value, "disable", False) is (status == 410)


def test_an_answer_that_is_lost_is_tried_again():
    with RawServer(read_request) as server, pytest.raises(TemporaryError):
        crm.send(crm_claim(server.url), soon())


def test_an_address_that_may_not_be_called_is_permanent():
    with pytest.raises(PermanentError, match="may not be called"):
        crm.send(crm_claim("http://169.254.169.254/"), soon())


def meaning(*entries):
    return {"settings": {"answers": list(entries)}}


def test_a_duplicate_counts_as_delivered_and_says_so(sink):
    answering(sink, 409, b"known")
    receipt = crm.send(crm_claim(sink.url, **meaning({"status": 409, "means": "duplicate"})), soon())
    assert (receipt.status_code, receipt.answer) == (409, "They had it already. known")


def test_a_field_of_the_answer_can_mean_no_although_the_status_is_fine(sink):
    answering(sink, 200, b'{"result": {"ok": false}}')
    table = meaning({"status": "2xx", "field": "result.ok", "equals": False, "means": "permanent"})
    with pytest.raises(PermanentError, match="answered 200, which means no"):
        crm.send(crm_claim(sink.url, **table), soon())


def test_a_no_can_mean_later(sink):
    answering(sink, 400, b"busy", Retry_After="7")
    with pytest.raises(TemporaryError) as failed:
        crm.send(crm_claim(sink.url, **meaning({"status": 400, "means": "retry"})), soon())
    assert failed.value.retry_after == timedelta(seconds=7)


def test_a_failure_can_mean_delivered(sink):
    answering(sink, 500)
    table = meaning({"status": "5xx", "means": "delivered"})
    assert crm.send(crm_claim(sink.url, **table), soon()).status_code == 500


def test_what_the_table_does_not_name_means_what_it_usually_does(sink):
    answering(sink, 503)
    with pytest.raises(TemporaryError, match="answered 503"):
        crm.send(crm_claim(sink.url, **meaning({"status": 409, "means": "duplicate"})), soon())


def test_a_long_answer_is_read_to_the_end_of_its_meaning(sink):
    answering(sink, 200, json.dumps({"echo": "x" * 20_000, "state": "known"}).encode())
    table = meaning({"field": "state", "equals": "known", "means": "duplicate"})
    receipt = crm.send(crm_claim(sink.url, **table), soon())
    assert receipt.answer.startswith("They had it already. ")
    assert len(receipt.answer) < 5_000


def test_a_table_that_cannot_be_read_holds_the_destination_before_anything_is_sent(sink):
    with pytest.raises(DestinationError, match="what the answers of the customer's API mean"):
        crm.send(crm_claim(sink.url, **meaning({"status": "often", "means": "duplicate"})), soon())
    assert sink.requests == []


# --- setting it up


@pytest.fixture
def set_up(settings_for):
    def run(**named):
        upsert_destinations(settings_for(**named), None)
        query = select(Destination).where(Destination.kind == Kind.CRM)
        return db.session.scalars(query.execution_options(populate_existing=True)).one_or_none()

    return run


def test_the_environment_names_the_customers_api(set_up):
    row = set_up(customer_api_url=URL, customer_token="t0ken")
    assert (row.settings, row.secret, row.form_id, row.env_key) == ({"url": URL}, "t0ken", None, "CUSTOMER_API_URL")
    assert (row.state, row.managed_by) == (DestinationState.ACTIVE, ManagedBy.ENV)


def test_a_token_of_the_environment_wins_and_one_that_is_gone_from_there_stays(set_up):
    set_up(customer_api_url=URL, customer_token="old")
    assert set_up(customer_api_url=URL, customer_token="new").secret == "new"
    assert set_up(customer_api_url=URL).secret == "new"


def test_clearing_the_address_switches_it_off_and_naming_it_switches_it_on(set_up):
    set_up(customer_api_url=URL)
    row = set_up()
    assert (row.state, row.disabled_by) == (DestinationState.DISABLED, DisabledBy.ENV)
    assert set_up(customer_api_url=URL).state is DestinationState.ACTIVE


def test_what_its_answers_mean_outlives_a_release(set_up):
    row = set_up(customer_api_url=URL)
    row.settings = row.settings | {"answers": [{"status": 409, "means": "duplicate"}]}
    db.session.commit()
    row = set_up(customer_api_url="https://new.example/leads")
    assert row.settings == {"url": "https://new.example/leads", "answers": [{"status": 409, "means": "duplicate"}]}


@pytest.mark.parametrize(
    ("variable", "named"),
    [
        ("CUSTOMER_API_URL", {"customer_api_url": "crm.example"}),
        ("CUSTOMER_TOKEN", {"customer_api_url": URL, "customer_token": "two words"}),
    ],
)
def test_a_bad_value_names_its_variable_and_not_itself(set_up, variable, named):
    with pytest.raises(ConfigurationError, match=variable) as failed:
        set_up(**named)
    assert "two words" not in str(failed.value)
    assert set_up() is None


# --- in the admin


@pytest.fixture
def desk(app):
    return Desk(app)


def the_crm() -> Destination:
    db.session.rollback()
    return db.session.scalars(select(Destination).where(Destination.kind == Kind.CRM)).one()


def test_a_person_can_add_a_customers_api_whose_token_is_never_shown(desk):
    desk.post("/admin/destinations/new/", kind="crm", name="CRM", address=URL, form_id="every", token="t0ken-secret")
    row = the_crm()
    assert (row.secret, row.settings) == ("t0ken-secret", {"url": URL})
    for page in ("details", "edit"):
        assert "t0ken-secret" not in desk.text(f"/admin/destinations/{page}/?id={row.id}")


def test_an_edit_without_a_token_keeps_it(desk):
    row = add_destination(Kind.CRM, URL)
    secret = row.secret
    given = {"name": "CRM", "address": URL, "form_id": "every"}
    desk.post(f"/admin/destinations/edit/?id={row.id}", **given, token="")
    assert the_crm().secret == secret
    desk.post(f"/admin/destinations/edit/?id={row.id}", **given, token="another")
    assert the_crm().secret == "another"


def test_what_its_answers_mean_is_checked_and_kept_also_where_a_variable_owns_it(desk):
    row = add_destination(Kind.CRM, URL, managed_by=ManagedBy.ENV, env_key="CUSTOMER_API_URL")
    edit = f"/admin/destinations/edit/?id={row.id}"
    assert "Line 1" in desk.post(edit, answers="nonsense").text
    desk.post(edit, answers='[{"status": 409, "means": "duplicate"}]', address="https://evil.example", name="HACK")
    row = the_crm()
    assert row.settings == {"url": URL, "answers": [{"status": 409, "means": "duplicate"}]}
    assert "duplicate" in desk.text(f"/admin/destinations/details/?id={row.id}")
    desk.post(edit, answers="")
    assert the_crm().settings == {"url": URL}


def test_the_page_of_a_delivery_says_which_mapping_made_it_and_what_it_lacks(desk):
    form = a_gateway()
    lead = send(form, {**GOOD, "address": {"zip": "66123"}})
    page = desk.text(f"/admin/deliveries/details/?id={the_row(lead, Kind.CRM).id}")
    assert f"{lead.rules_version.replace('v', 'version ', 1)} of the form's rules and mapping" in page.replace(
        "&#39;", "'"
    )
    assert "customer_street" in page.partition("Left out")[2]
    assert "Left out" not in desk.text(f"/admin/deliveries/details/?id={the_row(lead, Kind.EMAIL).id}")


def test_there_is_no_test_lead_for_a_customers_api(desk):
    row = add_destination(Kind.CRM, URL)
    assert "Send a test</button>" not in desk.text(f"/admin/destinations/details/?id={row.id}")
