"""/openapi.json: what machines may call, held to what the app does by tests; /docs is the same for people."""

import re
from typing import Any

from flask import Blueprint, Response, jsonify, request
from markupsafe import Markup, escape

from leadapp import __version__
from leadapp.accounts import guard
from leadapp.leads import pages
from leadapp.ops.openapi_paths import JSON, PATHS, WORDS, Part
from leadapp.ops.openapi_schemas import CORRELATION, EXAMPLES, SCHEMAS, TEXT

api = Blueprint("api", __name__)
api.access = guard.PUBLIC  # type: ignore[attr-defined]

ABOUT = """Leadapp takes leads as forms and as JSON, saves each of them first, and delivers it afterwards.
A success answer means: it is saved. Every answer carries `X-Request-ID`, which the log lines have too.
A body that takes longer than BODY_SECONDS gets no answer: its connection is closed, and nothing was saved."""
TAGS = [
    {"name": "Forms", "description": "What forms on other sites post to."},
    {"name": "Webhooks", "description": "Where other systems send leads as JSON."},
    {"name": "Operations", "description": "Health and figures, for balancers, Prometheus and dashboards."},
]
SECURITY = {
    "metricsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "METRICS_TOKEN; in development it may be unset.",
    },
    "sharedSecret": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Shared-Secret",
        "description": "The form's secret, or WEBHOOK_SHARED_SECRET. Where neither is set, nothing is checked.",
    },
    "sharedSecretAsBearer": {"type": "http", "scheme": "bearer", "description": "The same secret."},
    "sharedSecretInAddress": {
        "type": "apiKey",
        "in": "query",
        "name": "token",
        "description": "The same secret, for senders that can set no header.",
    },
    "standardWebhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks, signed with the same secret; `webhook-id` and `webhook-timestamp` (at most "
        "five minutes off) belong to it.",
    },
    "signedBody": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Webhook-Signature",
        "description": "`sha256=` and the hex HMAC-SHA256 of the body, with the same secret as its key.",
    },
}
HEADERS = {
    "X-Request-ID": {"description": "Names this request in the log.", "schema": TEXT},
    "X-Correlation-Id": {"description": "What the lead is followed by.", "schema": CORRELATION},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}},
    "Location": {"description": "The next page.", "schema": TEXT},
    "Allow": {"description": "The methods that this address takes.", "schema": TEXT},
    "WWW-Authenticate": {"description": "How to prove yourself.", "schema": TEXT},
}


def document(address: str) -> dict[str, Any]:
    """OpenAPI 3.1; `address` is where this installation answers."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Leadapp", "version": __version__, "summary": "The lead desk", "description": ABOUT},
        "servers": [{"url": address}],
        "externalDocs": {"description": "The same for people", "url": f"{address}/docs"},
        "tags": TAGS,
        "paths": PATHS,
        "components": {"schemas": SCHEMAS, "headers": HEADERS, "securitySchemes": SECURITY},
    }


@api.get("/openapi.json")
def openapi() -> Response:
    """May be read from other sites: it says nothing secret."""
    answer = jsonify(document(request.url_root.rstrip("/")))
    answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer


@api.get("/docs")
def docs() -> str:
    """The same as a page; no script and nothing from elsewhere."""
    return pages.render(
        "public/api.html",
        api=document(request.url_root.rstrip("/")),
        tagged=tagged(),
        asked=asked,
        answered=answered,
        coded=coded,
        words=WORDS,
        refusals={"Forms": EXAMPLES["Problem"], "Webhooks": EXAMPLES["WebhookProblem"]},
    )


def tagged() -> dict[str, list[tuple[str, str, Part]]]:
    """Method, path and operation of each tag, in the order of the paths."""
    found: dict[str, list[tuple[str, str, Part]]] = {str(tag["name"]): [] for tag in TAGS}
    for path, operations in PATHS.items():
        for method, operation in operations.items():
            found[operation["tags"][0]].append((method.upper(), path, operation))
    return found


def asked(operation: Part) -> Any:
    """The JSON body that the operation shows, if any."""
    return operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example")


def answered(answer: Part) -> Any:
    """One JSON body of this answer, if it has one."""
    schema = answer.get("content", {}).get(JSON, {}).get("schema", {})
    name = schema.get("oneOf", [schema])[0].get("$ref", "").rpartition("/")[2]
    return EXAMPLES.get(name)


def coded(words: str) -> Markup:
    """`Words` between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))  # noqa: S704 - escaped before
