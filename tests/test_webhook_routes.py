"""POST /webhooks/leads/: what is stored, what is answered, and that every error has one shape."""

import gzip
import io
import json
import zlib
from urllib.parse import urlencode
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import func, select, text
from sqlalchemy.exc import OperationalError

from leadapp.app import create_app
from leadapp.database import transaction
from leadapp.deliveries.models import DeliveryState
from leadapp.extensions import db
from leadapp.leads import intake, webhook_routes
from leadapp.leads.models import Form, Lead
from leadapp.webextensions import limiter
from tests.conftest import use_fakeredis
from tests.factories import add_desk, add_form, rows_of
from tests.sender_payloads import FLAT, META, PAIRS, PAYLOADS, SECRET, payload, signed

PATH = "/webhooks/leads/"


@pytest.fixture
def form(app: Flask) -> Form:
    return add_form("gateway")


def leads() -> list[Lead]:
    query = select(Lead).order_by(Lead.received_at, Lead.id)
    return list(db.session.scalars(query, execution_options={"populate_existing": True}))


def lead_count() -> int:
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(Lead)) or 0


def encoded(name: str, body: object = None) -> tuple[bytes, str]:
    """The body as this sender sends it, and its type."""
    body = payload(name) if body is None else body
    if name in PAIRS:
        return urlencode(body).encode(), "application/x-www-form-urlencoded"
    return json.dumps(body).encode(), "application/json"


def refused(answer, status: int, code: str) -> dict:
    """The one shape of an error."""
    assert (answer.status_code, answer.mimetype) == (status, "application/json")
    assert answer.json.keys() == {"status", "error", "correlation_id"}
    assert answer.json["status"] == "error"
    error = answer.json["error"]
    assert error.keys() - {"position"} == {"code", "message", "field"}
    assert (error["code"], bool(error["message"])) == (code, True)
    assert answer.headers["X-Correlation-Id"] == answer.json["correlation_id"]
    assert answer.headers["Cache-Control"] == "no-store"
    return error


# --- accepted


def test_a_lead_is_stored_and_answered_with_its_ids(form, client):
    answer = client.post(PATH, json=FLAT)
    (lead,) = leads()
    assert answer.status_code == 200
    assert answer.json == {"status": "accepted", "lead_id": str(lead.id), "correlation_id": lead.correlation_id}
    assert (lead.email, lead.source, lead.sender) == ("user@example.com", "webhook", "flat")
    assert json.loads(lead.raw_body) == FLAT


def test_the_address_works_with_and_without_its_last_slash(form, client):
    add_form("shop")
    for path in ("/webhooks/leads", "/webhooks/leads/", "/webhooks/leads/shop", "/webhooks/leads/shop/"):
        answer = client.post(path, json={**FLAT, "path": path})
        lead = db.session.get_one(Lead, UUID(answer.json["lead_id"]))
        assert lead.form.key == ("shop" if "shop" in path else "gateway")


def test_every_sender_is_understood_at_the_same_address(form, client):
    for name in PAYLOADS:
        raw, kind = encoded(name)
        answer = client.post(PATH, data=raw, content_type=kind)
        assert answer.status_code == 200, (name, answer.json)
        assert db.session.get_one(Lead, UUID(answer.json["lead_id"])).sender == name


def test_several_leads_in_a_body_answer_all_their_ids(form, client):
    answer = client.post(PATH, json=META)
    ids = [str(lead.id) for lead in leads()]
    assert sorted(answer.json["lead_ids"]) == sorted(ids)
    assert answer.json["lead_id"] == answer.json["lead_ids"][0]
    first = db.session.get_one(Lead, leads()[0].id)
    assert [one["code"] for one in first.problems] == ["ANSWERS_NOT_FETCHED"]
    assert b"9223372036854775807" not in first.raw_body  # each keeps its own part


def test_a_list_of_leads_is_as_many_leads(form, client):
    answer = client.post(PATH, json=[{"email": f"{n}@example.com"} for n in range(3)])
    assert (len(answer.json["lead_ids"]), lead_count()) == (3, 3)
    assert {lead.correlation_id for lead in leads()} == {answer.json["correlation_id"]}


def test_an_event_without_a_lead_is_ignored_kindly(form, client):
    answer = client.post(PATH, json={"object": "page", "entry": [{"changes": [{"field": "feed"}]}]})
    assert (answer.status_code, answer.json.keys()) == (200, {"status", "correlation_id"})
    assert (answer.json["status"], lead_count()) == ("ignored", 0)


