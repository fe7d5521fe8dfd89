"""What the tests of channels share: a claim, a moment, certificates."""

import json
import time
from typing import Any

from leadapp.clock import now
from leadapp.columns import new_id
from leadapp.deliveries.claims import Claim
from leadapp.deliveries.models import Kind, Purpose
from leadapp.signing import new_secret

MAIL = {
    "subject": "Ada Lovelace via Contact form",
    "text": "New enquiry from Ada Lovelace\n",
    "html": "<p>New enquiry from Ada Lovelace</p>",
    "reply_to": "ada@example.com",
    "from_name": "",
}


def soon(seconds: float = 5.0) -> float:
    """A deadline for a send."""
    return time.monotonic() + seconds


def mail_claim(recipient: str = "owner@shop.example", **mail: Any) -> Claim:
    return _claim(Kind.EMAIL, Purpose.LEAD_NOTIFICATION, recipient=recipient, payload=json.dumps({**MAIL, **mail}))


def webhook_claim(url: str, **overrides: Any) -> Claim:
    given = {"payload": '{"type":"lead.received"}', "secret": new_secret(), "settings": {"url": url}, **overrides}
    return _claim(Kind.WEBHOOK, Purpose.LEAD_WEBHOOK, recipient=url, **given)


def crm_claim(url: str, **overrides: Any) -> Claim:
    settings = {"url": url, **overrides.pop("settings", {})}
    given = {"payload": '{"phone":"+49681123456"}', "secret": "t0ken", "settings": settings, **overrides}
    return _claim(Kind.CRM, Purpose.LEAD_TO_CUSTOMER, recipient=url, **given)


def _claim(kind: Kind, purpose: Purpose, **given: Any) -> Claim:
    facts: dict[str, Any] = {
        "delivery_id": new_id(),
        "lead_id": new_id(),
        "destination_id": 1,
        "secret": None,
        "fence": 1,
        "number": 1,
        "tries": 1,
        "created_at": now(),
    }
    return Claim(kind=kind, purpose=purpose, **{**facts, **given})
