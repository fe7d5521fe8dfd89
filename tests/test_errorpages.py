"""A request that fails is answered in plain words, as a page or as JSON, and never with a traceback."""

import logging
from typing import Any

import pytest
from flask import Flask, abort, redirect
from flask.testing import FlaskClient
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from leadapp.app import create_app
from leadapp.extensions import db
from leadapp.leads.models import Form
from tests.conftest import use_fakeredis

JSON = {"Accept": "application/json"}
TRACES = ("Traceback", "sqlalchemy", "psycopg", "OperationalError", "werkzeug")


@pytest.fixture
def failing(app: Flask) -> FlaskClient:
    """A client of an app with one address for each way to fail."""
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.add_url_rule("/fail/<int:status>", "fail", lambda status: abort(status))
    app.add_url_rule("/crash", "crash", lambda: 1 // 0, methods=["GET", "POST"])
    app.add_url_rule("/stale", "stale", lambda: raise_(CSRFError("The CSRF token is missing.")))
    app.add_url_rule("/gone", "gone", lambda: abort(redirect("/elsewhere")))
    app.add_url_rule(
        "/locked",
        "locked",
        lambda: raise_(OperationalError("INSERT ada@example.com", {}, Exception("locked"))),
    )
    app.add_url_rule("/full", "full", lambda: raise_(PoolTimeoutError("QueuePool limit")))
    return app.test_client()


def raise_(error: Exception) -> Any:
    raise error


@pytest.fixture
def without_database(settings_for: Any) -> FlaskClient:
    """A client of an app whose database refuses every connection."""
    app = create_app(settings_for(database_url="postgresql://nobody@127.0.0.1:1/nothing"))
    use_fakeredis(app)
    return app.test_client()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 418, 429, 500, 503])
def test_every_failure_is_a_page_for_people(failing: FlaskClient, status: int) -> None:
    answer = failing.get(f"/fail/{status}")
    assert answer.status_code == status
    assert answer.mimetype == "text/html"
    assert "<h1>" in answer.text


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 413, 415, 418, 429, 500, 503])
def test_every_failure_is_json_for_scripts(failing: FlaskClient, status: int) -> None:
    answer = failing.get(f"/fail/{status}", headers=JSON)
    assert answer.status_code == status
    assert (answer.json["ok"], answer.json["success"]) == (False, False)
    assert answer.json["error"] == answer.json["message"] == answer.json["errors"][0]["message"]
    assert set(answer.json["errors"][0]) == {"code", "field", "message"}


def test_a_crash_shows_no_traceback(failing: FlaskClient) -> None:
    for headers in ({}, JSON):
        answer = failing.get("/crash", headers=headers)
        assert answer.status_code == 500
        assert not [word for word in (*TRACES, "ZeroDivision") if word in answer.text]


def test_a_crash_names_the_request_that_the_log_knows(failing: FlaskClient) -> None:
    answer = failing.get("/crash")
    assert answer.headers["X-Request-ID"] in answer.text


def test_too_many_requests_say_when_to_come_back(failing: FlaskClient) -> None:
    assert int(failing.get("/fail/429").headers["Retry-After"]) > 0


def test_a_wrong_method_names_the_right_ones(failing: FlaskClient) -> None:
    answer = failing.delete("/crash")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_a_stale_page_is_told_in_words(failing: FlaskClient) -> None:
    answer = failing.get("/stale")
    assert answer.status_code == 400
    assert "open too long" in answer.text
    assert "CSRF" not in answer.text


def test_a_ready_answer_passes_through(failing: FlaskClient) -> None:
    assert failing.get("/gone").headers["Location"] == "/elsewhere"


def test_a_foreign_host_is_refused_readably(app_with: Any) -> None:
    answer = app_with(allowed_hosts="leads.example").test_client().get("/", base_url="http://evil.example")
    assert answer.status_code == 400


@pytest.mark.parametrize("path", ["/locked", "/full"])
def test_a_database_that_cannot_be_used_is_503(failing: FlaskClient, path: str) -> None:
    answer = failing.get(path)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "ada@" not in answer.text


def test_an_error_page_asks_nobody_who_is_logged_in(failing: FlaskClient) -> None:
    failing.application.context_processor(lambda: raise_(OperationalError("SELECT user", {}, Exception("gone"))))
    assert failing.get("/locked").status_code == 503


def test_the_log_of_a_lost_database_names_nobody(failing: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        failing.get("/locked")
    assert "database unavailable" in caplog.text
    assert "ada@" not in caplog.text


def test_a_lead_is_never_answered_with_success_while_the_database_is_down(
    without_database: FlaskClient,
) -> None:
    answer = without_database.post("/f/contact", data={"name": "Ada", "message": "Two\nlines"})
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert "Your message was not sent; please try again" in answer.text
    assert not [word for word in TRACES if word in answer.text]


def test_what_was_typed_survives_a_lost_database(without_database: FlaskClient) -> None:
    html = without_database.post("/f/contact", data={"name": "Ada", "message": "Two\nlines"}).text
    assert 'value="Ada"' in html
    assert "Two\nlines</textarea>" in html


def test_a_script_is_told_that_the_database_is_down(without_database: FlaskClient) -> None:
    origin = {"Origin": "https://shop.example"}
    answer = without_database.post("/f/contact", json={"name": "Ada"}, headers=origin)
    assert answer.status_code == 503
    assert answer.json["success"] is False
    assert answer.json["errors"][0]["code"] == "UNAVAILABLE"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path", ["/", "/f/contact", "/f/contact/thanks"])
def test_pages_that_need_the_database_say_so(without_database: FlaskClient, path: str) -> None:
    answer = without_database.get(path)
    assert answer.status_code == 503
    assert "storage" in answer.text


def test_a_crash_in_a_form_post_never_looks_like_success(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    db.session.add(Form(key="contact", name="Contact"))
    db.session.commit()
    monkeypatch.setattr("leadapp.leads.intake.accept", lambda *_args, **_more: 1 // 0)
    answer = app.test_client().post("/f/contact", data={"name": "Ada"})
    assert answer.status_code == 500
    assert "Your message was not sent" in answer.text
    assert 'value="Ada"' in answer.text


def test_a_limited_visitor_keeps_what_was_typed(app_with: Any) -> None:
    app = app_with(ratelimit_enabled=True, ratelimit_posts="1 per minute")
    db.session.add(Form(key="contact", name="Contact"))
    db.session.commit()
    client = app.test_client()
    client.post("/f/contact", data={"name": "Ada"})
    answer = client.post("/f/contact", data={"name": "Ada"})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    assert 'value="Ada"' in answer.text


def test_a_post_to_an_unknown_form_is_not_found_for_scripts(client: FlaskClient) -> None:
    answer = client.post("/f/nobody", data={"name": "Ada"}, headers=JSON)
    assert answer.status_code == 404
    assert answer.json["errors"][0]["code"] == "FORM_NOT_FOUND"
