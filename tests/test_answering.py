"""Browsers get pages and redirects, scripts get JSON, and nobody gets the other's answer."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, request

from leadapp.errors import PayloadError
from leadapp.leads.answering import refusal, success, wants_json
from leadapp.leads.models import Form

LEAD_ID = UUID("01890000-0000-7000-8000-000000000001")
JSON = {"Accept": "application/json"}
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
AXIOS = "application/json, text/plain, */*"


def contact(**changes: Any) -> Form:
    return Form(
        **{
            "key": "contact",
            "name": "Contact form",
            "site_url": "",
            "allowed_origins": [],
            "honeypot": "",
            **changes,
        }
    )


@contextmanager
def posting(app: Flask, **more: Any) -> Iterator[None]:
    with app.test_request_context("/f/contact", method="POST", **more):
        yield


@pytest.mark.parametrize(
    ("headers", "is_script"),
    [
        ({}, False),
        ({"Accept": "*/*"}, False),
        ({"Accept": CHROME}, False),
        ({"Accept": AXIOS}, True),
        ({"Accept": "application/json"}, True),
        ({"Accept": "application/json, text/html"}, True),
        ({"Accept": "text/html, application/json"}, False),
        ({"Accept": "application/json;q=0.5, text/html;q=0.9"}, False),
        ({"Accept": "text/html;q=0.5, application/json;charset=utf-8"}, True),
        ({"Accept": "application/json;q=0, */*"}, False),
        ({"Accept": "APPLICATION/JSON"}, True),
        ({"Accept": CHROME, "X-Requested-With": "XMLHttpRequest"}, True),
        ({"X-Requested-With": "xmlhttprequest"}, True),
        ({"X-Requested-With": "com.example.app"}, False),
        ({"Content-Type": "application/json"}, True),
        ({"Content-Type": "application/json", "Accept": "*/*"}, True),
        ({"Content-Type": "application/json", "Accept": CHROME}, False),
        ({"Content-Type": "application/json", "Accept": "application/json, text/html"}, True),
        ({"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}, False),
    ],
)
def test_who_wants_json(app: Flask, headers: dict[str, str], is_script: bool) -> None:
    with posting(app, headers=headers):
        assert wants_json(request) is is_script


def test_a_browser_is_sent_to_the_thank_you_page(app: Flask) -> None:
    with posting(app):
        answer = success(contact(), LEAD_ID)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/f/contact/thanks")


def test_a_browser_is_sent_to_the_page_that_the_form_names(app: Flask) -> None:
    with posting(app):
        answer = success(contact(site_url="https://shop.example"), LEAD_ID, wanted="/thanks")
    assert answer.headers["Location"] == "https://shop.example/thanks"


def test_a_path_follows_the_site_that_posted(app: Flask) -> None:
    with posting(app, headers={"Origin": "https://b.example"}):
        answer = success(contact(allowed_origins=["https://a.example", "https://b.example"]), LEAD_ID, wanted="/ok")
    assert answer.headers["Location"] == "https://b.example/ok"


def test_a_browser_is_never_sent_elsewhere(app: Flask) -> None:
    with posting(app, headers={"Referer": "https://evil.example/x"}):
        answer = success(contact(), LEAD_ID, wanted="https://evil.example/thanks")
    assert answer.headers["Location"] == "/f/contact/thanks"


def test_a_script_gets_json_and_no_redirect(app: Flask) -> None:
    with posting(app, headers=JSON):
        answer = success(contact(), LEAD_ID)
    assert answer.status_code == 200
    assert answer.json == {
        "ok": True,
        "success": True,
        "id": str(LEAD_ID),
        "next": "http://localhost/f/contact/thanks",
        "message": "Thank you. Your message has arrived.",
    }


def test_the_address_in_json_is_the_public_one(app_with: Any) -> None:
    with posting(app_with(frontend_base_url="https://leads.example/"), headers=JSON):
        assert success(contact(), LEAD_ID).json["next"] == "https://leads.example/f/contact/thanks"


def test_a_script_reads_why_it_was_refused(app: Flask) -> None:
    with posting(app, headers=JSON):
        answer = refusal(PayloadError(422, "TYPE_EMAIL", "This address misses an @.", "email"))
    assert answer.status_code == 422
    assert answer.json == {
        "ok": False,
        "success": False,
        "error": "This address misses an @.",
        "message": "This address misses an @.",
        "errors": [{"code": "TYPE_EMAIL", "field": "email", "message": "This address misses an @."}],
    }


def test_several_errors_are_all_named(app: Flask) -> None:
    with posting(app, headers=JSON):
        answer = refusal(PayloadError(422, "A", "One."), PayloadError(422, "B", "Two."))
    assert answer.json["error"] == "One. Two."
    assert [error["code"] for error in answer.json["errors"]] == ["A", "B"]


def test_a_refusal_says_when_to_come_back(app: Flask) -> None:
    with posting(app, headers=JSON):
        assert refusal(PayloadError(429, "X", "Wait."), retry_after=7).headers["Retry-After"] == "7"


def test_a_browser_gets_a_page_with_what_was_typed(app: Flask) -> None:
    with posting(app):
        answer = refusal(PayloadError(400, "EMPTY", "Nothing was filled in."), form=contact(), typed={"name": ["Ada"]})
    assert answer.status_code == 400
    assert answer.mimetype == "text/html"
    assert 'value="Ada"' in answer.get_data(as_text=True)


def test_a_body_that_could_not_be_read_is_not_read_again(app: Flask) -> None:
    app.config["MAX_CONTENT_LENGTH"] = 10
    with posting(app, data={"name": "x" * 100}):
        answer = refusal(PayloadError(413, "FILES_TOO_BIG", "Too much."), form=contact())
    assert answer.status_code == 413


def test_a_file_field_is_offered_again_empty(app: Flask) -> None:
    with posting(app, data={"name": "Ada", "cv": (io.BytesIO(b"x"), "secret-name.pdf")}):
        answer = refusal(PayloadError(400, "X", "Again."), typed={"name": ["Ada"]})
    assert 'name="cv" type="file"' in answer.get_data(as_text=True)
    assert "multipart/form-data" in answer.get_data(as_text=True)
    assert "secret-name" not in answer.get_data(as_text=True)


def test_answers_are_not_kept_by_caches(app: Flask) -> None:
    with posting(app):
        assert success(contact(), LEAD_ID).headers["Cache-Control"] == "no-store"
        assert refusal(PayloadError(400, "X", "Again.")).headers["Cache-Control"] == "no-store"
