"""The webhook's body: delivery-contract.md's example, key by key."""

import json
from datetime import UTC, datetime
from uuid import UUID

from leadapp.files.models import Document
from leadapp.leads.models import Form, Lead
from leadapp.leads.webhook_payload import build_webhook_payload, webhook_body

ID = UUID("01a200e3-7326-73d2-bfa8-d947270923cc")


def lead(**overrides) -> Lead:
    facts = {
        "id": ID,
        "form": Form(key="contact", name="Contact form", form_type="contact"),
        "form_type": "contact",
        "correlation_id": "c-1",
        "received_at": datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC),
        "name": "Ada",
        "email": "ada@example.com",
        "message": "Hi",
        "fields": {"company": "Engines", "topics": ["a", "b"]},
        "lead_source": "direct",
    }
    return Lead(**{**facts, **overrides})


def test_the_body_is_what_the_contract_says():
    files = [Document(name="a.pdf", content_type="application/pdf", size=1, sha256="ab", content=b"x")]
    assert build_webhook_payload(lead(), files) == {
        "type": "lead.received",
        "timestamp": "2026-11-22T10:00:00Z",
        "data": {
            "id": str(ID),
            "correlation_id": "c-1",
            "form": "contact",
            "form_type": "contact",
            "received_at": "2026-11-22T10:00:00Z",
            "is_test": False,
            "name": "Ada",
            "email": "ada@example.com",
            "phone": "",
            "message": "Hi",
            "fields": {"company": "Engines", "topics": ["a", "b"]},
            "attribution": {
                "lead_source": "direct",
                **dict.fromkeys(
                    "utm_source utm_medium utm_campaign utm_term utm_content gclid fbclid msclkid".split(), ""
                ),
                "page_url": "",
                "referrer": "",
            },
            "files": [{"name": "a.pdf", "type": "application/pdf", "size": 1, "sha256": "ab"}],
            "rejected_because": [],
        },
    }


def test_the_body_is_compact_and_the_same_for_the_same_lead():
    assert webhook_body(lead()) == webhook_body(lead())
    assert webhook_body(lead()).startswith('{"type":"lead.received","timestamp":"2026-11-22T10:00:00Z","data":{"id":')


def test_letters_are_written_as_they_are():
    assert "Jürgen 山田" in webhook_body(lead(name="Jürgen 山田"))


def test_what_json_does_not_know_becomes_text():
    fields = {"nan": float("nan"), "inf": [float("inf")], "when": datetime(2026, 1, 1, tzinfo=UTC), 3: None, "n": 1.5}
    found = json.loads(webhook_body(lead(fields=fields)))["data"]["fields"]
    assert found == {"nan": "nan", "inf": ["inf"], "when": "2026-01-01 00:00:00+00:00", "3": None, "n": 1.5}


def test_nesting_without_end_is_cut():
    deep: dict = {}
    for _ in range(100_000):
        deep = {"a": deep}
    assert len(webhook_body(lead(fields=deep))) < 2000
