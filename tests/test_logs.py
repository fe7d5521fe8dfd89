"""Log lines: JSON, with ids, and without what visitors wrote."""

import io
import json
import logging
import re
import smtplib
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from leadapp.config import settings
from leadapp.deliveries.models import Delivery
from leadapp.deliveries.setup import upsert_destinations
from leadapp.errors import PermanentError
from leadapp.extensions import db
from leadapp.leads.jobs import send_lead_notification
from leadapp.leads.models import Lead
from leadapp.leads.setup import ensure_forms
from leadapp.ops import logs, sentry

logger = logging.getLogger("leadapp.test")


class Lines:
    """What was written, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def last(self) -> dict[str, Any]:
        return self.all()[-1]


@pytest.fixture
def lines() -> Iterator[Lines]:
    found = Lines()
    handler = logging.StreamHandler(found.stream)
    handler.setFormatter(logs.LineFormatter())
    root = logging.getLogger("leadapp")
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield found
    root.removeHandler(handler)
    root.setLevel(before)


def broken(error: Exception) -> None:
    try:
        raise error
    except Exception:
        logger.exception("it broke")


def test_a_line_is_one_json_object_with_its_ids(lines: Lines) -> None:
    with logs.bind(delivery_id="d1"):
        logger.info("sent\nand done", extra={"lead_id": "l1"})
    line = lines.last()
    assert (line["message"], line["level"], line["lead_id"], line["delivery_id"]) == (
        "sent\nand done",
        "INFO",
        "l1",
        "d1",
    )
    assert line["at"].endswith("+00:00")


def test_ids_end_with_their_block(lines: Lines) -> None:
    with logs.bind(lead_id="l1"), logs.bind(delivery_id="d1"):
        pass
    logger.info("later")
    assert {"lead_id", "delivery_id"}.isdisjoint(lines.last())


def test_only_named_extras_pass(lines: Lines) -> None:
    logger.info("x", extra={"body": "Ada wrote this", "payload": {"email": "a@b.c"}, "password": "p", "queue": "q"})
    assert {"body", "payload", "password"}.isdisjoint(lines.last())
    assert lines.last()["queue"] == "q"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("mail to <Ada.L+x@shop.example> failed", "mail to <[address]> failed"),
        ("redis://:hunter2@10.0.0.1:6379 is away", "redis://:[address]:6379 is away"),
        ("POST https://hooks.example.com/catch/1/secret?x=1", "POST https://hooks.example.com/..."),
        ("Max retries exceeded with url: /hooks/1/secret", "Max retries exceeded with url: /..."),
        ("Invalid request from ip=203.0.113.9: bad", "Invalid request from ip=[address] bad"),
        ("Listening at: http://127.0.0.1:8000 (7)", "Listening at: http://127.0.0.1:8000 (7)"),
    ],
)
def test_addresses_and_secret_paths_are_masked(text: str, kept: str) -> None:
    assert logs.mask(text) == kept


def test_an_endless_message_is_cut() -> None:
    assert len(logs.mask("x" * 100_000)) == logs.LONGEST


@pytest.mark.parametrize("error", [ValueError("Ada Lovelace"), KeyError("Ada Lovelace"), RuntimeError("Ada Lovelace")])
def test_an_exception_that_may_quote_a_visitor_loses_its_text(lines: Lines, error: Exception) -> None:
    broken(error)
    told = lines.last()["exc_info"]
    assert "Ada Lovelace" not in told
    assert type(error).__name__ in told
    assert "test_logs.py" in told


def test_an_exception_that_says_what_broke_keeps_it(lines: Lines) -> None:
    broken(PermanentError("the mailbox of ada@shop.example is full", status_code=552))
    assert "the mailbox of [address] is full" in lines.last()["exc_info"]


def test_the_cause_is_told_by_the_same_rules(lines: Lines) -> None:
    typed = " ".join(["Ada", "Lovelace"])  # not to be found in a line of code
    try:
        try:
            int(typed)
        except ValueError as error:
            raise ConnectionRefusedError("port 25") from error
    except OSError:
        logger.exception("it broke")
    told = lines.last()["exc_info"]
    assert "port 25" in told
    assert "ValueError" in told
    assert "Ada Lovelace" not in told


def test_a_refused_recipient_is_not_named(lines: Lines) -> None:
    broken(smtplib.SMTPRecipientsRefused({"ada@shop.example": (550, b"no such user ada@shop.example")}))
    assert "ada@" not in lines.last()["exc_info"]


def test_each_request_leaves_a_line_without_query_or_path_values(app: Flask, lines: Lines) -> None:
    app.test_client().get("/f/contact?email=ada@shop.example", headers={"X-Forwarded-For": "203.0.113.9"})
    line = next(line for line in lines.all() if line["logger"] == "leadapp.access")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/f/<key>", 404)
    assert line["duration_ms"] >= 0
    assert not re.search(r"ada@|203\.0", json.dumps(lines.all()))


def test_a_lead_can_be_followed_from_its_post_to_its_delivery(app_with: Any, lines: Lines) -> None:
    app = app_with(lead_notification_email="desk@shop.example", queue_eager=True)
    ensure_forms()
    upsert_destinations(settings(), None)
    app.test_client().post("/f/contact", data={"name": "Ada Lovelace", "email": "ada@shop.example", "message": "hi"})
    lead_id = str(db.session.scalars(select(Lead.id)).one())
    settled = next(line for line in lines.all() if line["message"] == "settled")
    answered = next(line for line in lines.all() if line["logger"] == "leadapp.access")
    assert settled["lead_id"] == answered["lead_id"] == lead_id
    assert (settled["state"], settled["kind"]) == ("delivered", "email")
    assert settled["delivery_id"] == str(db.session.scalars(select(Delivery.id)).one())
    assert not re.search(r"Ada|ada@|desk@", json.dumps(lines.all()))


@pytest.mark.parametrize(
    ("path", "given", "followed_by"),
    [
        ("/f/contact", {"X-Request-ID": "router-id-12345"}, "router-id-12345"),
        ("/webhooks/leads/contact", {"X-Correlation-Id": "crm 4711"}, "crm 4711"),
        ("/webhooks/leads/contact", {"X-Correlation-Id": "of ada@shop.example"}, "of [address]"),
    ],
)
def test_one_id_leads_from_the_request_through_the_worker_to_the_attempt(
    app_with: Any, lines: Lines, path: str, given: dict[str, str], followed_by: str
) -> None:
    app = app_with(lead_notification_email="desk@shop.example")
    ensure_forms()
    upsert_destinations(settings(), None)
    app.test_client().post(path, json={"name": "Ada Lovelace", "message": "hi"}, headers=given)
    lead_id = str(db.session.scalars(select(Lead.id)).one())
    send_lead_notification(lead_id)  # what a worker runs
    told = [line for line in lines.all() if line.get("correlation_id") == followed_by]
    assert [line["message"] for line in told] == ["answered", "settled"]
    assert {line["lead_id"] for line in told} == {lead_id}
    assert "ada@" not in json.dumps(lines.all())


def test_a_row_that_a_job_takes_along_keeps_its_own_lead(lines: Lines) -> None:
    with logs.job("send_lead_webhook", "j1", ["l1"]):
        logger.info("settled", extra={"lead_id": "l2"})
    assert lines.last()["lead_id"] == "l2"


def test_lines_of_a_job_carry_its_name_and_its_lead(lines: Lines) -> None:
    with logs.job("send_lead_webhook", "j1", ["l1"]):
        logger.info("within")
    with logs.job("deliver", "j2", [["d1", "d2"]]):
        logger.info("within")
    first, second = lines.all()
    assert (first["job"], first["job_id"], first["lead_id"]) == ("send_lead_webhook", "j1", "l1")
    assert (second["job"], second["job_id"], "lead_id" in second) == ("deliver", "j2", False)


def test_health_questions_are_not_worth_a_line(app: Flask, lines: Lines) -> None:
    app.test_client().get("/healthz/live")
    assert lines.all() == []


def test_the_routers_id_is_taken_and_given_back(app: Flask, lines: Lines) -> None:
    answer = app.test_client().get("/nowhere", headers={"X-Request-ID": "router-id-12345"})
    assert answer.headers["X-Request-ID"] == "router-id-12345"
    assert lines.last()["request_id"] == "router-id-12345"


@pytest.mark.parametrize("given", ["", "short", "a b c d e f g h", "x" * 65, '"><script>alert(1)'])
def test_an_id_that_is_none_is_replaced(app: Flask, given: str) -> None:
    answer = app.test_client().get("/nowhere", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.headers["X-Request-ID"])


def test_one_requests_id_is_not_on_the_next_line(app: Flask, lines: Lines) -> None:
    app.test_client().get("/nowhere")
    logger.info("between requests")
    assert "request_id" not in lines.last()


def test_a_request_that_breaks_is_told_without_its_path_and_values(app: Flask, lines: Lines) -> None:
    def breaks(token: str) -> str:
        raise ValueError(f"{token} Ada Lovelace")

    app.add_url_rule("/break/<token>", view_func=breaks)
    app.testing = app.config["PROPAGATE_EXCEPTIONS"] = False
    assert app.test_client().get("/break/s3cret").status_code == 500
    told = next(line for line in lines.all() if line["message"] == "a request broke")
    assert told["route"] == "/break/<token>"
    assert "ValueError" in told["exc_info"]
    assert not re.search("s3cret|Ada Lovelace", json.dumps(lines.all()).replace("{token} Ada Lovelace", ""))


def test_the_traceback_that_rq_writes_into_its_message_is_left_out(lines: Lines) -> None:
    rq = logging.getLogger("rq.worker")
    rq.addHandler(logging.getLogger("leadapp").handlers[-1])
    rq.error("job 42: exception raised\nTraceback\nValueError: Ada Lovelace")
    rq.removeHandler(rq.handlers[-1])
    assert lines.last()["message"] == "job 42: exception raised"


def test_gunicorn_writes_the_same_kind_of_line() -> None:
    from gunicorn.config import Config

    own = logs.GunicornLogger(Config())
    assert all(isinstance(handler.formatter, logs.LineFormatter) for handler in own.error_log.handlers)


def test_sentry_is_asked_for_nothing_personal(settings_for: Any) -> None:
    options = sentry.options(settings_for())
    assert options["send_default_pii"] is False
    assert options["max_request_body_size"] == "never"
    assert options["include_local_variables"] is False


def test_sentry_events_lose_what_may_quote_a_visitor() -> None:
    event = {
        "request": {"url": "https://x/f/contact", "query_string": "email=ada", "headers": {"Cookie": "c"}, "data": "b"},
        "exception": {"values": [{"type": "ValueError", "value": "Ada"}, {"type": "OSError", "value": "to a@b.de"}]},
    }
    scrubbed = sentry.scrub(event, {})
    assert scrubbed["request"] == {"url": "https://x/..."}
    assert [value["value"] for value in scrubbed["exception"]["values"]] == ["(left out)", "to [address]"]


def test_sentry_stays_off_without_an_address(settings_for: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr("sentry_sdk.init", lambda **options: started.append(options["dsn"]))
    sentry.start(settings_for())
    assert started == []
    sentry.start(settings_for(sentry_dsn="https://key@errors.example/1"))
    assert started == ["https://key@errors.example/1"]


def test_sentry_breadcrumbs_are_kept_and_masked() -> None:
    crumb = {"message": "mail to ada@shop.example", "data": {"http.query": "email=ada", "status_code": 500}}
    assert sentry.scrub_breadcrumb(crumb, {}) == {"message": "mail to [address]", "data": {"status_code": 500}}
