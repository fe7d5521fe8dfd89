"""POST /f/<key>: what is saved, what is answered, and that nothing a visitor can send costs a lead."""

import io
import json

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, TimeoutError
from sqlalchemy import event, func, select

from leadapp import queue
from leadapp.clock import frozen
from leadapp.database import transaction
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, Kind
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads import jobs, judging, planning
from leadapp.leads.models import Form, IntegrationStatus, Lead, LeadStatus
from tests.factories import NOON, add_desk, add_destination, add_form, rows_of, the_row

ADA = {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Hello"}
JSON = {"Accept": "application/json"}


@pytest.fixture
def desk(app: Flask) -> Form:
    form, _, _ = add_desk()
    return form


def the_lead() -> Lead:
    return db.session.scalars(select(Lead), execution_options={"populate_existing": True}).one()


def lead_count() -> int:
    db.session.expire_all()
    return db.session.scalar(select(func.count()).select_from(Lead)) or 0


def test_a_form_post_is_saved_and_leads_to_the_thank_you_page(desk, client):
    answer = client.post("/f/contact", data={**ADA, "utm_source": "newsletter"})
    assert answer.status_code == 303
    assert answer.location.endswith("/f/contact/thanks")
    lead = the_lead()
    assert (lead.name, lead.email, lead.message) == ("Ada Lovelace", "ada@example.com", "Hello")
    assert (lead.utm_source, lead.lead_source, lead.status) == ("newsletter", "newsletter", LeadStatus.READY)
    assert client.get(answer.location).status_code == 200


def test_a_fetch_gets_json(desk, client):
    answer = client.post("/f/contact", json=ADA, headers=JSON)
    body = answer.get_json()
    assert (answer.status_code, body["ok"], body["success"]) == (200, True, True)
    assert body["id"] == str(the_lead().id)


def test_multipart_with_files_keeps_the_files(desk, client):
    data = {**ADA, "cv": (io.BytesIO(b"PDF bytes"), "../../cv.pdf"), "empty": (io.BytesIO(b""), "")}
    assert client.post("/f/contact", data=data).status_code == 303
    document = db.session.scalars(select(Document)).one()
    assert (document.field, document.size, document.content) == ("cv", 9, b"PDF bytes")
    assert "/" not in document.name
    assert b"PDF bytes" not in the_lead().raw_body
    assert b"Ada Lovelace" in the_lead().raw_body


def test_repeated_names_stay_lists(desk, client):
    client.post("/f/contact", data={**ADA, "topic": ["roof", "floor"], "days[]": ["mon"]})
    assert the_lead().fields == {"topic": ["roof", "floor"], "days": ["mon"]}


def test_an_unknown_form_is_404(desk, client):
    answer = client.post("/f/nobody", json=ADA, headers=JSON)
    assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (404, "FORM_NOT_FOUND")
    assert lead_count() == 0


def test_a_filled_honeypot_is_kept_as_spam_and_held(desk, client):
    answer = client.post("/f/contact", json={**ADA, "_gotcha": "buy"}, headers=JSON)
    assert answer.status_code == 200
    lead = the_lead()
    assert lead.is_spam
    assert {row.held_reason for row in rows_of(lead)} == {HeldReason.SPAM}


def test_a_paused_form_keeps_its_leads(desk, client):
    with transaction():
        db.session.get_one(Form, desk.id).is_paused = True
    assert client.post("/f/contact", json=ADA, headers=JSON).status_code == 200
    assert {row.state for row in rows_of(the_lead())} == {DeliveryState.HELD}


def test_headers_are_kept_by_an_allow_list(desk, client):
    headers = {
        "Authorization": "Bearer secret",
        "Cookie": "a=b",
        "User-Agent": "Test",
        "Referer": "https://shop.example/?utm_source=ad",
    }
    client.post("/f/contact", data=ADA, headers=headers)
    lead = the_lead()
    assert "Test" in lead.headers.values()
    assert "secret" not in json.dumps(lead.headers)
    assert (lead.page_url, lead.utm_source) == ("https://shop.example/?utm_source=ad", "ad")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b"name=%00Ada%ED%A0%80&email=%FF%FEx"),
        ("application/json", rb'{"name": "Ada\u0000", "email": "\ud800@example.com"}'),
        ("application/json", b'{"name": "Ada", "n": 1e999, "big": 123456789012345678901234567890, "x": NaN}'),
        ("application/x-www-form-urlencoded; charset=utf-99", b"name=Ada"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda'),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n--x'),
        ("text/plain", b"name=Ada\r\nmessage=Hello"),
        ("", b"name=Ada"),
        ("application/x-www-form-urlencoded", b"name=Ada&message={{7*7}}{%25 for x in y %25}"),
        ("application/x-www-form-urlencoded", b"email=a%0d%0aBcc:evil@example.com&name=Ada%0d%0aX:y"),
        ("application/x-www-form-urlencoded", b"name=%3Dcmd%7C%27%2Fc%20calc%27%21A0"),
    ],
)
def test_odd_bodies_are_saved_all_the_same(desk, client, content_type, body):
    answer = client.post("/f/contact", data=body, content_type=content_type, headers=JSON)
    assert (answer.status_code, lead_count()) == (200, 1)
    assert the_lead().raw_body


