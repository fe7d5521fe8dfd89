"""JSON in, rules, mapping, the customer's API out: what becomes of a lead of the gateway."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from leadapp.audit import history
from leadapp.clock import frozen, now
from leadapp.deliveries import outbox, work
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, HeldReason, Kind
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import DeliveryError, PermanentError, RulesError, TemporaryError
from leadapp.extensions import db
from leadapp.leads import intake, jobs, judging, rechecking, rulesets
from leadapp.leads.models import Form, IntegrationStatus, Lead, LeadStatus, MappingSource, RulesVersion
from leadapp.leads.reading import Posted
from leadapp.leads.rulesets import Draft
from leadapp.leads.setup import ensure_forms
from leadapp.rules import pipeline
from leadapp.rules.checks import TOO_SLOW
from leadapp.rules.problems import Problem
from leadapp.rules.ruleset import DEFAULT_RULES
from tests.factories import add_destination, add_form, minutes, post_lead, rows_of, the_row
from tests.sinks import HttpSink

GOOD: dict[str, Any] = {
    "email": " User@Example.com ",
    "phone": "0681 123456",
    "address": {"zip": "66123", "street": "123 Main St"},
    "house": {"is_owner": "ja"},
}
WITHOUT_PHONE = {name: value for name, value in GOOD.items() if name != "phone"}
ELSEWHERE = GOOD | {"address": {"zip": "12345"}}
BODY = {
    "customer_email": "user@example.com",
    "customer_zip": "66123",
    "customer_street": "123 Main St",
    "is_homeowner": True,
    "phone": "+49681123456",
    "product": {"name": "Website lead"},
}
NO_RULES = Draft("[]", MappingSource.FILE)


def a_gateway(**values: Any) -> Form:
    """The shipped form, with the owner's mail, a webhook and the customer's API."""
    ensure_forms()
    add_destination(Kind.EMAIL)
    add_destination(Kind.WEBHOOK)
    add_destination(Kind.CRM, "https://crm.example/leads")
    form = db.session.scalars(select(Form).where(Form.key == "gateway")).one()
    for name, value in values.items():
        setattr(form, name, value)
    db.session.commit()
    return form


@pytest.fixture
def gateway(app) -> Form:
    return a_gateway()


def send(form: Form, payload: dict[str, Any], **posted: Any) -> Lead:
    post = Posted(payload=payload, raw=json.dumps(payload).encode(), sender="gateway", **posted)
    return db.session.get_one(Lead, intake.accept(form, post, "webhook").lead_id)


def reload(lead: Lead) -> Lead:
    return db.session.get_one(Lead, lead.id, populate_existing=True)


def kinds(lead: Lead) -> list[Kind]:
    return sorted(row.kind for row in rows_of(lead))


def codes(lead: Lead) -> list[tuple[str, str]]:
    return [(problem["code"], problem["field"]) for problem in lead.problems]


def mail_of(lead: Lead) -> dict[str, str]:
    return json.loads(the_row(lead, Kind.EMAIL).payload)


# --- what passes


def test_a_good_lead_is_normalised_mapped_and_planned_for_everybody(gateway):
    lead = send(gateway, GOOD)
    assert (lead.status, lead.problems) == (LeadStatus.READY, [])
    assert (lead.email, lead.phone) == ("user@example.com", "+49681123456")
    assert lead.fields == {"address.zip": "66123", "address.street": "123 Main St", "house.is_owner": True}
    assert kinds(lead) == [Kind.CRM, Kind.EMAIL, Kind.WEBHOOK]
    assert lead.crm_status is IntegrationStatus.PENDING


def test_the_customers_body_is_frozen_with_the_version_that_made_it(gateway):
    lead = send(gateway, GOOD)
    row = the_row(lead, Kind.CRM)
    assert row.payload == json.dumps(BODY, ensure_ascii=False, separators=(",", ":"))
    assert row.mapping_version == lead.rules_version
    assert row.mapping_version.startswith("v1, file ")
    assert row.left_out == []
    assert the_row(lead, Kind.EMAIL).mapping_version == ""


def test_a_good_lead_reaches_the_customers_api(gateway):
    with HttpSink() as sink:
        row = db.session.scalars(select(Destination).where(Destination.kind == Kind.CRM)).one()
        row.settings, row.secret = {"url": sink.url}, "t0ken"
        db.session.commit()
        lead = send(gateway, GOOD, correlation_id="c-1")
        work.run(Wanted(kinds=(Kind.CRM,)))
        (request,) = sink.requests
    assert json.loads(request.body) == BODY
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Idempotency-Key"] == str(the_row(lead, Kind.CRM).id)
    assert request.headers["X-Correlation-Id"] == "c-1"
    lead = reload(lead)
    assert (lead.crm_status, lead.crm_last_status_code) == (IntegrationStatus.SENT, 200)


def test_an_optional_field_that_is_missing_or_unfit_is_left_out_and_listed(gateway):
    lead = send(gateway, GOOD | {"address": {"zip": "66123", "street": ["a", {"b": 1}]}})
    row = the_row(lead, Kind.CRM)
    assert "customer_street" not in json.loads(row.payload)
    assert [one["target"] for one in row.left_out] == ["customer_street"]
    assert all(one["reason"] for one in row.left_out)


@pytest.mark.parametrize(
    "payload",
    [
        {"lead[address][zip]": "66123", "lead[house][is_owner]": "on", "lead[phone]": "0681 123456"},
        {"data": {"address": {"zip": 66123}, "house": {"is_owner": 1}, "phone": "0681 123456"}},
        {"address.zip": "66123", "house.is_owner": "oui", "Telefon": "0681 123456"},
    ],
)
def test_fields_are_found_however_they_are_written(gateway, payload):
    lead = send(gateway, payload)
    assert (lead.status, lead.problems) == (LeadStatus.READY, [])
    body = json.loads(the_row(lead, Kind.CRM).payload)
    assert (body["customer_zip"], body["is_homeowner"], body["phone"]) == ("66123", True, "+49681123456")


def test_a_pinned_field_is_what_rules_and_mapping_see(app):
    form = a_gateway(pinned_fields={"phone": "kontakt"})
    lead = send(form, WITHOUT_PHONE | {"kontakt": "0681 123456", "phone": "0681 999999"})
    assert json.loads(the_row(lead, Kind.CRM).payload)["phone"] == "+49681123456"


def test_a_test_lead_runs_through_and_is_marked(gateway):
    lead = send(gateway, GOOD, is_test=True)
    assert (lead.is_test, lead.status, len(rows_of(lead))) == (True, LeadStatus.READY, 3)


def test_suspected_spam_waits_for_a_person_at_the_customers_api_too(gateway):
    lead = send(gateway, GOOD | {"_gotcha": "x"})
    assert {(row.state, row.held_reason) for row in rows_of(lead)} == {(DeliveryState.HELD, HeldReason.SPAM)}


def test_a_form_without_rules_shows_what_was_typed_and_tells_no_customer(gateway):
    form = add_form("other")
    lead = post_lead(form, email="Ada@Example.com", phone="0681 1", owner="ja")
    assert (lead.email, lead.phone, lead.fields) == ("Ada@Example.com", "0681 1", {"owner": "ja"})
    assert (lead.rules_version, kinds(lead)) == ("", [Kind.EMAIL, Kind.WEBHOOK])
    assert lead.crm_status is IntegrationStatus.DISABLED


def test_a_form_with_a_country_alone_reads_its_phone_numbers(gateway):
    lead = post_lead(add_form("other", country="DE"), phone="0681 123456")
    assert lead.phone == "+49681123456"


# --- what is rejected


def test_a_rejected_lead_is_kept_with_all_its_codes_and_never_sent_to_the_customer(gateway):
    lead = send(gateway, {"email": "a@b.example", "address": {"zip": "12345"}, "house": {"is_owner": "nein"}})
    assert lead.status is LeadStatus.REJECTED
    assert codes(lead) == [
        ("ZIP_NOT_66XXX", "address.zip"),
        ("NOT_HOMEOWNER", "house.is_owner"),
        ("MISSING_REQUIRED_FIELD", "phone"),
    ]
    assert (kinds(lead), lead.crm_status) == ([Kind.EMAIL, Kind.WEBHOOK], IntegrationStatus.DISABLED)
    assert lead.raw_body


def test_without_the_customers_required_field_a_lead_is_rejected_naming_it(gateway):
    lead = send(gateway, WITHOUT_PHONE)
    assert (lead.status, codes(lead)) == (LeadStatus.REJECTED, [("MISSING_REQUIRED_FIELD", "phone")])


def test_the_owner_is_told_in_words_why_a_lead_was_rejected(gateway):
    mail = mail_of(send(gateway, ELSEWHERE))
    assert mail["subject"].startswith("[Rejected] ")
    for part in (mail["text"], mail["html"]):
        assert "rejected by the rules of the form" in part
        assert "The zip code is not 66 and three more digits." in part
        assert "ZIP_NOT_66XXX" not in part


def test_a_webhook_is_told_why_with_codes(gateway):
    reasons = json.loads(the_row(send(gateway, ELSEWHERE), Kind.WEBHOOK).payload)["data"]["rejected_because"]
    assert [(one["code"], one["field"]) for one in reasons] == [("ZIP_NOT_66XXX", "address.zip")]


def test_a_form_may_keep_its_rejected_leads_to_itself(app):
    lead = send(a_gateway(tells_rejected=False), ELSEWHERE)
    assert (lead.status, rows_of(lead), lead.email_status) == (LeadStatus.REJECTED, [], IntegrationStatus.DISABLED)
    assert (history(lead)[0].facts["problems"], history(lead)[0].facts["status"]) == (["ZIP_NOT_66XXX"], "REJECTED")


def test_a_rejected_lead_stays_rejected_whatever_its_mail_does(gateway):
    lead = send(gateway, ELSEWHERE)
    outbox.cancel([row.id for row in rows_of(lead)], "no", "owner")
    assert reload(lead).status is LeadStatus.REJECTED


# --- what breaks


@pytest.mark.parametrize("error", [ZeroDivisionError("boom"), TimeoutError("too slow"), RecursionError()])
def test_rules_that_break_never_cost_the_lead(gateway, monkeypatch, error):
    def broken(*_: Any) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run", broken)
        lead = send(gateway, GOOD)
    assert lead.status is LeadStatus.RECEIVED
    assert [problem["code"] for problem in lead.problems] == ["PIPELINE"]
    assert type(error).__name__ in lead.problems[0]["message"]
    assert (lead.email, kinds(lead)) == ("User@Example.com", [Kind.EMAIL, Kind.WEBHOOK])
    assert "could not be run" in mail_of(lead)["text"]


@pytest.mark.parametrize("part", ["understand", "_flat", "path_of", "_tree", "_normalise", "_decided"])
def test_whatever_part_of_the_pipeline_breaks_the_lead_and_its_answers_are_kept(gateway, monkeypatch, caplog, part):
    monkeypatch.setattr(judging, part, lambda *_: 1 / 0)
    lead = send(gateway, GOOD)
    assert (lead.status, codes(lead)) == (LeadStatus.RECEIVED, [("PIPELINE", "")])
    assert "ZeroDivisionError" in lead.problems[0]["message"]
    assert "the pipeline broke" in caplog.messages
    assert "123 Main St" in str(lead.fields)
    assert kinds(lead) == [Kind.EMAIL, Kind.WEBHOOK]


def test_a_pattern_that_runs_out_of_time_rejects_nobody(gateway, monkeypatch):
    slow = pipeline.Outcome(problems=(Problem(TOO_SLOW, "address.zip", "The pattern takes too long."),))
    monkeypatch.setattr(pipeline, "run", lambda *_: slow)
    lead = send(gateway, GOOD)
    assert (lead.status, kinds(lead)) == (LeadStatus.RECEIVED, [Kind.EMAIL, Kind.WEBHOOK])
    assert (lead.problems[0]["code"], lead.check_at is not None) == ("PIPELINE", True)
    assert "The pattern takes too long." in mail_of(lead)["text"]


def test_a_recheck_runs_the_rules_again_and_plans_what_is_missing(gateway, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run", lambda *_: 1 / 0)
        lead = send(gateway, GOOD)
        rejected = send(gateway, ELSEWHERE)
    assert jobs.recheck() == 0  # not due yet
    with frozen(now() + minutes(2)):
        assert jobs.recheck() == 2
        assert jobs.recheck() == 0
    lead, rejected = reload(lead), reload(rejected)
    assert (lead.status, lead.problems, lead.email) == (LeadStatus.READY, [], "user@example.com")
    assert kinds(lead) == [Kind.CRM, Kind.EMAIL, Kind.WEBHOOK]
    assert json.loads(the_row(lead, Kind.CRM).payload) == BODY
    assert (rejected.status, codes(rejected)) == (LeadStatus.REJECTED, [("ZIP_NOT_66XXX", "address.zip")])
    assert kinds(rejected) == [Kind.EMAIL, Kind.WEBHOOK]


def test_a_recheck_that_breaks_again_waits_longer_each_time(gateway, monkeypatch):
    monkeypatch.setattr(pipeline, "run", lambda *_: 1 / 0)
    lead = send(gateway, GOOD)
    with frozen(now() + minutes(2)):
        assert jobs.recheck() == 0
        lead = reload(lead)
        assert (lead.status, lead.check_count, len(lead.problems)) == (LeadStatus.RECEIVED, 1, 1)
        assert lead.check_at == now() + minutes(2)


def test_rules_that_cannot_be_read_any_more_keep_the_lead_waiting(gateway):
    version = db.session.scalars(select(RulesVersion)).one()
    version.rules = "[{"
    db.session.commit()
    lead = send(gateway, GOOD)
    assert (lead.status, kinds(lead)) == (LeadStatus.RECEIVED, [Kind.EMAIL, Kind.WEBHOOK])
    version.rules = DEFAULT_RULES
    db.session.commit()
    with frozen(now() + minutes(2)):
        jobs.recheck()
    assert (reload(lead).status, len(rows_of(lead))) == (LeadStatus.READY, 3)


# --- today's rules for leads of yesterday


def test_an_outlook_says_what_other_rules_would_do_and_writes_nothing(gateway):
    lead = send(gateway, ELSEWHERE)
    today = rechecking.outlook(lead)
    assert (today.status, today.body, today.version) == (LeadStatus.REJECTED, None, lead.rules_version)
    would = rechecking.outlook(lead, rulesets.plan_of_draft(gateway, NO_RULES))
    assert (would.status, would.problems) == (LeadStatus.READY, ())
    assert would.body is not None
    assert (would.body["customer_zip"], [one["target"] for one in would.left_out]) == ("12345", ["customer_street"])
    assert (reload(lead).status, len(rows_of(lead))) == (LeadStatus.REJECTED, 2)


def test_the_latest_leads_are_real_ones(gateway):
    lead = send(gateway, GOOD)
    send(gateway, GOOD | {"_gotcha": "x"})
    send(gateway, GOOD | {"more": 1}, is_test=True)
    assert rechecking.latest_leads(gateway) == [lead]


def test_a_rejected_lead_that_passes_today_goes_to_the_customer_alone(gateway):
    lead = send(gateway, ELSEWHERE)
    assert "ZIP_NOT_66XXX" in rechecking.may_run_anew(lead)
    assert rechecking.apply_again(lead.id, "owner").reason
    rulesets.save_version(gateway, NO_RULES, "owner")
    assert rechecking.may_run_anew(lead) == ""
    applied = rechecking.apply_again(lead.id, "owner")
    assert (applied.status, applied.planned) == (LeadStatus.READY, [the_row(lead, Kind.CRM).id])
    assert kinds(lead) == [Kind.CRM, Kind.EMAIL, Kind.WEBHOOK]
    assert the_row(lead, Kind.CRM).mapping_version.startswith("v2, file ")
    assert (reload(lead).problems, reload(lead).rules_version[:2]) == ([], "v2")
    assert rechecking.apply_again(lead.id, "owner").reason == "it is on its way"


def test_a_rejected_lead_that_nobody_was_told_of_goes_to_everybody_once_it_passes(app):
    form = a_gateway(tells_rejected=False)
    lead = send(form, ELSEWHERE)
    rulesets.save_version(form, NO_RULES, "owner")
    rechecking.apply_again(lead.id, "owner")
    assert kinds(lead) == [Kind.CRM, Kind.EMAIL, Kind.WEBHOOK]


def answered(row: Delivery, *errors: DeliveryError) -> None:
    """One try after another ends so."""
    for number, error in enumerate(errors):
        with frozen(now() + minutes(number)):
            claims = claim(Wanted(ids=[row.id]), "w")
            settle([Result(one, error=error) for one in claims])


def test_a_row_that_was_refused_is_replaced_under_a_new_key(gateway):
    lead = send(gateway, GOOD)
    old = the_row(lead, Kind.CRM)
    answered(old, PermanentError("no", status_code=422))
    (new_id,) = rechecking.apply_again(lead.id, "owner").planned
    new = db.session.get_one(Delivery, new_id)
    assert (new.repeat_of_id, new.dedupe_key) == (old.id, f"{old.dedupe_key}:1")
    assert db.session.get_one(Delivery, old.id, populate_existing=True).state is DeliveryState.CANCELLED
    assert reload(lead).status is LeadStatus.READY


@pytest.mark.parametrize(
    "errors",
    [
        [PermanentError("they say that they know it", status_code=409)],
        [TemporaryError("no answer"), PermanentError("no", status_code=422)],
    ],
)
def test_a_row_that_may_have_arrived_is_not_sent_under_a_new_key(gateway, errors):
    lead = send(gateway, GOOD)
    answered(the_row(lead, Kind.CRM), *errors)
    applied = rechecking.apply_again(lead.id, "owner")
    assert (list(applied.planned), "may have it" in applied.reason) == ([], True)


def test_a_broken_draft_says_which_line(gateway):
    with pytest.raises(RulesError) as failed:
        rulesets.save_version(gateway, Draft('[\n  {"field": "x"}\n]'), "owner")
    assert failed.value.line == 2
    assert rulesets.newest(gateway).number == 1
