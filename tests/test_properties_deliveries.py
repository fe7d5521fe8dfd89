"""What holds for every delivery: states, retry times, signatures, answers."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from leadapp.deliveries.answers import http_error, retry_after
from leadapp.deliveries.meanings import Meaning, meaning_of, read_meanings
from leadapp.deliveries.models import TRANSITIONS, Delivery, DeliveryState, Kind, before
from leadapp.deliveries.retry import LONGEST, RetryPolicy, next_attempt
from leadapp.errors import DestinationError, NotSentError, PermanentError, TemporaryError, TransitionError
from leadapp.http import Answer
from leadapp.leads.integration import OWN_PURPOSES, Columns, Row, columns, lead_status
from leadapp.leads.models import IntegrationStatus, LeadStatus
from leadapp.signing import new_secret, secret_bytes, webhook_headers
from tests.lead_shapes import FEW

START = datetime(2026, 1, 1, tzinfo=UTC)
ELSEWHERE = "message_to_visitor"  # a purpose that later issues bring
STATES = st.sampled_from(DeliveryState)
MOMENTS = st.integers(0, 10_000).map(lambda seconds: START + timedelta(seconds=seconds))
ROWS = st.builds(
    Row,
    kind=st.sampled_from(Kind),
    purpose=st.sampled_from(sorted(OWN_PURPOSES)),
    state=STATES,
    attempts=st.integers(0, 3),
    tries=st.integers(0, 6),
    last_error=st.sampled_from(["", "The webhook answered 500"]),
    last_status_code=st.sampled_from([None, 200, 500]),
    sent_at=st.one_of(st.none(), MOMENTS),
    changed_at=MOMENTS,
)
FEW_STATES = st.sets(STATES, min_size=1, max_size=2).flatmap(
    lambda states: st.lists(
        st.builds(lambda row, state: replace(row, state=state), ROWS, st.sampled_from(sorted(states))), max_size=4
    )
)
LISTS = st.one_of(
    st.lists(ROWS, max_size=5),
    FEW_STATES,
    st.lists(ROWS.map(lambda row: replace(row, state=DeliveryState.DELIVERED)), max_size=3),
)
POLICIES = st.builds(
    RetryPolicy,
    base=st.integers(1, 7200).map(lambda seconds: timedelta(seconds=seconds)),
    retries=st.integers(0, 30),
    jitter=st.floats(0, 1),
)
PATIENT = st.builds(
    RetryPolicy,
    base=st.integers(1, 600).map(lambda seconds: timedelta(seconds=seconds)),
    retries=st.integers(8, 20),
    jitter=st.floats(0, 1),
)
TRIES = st.integers(1, 8)
WAITS = st.one_of(st.none(), st.integers(0, 86_400).map(lambda seconds: timedelta(seconds=seconds)))
ROLLS = st.floats(0, 1)
SECRETS = st.binary(min_size=24, max_size=64).map(lambda key: "whsec_" + base64.b64encode(key).decode())
HARM = [LeadStatus.DELIVERED, LeadStatus.READY, LeadStatus.FAILED, LeadStatus.PERMANENTLY_FAILED]


def pause(tries, policy, wait=None, roll=0.0):
    return next_attempt(tries, TemporaryError("busy", retry_after=wait), policy, lambda: roll)


@FEW
@given(LISTS, st.randoms(use_true_random=False))
def test_the_order_of_its_deliveries_is_nothing_to_a_lead(rows, random):
    assert lead_status(random.sample(rows, len(rows))) is lead_status(rows)


@FEW
@given(LISTS, LISTS)
def test_a_lead_is_as_badly_off_as_its_worst_delivery(rows, more):
    together = lead_status([*rows, *more])
    assert together is max(lead_status(rows), lead_status(more), key=HARM.index)


@FEW
@given(LISTS, ROWS)
def test_what_was_called_off_or_goes_to_the_visitor_counts_for_nothing(rows, row):
    cancelled, other = replace(row, state=DeliveryState.CANCELLED), replace(row, purpose=ELSEWHERE)
    assert lead_status([*rows, cancelled, other]) is lead_status(rows)
    assert columns([*rows, cancelled]) == columns(rows)


@FEW
@given(LISTS)
def test_a_lead_is_delivered_exactly_when_every_kind_is_sent_or_off(rows):
    kinds = {columns(row for row in rows if row.kind is kind).status for kind in Kind}
    is_done = kinds <= {IntegrationStatus.SENT, IntegrationStatus.DISABLED}
    assert (lead_status(rows) is LeadStatus.DELIVERED) is is_done
    has_failed = IntegrationStatus.FAILED in kinds
    assert (lead_status(rows) in (LeadStatus.FAILED, LeadStatus.PERMANENTLY_FAILED)) is has_failed


@FEW
@given(LISTS)
def test_columns_count_all_attempts_and_say_no_error_once_sent(rows):
    counted = [row for row in rows if row.state is not DeliveryState.CANCELLED]
    found = columns(rows)
    assert found.attempts == sum(row.attempts for row in counted)
    assert (found == Columns()) or counted
    assert found.status is not IntegrationStatus.SENT or not found.last_error
    assert all(row.state is DeliveryState.DELIVERED for row in counted) or found.status is not IntegrationStatus.SENT


@FEW
@given(LISTS)
def test_columns_show_the_row_that_changed_last(rows):
    counted = [row for row in rows if row.state is not DeliveryState.CANCELLED]
    assume(counted and len({row.changed_at for row in counted}) == len(counted))
    last = max(counted, key=lambda row: row.changed_at)
    found = columns(rows)
    assert found.last_status_code == last.last_status_code
    assert found.last_error in ("", last.last_error)
    assert found.sent_at == max((row.sent_at for row in counted if row.sent_at), default=None)


@FEW
@given(st.lists(STATES, max_size=12))
def test_a_delivery_moves_by_the_table_or_stays_where_it_is(asked):
    row = Delivery(state=DeliveryState.PENDING)
    for state in asked:
        was = row.state
        if state in TRANSITIONS[was]:
            row.move(state, START)
            assert row.state is state
        else:
            with pytest.raises(TransitionError):
                row.move(state, START)
            assert row.state is was


@FEW
@given(STATES, STATES)
def test_a_reason_to_hold_goes_with_the_hold(origin, target):
    assume(target in TRANSITIONS[origin])
    row = Delivery(state=origin, held_reason="form paused")
    row.move(target, START)
    assert row.held_reason == ("form paused" if target is DeliveryState.HELD else None)


@FEW
@given(st.lists(STATES, max_size=12))
def test_what_was_delivered_stays_delivered(asked):
    row = Delivery(state=DeliveryState.DELIVERED)
    for state in asked:
        with pytest.raises(TransitionError):
            row.move(state, START)
        assert row.state is DeliveryState.DELIVERED


@FEW
@given(STATES, STATES)
def test_looking_back_is_looking_forward_the_other_way(origin, target):
    assert (origin in before(target)) is (target in TRANSITIONS[origin])
    assert origin not in TRANSITIONS[origin]


@FEW
@given(st.integers(1, 40), POLICIES)
def test_pauses_double_from_the_base_and_never_exceed_a_day(tries, policy):
    found = pause(tries, policy)
    if tries > policy.retries:
        assert found is None
    else:
        seconds = policy.base.total_seconds() * 2 ** (tries - 1)
        assert found.total_seconds() == pytest.approx(min(seconds, LONGEST.total_seconds()))


@FEW
@given(TRIES, PATIENT, ROLLS)
def test_jitter_only_adds_and_no_more_than_its_share(tries, policy, roll):
    exact, found = pause(tries, policy), pause(tries, policy, roll=roll)
    assert exact <= found
    assert found.total_seconds() == pytest.approx(exact.total_seconds() * (1 + policy.jitter * roll))


@FEW
@given(POLICIES, WAITS)
def test_a_row_is_tried_once_and_as_often_again_as_the_policy_says(policy, wait):
    tries = 1
    while pause(tries, policy, wait) is not None:
        tries += 1
    assert tries == policy.retries + 1


@FEW
@given(TRIES, PATIENT, WAITS, ROLLS)
def test_a_receiver_that_asks_for_time_gets_it_and_shortens_nothing(tries, policy, wait, roll):
    found = pause(tries, policy, wait, roll)
    assert found == max(pause(tries, policy, None, roll), wait or timedelta(0))


@FEW
@given(st.integers(1, 999), POLICIES)
def test_what_costs_no_try_is_due_at_once_and_what_is_final_never(tries, policy):
    for free in (NotSentError("no room"), DestinationError("401", disable=False)):
        assert next_attempt(tries, free, policy) == timedelta(0)
    for final in (PermanentError("no"), DestinationError("410", disable=True)):
        assert next_attempt(tries, final, policy) is None


@FEW
@given(SECRETS, st.uuids().map(str), st.text(max_size=60))
def test_a_signature_is_what_standard_webhooks_checks(secret, message_id, body):
    moment = datetime.now(UTC)
    headers = webhook_headers(secret, message_id, moment, body)
    Webhook(secret_bytes(secret)).verify(
        json.dumps(body), webhook_headers(secret, message_id, moment, json.dumps(body))
    )
    signed = f"{message_id}.{int(moment.timestamp())}.{body}".encode()
    expected = base64.b64encode(hmac.new(secret_bytes(secret), signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@FEW
@given(SECRETS, st.binary(min_size=1, max_size=8), st.sampled_from(["body", "id", "timestamp", "secret"]))
def test_a_signature_is_for_one_message_one_time_and_one_secret(secret, noise, changed):
    body, moment = json.dumps({"a": 1}), datetime.now(UTC)
    headers = webhook_headers(secret, "m1", moment, body)
    receiver = Webhook(secret_bytes(secret))
    if changed == "body":
        body = json.dumps({"a": noise.hex()})
    elif changed == "id":
        headers["webhook-id"] = "m1" + noise.hex()
    elif changed == "timestamp":
        headers["webhook-timestamp"] = str(int(moment.timestamp()) - 1 - noise[0])
    else:
        receiver = Webhook(hashlib.sha256(secret_bytes(secret) + noise).digest())
    with pytest.raises(WebhookVerificationError):
        receiver.verify(body, headers)


@FEW
@given(SECRETS, st.text(max_size=40), st.text(min_size=1, max_size=5))
def test_the_older_signature_is_of_the_raw_body_alone(secret, body, more):
    first = webhook_headers(secret, "m1", START, body)["X-Webhook-Signature"]
    assert first == webhook_headers(secret, "m2", START + timedelta(1), body)["X-Webhook-Signature"]
    assert first == "sha256=" + hmac.new(secret_bytes(secret), body.encode(), hashlib.sha256).hexdigest()
    assert first != webhook_headers(secret, "m1", START, body + more)["X-Webhook-Signature"]


@FEW
@given(st.binary(max_size=80))
def test_a_secret_is_24_to_64_bytes_of_base64(key):
    secret = "whsec_" + base64.b64encode(key).decode()
    if 24 <= len(key) <= 64:
        assert secret_bytes(secret) == key
    else:
        with pytest.raises(ValueError):
            secret_bytes(secret)
    assert len(secret_bytes(new_secret())) == 32


@FEW
@given(st.one_of(st.none(), st.integers(0, 10**7)))
def test_every_status_means_one_thing(wait):
    headers = {} if wait is None else {"Retry-After": str(wait)}
    for status in range(200, 600):
        error = http_error("The API", Answer(status, headers, ""), ["408", "425", "429"])
        if 200 <= status < 300:
            assert error is None
            continue
        assert error.status_code == status
        assert str(status) in str(error)
        if status in (408, 425, 429) or status >= 500:
            assert isinstance(error, TemporaryError)
            assert error.retry_after == (min(timedelta(seconds=wait), LONGEST) if wait else None)
        elif status in (401, 403, 410):
            assert isinstance(error, DestinationError)
            assert error.disable is (status == 410)
        else:
            assert isinstance(error, PermanentError)


@FEW
@given(
    st.one_of(
        st.text(max_size=30),
        st.integers(0, 10**7).map(str),
        st.datetimes().map(lambda at: f"{at:%a, %d %b %Y %H:%M:%S} GMT"),
    )
)
def test_no_retry_after_asks_for_less_than_nothing_or_more_than_a_day(value):
    wait = retry_after({"Retry-After": value})
    assert wait is None or timedelta(0) < wait <= LONGEST


ENTRIES = st.builds(
    lambda status, field, wanted, means: (
        {"status": status, "means": means} | ({"field": field, "equals": wanted} if field else {})
    ),
    st.sampled_from([200, 201, 409, "2xx", "4xx", "500"]),
    st.sampled_from(["", "code", "result.code"]),
    st.sampled_from(["DUP", "ok", True, False, 7]),
    st.sampled_from(list(map(str, Meaning))),
)


@FEW
@given(
    st.lists(ENTRIES, max_size=5),
    st.sampled_from([200, 201, 204, 404, 409, 500]),
    st.sampled_from(["DUP", "ok", True, False, 7, None]),
)
def test_the_first_entry_that_fits_an_answer_decides(entries, status, said):
    def fits(entry):
        named = str(entry["status"])
        return named in (str(status), f"{status // 100}xx") and (
            "field" not in entry or json.dumps(entry["equals"]) == json.dumps(said)
        )

    body = json.dumps({"code": said, "result": {"code": said}})
    expected = next((Meaning(entry["means"]) for entry in entries if fits(entry)), None)
    assert meaning_of(status, body, read_meanings(json.dumps(entries))) is expected


@FEW
@given(st.lists(ENTRIES, max_size=5), st.integers(-5, 1000), st.one_of(st.text(), st.text('[]{}",:0aefnulcodrsti\\')))
def test_no_answer_breaks_the_table(entries, status, body):
    entries = [*entries, {"field": "code", "equals": "x", "means": "retry"}]  # so that bodies are read
    assert meaning_of(status, body, read_meanings(json.dumps(entries))) in (None, *Meaning)
