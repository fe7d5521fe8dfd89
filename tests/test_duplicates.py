"""The same content again, and the same person with other content: what is linked, and who is told."""

import json

import pytest

from leadapp.audit import history
from leadapp.clock import frozen, now
from leadapp.deliveries import outbox
from leadapp.deliveries.models import DeliveryState, HeldReason, Kind
from leadapp.errors import PermanentError
from leadapp.extensions import db
from leadapp.leads import duplicates, jobs, rechecking, rulesets
from leadapp.leads.models import Form, IntegrationStatus, Lead, LeadStatus
from leadapp.rules import pipeline
from tests.factories import add_form, minutes, post_lead, rows_of, the_row
from tests.test_gateway_pipeline import ELSEWHERE, GOOD, NO_RULES, a_gateway, answered, kinds, reload, send

OTHER = GOOD | {"message": "I forgot: call me after six"}
HOURS = 60


@pytest.fixture
def gateway(app):
    return a_gateway()


def crm(lead: Lead) -> DeliveryState:
    return the_row(lead, Kind.CRM).state


# --- the same content


def test_the_same_content_in_any_order_is_stored_linked_and_told_once(gateway):
    first = send(gateway, GOOD)
    turned = json.loads(json.dumps(GOOD, sort_keys=True))
    turned["address"] = dict(reversed(turned["address"].items()))
    again = send(gateway, turned)
    assert (again.duplicate_of_id, rows_of(again), len(rows_of(first))) == (first.id, [], 3)
    assert again.raw_body != first.raw_body


def test_a_rejected_lead_that_comes_again_is_told_once(gateway):
    first, again = send(gateway, ELSEWHERE), send(gateway, ELSEWHERE)
    assert (again.status, again.duplicate_of_id, rows_of(again)) == (LeadStatus.REJECTED, first.id, [])


def test_a_rejected_lead_that_comes_again_and_passes_today_goes_to_everybody(gateway):
    send(gateway, ELSEWHERE)
    rulesets.save_version(gateway, NO_RULES, "owner")
    again = send(gateway, ELSEWHERE)
    assert (again.duplicate_of_id, kinds(again)) == (None, [Kind.CRM, Kind.EMAIL, Kind.WEBHOOK])


# --- the same person


def test_the_same_person_is_linked_and_only_the_customers_api_is_spared(gateway):
    first, second = send(gateway, GOOD), send(gateway, OTHER)
    assert (second.same_person_as_id, second.duplicate_of_id) == (first.id, None)
    states = {row.kind: row.state for row in rows_of(second)}
    pending = DeliveryState.PENDING
    assert states == {Kind.EMAIL: pending, Kind.WEBHOOK: pending, Kind.CRM: DeliveryState.CANCELLED}
    assert (second.status, second.crm_status) == (LeadStatus.READY, IntegrationStatus.DISABLED)
    row = the_row(second, Kind.CRM)
    assert row.last_error == f"the customer was told of this person already (lead {first.id})"
    assert json.loads(row.payload)["customer_email"] == "user@example.com"
    assert history(second)[0].facts["same_person_as"] == str(first.id)


def test_a_third_lead_is_linked_to_the_first(gateway):
    first, _, third = (send(gateway, GOOD | {"message": str(number)}) for number in range(3))
    assert third.same_person_as_id == first.id


@pytest.mark.parametrize("email", ["USER@example.COM", "  user@example.com\n"])
def test_a_person_is_known_however_the_address_is_written(gateway, email):
    send(gateway, GOOD)
    assert crm(send(gateway, OTHER | {"email": email})) is DeliveryState.CANCELLED


def test_every_key_field_has_to_agree(app):
    form = a_gateway(person_keys=["email", "address.zip"])
    send(form, GOOD)
    other_zip = send(form, GOOD | {"address": {"zip": "66111"}})
    assert (other_zip.same_person_as_id, crm(other_zip)) == (None, DeliveryState.PENDING)
    assert crm(send(form, OTHER)) is DeliveryState.CANCELLED


@pytest.mark.parametrize("keys", [[], ["email", "customer_number"]])
def test_without_keys_or_with_one_missing_nobody_is_linked(app, keys):
    form = a_gateway(person_keys=keys)
    send(form, GOOD)
    second = send(form, OTHER)
    assert (second.person_hash, second.same_person_as_id, crm(second)) == ("", None, DeliveryState.PENDING)


def test_forms_do_not_share_their_people(gateway):
    send(gateway, GOOD)
    other = add_form("other")
    rulesets.save_version(other, NO_RULES, "owner")
    assert crm(send(other, OTHER)) is DeliveryState.PENDING


def test_after_the_window_a_person_is_new(gateway):
    send(gateway, GOOD)
    with frozen(now() + minutes(25 * HOURS)):
        later = send(gateway, OTHER)
        assert (later.same_person_as_id, crm(later)) == (None, DeliveryState.PENDING)


def test_a_hash_says_nothing_without_the_secret(app_with):
    hashes = []
    for secret in ("a" * 40, "b" * 40):
        app_with(secret_key=secret)
        hashes.append(duplicates.person_hash(Form(id=1, person_keys=["email"]), {"email": "a@b.example"}))
    assert hashes[0] != hashes[1]


