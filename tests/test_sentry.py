"""Errors reach Sentry with what led there, and without anything of a visitor; a loopback server stands in for it."""

import gzip
import itertools
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from flask import Flask

from leadapp.extensions import db
from leadapp.leads import intake
from leadapp.ops import sentry

from .factories import add_desk
from .sinks import HttpSink

VISITOR = ("ada@shop.example", "Ada Lovelace", "+49 681 5006123", "203.0.113.9", "a very private message")
SECRETS = ("s3cret-token", "hunter2", "session=abc")
BODY = {"name": VISITOR[1], "email": VISITOR[0], "phone": VISITOR[2], "message": VISITOR[4]}
HEADERS = {"X-Forwarded-For": VISITOR[3], "Authorization": f"Bearer {SECRETS[0]}", "Cookie": SECRETS[2]}


@pytest.fixture
def sink() -> Iterator[HttpSink]:
    found = HttpSink()
    found.start()
    yield found
    sentry_sdk.get_client().close(timeout=2)
    sentry_sdk.get_global_scope().set_client(None)
    found.stop()


@pytest.fixture
def app(app_with: Any, sink: HttpSink, caplog: pytest.LogCaptureFixture) -> Flask:
    app = app_with(sentry_dsn=f"http://public@127.0.0.1:{sink.port}/7")
    app.testing = app.config["PROPAGATE_EXCEPTIONS"] = False
    caplog.set_level(logging.INFO, "leadapp")
    return app


def envelopes(sink: HttpSink) -> tuple[list[dict[str, Any]], str]:
    """The events that arrived, and everything that was sent, as text."""
    sentry_sdk.flush(timeout=5)
    events, everything = [], ""
    for one in sink.requests:
        raw = gzip.decompress(one.body) if one.headers.get("content-encoding") == "gzip" else one.body
        everything += raw.decode()
        lines = [json.loads(line) for line in raw.decode().splitlines()]
        events += [item for head, item in itertools.pairwise(lines) if head.get("type") == "event"]
    return events, everything


def breaks(*_: Any, **__: Any) -> Any:
    logging.getLogger("leadapp.test").info("looking up %s", VISITOR[0])
    logging.getLogger("leadapp.test").warning("asked https://hooks.example/catch/%s", SECRETS[0])
    raise ValueError(f"cannot take {VISITOR[1]} with {SECRETS[1]}")


def test_a_request_that_breaks_arrives_with_breadcrumbs(app: Flask, sink: HttpSink, monkeypatch: Any) -> None:
    add_desk()
    monkeypatch.setattr(intake, "_save", breaks)
    assert app.test_client().post("/f/contact?token=s3cret-token", data=BODY, headers=HEADERS).status_code == 500
    (event,), _ = envelopes(sink)
    assert event["exception"]["values"][-1]["type"] == "ValueError"
    assert event["exception"]["values"][-1]["value"] == "(left out)"
    frames = event["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames[-1]["function"] == "breaks"
    assert all("vars" not in frame for frame in frames)
    crumbs = [crumb.get("message") for crumb in event["breadcrumbs"]["values"]]
    assert "looking up [address]" in crumbs
    assert "asked https://hooks.example/..." in crumbs
    assert event["release"].startswith("leadapp@")


def test_nothing_of_the_visitor_and_no_secret_is_sent(app: Flask, sink: HttpSink, monkeypatch: Any) -> None:
    add_desk()
    monkeypatch.setattr(intake, "_save", breaks)
    app.test_client().post("/f/contact?token=s3cret-token", data=BODY, headers=HEADERS)
    app.test_client().post("/f/contact", json=BODY, headers=HEADERS)
    events, everything = envelopes(sink)
    assert len(events) == 2
    assert [word for word in (*VISITOR, *SECRETS) if word in everything] == []
    assert {name for event in events for name in event.get("user", {})} <= set()


def test_an_error_line_of_a_worker_arrives_without_its_values(app: Flask, sink: HttpSink) -> None:
    try:
        breaks()
    except ValueError:
        logging.getLogger("leadapp.deliveries.work").exception("a channel broke", extra={"kind": VISITOR[0]})
    (event,), everything = envelopes(sink)
    assert event["logentry"]["message"] == "a channel broke"
    assert [word for word in (*VISITOR, *SECRETS) if word in everything] == []


def test_a_database_error_does_not_carry_its_values(app: Flask, sink: HttpSink) -> None:
    try:
        db.session.execute(db.text("SELECT * FROM nowhere WHERE email = :email"), {"email": VISITOR[0]})
    except Exception:
        logging.getLogger("leadapp.test").exception("the database said no")
    events, everything = envelopes(sink)
    assert events
    assert VISITOR[0] not in everything


def test_a_lost_sentry_costs_a_request_nothing(app_with: Any, monkeypatch: Any) -> None:
    app = app_with(sentry_dsn="http://public@127.0.0.1:9/7")
    app.testing = app.config["PROPAGATE_EXCEPTIONS"] = False
    add_desk()
    monkeypatch.setattr(intake, "_save", breaks)
    assert app.test_client().post("/f/contact", data=BODY).status_code == 500
    sentry_sdk.get_client().close(timeout=0.5)
    sentry_sdk.get_global_scope().set_client(None)


def test_the_options_hold_for_every_event() -> None:
    assert sentry.scrub({"message": "x"}, {}) == {"message": "x"}
