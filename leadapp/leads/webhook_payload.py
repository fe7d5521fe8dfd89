"""The body of the outgoing webhook (delivery-contract.md); additions are allowed, a changed meaning is a new type."""

import json
import math
from collections.abc import Sequence
from typing import Any

from leadapp.clock import iso
from leadapp.files.models import Document
from leadapp.leads.models import Lead

TYPE = "lead.received"
DEEPEST = 50  # levels of nesting; what lies deeper is in the admin's raw copy
ATTRIBUTION = (
    "lead_source",
    "utm_source",
    "utm_medium",
    "utm_campaign",
    "utm_term",
    "utm_content",
    "gclid",
    "fbclid",
    "msclkid",
    "page_url",
    "referrer",
)


def webhook_body(lead: Lead, documents: Sequence[Document] = ()) -> str:
    """The exact body: compact JSON, the same for the same lead."""
    payload = build_webhook_payload(lead, documents)
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def build_webhook_payload(lead: Lead, documents: Sequence[Document] = ()) -> dict[str, Any]:
    """The same keys for every lead; what a lead does not have is an empty text."""
    received_at = iso(lead.received_at)
    return {
        "type": TYPE,
        "timestamp": received_at,
        "data": {
            "id": str(lead.id),
            "correlation_id": lead.correlation_id,
            "form": lead.form.key,
            "form_type": lead.form_type or "",
            "received_at": received_at,
            "is_test": bool(lead.is_test),
            "name": lead.name or "",
            "email": lead.email or "",
            "phone": lead.phone or "",
            "message": lead.message or "",
            "fields": _plain(lead.fields or {}),
            "attribution": {name: getattr(lead, name) or "" for name in ATTRIBUTION},
            "files": [_file(document) for document in documents],
            "rejected_because": [_reason(problem) for problem in lead.problems or [] if problem.get("by") == "rules"],
        },
    }


def _reason(problem: dict[str, Any]) -> dict[str, str]:
    """One reason of the form's rules; a lead that they let pass has none."""
    return {name: str(problem.get(name) or "") for name in ("code", "field", "message")}


def _file(document: Document) -> dict[str, Any]:
    return {
        "name": document.name,
        "type": document.content_type,
        "size": document.size,
        "sha256": document.sha256,
    }


def _plain(value: Any, depth: int = 0) -> Any:
    """The value as any JSON reader takes it: no NaN, no endless nesting, names are text."""
    if depth > DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {str(name): _plain(one, depth + 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one, depth + 1) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