def test_test_leads_run_through_and_are_marked(form, client):
    client.post(PATH, json=payload("google_ads"))
    client.post(PATH, json={**FLAT, "is_test": True})
    assert [lead.is_test for lead in leads()] == [True, True]


def test_a_paused_form_stores_and_holds(app, client):
    add_desk()
    with transaction():
        db.session.scalars(select(Form)).one().is_paused = True
    assert client.post(f"{PATH}contact", json=FLAT).status_code == 200
    assert {row.state for row in rows_of(leads()[0])} == {DeliveryState.HELD}


READ = [
    ("application/json; charset=utf-16", json.dumps(FLAT).encode()),
    ("application/vnd.lead+json", json.dumps(FLAT).encode()),
    ("text/json", json.dumps(FLAT).encode("utf-16")),
    ("", json.dumps(FLAT).encode()),
    ("application/x-www-form-urlencoded", json.dumps(FLAT).encode()),  # curl -d without a header
    ("application/x-www-form-urlencoded", b"email=user%40example.com&address[zip]=66123"),
    ("application/json", b"\xef\xbb\xbf" + json.dumps(FLAT).encode()),
    ("application/json", rb'{"email": "user@example.com", "note": "a\u0000\ud800b", "n": 1e999}'),
    ("application/json", b'{"email": "user@example.com", "n": ' + b"9" * 10_000 + b"}"),
]


def test_bodies_that_are_read(form, client):
    for kind, body in READ:
        answer = client.post(PATH, data=body, content_type=kind)
        assert answer.status_code == 200, (kind, body[:60], answer.json)
        assert db.session.get_one(Lead, UUID(answer.json["lead_id"])).email == "user@example.com"


def test_packed_bodies_are_unpacked(form, client):
    for name, pack in (("gzip", gzip.compress), ("deflate", zlib.compress)):
        body = json.dumps({**FLAT, "packed": name}).encode()
        headers = {"Content-Encoding": name}
        answer = client.post(PATH, data=pack(body), content_type="application/json", headers=headers)
        assert db.session.get_one(Lead, UUID(answer.json["lead_id"])).raw_body == body


# --- refused


REFUSED = [
    (400, "INVALID_JSON", "application/json", b""),
    (400, "INVALID_JSON", "application/json", b'{"email": "a@example.com"'),
    (400, "INVALID_JSON", "application/json", b'{"email": NaN}'),
    (400, "INVALID_JSON", "application/json", b"email=a%40example.com"),
    (400, "DUPLICATE_KEY", "application/json", b'{"email": 1, "email": 2}'),
    (400, "TOO_DEEP", "application/json", b"[" * 50_000),
    (400, "INVALID_ENCODING", "application/json", b'{"email": "\xff"}'),
    (400, "EMPTY", "application/x-www-form-urlencoded", b""),
    (415, "UNSUPPORTED_TYPE", "text/plain", b'{"email": "a@example.com"}'),
    (415, "UNSUPPORTED_TYPE", "text/xml", b"<lead/>"),
    (415, "UNSUPPORTED_TYPE", "multipart/form-data; boundary=x", b"--x--"),
    (422, "EMPTY", "application/json", b"{}"),
    (422, "EMPTY", "application/json", b'{"email": "", "name": null, "more": [{}]}'),
    (422, "EMPTY", "application/json", b'[{"email": "a@example.com"}, {}]'),
    (422, "EMPTY", "application/json", b"[]"),
    (422, "NOT_A_LEAD", "application/json", b'"text"'),
    (422, "NOT_A_LEAD", "application/json", b"12"),
    (422, "NOT_A_LEAD", "application/json", b"null"),
    (422, "NOT_A_LEAD", "application/json", b"[1, 2]"),
    (413, "BODY_TOO_BIG", "application/json", b'{"a": "' + b"x" * 1_000_000 + b'"}'),
    (413, "TOO_MANY_FIELDS", "application/json", json.dumps({f"f{n}": n for n in range(1_001)}).encode()),
    (413, "TOO_MANY_LEADS", "application/json", json.dumps([{"a": 1}] * 101).encode()),
]