def test_a_damaged_body_is_saved_with_the_problem_noted(desk, client):
    body = b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\nAda\r\n--x\r\nContent-Disp'
    client.post("/f/contact", data=body, content_type="multipart/form-data; boundary=x", headers=JSON)
    lead = the_lead()
    assert (lead.name, [problem["code"] for problem in lead.problems]) == ("Ada", ["DAMAGED_BODY"])


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/x-www-form-urlencoded", b""),
        ("application/x-www-form-urlencoded", b"&&&"),
        ("application/x-www-form-urlencoded", b"name=&email="),
        ("application/json", b"[1, 2"),
        ("application/json", b"[]"),
        ("application/json", b'{"a":' * 100_000),
        ("multipart/form-data", b"no field in sight"),
        ("multipart/form-data; boundary=y", b"--x\r\nnothing"),
    ],
)
def test_nothing_readable_is_400_and_saves_nothing(desk, client, content_type, body):
    answer = client.post("/f/contact", data=body, content_type=content_type, headers=JSON)
    assert (answer.status_code, lead_count()) == (400, 0)
    assert answer.get_json()["errors"][0]["code"] in {"EMPTY", "INVALID_JSON"}


def test_too_large_is_413_and_says_so(app_with):
    client = app_with(max_post_bytes=1000).test_client()
    add_form()
    answer = client.post("/f/contact", data={"message": "x" * 2000}, headers=JSON)
    assert (answer.status_code, answer.get_json()["errors"][0]["code"]) == (413, "FILES_TOO_BIG")


def test_limits_are_the_same_for_every_encoding(app_with):
    client = app_with(max_fields=5, max_files=1, max_field_bytes=50).test_client()
    add_form()
    many = {f"field{n}": "x" for n in range(6)}
    for post in ({"data": many}, {"json": many}, {"data": many, "content_type": "multipart/form-data"}):
        assert client.post("/f/contact", headers=JSON, **post).get_json()["errors"][0]["code"] == "TOO_MANY_FIELDS"
    long = {"message": "x" * 51}
    for post in ({"data": long}, {"json": long}, {"data": long, "content_type": "multipart/form-data"}):
        answer = client.post("/f/contact", headers=JSON, **post)
        assert (answer.status_code, answer.get_json()["errors"][0]["field"]) == (413, "message")
    files = {"a": (io.BytesIO(b"1"), "a.txt"), "b": (io.BytesIO(b"2"), "b.txt")}
    assert client.post("/f/contact", data=files, headers=JSON).get_json()["errors"][0]["code"] == "TOO_MANY_FILES"


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "https://shop.example@evil.example",
    ],
)
def test_a_crafted_next_page_never_leaves_the_site(desk, client, wanted):
    answer = client.post("/f/contact", data={**ADA, "_next": wanted})
    assert answer.location.endswith("/f/contact/thanks")


def test_an_allowed_next_page_is_obeyed(app, client):
    add_form(site_url="https://shop.example", allowed_origins=["https://shop.example"])
    answer = client.post("/f/contact", data={**ADA, "_next": "https://shop.example/thanks"})
    assert answer.location == "https://shop.example/thanks"


def test_the_same_idempotency_key_answers_with_the_same_lead(desk, client):
    headers = {**JSON, "Idempotency-Key": "abc"}
    first = client.post("/f/contact", json=ADA, headers=headers).get_json()
    assert client.post("/f/contact", json=ADA, headers=headers).get_json()["id"] == first["id"]
    other = client.post("/f/contact", json={**ADA, "message": "Else"}, headers=headers)
    assert (other.status_code, lead_count()) == (422, 1)


def test_a_double_click_is_kept_and_linked_and_sent_once(desk, client):
    for _ in range(2):
        client.post("/f/contact", data=ADA)
    first, second = db.session.scalars(select(Lead).order_by(Lead.id))
    assert second.duplicate_of_id == first.id
    assert (len(rows_of(first)), len(rows_of(second))) == (2, 0)


