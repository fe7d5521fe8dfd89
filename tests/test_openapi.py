"""/openapi.json and /docs: valid, complete, and readable. What the app really answers is tested in services/."""

import json
import re
import socket
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from leadapp.config import Settings
from leadapp.leads.setup import ensure_forms
from leadapp.ops.openapi_paths import PATHS
from leadapp.slowclients import BodyFirst

from .desk import browser
from .factories import add_desk, post_lead

# Addresses that people open, and that no machine is to call.
FOR_PEOPLE = ("/admin", "/account", "/static", "/f/<key>/thanks", "/openapi.json", "/docs")
Document = dict[str, Any]


@pytest.fixture
def document(client: FlaskClient) -> Document:
    return client.get("/openapi.json").json


def shape(document: Document, name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def faults(document: Document, name: str, found: Any) -> list[str]:
    """Where it is not of that shape."""
    return [f"{fault.json_path}: {fault.message}" for fault in shape(document, name).iter_errors(found)]


def holds(document: Document, name: str, found: Any) -> None:
    assert not faults(document, name, found)


def test_it_is_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    validate(document)


def test_it_says_where_this_installation_answers(client: FlaskClient) -> None:
    told = client.get("/openapi.json", base_url="https://leads.shop.example").json
    assert told["servers"] == [{"url": "https://leads.shop.example"}]


def test_every_address_that_machines_call_is_described(app: Flask, document: Document) -> None:
    described = {re.sub(r"\{\w+\}", "<>", path) for path in document["paths"]}
    routed = {
        re.sub(r"<[^>]+>", "<>", rule.rule) for rule in app.url_map.iter_rules() if not rule.rule.startswith(FOR_PEOPLE)
    }
    assert routed == described


def test_every_method_of_these_addresses_is_described(app: Flask, document: Document) -> None:
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", "{form_key}", rule.rule)
        if path in document["paths"]:
            methods = {method.lower() for method in rule.methods or ()} - {"head", "options"}
            assert methods <= set(document["paths"][path]), path


def test_every_operation_has_a_name_of_its_own_and_words(document: Document) -> None:
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"].endswith((".", "?")) for operation in operations)
    assert {tag for operation in operations for tag in operation["tags"]} == {tag["name"] for tag in document["tags"]}


def test_the_examples_are_taken_and_answered_as_described(app: Flask, document: Document) -> None:
    ensure_forms()
    for path, schema in (
        ("/f/{form_key}", "FormAccepted"),
        ("/submit", "FormAccepted"),
        ("/webhooks/leads/{form_key}/", "WebhookAccepted"),
    ):
        example = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
        holds(document, "Lead", example)
        answer = app.test_client().post(path.replace("{form_key}", "contact"), json=example)
        assert answer.status_code == 200, answer.text
        holds(document, schema, answer.json)


@pytest.mark.parametrize(
    ("path", "body", "schema"),
    [
        ("/f/contact", {"a": [None, " ", {"b": ""}]}, "Problem"),
        ("/f/nobody", {"a": "b"}, "Problem"),
        ("/webhooks/leads/contact", {"a": [None, " "]}, "WebhookProblem"),
        ("/webhooks/leads/nobody", {"a": "b"}, "WebhookProblem"),
        ("/webhooks/leads/contact", 7, "WebhookProblem"),
    ],
)
def test_refusals_have_the_shape_that_is_described(
    app: Flask, document: Document, path: str, body: Any, schema: str
) -> None:
    add_desk()
    answer = app.test_client().post(path, json=body)
    assert 400 <= answer.status_code < 500
    holds(document, schema, answer.json)
    assert str(answer.status_code) in PATHS["/f/{form_key}"]["post"]["responses"]


def test_broken_json_names_its_place_as_described(app: Flask, document: Document) -> None:
    add_desk()
    answer = app.test_client().post("/webhooks/leads/contact", data='{"a": ', content_type="application/json")
    assert answer.json["error"]["position"]
    holds(document, "WebhookProblem", answer.json)


def test_a_body_that_comes_too_slowly_is_described_as_what_it_gets(
    document: Document, settings_for: Callable[..., Settings]
) -> None:
    ours, theirs = socket.socketpair()
    environ = {"gunicorn.socket": ours, "wsgi.input": ours.makefile("rb"), "CONTENT_LENGTH": "100"}
    middleware = BodyFirst(lambda *_: pytest.fail("the app was asked"), settings_for(body_seconds=0.05))
    middleware(environ, lambda *_: lambda _: None)
    assert theirs.recv(100) == b""  # no answer can get through any more
    answers = [set(one.get("responses", {})) for path in document["paths"].values() for one in path.values()]
    assert "408" not in set().union(*answers)
    assert "BODY_SECONDS gets no answer" in document["info"]["description"]


@pytest.mark.parametrize("empty", [None, "", " \n", [], {}, {"a": None}, [{"b": [" "]}]])
def test_what_holds_nothing_is_no_lead_by_the_schema_too(document: Document, empty: Any) -> None:
    assert shape(document, "Empty").is_valid(empty)
    assert not shape(document, "Lead").is_valid({"field": empty})


def test_figures_and_health_have_the_shape_that_is_described(app_with: Any) -> None:
    app = app_with(app_env="development")
    post_lead(add_desk()[0])
    client = app.test_client()
    told = client.get("/openapi.json").json
    assert not faults(told, "Stats", client.get("/stats").json)
    assert not faults(told, "Live", client.get("/healthz/live").json)
    assert not faults(told, "Ready", client.get("/healthz/ready").json)


# --- for people


def test_the_page_names_every_address_and_loads_nothing_from_elsewhere(client: FlaskClient, document: Document) -> None:
    page = client.get("/docs").text
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in page
    assert "<script" not in page
    assert "style=" not in page
    assert not re.search(r'(src|href)="https?://', page)


def test_the_examples_on_the_page_can_be_pasted(client: FlaskClient) -> None:
    add_desk()
    page = browser(client.application).get("/docs").text
    bodies = [json.loads(body) for body in re.findall(r"-d &#39;(.+?)&#39;", page)] or [
        json.loads(body.replace("&#34;", '"')) for body in re.findall(r"-d '(.+?)'</code>", page, re.DOTALL)
    ]
    assert {"zip": "66123", "street": "123 Main St"} in [body.get("address") for body in bodies]


def test_the_description_may_be_read_from_other_sites(client: FlaskClient) -> None:
    assert client.get("/openapi.json").headers["Access-Control-Allow-Origin"] == "*"


def test_the_examples_of_answers_are_of_their_shape(document: Document) -> None:
    schemas = document["components"]["schemas"]
    examples = [(name, one) for name, schema in schemas.items() for one in schema.get("examples", [])]
    assert examples
    for name, example in examples:
        holds(document, name, example)
