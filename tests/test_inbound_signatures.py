"""Signed leads: Standard Webhooks and `X-Webhook-Signature` prove a sender, and nothing malformed is more than a 401."""

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select
from standardwebhooks import Webhook
from werkzeug.test import TestResponse

from leadapp import signing
from leadapp.extensions import db
from leadapp.leads.models import Lead
from leadapp.leads.webhook_payload import webhook_body
from tests.factories import add_form, post_lead
from tests.sender_payloads import FLAT, PAIRS, PAYLOADS

PATH = "/webhooks/leads/"
SECRET = signing.new_secret()
RAW = json.dumps(FLAT).encode()
Headers = dict[str, str]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    add_form("gateway", secret=SECRET)
    return app.test_client()


def standard(raw: bytes = RAW, *, off: float = 0, message: str = "msg_1", secret: str = SECRET) -> Headers:
    """As a Standard Webhooks sender signs, `off` seconds from now."""
    signed_at = datetime.now(UTC) + timedelta(seconds=off)
    signature = Webhook(signing.secret_bytes(secret)).sign(message, signed_at, raw.decode())
    return dict(zip(signing.STANDARD, (message, str(int(signed_at.timestamp())), signature), strict=True))


def older(raw: bytes = RAW, key: bytes | None = None) -> Headers:
    key = key or signing.secret_bytes(SECRET)
    return {signing.OLDER: "sha256=" + hmac.new(key, raw, hashlib.sha256).hexdigest()}


def post(client: FlaskClient, headers: Headers, raw: bytes = RAW, kind: str = "application/json") -> TestResponse:
    return client.post(PATH, data=raw, content_type=kind, headers=headers)


def lead_count() -> int:
    return db.session.scalar(select(func.count()).select_from(Lead)) or 0


@pytest.mark.parametrize("headers", [standard(), older(), standard() | older(), older(key=SECRET.encode())])
def test_a_signed_lead_is_taken(client: FlaskClient, headers: Headers) -> None:
    assert post(client, headers).status_code == 200


def test_our_own_webhooks_are_signed_well_enough_for_another_leadapp(client: FlaskClient) -> None:
    headers = signing.webhook_headers(SECRET, "a delivery", datetime.now(UTC), RAW.decode())
    assert post(client, headers).status_code == 200


@pytest.mark.parametrize("is_test", [False, True])
def test_the_lead_of_another_leadapp_is_understood(client: FlaskClient, is_test: bool) -> None:
    there = post_lead(add_form("there"), name="Ada", phone="030 5550100", colour="red", _test="1" if is_test else "")
    body = webhook_body(there)
    headers = signing.webhook_headers(SECRET, "a delivery", datetime.now(UTC), body)
    here = db.session.get_one(Lead, UUID(post(client, headers, body.encode()).json["lead_id"]))
    assert (here.name, here.email, here.phone, here.is_test) == ("Ada", there.email, there.phone, is_test)
    assert here.fields["fields.colour"] == "red"


def test_a_secret_that_is_any_text_signs_too(app: Flask) -> None:
    add_form("gateway", secret="any words, ü")
    key = "any words, ü".encode()
    signed_at = datetime.now(UTC)
    signature = Webhook(key).sign("m", signed_at, RAW.decode())
    headers = dict(zip(signing.STANDARD, ("m", str(int(signed_at.timestamp())), signature), strict=True))
    assert post(app.test_client(), headers).status_code == 200
    assert post(app.test_client(), older(key=key)).status_code == 200


def test_every_sender_may_sign_and_pairs_too(client: FlaskClient) -> None:
    for name in PAYLOADS.keys() - PAIRS:
        raw = json.dumps(PAYLOADS[name]).encode()
        assert post(client, standard(raw, message=name), raw).status_code == 200, name
    pairs = b"email=user%40example.com"
    assert post(client, standard(pairs, message="pairs"), pairs, "application/x-www-form-urlencoded").status_code == 200


@pytest.mark.parametrize("off", [-299, 299])
def test_a_clock_may_be_five_minutes_off(client: FlaskClient, off: float) -> None:
    assert post(client, standard(off=off)).status_code == 200


@pytest.mark.parametrize("off", [-310, 310])
def test_and_not_more(client: FlaskClient, off: float) -> None:
    assert post(client, standard(off=off)).status_code == 401
    assert lead_count() == 0


def test_one_of_several_signatures_is_enough_while_a_secret_is_changed(client: FlaskClient) -> None:
    right, other = standard(), standard(secret=signing.new_secret())
    name = signing.STANDARD[-1]
    assert post(client, right | {name: f"v1a,AAAA {other[name]} {right[name]}"}).status_code == 200