def test_a_bug_in_the_pipeline_never_costs_the_lead(desk, client, monkeypatch):
    def broken(*_args):
        raise RuntimeError("ada@example.com")

    monkeypatch.setattr(judging, "understand", broken)
    assert client.post("/f/contact", json=ADA, headers=JSON).status_code == 200
    lead = the_lead()
    assert (lead.status, lead.email_status) == (LeadStatus.RECEIVED, IntegrationStatus.PENDING)
    assert (lead.fields["email"], lead.problems[0]["code"]) == ("ada@example.com", "PIPELINE")
    monkeypatch.undo()
    assert jobs.recheck() == 0  # not yet
    with frozen(lead.check_at):
        assert jobs.recheck() == 1
    lead = the_lead()
    assert (lead.status, lead.email, lead.problems) == (LeadStatus.READY, "ada@example.com", [])


def test_a_broken_mail_template_never_costs_the_lead(desk, client, monkeypatch):
    monkeypatch.setitem(planning.BODIES, Kind.EMAIL, lambda *_: 1 / 0)
    assert client.post("/f/contact", json=ADA, headers=JSON).status_code == 200
    row = the_row(the_lead(), Kind.EMAIL)
    assert "ada@example.com" in json.loads(row.payload)["text"]
    assert the_lead().problems[0]["code"] == "PLAIN_BODY"


def test_a_bug_in_reading_what_a_post_asks_for_costs_no_lead(desk, client, monkeypatch):
    monkeypatch.setattr(planning, "wishes_of", lambda _lead: 1 / 0)
    assert client.post("/f/contact", data=ADA).status_code == 303
    assert "WISHES" in [problem["code"] for problem in the_lead().problems]
    assert {row.kind for row in rows_of(the_lead())} == {Kind.EMAIL, Kind.WEBHOOK}


