"""The webhook channel against a real HTTP server."""

import hashlib
import hmac
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from standardwebhooks import Webhook

from leadapp import signing
from leadapp.config import settings
from leadapp.deliveries.channels import webhook
from leadapp.errors import DestinationError, NotSentError, PermanentError, TemporaryError
from tests.channels_fixtures import soon, webhook_claim
from tests.sinks import RawServer, read_request, time_limit

BODY = '{"type":"lead.received","data":{"name":"Ada Lovelace ✓ Ünïcode"}}'


@pytest.fixture(autouse=True)
def _app(app):
    """Every test runs inside the app's context."""


def test_the_frozen_body_arrives_byte_for_byte(sink):
    receipt = webhook.send(webhook_claim(sink.url, payload=BODY), soon())
    assert sink.bodies() == [BODY.encode()]
    assert sink.requests[0].headers["Content-Type"] == "application/json"
    assert (receipt.status_code, receipt.answer) == (200, "ok")


def test_the_signature_is_accepted_by_the_standardwebhooks_package(sink):
    claim = webhook_claim(sink.url, payload=BODY)
    webhook.send(claim, soon())
    request = sink.requests[0]
    assert Webhook(claim.secret).verify(request.body, {k.lower(): v for k, v in request.headers.items()})
    assert request.headers["webhook-id"] == str(claim.delivery_id)


def test_the_older_signature_is_the_hmac_of_the_raw_body(sink):
    claim = webhook_claim(sink.url, payload=BODY)
    webhook.send(claim, soon())
    expected = hmac.new(signing.secret_bytes(claim.secret), BODY.encode(), hashlib.sha256).hexdigest()
    assert sink.requests[0].headers["X-Webhook-Signature"] == f"sha256={expected}"


def test_a_second_try_has_the_same_id_and_body_and_a_time_of_its_own(sink):
    claim = webhook_claim(sink.url)
    webhook.send(claim, soon())
    webhook.send(replace(claim, claimed_at=claim.claimed_at + timedelta(hours=1)), soon())
    first, second = sink.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 3599


def test_the_address_is_the_destinations_as_it_is_now(sink):
    claim = webhook_claim(sink.url)
    moved = type(claim)(**{**claim.__dict__, "recipient": "http://old.example/"})
    assert webhook.send(moved, soon()).status_code == 200


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (302, PermanentError, "The webhook answered 302"),
        (400, PermanentError, "The webhook answered 400"),
        (401, DestinationError, "The webhook refuses our token (401)"),
        (403, DestinationError, "The webhook refuses our token (403)"),
        (408, TemporaryError, "The webhook answered 408"),
        (410, DestinationError, "The webhook answered 410: it is gone"),
        (429, TemporaryError, "The webhook answered 429"),
        (500, TemporaryError, "The webhook answered 500"),
    ],
)
def test_an_answer_becomes_the_error_that_it_means(sink, status, kind, words):
    sink.answer = lambda _: (status, {"Location": "http://169.254.169.254/"}, b"because")
    with pytest.raises(kind) as failed:
        webhook.send(webhook_claim(sink.url), soon())
    assert str(failed.value).startswith(words)
    assert (failed.value.status_code, failed.value.answer) == (status, "because")
    assert len(sink.requests) == 1


def test_retry_after_comes_with_the_error(sink):
    sink.answer = lambda _: (429, {"Retry-After": "7"}, b"")
    with pytest.raises(TemporaryError) as failed:
        webhook.send(webhook_claim(sink.url), soon())
    assert failed.value.retry_after == timedelta(seconds=7)


def test_a_silent_receiver_is_tried_again():
    with RawServer(lambda sock: (read_request(sock), time.sleep(6))) as server, time_limit(3):
        with pytest.raises(TemporaryError, match=r"^The webhook did not answer in time$"):
            webhook.send(webhook_claim(server.url), soon(0.3))


def test_a_connection_lost_after_the_body_is_tried_again():
    with RawServer(read_request) as server:
        with pytest.raises(TemporaryError, match=r"^The webhook closed the connection without an answer$"):
            webhook.send(webhook_claim(server.url), soon())


@pytest.mark.parametrize("url", ["http://10.0.0.1/", "http://169.254.169.254/", "nonsense", ""])
def test_an_address_that_may_not_be_called_is_permanent(url):
    with pytest.raises(PermanentError, match="The webhook's address may not be called"):
        webhook.send(webhook_claim(url), soon())


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_!!", "whsec_" + "A" * 8, "plain text"])
def test_without_a_usable_secret_nothing_goes_out_unsigned(sink, secret):
    with pytest.raises(DestinationError, match="signing secret cannot be read") as failed:
        webhook.send(webhook_claim(sink.url, secret=secret), soon())
    assert not failed.value.disable
    assert sink.requests == []


def test_nothing_is_begun_after_the_deadline(sink):
    with pytest.raises(NotSentError):
        webhook.send(webhook_claim(sink.url), soon(-1))
    assert sink.requests == []


def test_the_longest_call_is_a_setting(app_with):
    app_with(http_timeout=3)
    assert webhook.deadline_seconds(settings()) == 3