def test_what_is_refused_has_its_code_and_stores_nothing(form, client):
    for status, code, kind, body in REFUSED:
        refused(client.post(PATH, data=body, content_type=kind), status, code)
    assert lead_count() == 0


def test_invalid_json_is_told_with_its_place(form, client):
    answer = client.post(PATH, data=b'{"a": 1,\n "b": x}', content_type="application/json")
    assert refused(answer, 400, "INVALID_JSON")["position"] == {"line": 2, "column": 7, "offset": 15}


def test_a_packed_body_may_not_unfold_beyond_the_limit(form, client):
    bomb = gzip.compress(b'{"a": "' + b"x" * 5_000_000 + b'"}')
    send = {"data": bomb, "content_type": "application/json"}
    refused(client.post(PATH, **send, headers={"Content-Encoding": "gzip"}), 413, "BODY_TOO_BIG")
    refused(client.post(PATH, **send, headers={"Content-Encoding": "br"}), 415, "UNSUPPORTED_ENCODING")
    refused(client.post(PATH, data=b"{}", headers={"Content-Encoding": "gzip"}), 400, "DAMAGED_BODY")
    assert lead_count() == 0


def test_a_body_that_breaks_off_is_to_be_sent_again(form, client):
    # gunicorn passes on what it had
    environ = {"CONTENT_LENGTH": "500", "CONTENT_TYPE": "application/json", "wsgi.input_terminated": True}
    answer = client.post(PATH, input_stream=io.BytesIO(b'{"email": "a@example.com"}'), environ_overrides=environ)
    refused(answer, 400, "CUT_OFF")
    assert lead_count() == 0


def test_every_way_to_miss_the_address_has_the_same_shape(form, client):
    refused(client.post("/webhooks/leads/nobody", json=FLAT), 404, "FORM_NOT_FOUND")
    refused(client.post("/webhooks/other", json=FLAT), 404, "NOT_FOUND")
    refused(client.post("/webhooks", json=FLAT), 404, "NOT_FOUND")
    refused(client.post("/webhooks/leads/a/b", json=FLAT), 404, "NOT_FOUND")
    refused(client.post("/webhooks//leads/", json=FLAT), 404, "NOT_FOUND")
    answer = client.put(PATH, json=FLAT)
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in answer.headers["Allow"]
    refused(client.get(PATH), 405, "METHOD_NOT_ALLOWED")


def test_without_the_default_form_the_answer_says_how_to_make_it(app, client):
    assert "flask setup" in refused(client.post(PATH, json=FLAT), 404, "FORM_NOT_FOUND")["message"]


def test_the_limit_is_answered_with_the_time_to_wait(app_with):
    client = app_with(ratelimit_enabled=True, ratelimit_webhooks="2 per minute").test_client()
    add_form("gateway")
    assert [client.post(PATH, json=FLAT).status_code for _ in range(2)] == [200, 200]
    answer = client.post(PATH, json=FLAT)
    refused(answer, 429, "TOO_MANY_REQUESTS")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_each_process_counts_for_itself_while_redis_is_away(app_with, monkeypatch):
    client = app_with(ratelimit_enabled=True, ratelimit_webhooks="2 per minute").test_client()
    add_form("gateway")

    def gone(*_args, **_options):
        raise RedisConnectionError("gone")

    monkeypatch.setattr(limiter._storage, "incr", gone)
    monkeypatch.setattr(limiter._storage, "check", lambda: False)
    assert [client.post(PATH, json=FLAT).status_code for _ in range(3)] == [200, 200, 429]


def test_a_lead_that_cannot_be_stored_is_503_and_to_be_sent_again(settings_for):
    app = create_app(settings_for(database_url="postgresql://nobody@127.0.0.1:1/nothing"))
    use_fakeredis(app)
    answer = app.test_client().post(PATH, json=FLAT)
    refused(answer, 503, "UNAVAILABLE")
    assert int(answer.headers["Retry-After"]) > 0


def test_a_database_that_breaks_while_storing_is_503(form, client, monkeypatch):
    def broken(*_args, **_options):
        raise OperationalError("INSERT user@example.com", {}, Exception("gone"))

    monkeypatch.setattr(intake, "accept", broken)
    answer = client.post(PATH, json=FLAT)
    refused(answer, 503, "UNAVAILABLE")
    assert "user@" not in answer.text