class BrokenRedis:
    """Refuses everything with one error."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def pipeline(self, *_args, **_kw):
        raise self.error


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (RedisConnectionError("Error 111 connecting to secret-host"), "Redis refuses the connection"),
        (TimeoutError("Timeout reading from socket"), "Redis does not answer"),
        (OutOfMemoryError("OOM command not allowed"), "Redis is out of memory"),
    ],
)
def test_a_lead_is_saved_when_redis_is_down(desk, app, client, error, words):
    app.extensions["queue"].redis = BrokenRedis(error)
    answer = client.post("/f/contact", json=ADA, headers=JSON)
    assert answer.status_code == 200
    lead = the_lead()
    assert (lead.email_status, lead.email_last_error) == (IntegrationStatus.PENDING, f"queue unavailable: {words}")
    assert {row.enqueued_at for row in rows_of(lead)} == {None}


def test_a_lost_redis_is_left_alone_for_a_while(desk, app, client):
    app.extensions["queue"].redis = BrokenRedis(RedisConnectionError("refused"))
    client.post("/f/contact", json=ADA, headers=JSON)
    app.extensions["queue"].redis = None  # would raise if it were asked again
    assert client.post("/f/contact", json={**ADA, "message": "2"}, headers=JSON).status_code == 200


def test_the_request_costs_a_fixed_number_of_statements_and_one_write_to_redis(desk, app, client):
    for number in range(6):
        add_destination(Kind.EMAIL, f"more{number}@shop.example")
    client.post("/f/contact", json=ADA, headers=JSON)
    statements: list[str] = []
    commits: list[int] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    event.listen(db.engine, "commit", lambda _: commits.append(1))
    pipelines: list[int] = []
    redis = app.extensions["queue"].redis
    original = redis.pipeline
    redis.pipeline = lambda *args, **kw: pipelines.append(1) or original(*args, **kw)
    client.post("/f/contact", json={**ADA, "message": "another"}, headers=JSON)
    wanted = [line for line in statements if not line.startswith(("BEGIN", "PRAGMA"))]
    assert len(wanted) <= 6, "\n".join(line[:120] for line in wanted)
    assert (len(commits), len(pipelines)) == (1, 1)


def test_a_job_carries_ids_and_nothing_personal(desk, app, client):
    client.post("/f/contact", json=ADA, headers=JSON)
    redis = queue.line()
    stored = b" ".join(value for key in redis.keys("rq:job:*") for value in redis.hgetall(key).values())
    import zlib

    opened = b" ".join(
        zlib.decompress(redis.hget(key, "data")) for key in redis.keys("rq:job:*") if redis.type(key) == b"hash"
    )
    assert str(the_lead().id).encode() in opened
    assert b"ada@example" not in opened + stored
    assert b"Lovelace" not in opened + stored


def test_another_site_may_post_and_read_the_answer(desk, client):
    preflight = client.options("/f/contact", headers={"Origin": "https://shop.example"})
    assert (preflight.status_code, preflight.headers["Access-Control-Allow-Origin"]) == (204, "*")
    answer = client.post("/f/contact", json=ADA, headers={**JSON, "Origin": "https://shop.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_a_form_with_origins_lets_no_other_site_read(app, client):
    add_form(allowed_origins=["https://shop.example"])
    answer = client.post("/f/contact", json=ADA, headers={**JSON, "Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert lead_count() == 1


def test_posts_are_limited_for_each_address(app_with):
    client = app_with(ratelimit_enabled=True, ratelimit_posts="3 per minute").test_client()
    add_form()
    statuses = [client.post("/f/contact", json={**ADA, "n": n}, headers=JSON).status_code for n in range(4)]
    assert statuses == [200, 200, 200, 429]


def test_very_long_values_are_kept(desk, client):
    long = "a" * 500 + "@example.com"
    client.post("/f/contact", json={"email": long, "message": "x" * 100_000}, headers=JSON)
    lead = the_lead()
    assert (len(lead.email), lead.fields["email"], len(lead.message)) == (320, long, 100_000)


def test_a_delivery_row_is_due_from_the_start(desk, client):
    with frozen(NOON):
        client.post("/f/contact", json=ADA, headers=JSON)
    row: Delivery = the_row(the_lead(), Kind.EMAIL)
    assert row.next_attempt_at == row.enqueued_at == NOON


def test_a_saved_lead_is_not_answered_with_retry_after(app_with):
    client = app_with(ratelimit_enabled=True, ratelimit_posts="1 per minute").test_client()
    add_form()
    assert "Retry-After" not in client.post("/f/contact", data=ADA).headers
    refused = client.post("/f/contact", data=ADA)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_two_people_with_the_same_words_are_two_leads(desk, client):
    for address in ("alice@x.example", "bob@x.example"):
        client.post("/f/contact", data={"_replyto": address, "message": "Please call me"})
    first, second = db.session.scalars(select(Lead).order_by(Lead.id))
    assert (second.email, second.duplicate_of_id) == ("bob@x.example", None)
    assert len(rows_of(first)) == len(rows_of(second)) == 2


def test_an_idempotency_key_with_another_sender_is_refused(desk, client):
    headers = {**JSON, "Idempotency-Key": "abc"}
    client.post("/f/contact", json={"_replyto": "alice@x.example", "message": "Hi"}, headers=headers)
    other = client.post("/f/contact", json={"_replyto": "bob@x.example", "message": "Hi"}, headers=headers)
    assert other.status_code == 422


def test_long_idempotency_keys_are_told_apart(desk, client):
    for end in ("p", "q"):
        headers = {**JSON, "Idempotency-Key": "k" * 300 + end}
        assert client.post("/f/contact", json={**ADA, "message": end}, headers=headers).status_code == 200
    assert lead_count() == 2


def test_a_lead_is_sent_although_the_same_words_were_spam_before(desk, client):
    client.post("/f/contact", data={**ADA, "_gotcha": "x"})
    client.post("/f/contact", data={**ADA, "_gotcha": ""})
    _, second = db.session.scalars(select(Lead).order_by(Lead.id))
    assert (second.duplicate_of_id, len(rows_of(second))) == (None, 2)


def test_a_lead_is_sent_although_the_same_words_had_nowhere_to_go_before(app, client):
    add_form()
    client.post("/f/contact", data=ADA)
    add_destination(Kind.EMAIL)
    client.post("/f/contact", data=ADA)
    _, second = db.session.scalars(select(Lead).order_by(Lead.id))
    assert [row.kind for row in rows_of(second)] == [Kind.EMAIL]


@pytest.mark.parametrize("hidden", ["https://s.example/?gclid=%00x", "https://s.example/?utm_source=%ED%A0%80"])
def test_what_a_query_hides_behind_percents_is_cleaned(desk, client, hidden):
    assert client.post("/f/contact", data={"name": "B"}, headers={"Referer": hidden}).status_code == 303
    assert client.post("/f/contact", data={"name": "C", "page_url": hidden}).status_code == 303
    for lead in db.session.scalars(select(Lead)):
        assert "\x00" not in lead.gclid + lead.utm_source


def test_a_lead_that_is_saved_is_answered_with_success_although_the_note_fails(desk, app, client, monkeypatch):
    from sqlalchemy.exc import OperationalError

    def away(*_args):
        raise OperationalError("UPDATE", {}, Exception("gone"))

    app.extensions["queue"].redis = BrokenRedis(RedisConnectionError("refused"))
    monkeypatch.setattr("leadapp.deliveries.outbox.ring_failed", away)
    assert client.post("/f/contact", json=ADA, headers=JSON).status_code == 200


def test_eager_jobs_never_turn_a_saved_lead_into_an_error(app_with):
    client = app_with(queue_eager=True).test_client()
    add_form()
    add_destination(Kind.WEBHOOK, "http://10.0.0.1/x")
    assert client.post("/f/contact", json=ADA, headers=JSON).status_code == 200
