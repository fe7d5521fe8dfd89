"""POST /webhooks/leads/ on real PostgreSQL and Redis: what it costs, and that no text breaks the database."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select

from leadapp.deliveries.models import Delivery, Kind
from leadapp.extensions import db
from leadapp.leads.models import Lead
from tests.factories import add_destination, add_form
from tests.sender_payloads import FLAT, PAIRS, PAYLOADS, payload
from tests.services.test_cost import counting

__all__ = ["counting"]  # a fixture

pytestmark = pytest.mark.services
PATH = "/webhooks/leads/"


def test_a_lead_of_a_sender_costs_few_statements_one_commit_and_two_round_trips(pg_app, counting):
    app = pg_app(app_env="development", ratelimit_enabled=True, log_level="WARNING")
    add_form("gateway")
    for number in range(3):
        add_destination(Kind.EMAIL, f"owner{number}@shop.example")
        add_destination(Kind.WEBHOOK, f"https://hook.example/{number}")
    db.session.remove()
    client = app.test_client()
    for number in range(3):
        assert client.post(PATH, json={**FLAT, "n": number}).status_code == 200
    cost = counting()
    assert client.post(PATH, json={**FLAT, "n": "counted"}).status_code == 200
    assert len(cost.statements) <= 7, str(cost)
    assert (cost.commits, cost.trips) == (1, 2)
    cost.statements.clear()
    assert client.post(PATH, json=payload("tally")).status_code == 200
    # two more: its own id is looked up, and remembered
    assert len(cost.statements) <= 9, str(cost)


def test_no_text_breaks_the_database(pg_app):
    app = pg_app()
    add_form("gateway")
    client = app.test_client()
    bodies = [
        rb'{"a\u0000": "b\u0000\ud800", "n": 1e999, "big": ' + b"7" * 5_000 + b', "c": [["\\udfff"]]}',
        rb'{"data": "{\"q\": \"a\\u0000\\ud800\", \"r\": 1}"}',
        rb'{"data": "q=a%00b&r=%ED%A0%80"}',
        json.dumps({"x" * 5_000: "y" * 5_000, "email": "ä" * 400 + "@example.com"}).encode(),
        b"[" * 31 + b'{"deep": 1}' + b"]" * 31,
        b'{"a":' * 32 + b"1" + b"}" * 32,
        b'{"": "", " ": {"": "x"}, "[": "y", "a]b": 1, "a.b..c": 2}',
        json.dumps(
            {**payload("wufoo"), "FieldStructure": '{"Fields": [{"ID": "Field4", "Title": "\\u0000"}]}'}
        ).encode(),
        json.dumps({**payload("google_ads"), "lead_id": "\0" + "9" * 5_000}).encode(),
    ]
    answers = [client.post(PATH, data=body, content_type="application/json") for body in bodies]
    assert {answer.status_code for answer in answers} <= {200, 422}, [answer.json for answer in answers]
    assert [answer.status_code for answer in answers].count(200) >= 7
    pairs = client.post(PATH, data=b"Field1=%00%ED%A0%80&EntryId=%00", content_type="application/x-www-form-urlencoded")
    assert pairs.status_code == 200


def test_one_lead_sent_many_times_at_once_is_one_lead(pg_app):
    app = pg_app()
    add_form("gateway")
    add_destination(Kind.WEBHOOK)

    def post(number: int) -> tuple[int, str]:
        with app.app_context():
            # the same lead, told a little differently each time
            body = {**payload("tally"), "eventId": str(number), "createdAt": str(number)}
            body["data"]["fields"].append({"key": "k", "label": "Sent", "type": "INPUT_TEXT", "value": str(number)})
            answer = app.test_client().post(PATH, json=body)
            return answer.status_code, answer.json.get("lead_id", "")

    with ThreadPoolExecutor(10) as pool:
        answers = set(pool.map(post, range(20)))
    assert len(answers) == 1
    assert db.session.scalar(select(func.count()).select_from(Lead)) == 1
    assert db.session.scalar(select(func.count()).select_from(Delivery)) == 1


@pytest.mark.parametrize("name", sorted(PAYLOADS))
def test_every_senders_payload_is_stored(pg_app, name):
    app = pg_app()
    add_form("gateway")
    send = {"data": payload(name)} if name in PAIRS else {"json": payload(name)}
    first, again = (app.test_client().post(PATH, **send) for _ in range(2))
    assert (first.status_code, again.status_code) == (200, 200)
    has_id = db.session.scalars(select(Lead.external_id).limit(1)).one() != ""
    assert (first.json["lead_id"] == again.json["lead_id"]) == has_id
