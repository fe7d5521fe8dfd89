"""The hosted form inside another site's page: framed by whoever may post to it, and by nobody else."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import add_form
from tests.test_headers import directives

SITES = {"site_url": "https://shop.example/a", "allowed_origins": ["https://b.example"]}


def pages_of(client: FlaskClient) -> list:
    """The form, what comes after it, and what comes when it was left empty."""
    return [client.get("/f/contact"), client.get("/f/contact/thanks"), client.post("/f/contact", data={"name": ""})]


def test_any_page_may_frame_a_form_that_any_site_may_post_to(client: FlaskClient, app: Flask) -> None:
    add_form()
    for answer in pages_of(client):
        assert directives(answer)["frame-ancestors"] == "'self' *"
        assert "X-Frame-Options" not in answer.headers


def test_a_form_with_a_list_of_sites_is_framed_by_these_alone(client: FlaskClient, app: Flask) -> None:
    add_form(**SITES)
    for answer in pages_of(client):
        assert directives(answer)["frame-ancestors"] == "'self' https://b.example https://shop.example"


@pytest.mark.parametrize("path", ["/", "/f/nowhere", "/account/login", "/admin/"])
def test_no_other_page_can_be_framed(client: FlaskClient, app: Flask, path: str) -> None:
    add_form()
    answer = client.get(path)
    assert directives(answer)["frame-ancestors"] == "'none'"
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_slash_behind_the_address_is_the_same_form(client: FlaskClient, app: Flask) -> None:
    add_form()
    assert client.get("/f/contact/").status_code == 200
    answer = client.post("/f/contact/", json={"name": "Ada", "message": "Hello"})
    assert answer.json["success"] is True
    assert client.options("/f/contact/").status_code == 204
