"""The mail that tells the owner of a new lead, frozen onto its delivery when the lead is accepted."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from leadapp.config import settings
from leadapp.files.models import Document
from leadapp.leads.fields import as_text
from leadapp.leads.judging import BY_RULES
from leadapp.leads.kept_fields import label_of
from leadapp.leads.models import Lead
from leadapp.leads.wishes import Wishes, wishes_of
from leadapp.messages import render
from leadapp.messages.addresses import reply_address
from leadapp.messages.headers import one_line
from leadapp.messages.rendering import DEFAULT_LOCALE

WHO_LIMIT = 80
LINE_LIMIT = 500
SOURCES = (
    ("Lead source", "lead_source"),
    ("Campaign source", "utm_source"),
    ("Campaign medium", "utm_medium"),
    ("Campaign", "utm_campaign"),
    ("Campaign term", "utm_term"),
    ("Campaign content", "utm_content"),
    ("Google click id", "gclid"),
    ("Facebook click id", "fbclid"),
    ("Microsoft click id", "msclkid"),
    ("Page", "page_url"),
    ("Came from", "referrer"),
)


def email_payload(lead: Lead, documents: Sequence[Document] = ()) -> str:
    """The whole mail as JSON: subject, text, html, reply_to, from_name. An empty from_name is MAIL_FROM_NAME.

    The post's wishes are in it: see leads.wishes.
    """
    wishes = wishes_of(lead)
    context = build_lead_notification_context(lead, documents, wishes)
    message = render("lead_notification", context, wishes.language or DEFAULT_LOCALE)
    mail = {
        "subject": message.subject,
        "text": message.text,
        "html": "" if wishes.is_plain else message.html,
        "reply_to": context["reply_to"],
        "from_name": wishes.from_name,
    }
    return json.dumps(mail, ensure_ascii=False)


def build_lead_notification_context(
    lead: Lead, documents: Sequence[Document] = (), wishes: Wishes | None = None
) -> dict[str, Any]:
    """What the templates of lead_notification show. Nothing in it is escaped yet."""
    wishes = wishes or wishes_of(lead)
    return {
        "lead": lead,
        "subject": wishes.subject,
        "who": one_line(lead.name or lead.email or lead.phone or "", WHO_LIMIT),
        "form": lead.form,
        "received_at": f"{lead.received_at:%d %B %Y, %H:%M} UTC",
        "contact": [pair for pair in _contact(lead) if pair[1]],
        "message": (lead.message or "").strip(),
        "answers": [(label_of(name), text) for name, value in (lead.fields or {}).items() if (text := as_text(value))],
        "files": [(document.name, size_in_words(document.size)) for document in documents],
        "sources": [(label, text) for label, name in SOURCES if (text := as_text(getattr(lead, name)))],
        "rejected": [_words(problem) for problem in lead.problems or [] if _rejects(problem)],
        "problems": [_words(problem) for problem in lead.problems or [] if not _rejects(problem)],
        "mail_to": reply_address(lead.email or ""),
        "reply_to": wishes.reply_to or reply_address(lead.email or ""),
        "link": lead_link(lead),
    }


def _words(problem: dict[str, Any]) -> str:
    return str(problem.get("message") or "")


def _rejects(problem: dict[str, Any]) -> bool:
    return problem.items() >= BY_RULES.items()


def lead_link(lead: Lead) -> str:
    """The lead's page in the admin, or "" when nobody said where people find it (FRONTEND_BASE_URL)."""
    base = settings().base_url
    return f"{base}/admin/leads/{quote(str(lead.id))}" if base else ""


def _contact(lead: Lead) -> list[tuple[str, str]]:
    values = (("Name", lead.name), ("E-mail", lead.email), ("Phone", lead.phone))
    return [(label, one_line(value or "", LINE_LIMIT)) for label, value in values]


def size_in_words(size: int) -> str:
    """1_500_000 -> "1.5 MB", in the units that file managers use."""
    if size < 1000:
        return f"{size} bytes"
    return f"{size / 1000:.0f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"
