"""What machines may call, address by address, for openapi.py."""

from collections.abc import Mapping
from typing import Any

from leadapp.ops.openapi_schemas import TEXT, ref
from leadapp.ops.stats import MOST_DAYS

Part = dict[str, Any]

JSON, HTML, PLAIN = "application/json", "text/html; charset=utf-8", "text/plain; charset=utf-8"
PAIRS, PARTS = "application/x-www-form-urlencoded", "multipart/form-data"
WORDS = {
    400: "Cannot be read, or holds nothing.",
    401: "The token or secret is missing or wrong.",
    403: "Closed: METRICS_TOKEN is not set on this server.",
    404: "There is no such form.",
    405: "This address takes another method; `Allow` says which.",
    413: "Too large, or too many fields, files or leads.",
    415: "Of a kind, or packed in a way, that is not understood.",
    422: "Understood, and still not to be taken.",
    429: "Too many posts from one address. Wait for `Retry-After` seconds.",
    500: "Something broke on our side; nothing was saved.",
    503: "Storage does not answer; nothing was saved. Try again after `Retry-After` seconds.",
}


def answer(words: str, content: Mapping[str, Part] | None = None, *headers: str) -> Part:
    """One answer; every one carries X-Request-ID."""
    found: Part = {"description": words}
    if content:
        found["content"] = {kind: {"schema": schema} for kind, schema in content.items()}
    found["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-ID", *headers)}
    return found


def refusals(content: Mapping[str, Part], *statuses: int, also: tuple[str, ...] = ()) -> dict[str, Part]:
    """Answers that say why not, all of one shape."""
    found = {}
    for status in statuses:
        headers = {401: ("WWW-Authenticate",), 405: ("Allow",), 429: ("Retry-After",), 503: ("Retry-After",)}
        found[str(status)] = answer(WORDS[status], content, *headers.get(status, ()), *also)
    return found


FORM_KEY: Part = {
    "name": "form_key",
    "in": "path",
    "required": True,
    "description": "The form's public key, from the admin.",
    "schema": {"type": "string", "minLength": 1},
    "example": "contact",
}
ACCEPT: Part = {
    "name": "Accept",
    "in": "header",
    "required": False,
    "description": "JSON before HTML asks for JSON answers; browsers get pages and redirects.",
    "schema": TEXT,
    "example": JSON,
}
IDEMPOTENCY: Part = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same content is the same lead; with other content it is refused with 422.",
    "schema": TEXT,
}
CORRELATION: Part = {
    "name": "X-Correlation-Id",
    "in": "header",
    "required": False,
    "description": "What you follow this lead by; 1 to 64 printable ASCII characters, otherwise a new one is made.",
    "schema": TEXT,
}

LEAD_EXAMPLE = {"name": "Ada Lovelace", "email": "ada@example.com", "message": "Do you have time in May?"}


def form_body(schema: str, **more: str) -> Part:
    return {
        "required": True,
        "description": "A form as browsers post it (files too), or its fields as JSON.",
        "content": {
            PAIRS: {"schema": ref(schema), "example": {**more, **LEAD_EXAMPLE}},
            PARTS: {"schema": ref(schema), "example": {**more, **LEAD_EXAMPLE}},
            JSON: {"schema": ref(schema), "example": {**more, **LEAD_EXAMPLE}},
        },
    }


WEBHOOK_BODY: Part = {
    "required": True,
    "description": (
        "One lead, a list of leads, or what Google Ads, Typeform, Tally, HubSpot, Elementor, Meta and others send. "
        "At most 32 levels deep. NaN, a key that stands twice and bytes that are not text are refused."
    ),
    "content": {
        JSON: {
            "schema": {"anyOf": [ref("Lead"), ref("Leads")]},
            "example": {
                "email": "user@example.com",
                "phone": "+4917012345678",
                "address": {"zip": "66123", "street": "123 Main St"},
                "house": {"is_owner": True},
            },
        },
        PAIRS: {"schema": ref("Lead")},
    },
}
NAMED_BODY = form_body("LeadWithKey", access_key="contact")
FORM_REFUSALS = refusals({JSON: ref("Problem"), HTML: TEXT}, 400, 404, 413, 415, 422, 429, 500, 503)
WEBHOOK_REFUSALS = refusals({JSON: ref("WebhookProblem")}, 400, 401, 404, 429, 500, 503, also=("X-Correlation-Id",))
WEBHOOK_POST_REFUSALS = WEBHOOK_REFUSALS | refusals(
    {JSON: ref("WebhookProblem")}, 413, 415, 422, also=("X-Correlation-Id",)
)
SHARED_SECRET: list[dict[str, list[str]]] = [
    {"sharedSecret": []},
    {"sharedSecretAsBearer": []},
    {"sharedSecretInAddress": []},
    {"standardWebhooks": []},
    {"signedBody": []},
]


def form_post(name: str, summary: str, body: Part, *parameters: Part) -> Part:
    return {
        "operationId": name,
        "tags": ["Forms"],
        "summary": summary,
        "description": "Answered after the lead is saved. What is sent from it, and when, shows the admin.",
        "parameters": [*parameters, ACCEPT, IDEMPOTENCY],
        "requestBody": body,
        "responses": {
            "200": answer("Saved; to who asked for JSON.", {JSON: ref("FormAccepted")}),
            "303": answer("Saved; browsers are sent on to the thank-you page.", None, "Location"),
            **FORM_REFUSALS,
        },
    }