# --- who does not count


def test_a_corrected_lead_goes_to_the_customer_although_the_first_was_rejected(gateway):
    first = send(gateway, ELSEWHERE)
    second = send(gateway, GOOD)
    assert (second.same_person_as_id, crm(second)) == (first.id, DeliveryState.PENDING)


def test_spam_makes_nobody_known(gateway):
    send(gateway, GOOD | {"_gotcha": "x"})
    second = send(gateway, OTHER)
    assert (second.same_person_as_id, crm(second)) == (None, DeliveryState.PENDING)


def test_a_test_makes_nobody_known(gateway):
    send(gateway, GOOD, is_test=True)
    assert crm(send(gateway, OTHER)) is DeliveryState.PENDING


def test_a_lead_that_the_customer_refused_spares_no_better_one(gateway):
    first = send(gateway, GOOD)
    answered(the_row(first, Kind.CRM), PermanentError("bad phone", status_code=422))
    second = send(gateway, OTHER)
    assert (second.same_person_as_id, crm(second)) == (first.id, DeliveryState.PENDING)


def test_a_lead_that_the_customer_may_have_spares_the_next(gateway):
    first = send(gateway, GOOD)
    answered(the_row(first, Kind.CRM), PermanentError("known", status_code=409))
    assert crm(send(gateway, OTHER)) is DeliveryState.CANCELLED


def test_a_lead_that_was_called_off_spares_nobody(gateway):
    outbox.cancel([the_row(send(gateway, GOOD), Kind.CRM).id], "no", "owner")
    assert crm(send(gateway, OTHER)) is DeliveryState.PENDING


def test_what_is_held_counts(gateway):
    gateway.is_paused = True
    db.session.commit()
    first, second = send(gateway, GOOD), send(gateway, OTHER)
    assert (crm(first), crm(second)) == (DeliveryState.HELD, DeliveryState.CANCELLED)
    assert the_row(second, Kind.EMAIL).held_reason is HeldReason.FORM_PAUSED


def test_a_form_without_mapping_links_and_spares_nothing(gateway):
    form = add_form("other")
    first, second = post_lead(form), post_lead(form)
    assert (second.same_person_as_id, kinds(second)) == (first.id, [Kind.EMAIL, Kind.WEBHOOK])


# --- later


def test_sending_anyway_sends_what_was_spared_once(gateway):
    send(gateway, GOOD)
    second = send(gateway, OTHER)
    assert duplicates.is_spared(second.id)
    (row_id,) = duplicates.send_to_customer_anyway(second.id, "owner@shop.example")
    assert (the_row(second, Kind.CRM).id, crm(second)) == (row_id, DeliveryState.PENDING)
    assert reload(second).crm_status is IntegrationStatus.PENDING
    assert duplicates.send_to_customer_anyway(second.id, "owner@shop.example") == []
    assert not duplicates.is_spared(second.id)
    (event,) = history(the_row(second, Kind.CRM))
    assert (event.action, event.actor) == ("sent anyway", "owner@shop.example")


def test_sending_anyway_leaves_alone_what_a_person_called_off(gateway):
    lead = send(gateway, GOOD)
    outbox.cancel([the_row(lead, Kind.CRM).id], "called off by hand", "owner")
    assert not duplicates.is_spared(lead.id)
    assert duplicates.send_to_customer_anyway(lead.id, "owner") == []


def test_a_lead_whose_rules_ran_late_spares_the_customer_too(gateway, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "run", lambda *_: 1 / 0)
        late = send(gateway, OTHER)
    send(gateway, GOOD)
    with frozen(now() + minutes(2)):
        assert jobs.recheck() == 1
    assert (reload(late).status, crm(late)) == (LeadStatus.READY, DeliveryState.CANCELLED)


def test_a_rejected_lead_is_not_let_in_when_the_customer_knows_the_person(gateway):
    rejected = send(gateway, ELSEWHERE)
    send(gateway, GOOD)
    rulesets.save_version(gateway, NO_RULES, "owner")
    assert rechecking.apply_again(rejected.id, "owner").reason == duplicates.SPARED
    assert reload(rejected).status is LeadStatus.REJECTED


@pytest.mark.parametrize("keys", [[], ["email"]])
def test_a_copy_is_not_run_anew_whatever_became_of_the_first(app, keys):
    form = a_gateway(person_keys=keys)
    first, again = send(form, GOOD), send(form, GOOD)
    answered(the_row(first, Kind.CRM), PermanentError("bad phone", status_code=422))
    assert rechecking.may_run_anew(reload(again)) == rechecking.A_COPY
    assert rechecking.apply_again(again.id, "owner").reason == rechecking.A_COPY
    assert rows_of(again) == []


def test_a_replay_sends_no_refused_lead_anew_once_the_customer_has_a_better_one(gateway):
    refused = send(gateway, GOOD)
    answered(the_row(refused, Kind.CRM), PermanentError("bad phone", status_code=422))
    assert rechecking.make_anew([refused.id])[refused.id].refused == ""
    better = send(gateway, OTHER)
    assert crm(better) is DeliveryState.PENDING
    assert rechecking.make_anew([refused.id])[refused.id].refused == duplicates.SPARED