WRONG: list[Any] = [
    standard(b"{}"),
    standard(secret=signing.new_secret()),
    standard() | {"webhook-id": "msg_2"},
    standard() | {"webhook-id": ""},
    {"webhook-signature": standard()["webhook-signature"]},
    standard() | {"webhook-timestamp": "soon"},
    standard() | {"webhook-timestamp": "nan"},
    standard() | {"webhook-timestamp": "1e400"},
    standard() | {"webhook-timestamp": "9" * 500},
    standard() | {"webhook-signature": ""},
    standard() | {"webhook-signature": "v1"},
    standard() | {"webhook-signature": "v1,"},
    standard() | {"webhook-signature": "v1,a,b"},
    standard() | {"webhook-signature": "v1,abc"},
    standard() | {"webhook-signature": "v1,\xff\xfe"},
    older(b"{}"),
    {signing.OLDER: ""},
    {signing.OLDER: "sha256="},
    {signing.OLDER: "sha256=\xff\xe9"},
    {signing.OLDER: older()[signing.OLDER].removeprefix("sha256=")},
    standard() | older(b"{}"),  # what came has to be right, all of it
    standard(b"{}") | older(),
]


@pytest.mark.parametrize("headers", WRONG)
def test_a_wrong_or_malformed_signature_is_401(client: FlaskClient, headers: Headers) -> None:
    answer = post(client, headers)
    assert (answer.status_code, answer.json["error"]["code"]) == (401, "UNAUTHORIZED")
    assert lead_count() == 0


BYTES = [(b"\xff\xfe{", 400), (RAW.decode().encode("utf-16"), 200), (b"", 400), (b"{", 400)]


@pytest.mark.parametrize(("raw", "status"), BYTES)
def test_a_body_of_any_bytes_is_no_error_of_ours(client: FlaskClient, raw: bytes, status: int) -> None:
    assert post(client, standard(), raw).status_code == 401
    assert post(client, older(raw), raw).status_code == status


def test_the_shared_secret_proves_without_a_signature(client: FlaskClient) -> None:
    assert post(client, {"X-Shared-Secret": SECRET, signing.OLDER: "of another system"}).status_code == 200


def test_a_message_that_comes_again_is_the_same_lead(client: FlaskClient) -> None:
    first, again = post(client, standard()), post(client, standard(off=20))
    assert (again.json["lead_id"], lead_count()) == (first.json["lead_id"], 1)
    other = json.dumps({**FLAT, "more": 1}).encode()
    answer = post(client, standard(other), other)
    assert (answer.status_code, answer.json["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert post(client, standard(other, message="msg_2"), other).json["lead_id"] != first.json["lead_id"]


def test_an_id_without_a_signature_is_no_id(app: Flask) -> None:
    """Some systems name themselves in `webhook-id`, the same for all that they send."""
    add_form("gateway")
    for number in range(2):
        raw = json.dumps({**FLAT, "number": number}).encode()
        assert post(app.test_client(), standard(raw), raw).status_code == 200
    assert lead_count() == 2


def test_no_signature_is_kept(client: FlaskClient) -> None:
    post(client, standard() | older())
    kept = db.session.scalars(select(Lead)).one().headers
    assert (kept["webhook-signature"], kept[signing.OLDER], kept["webhook-id"]) == ("[removed]", "[removed]", "msg_1")


# --- properties

TEXTS = st.text(st.characters(codec="latin-1"), max_size=60)


@given(st.dictionaries(st.sampled_from((*signing.STANDARD, signing.OLDER)), TEXTS), st.text(min_size=1), st.binary())
def test_no_made_up_headers_are_believed(headers: Headers, secret: str, body: bytes) -> None:
    found = signing.is_signed(secret, headers, body)
    assert found is (False if {signing.STANDARD[-1], signing.OLDER} & headers.keys() else None)


@given(st.text(max_size=200), st.text(max_size=200), st.integers(-290, 290))
def test_a_signature_proves_its_own_body_only(body: str, other: str, off: int) -> None:
    signed_at = datetime.now(UTC) + timedelta(seconds=off)
    headers = signing.webhook_headers(SECRET, "id", signed_at, body)
    assert signing.is_signed(SECRET, headers, body.encode())
    assert signing.is_signed(SECRET, headers, other.encode()) is (other == body)
    assert not signing.is_signed(signing.new_secret(), headers, body.encode())