def preflight(name: str, *parameters: Part) -> Part:
    return {
        "operationId": name,
        "tags": ["Forms"],
        "summary": "What a browser asks before a script of another site posts.",
        "parameters": list(parameters),
        "responses": {"204": answer("What is allowed."), **refusals({HTML: TEXT}, 500, 503)},
    }


def page(name: str, summary: str, *parameters: Part) -> Part:
    refused = {HTML: TEXT, JSON: ref("Problem")}
    statuses = (404, 500, 503) if parameters else (500, 503)
    return {
        "operationId": name,
        "tags": ["Forms"],
        "summary": summary,
        "parameters": list(parameters),
        "responses": {"200": answer("A page.", {HTML: TEXT}), **refusals(refused, *statuses)},
    }


def webhook_post(name: str, summary: str, *parameters: Part) -> Part:
    accepted = {"oneOf": [ref("WebhookAccepted"), ref("WebhookIgnored")]}
    return {
        "operationId": name,
        "tags": ["Webhooks"],
        "summary": summary,
        "description": (
            "Answered after the lead is saved and before anything is sent. Rules and mapping of the form have run: a "
            "lead that they reject is accepted here, kept with its codes, and never sent to the customer's API."
        ),
        "security": SHARED_SECRET,
        "parameters": [*parameters, CORRELATION, IDEMPOTENCY],
        "requestBody": WEBHOOK_BODY,
        "responses": {
            "200": answer("Saved.", {JSON: accepted}, "X-Correlation-Id"),
            **WEBHOOK_POST_REFUSALS,
        },
    }


def webhook_get(name: str, *parameters: Part) -> Part:
    mode: Part = {"name": "hub.mode", "in": "query", "required": True, "schema": {"const": "subscribe"}}
    token: Part = {"name": "hub.verify_token", "in": "query", "required": False, "schema": TEXT}
    challenge: Part = {
        "name": "hub.challenge",
        "in": "query",
        "required": True,
        "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
        "example": "1158201444",
    }
    return {
        "operationId": name,
        "tags": ["Webhooks"],
        "summary": "Meta's handshake: the challenge comes back to who knows the token.",
        "description": "`hub.verify_token` is the form's secret, or WEBHOOK_SHARED_SECRET, where one is set.",
        "parameters": [*parameters, mode, token, challenge],
        "responses": {
            "200": answer("The challenge.", {PLAIN: TEXT}),
            **WEBHOOK_REFUSALS,
            **refusals({JSON: ref("WebhookProblem")}, 405, also=("X-Correlation-Id",)),
        },
    }


def figures(name: str, summary: str, content: Mapping[str, Part], *statuses: int) -> Part:
    return {
        "operationId": name,
        "tags": ["Operations"],
        "summary": summary,
        "security": [{"metricsToken": []}],
        "responses": {
            "200": answer("Figures.", content),
            **refusals({JSON: ref("Problem")}, 401, 403, *statuses),
            **refusals({JSON: ref("Problem"), HTML: TEXT}, 500, 503),
        },
    }


def _stats() -> Part:
    days = {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": MOST_DAYS}
    found = figures(
        "stats", "Leads and deliveries by status, form, destination and day.", {JSON: ref("Stats")}, 400, 404
    )
    return found | {
        "parameters": [
            {"name": "days", "in": "query", "required": False, "description": "How many days.", "schema": days},
            {"name": "form", "in": "query", "required": False, "description": "A form's key.", "schema": TEXT},
        ]
    }


def _health(name: str, summary: str, content: Part, *statuses: int) -> Part:
    answers = {str(status): answer("No lead could be saved now.", {JSON: content}) for status in statuses}
    return {
        "operationId": name,
        "tags": ["Operations"],
        "summary": summary,
        "responses": {"200": answer("Yes.", {JSON: content}), **answers},
    }


METRICS = {PLAIN.replace("; ", "; version=0.0.4; "): TEXT, "application/openmetrics-text": TEXT}

PATHS: dict[str, Part] = {
    "/f/{form_key}": {
        "post": form_post("postForm", "Post a form.", form_body("Lead"), FORM_KEY),
        "get": page("showForm", "The form itself, as a page.", FORM_KEY),
        "options": preflight("askForm", FORM_KEY),
    },
    "/submit": {
        "post": form_post("submit", "Post a form that names its key in a field.", NAMED_BODY),
        "options": preflight("askSubmit"),
    },
    "/": {
        "post": form_post("postRoot", "The same, for forms without an address of their own.", NAMED_BODY),
        "get": page("start", "The start page."),
        "options": preflight("askRoot"),
    },
    "/webhooks/leads/": {
        "post": webhook_post("postLead", "Send a lead to the form `gateway`."),
        "get": webhook_get("shakeHands"),
    },
    "/webhooks/leads/{form_key}/": {
        "post": webhook_post("postLeadToForm", "Send a lead to a form.", FORM_KEY),
        "get": webhook_get("shakeHandsWithForm", FORM_KEY),
    },
    "/stats": {"get": _stats()},
    "/metrics": {"get": figures("metrics", "Figures for Prometheus.", METRICS)},
    "/healthz/live": {"get": _health("live", "Does this process answer?", ref("Live"))},
    "/healthz/ready": {"get": _health("ready", "Could a lead be saved?", ref("Ready"), 503)},
}