def test_a_bug_of_ours_is_500_in_the_same_shape(form, app, monkeypatch):
    app.config["PROPAGATE_EXCEPTIONS"] = False
    monkeypatch.setattr(webhook_routes, "sender_of", lambda *_args: 1 // 0)
    answer = app.test_client().post(PATH, json=FLAT)
    refused(answer, 500, "SERVER_ERROR")
    assert "division" not in answer.text


# --- correlation


def test_a_correlation_id_sent_in_is_kept_and_comes_back(form, client):
    given = "order 4711/a~" + "x" * 51
    for name in ("X-Correlation-Id", "X-Request-ID"):
        answer = client.post(PATH, json=FLAT, headers={name: given})
        assert (answer.json["correlation_id"], answer.headers["X-Correlation-Id"]) == (given, given)
        assert db.session.get_one(Lead, UUID(answer.json["lead_id"])).correlation_id == given
        assert client.post(PATH, data=b"{", headers={name: given}).json["correlation_id"] == given


def test_an_odd_correlation_id_is_replaced(form, client):
    for odd in ("x" * 65, "ä", "\t", " "):
        answer = client.post(PATH, json=FLAT, headers={"X-Correlation-Id": odd})
        assert str(UUID(answer.json["correlation_id"])) == answer.json["correlation_id"]


# --- proof


@pytest.fixture
def secret_form(app: Flask) -> Form:
    return add_form("gateway", secret=SECRET)


def shared(secret: str) -> str:
    """A header's bytes the way WSGI shows them."""
    return secret.encode().decode("latin-1")


def test_a_sender_with_its_proof_is_let_in_and_without_it_is_401(secret_form, client):
    for name in PAYLOADS:
        raw, kind = encoded(name)
        without = {key: "" for key in ("google_key", "HandshakeKey") if key in PAYLOADS[name]}
        bare, _ = encoded(name, {**payload(name), **without})
        refused(client.post(PATH, data=bare, content_type=kind), 401, "UNAUTHORIZED")
        has_own_way = bool(signed(name, raw) or without)
        headers = signed(name, raw) if has_own_way else {"X-Shared-Secret": shared(SECRET)}
        assert client.post(PATH, data=raw, content_type=kind, headers=headers).status_code == 200, name


def test_a_wrong_secret_has_one_fixed_answer(secret_form, client):
    errors = []
    for wrong in ("wrong", "", shared(SECRET[:-1]), shared(SECRET) + "\xa0", "\xff\xfe", "ü" * 500):
        header, bearer = {"X-Shared-Secret": wrong}, {"Authorization": f"Bearer {wrong}"}
        answers = [
            client.post(PATH, json=FLAT, headers=header),
            client.post(PATH, json=FLAT, headers=bearer),
            client.post(PATH, json=payload("google_ads"), headers=header),  # its key is right
            client.post(PATH, data=b"{", headers=header),
            client.post(PATH, data=b"x", content_type="text/xml", headers=header),
        ]
        assert all("WWW-Authenticate" in answer.headers for answer in answers)
        errors += [refused(answer, 401, "UNAUTHORIZED") for answer in answers]
    assert all(error == errors[0] for error in errors)
    assert lead_count() == 0


def test_the_shared_secret_may_come_three_ways(secret_form, client):
    header, bearer = {"X-Shared-Secret": shared(SECRET)}, {"Authorization": "bearer " + shared(SECRET)}
    assert client.post(PATH, json=FLAT, headers=header).status_code == 200
    assert client.post(PATH, json=FLAT, headers=bearer).status_code == 200
    assert client.post(PATH, json=FLAT, query_string={"token": SECRET}).status_code == 200
    for headers in ({}, header, bearer):  # each that is shown has to be right
        assert client.post(PATH, json=FLAT, headers=headers, query_string={"token": "x"}).status_code == 401


def test_the_secret_of_the_form_goes_before_that_of_the_app(app_with):
    client = app_with(webhook_shared_secret="of the app, long enough").test_client()
    add_form("gateway", secret="of the form")
    add_form("other")
    of_app, of_form = ({"X-Shared-Secret": text} for text in ("of the app, long enough", "of the form"))
    answers = [
        client.post(path, json=FLAT, headers=one) for path in (PATH, f"{PATH}other") for one in (of_app, of_form)
    ]
    assert [answer.status_code for answer in answers] == [401, 200, 200, 401]


def test_who_proved_itself_is_told_what_is_wrong(secret_form, client):
    refused(client.post(PATH, data=b"{"), 401, "UNAUTHORIZED")
    refused(client.post(PATH, data=b"{", headers={"X-Shared-Secret": shared(SECRET)}), 400, "INVALID_JSON")
    error = refused(client.post(PATH, data=b"{", headers=signed("tally", b"{")), 400, "INVALID_JSON")
    assert error["position"]["offset"] == 1


def test_a_secret_that_cannot_be_decrypted_lets_nobody_in(secret_form, client):
    with transaction():
        db.session.execute(text("UPDATE form SET secret = 'sealed with a lost key'"))
    db.session.expire_all()
    answer = client.post(PATH, json=FLAT)
    refused(answer, 503, "UNAVAILABLE")
    assert "Retry-After" in answer.headers


def test_a_form_pinned_to_one_sender_takes_no_other(app, client):
    add_form("gateway", sender="tally")
    refused(client.post(PATH, json=FLAT), 422, "WRONG_SENDER")
    assert client.post(PATH, json=payload("tally")).status_code == 200


def test_no_secret_is_kept_anywhere(secret_form, client):
    for name in ("google_ads", "wufoo"):
        raw, kind = encoded(name)
        headers = {"X-Shared-Secret": shared(SECRET), "Authorization": "Basic " + "c2Vj", "User-Agent": "Ads"}
        assert client.post(PATH, data=raw, content_type=kind, headers=headers).status_code == 200
    for lead in leads():
        kept = json.dumps([lead.raw_payload, lead.fields, lead.headers, lead.raw_body.decode()])
        assert "s3cret" not in kept
        assert "c2Vj" not in kept
        assert b"[removed]" in lead.raw_body
        assert (lead.headers["X-Shared-Secret"], lead.headers["User-Agent"]) == ("[removed]", "Ads")


HIDDEN = [
    rb'{"google\u005fkey": "hidden", "email": "a@example.com"}',
    b'{"google_key": {"deep": "hidden"}, "email": "a@example.com"}',
    '{"GOOGLE_KEY": "hidden", "email": "a@example.com"}'.encode("utf-16"),
    b'{"data": [{"handshakekey" : "hid\\"den hidden"}], "email": "a@example.com", "google_key": 1}',
]


def test_a_secret_that_hides_is_blanked_too(form, client):
    for raw in HIDDEN:
        answer = client.post(PATH, data=raw, content_type="application/json")
        lead = db.session.get_one(Lead, UUID(answer.json["lead_id"]))
        assert b"hidden" not in lead.raw_body.replace(b"\0", b"")
        assert "hidden" not in lead.raw_payload + json.dumps(lead.fields)
        assert json.loads(lead.raw_body)["email"] == "a@example.com"


# --- Meta's handshake


def asked(**more: str) -> dict[str, str]:
    return {"hub.mode": "subscribe", "hub.challenge": "1158201444", **{f"hub.{k}": v for k, v in more.items()}}


def test_the_handshake_echoes_the_challenge_as_text(secret_form, client):
    answer = client.get(PATH, query_string=asked(verify_token=SECRET))
    assert (answer.status_code, answer.text, answer.mimetype) == (200, "1158201444", "text/plain")
    assert client.get(f"{PATH}gateway", query_string=asked(verify_token=SECRET)).text == "1158201444"


def test_a_handshake_without_the_secret_is_401(secret_form, client):
    for token in ({}, {"verify_token": ""}, {"verify_token": "wrong"}):
        answer = client.get(PATH, query_string=asked(**token))
        refused(answer, 401, "UNAUTHORIZED")
        assert "1158201444" not in answer.text


def test_an_odd_handshake_is_refused(form, client):
    answer = client.get(PATH, query_string=asked(challenge="<b>hi</b> there"))
    refused(answer, 400, "BAD_REQUEST")
    assert "hi" not in answer.text
    refused(client.get(PATH, query_string=asked(challenge="")), 400, "BAD_REQUEST")
    refused(client.get(PATH, query_string={"hub.mode": "unsubscribe"}), 405, "METHOD_NOT_ALLOWED")
    refused(client.get(f"{PATH}nobody", query_string=asked()), 404, "FORM_NOT_FOUND")


# --- whatever comes

FIXTURE_IS_FINE = [HealthCheck.function_scoped_fixture]
kinds = st.sampled_from(
    ["application/json", "application/x-www-form-urlencoded", "", "text/plain", "a/b+json; charset=x"]
)
words = """ { } [ ] " : , 1e999 NaN "a" \\ud800 & = %00 "data" "fields" "user_column_data" Field1= EntryId=1 "email":"a@b.de" """
pieces = st.lists(st.sampled_from([b"\xff", b"\0", *words.encode().split()]), max_size=12).map(b"".join)


@settings(max_examples=60, suppress_health_check=FIXTURE_IS_FINE)
@given(raw=st.binary(max_size=40) | pieces | pieces.map(lambda inner: b'{"a": 1, ' + inner + b"}"), kind=kinds)
def test_no_body_is_answered_with_an_error_of_ours(form, client, raw, kind):
    answer = client.post(PATH, data=raw, content_type=kind)
    if answer.status_code == 200:
        assert answer.json["status"] == "accepted"
    else:
        assert answer.status_code in (400, 413, 415, 422)
        refused(answer, answer.status_code, answer.json["error"]["code"])


@settings(max_examples=40, suppress_health_check=FIXTURE_IS_FINE)
@given(raw=pieces, kind=kinds, wrong=st.text(st.characters(max_codepoint=255, exclude_categories=["Cc"]), max_size=40))
def test_whoever_shows_a_wrong_secret_is_401_whatever_the_body(secret_form, client, raw, kind, wrong):
    for headers in ({"X-Shared-Secret": wrong}, {"Typeform-Signature": wrong}, {"X-Hub-Signature-256": wrong}):
        refused(client.post(PATH, data=raw, content_type=kind, headers=headers), 401, "UNAUTHORIZED")
    assert lead_count() == 0


# --- the same lead again


def test_the_same_id_of_a_sender_is_the_same_lead(form, client):
    for name in ("google_ads", "typeform", "tally", "whatconverts", "wufoo", "wrapped"):
        raw, kind = encoded(name)
        first, again = (client.post(PATH, data=raw, content_type=kind) for _ in range(2))
        assert (again.status_code, again.json) == (200, first.json), name
    assert lead_count() == 6


def test_the_same_id_told_in_other_words_is_the_same_lead_too(form, client):
    first = client.post(PATH, json=payload("whatconverts"))
    again = client.post(PATH, json={**payload("whatconverts"), "trigger": "update", "zip": "10001"})
    assert (again.json["lead_id"], lead_count()) == (first.json["lead_id"], 1)


def test_a_batch_that_comes_again_with_one_more_adds_that_one(form, client):
    first = client.post(PATH, json=META).json["lead_ids"]
    more = payload("meta")
    more["entry"][0]["changes"].append({"field": "leadgen", "value": {"leadgen_id": 7}})
    again = client.post(PATH, json=more).json["lead_ids"]
    assert (again[:2], lead_count()) == (first, 3)


def test_an_id_counts_for_its_sender_and_its_form_alone(form, client):
    add_form("other")
    ids = {
        client.post(path, json=body).json["lead_id"]
        for path in (PATH, f"{PATH}other")
        for body in ({**payload("whatconverts"), "lead_id": 5}, {**payload("google_ads"), "lead_id": 5})
    }
    assert len(ids) == 4


def test_other_ids_do_not_make_the_same_words_other_content(app, client):
    add_desk()
    for token in ("one", "two"):
        body = payload("typeform")
        body["form_response"]["token"] = token
        client.post(f"{PATH}contact", json=body)
    first, second = leads()
    assert (second.duplicate_of_id, rows_of(second)) == (first.id, [])


def test_an_idempotency_key_is_answered_with_the_same_lead(form, client):
    headers = {"Idempotency-Key": "k1"}
    first, again = (client.post(PATH, json=FLAT, headers=headers) for _ in range(2))
    assert (again.json, lead_count()) == (first.json, 1)
    answer = client.post(PATH, json={**FLAT, "more": 1}, headers=headers)
    assert refused(answer, 422, "IDEMPOTENCY_KEY_REUSED")["field"] == "Idempotency-Key"
    batch = [{"email": f"{n}@example.com"} for n in range(3)]
    first, again = (client.post(PATH, json=batch, headers={"Idempotency-Key": "k2"}) for _ in range(2))
    assert (again.json["lead_ids"], lead_count()) == (first.json["lead_ids"], 4)
