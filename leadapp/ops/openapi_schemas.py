"""The bodies that machines send and get, as JSON Schema, for openapi.py."""

from typing import Any

from leadapp.deliveries.models import DeliveryState, DestinationState, Kind
from leadapp.leads.models import LeadStatus
from leadapp.ops.stats import MOST_DAYS

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def an_object(**properties: Schema) -> Schema:
    """An object that has all of these and nothing else; a `_` at the end of a name makes it optional."""
    named = {name.rstrip("_"): schema for name, schema in properties.items()}
    required = [name for name in properties if not name.endswith("_")]
    return {"type": "object", "required": required, "properties": named, "additionalProperties": False}


def counts(words: Any) -> Schema:
    """How many of each."""
    return an_object(**{str(word): {"type": "integer", "minimum": 0} for word in words})


TEXT: Schema = {"type": "string"}
COUNT: Schema = {"type": "integer", "minimum": 0}
DAY: Schema = {"type": "string", "format": "date"}
LEAD_ID: Schema = {"type": "string", "format": "uuid"}
A_LEAD_ID, AN_ID = "01a201c7-8b55-76af-8316-18b4d6cf36a6", "01a201d5-39f9-7581-af4a-0f1bce328ca5"
CORRELATION: Schema = {"type": "string", "minLength": 1, "maxLength": 64}
FAULT = an_object(code=TEXT, field=TEXT, message=TEXT)
LEAD_COUNTS: dict[str, Schema] = {"received": COUNT, "spam": COUNT, "by_status": counts(LeadStatus)}

SCHEMAS: dict[str, Schema] = {
    "Empty": {
        "description": "Nothing that could be a field of a lead, however it is nested.",
        "anyOf": [
            {"type": "null"},
            {"type": "string", "pattern": r"^\s*$"},
            {"type": "array", "items": ref("Empty")},
            {"type": "object", "additionalProperties": ref("Empty")},
        ],
    },
    "Lead": {
        "description": (
            "The fields of one lead under any names, nested or flat. E-mail, name, phone and message are found by "
            "their names in several languages; every other field is kept too. At least one value is not empty."
        ),
        "type": "object",
        "not": ref("Empty"),
    },
    "LeadWithKey": {
        "description": "A lead whose form is named by a field: access_key, apikey, api_key or form-name.",
        "type": "object",
        "not": ref("Empty"),
        "properties": {"access_key": {"type": "string", "minLength": 1}},
    },
    "Leads": {
        "description": "Several leads in one body.",
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "items": ref("Lead"),
    },
    "FormAccepted": an_object(
        ok={"const": True}, success={"const": True}, id=LEAD_ID, next={"type": "string"}, message=TEXT
    ),
    "Problem": {
        "description": "Why nothing was saved; `errors` names every field at fault.",
        **an_object(
            ok={"const": False},
            success={"const": False},
            error=TEXT,
            message=TEXT,
            errors={"type": "array", "minItems": 1, "items": FAULT},
        ),
    },
    "WebhookAccepted": {
        "description": "Saved. `lead_ids` is there when the body held several leads.",
        **an_object(
            status={"const": "accepted"},
            lead_id=LEAD_ID,
            lead_ids_={"type": "array", "minItems": 2, "items": LEAD_ID},
            correlation_id=CORRELATION,
        ),
    },
    "WebhookIgnored": {
        "description": "An event of the sender without a lead in it.",
        **an_object(status={"const": "ignored"}, correlation_id=CORRELATION),
    },
    "WebhookProblem": {
        "description": "Why nothing was accepted. `position` is where JSON is broken.",
        **an_object(
            status={"const": "error"},
            error=an_object(
                code=TEXT,
                message=TEXT,
                field=TEXT,
                position_=an_object(
                    line={"type": "integer", "minimum": 1}, column={"type": "integer", "minimum": 1}, offset=COUNT
                ),
            ),
            correlation_id=CORRELATION,
        ),
    },
    "Live": an_object(status={"const": "ok"}),
    "Ready": an_object(status={"enum": ["ok", "degraded", "not ready"]}, database=TEXT, redis=TEXT),
    "Stats": {
        "description": "Days are UTC days, today included. Spam is counted beside the others, not among them.",
        **an_object(
            days={"type": "integer", "minimum": 1, "maximum": MOST_DAYS},
            to=DAY,
            form={"type": ["string", "null"]},
            leads=an_object(**LEAD_COUNTS),
            by_day={"type": "array", "items": an_object(day=DAY, **LEAD_COUNTS)},
            by_form={"type": "array", "items": an_object(form=TEXT, name=TEXT, **LEAD_COUNTS)},
            by_destination={
                "description": "Empty when one form was asked for.",
                "type": "array",
                "items": an_object(
                    id={"type": "integer"},
                    name=TEXT,
                    kind={"enum": [str(kind) for kind in Kind]},
                    state={"enum": [str(state) for state in DestinationState]},
                    planned=COUNT,
                    by_state=counts(DeliveryState),
                ),
            },
            **{"from": DAY},
        ),
    },
}

_FAULT = {"code": "EMPTY", "field": "", "message": "Nothing in this post could be read as a field of a form."}
_WORDS = _FAULT["message"]
# One answer of each shape, as the page shows it.
EXAMPLES: dict[str, Any] = {
    "FormAccepted": {
        "ok": True,
        "success": True,
        "id": A_LEAD_ID,
        "next": "https://leads.shop.example/f/contact/thanks",
        "message": "Thank you. Your message has arrived.",
    },
    "Problem": {"ok": False, "success": False, "error": _WORDS, "message": _WORDS, "errors": [_FAULT]},
    "WebhookAccepted": {"status": "accepted", "lead_id": A_LEAD_ID, "correlation_id": AN_ID},
    "WebhookIgnored": {"status": "ignored", "correlation_id": AN_ID},
    "WebhookProblem": {
        "status": "error",
        "error": {
            "code": "INVALID_JSON",
            "message": "The body is not JSON: Expecting value at line 1, column 7.",
            "field": "",
            "position": {"line": 1, "column": 7, "offset": 6},
        },
        "correlation_id": AN_ID,
    },
    "Live": {"status": "ok"},
    "Ready": {"status": "ok", "database": "ok", "redis": "ok"},
}
for _name, _example in EXAMPLES.items():
    SCHEMAS[_name]["examples"] = [_example]
