"""Security headers: on every answer, strict, and with a nonce that changes."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from leadapp import headers


def directives(answer: Any) -> dict[str, str]:
    parts = answer.headers["Content-Security-Policy"].split("; ")
    return {name: sources for name, _, sources in (part.partition(" ") for part in parts)}


@pytest.mark.parametrize("path", ["/healthz/live", "/no-such-page", "/static/tokens.css"])
def test_every_answer_is_protected(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert directives(answer)["frame-ancestors"] == "'none'"


def answer_with_a_nonce(app: Flask) -> Any:
    if "page" not in app.view_functions:
        page = app.jinja_env.from_string("{{ csp_nonce() }}")
        app.add_url_rule("/here", "page", lambda: page.render())
    return app.test_client().get("/here")


def test_scripts_and_styles_are_our_own_or_carry_the_nonce(app: Flask) -> None:
    policy = directives(answer_with_a_nonce(app))
    assert re.fullmatch(r"'self' 'nonce-[\w-]{22}'", policy["script-src"])
    assert re.fullmatch(r"'self' 'nonce-[\w-]{22}'", policy["style-src"])
    assert policy["object-src"] == "'none'"
    assert "unsafe" not in " ".join(policy.values())


def test_a_nonce_lasts_for_one_answer(app: Flask) -> None:
    first, second = (directives(answer_with_a_nonce(app))["script-src"] for _ in range(2))
    assert first != second


def test_an_answer_without_a_page_allows_no_inline_script_at_all(client: FlaskClient) -> None:
    assert directives(client.get("/healthz/live"))["script-src"] == "'self'"


def test_a_page_and_its_header_carry_the_same_nonce(app: Flask) -> None:
    answer = answer_with_a_nonce(app)
    assert f"'nonce-{answer.text}'" in directives(answer)["script-src"]


def test_one_answer_may_reach_one_more_place(app: Flask) -> None:
    def view() -> str:
        headers.allow("form-action", "https://shop.example")
        return "ok"

    app.add_url_rule("/here", view_func=view)
    client = app.test_client()
    assert directives(client.get("/here"))["form-action"] == "'self' https://shop.example"
    assert directives(client.get("/healthz/live"))["form-action"] == "'self'"


@pytest.mark.parametrize("path", ["/admin/", "/admin/lead/", "/account/login"])
def test_what_only_staff_sees_is_kept_nowhere(client: FlaskClient, path: str) -> None:
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_production_insists_on_https_once_it_was_used(app_with: Any, settings_for: Any) -> None:
    client = app_with(app_env="production").test_client()
    assert "Strict-Transport-Security" in client.get("/healthz/live", base_url="https://localhost").headers
    assert "Strict-Transport-Security" not in client.get("/healthz/live").headers


def test_a_machine_of_ones_own_does_not_insist_on_https(client: FlaskClient) -> None:
    assert "Strict-Transport-Security" not in client.get("/healthz/live", base_url="https://localhost").headers
