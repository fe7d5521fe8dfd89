"""What the page of one lead shows: its status in a sentence, where it went, and what happened, in order."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import defer, joinedload, undefer

from leadapp import audit, clock
from leadapp.accounts import guard
from leadapp.admin import lead_rules, pins, sending
from leadapp.admin.deliveries import mail_of
from leadapp.admin.showing import LEAD_WORDS
from leadapp.audit import AuditEvent
from leadapp.deliveries import words
from leadapp.deliveries.models import Attempt, Delivery, DeliveryState, Kind
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads.models import Lead, LeadStatus

RAW_SHOWN = 20_000
SOON_AFTER = timedelta(minutes=10)
ATTRIBUTION = (
    ("Came through", "lead_source"),
    ("Campaign source", "utm_source"),
    ("Campaign medium", "utm_medium"),
    ("Campaign", "utm_campaign"),
    ("Campaign term", "utm_term"),
    ("Campaign content", "utm_content"),
    ("Google click", "gclid"),
    ("Facebook click", "fbclid"),
    ("Microsoft click", "msclkid"),
    ("Page", "page_url"),
    ("Came from", "referrer"),
)
STATUS_WORDS = {str(status): said.text for status, said in LEAD_WORDS.items()}
CAME_IN = "received"
# What the audit trail calls things, and how a person reads them.
ACTIONS = {
    "send again": "{actor} pressed “Send again”",
    "marked as sent": "{actor} marked it as sent",
    "cancelled": "{actor} called it off",
    "released": "{actor} let it go on ({reason})",
    "sent anyway": "{actor} pressed “Send anyway”",
    "sent with today's rules": "{actor} checked it again: with today's rules and mapping it goes out",
    "sent once more": "{actor} send it once more: {reason}",
    "held": "{actor} put it on hold ({reason})",
    "put in line": "{actor} put it in line to be sent again",
    "taken out of line": "{actor} took it out of line: {reason}",
    "not spam": "{actor} said it is no spam",
    "spam": "{actor} said it is spam",
    "status": "now: {now}",
    "read": "checked, {tries} more tries were needed",
}


@dataclass(frozen=True)
class Card:
    """One destination of this lead: its row, its mail if it is one, and the buttons that this person may press."""

    row: Delivery
    mail: dict[str, str] | None
    operations: list[sending.Operation]


@dataclass(frozen=True)
class Line:
    """One line of the timeline."""

    at: datetime
    text: str
    tone: str = ""


def of(lead: Lead) -> dict[str, Any]:
    """Everything that admin/lead.html shows; a fixed number of queries."""
    rows = _deliveries(lead.id)
    attempts = _attempts([row.id for row in rows])
    raw = _raw(lead.id)
    return {
        "lead": lead,
        "status": summary(lead, rows),
        "cards": [Card(row, mail_of(row), sending.allowed(row)) for row in rows],
        "missing": [kind for kind in Kind if kind not in {row.kind for row in rows}],
        "attribution": [(title, value) for title, name in ATTRIBUTION if (value := getattr(lead, name))],
        "timeline": timeline(lead, rows, attempts),
        "documents": list(
            db.session.scalars(select(Document).where(Document.lead_id == lead.id).order_by(Document.id))
        ),
        "raw": raw,
        "readings": pins.readings(lead, raw.pop("whole")),
        "may_change": guard.may(guard.DESK),
        **lead_rules.of(lead),
    }


def _deliveries(lead_id: UUID) -> list[Delivery]:
    query = select(Delivery).where(Delivery.lead_id == lead_id)
    options = joinedload(Delivery.destination), undefer(Delivery.payload)
    return list(db.session.scalars(query.options(*options).order_by(Delivery.kind, Delivery.created_at, Delivery.id)))


def _attempts(ids: Sequence[UUID]) -> list[Attempt]:
    query = select(Attempt).where(Attempt.delivery_id.in_(ids)).options(defer(Attempt.answer))
    return list(db.session.scalars(query.order_by(Attempt.id)))


def _raw(lead_id: UUID) -> dict[str, Any]:
    """The beginnings of what came in; a body may be ten megabytes."""
    query = select(
        func.substr(Lead.raw_body, 1, RAW_SHOWN),
        func.length(Lead.raw_body),
        func.substr(Lead.raw_payload, 1, pins.READABLE),
        Lead.headers,
    )
    body, size, payload, headers = db.session.execute(query.where(Lead.id == lead_id)).one()
    text = bytes(body or b"").decode("utf-8", "replace")
    return {"body": text, "size": size or 0, "payload": payload[:RAW_SHOWN], "whole": payload, "headers": headers}


def summary(lead: Lead, rows: Sequence[Delivery]) -> str:
    """`Sent to you and to the CRM. Zapier: failed twice, next try in 4 minutes.`"""
    opening = f"Kept as suspected spam ({lead.spam_reason or 'it looked like it'}). " if lead.is_spam else ""
    rejected = lead_rules.rejected(lead)
    opening += rejected
    if not rows and lead.duplicate_of_id:
        passed_on = "" if rejected else ", which was passed on"
        return f"{opening}Saved. It repeats an earlier one{passed_on}, so nobody was told a second time."
    if not rows and rejected:
        return f"{opening}Nobody was told."
    if not rows:
        return f"{opening}Saved. No destination was in use when it came in, so nobody was told."
    now = clock.now()
    latest = {row.destination_id: row for row in rows}.values()
    sent = [row.destination.name for row in latest if row.state is DeliveryState.DELIVERED]
    parts = [f"Sent to {' and '.join((', '.join(sent[:-1]), sent[-1])) if len(sent) > 1 else sent[0]}"] if sent else []
    parts += [_stands(row, now) for row in latest if row.state is not DeliveryState.DELIVERED]
    return opening + " ".join(f"{part}." for part in parts)


def _stands(row: Delivery, now: datetime) -> str:
    """`Zapier: failed twice, next try in 4 minutes`; a name stays as somebody wrote it."""
    name, said = row.destination.name, words.sentence(row, row.destination, now).text
    if said.startswith("waits: "):
        return said.removeprefix("waits: ")
    return f"{name} {said}" if said.startswith("needs you: ") else f"{name}: {said}"


def timeline(lead: Lead, rows: Sequence[Delivery], attempts: Sequence[Attempt]) -> list[Line]:
    """What happened to the lead and its deliveries, oldest first."""
    by_id = {row.id: row for row in rows}
    events = audit.history(lead, *rows)
    lines = [Line(lead.received_at, _came_in(events))]
    for attempt in attempts:
        row = by_id[attempt.delivery_id]
        said = words.attempt_sentence(attempt, row.kind, row.destination.name)
        lines.append(Line(attempt.finished_at or attempt.started_at, said, _tone(attempt)))
    for event in events:
        said = _event(event, by_id)
        if said:
            lines.append(Line(event.at, said))
    lines += _next_tries(rows)
    return sorted(lines, key=lambda line: line.at)


def _came_in(events: Sequence[AuditEvent]) -> str:
    """`saved, and rejected by the rules (ZIP_NOT_66XXX)`: what became of it at once."""
    facts = next((event.facts or {} for event in events if event.action == CAME_IN), {})
    match facts.get("status"):
        case LeadStatus.REJECTED:
            return f"saved, and rejected by the rules ({', '.join(dict.fromkeys(facts.get('problems', ())))})"
        case LeadStatus.RECEIVED:
            return "saved; its rules could not be run"
    return "saved"


def _tone(attempt: Attempt) -> str:
    return {"delivered": "good", "failed": "wait", "lost": "wait"}.get(
        str(attempt.outcome), "bad" if attempt.error else ""
    )


def _event(event: AuditEvent, rows: dict[UUID, Delivery]) -> str:
    """An audit row as a sentence; "" for those that only repeat what the timeline says anyway."""
    if event.action in (CAME_IN, "accepted", "lead received", "saved"):
        return ""
    facts = {key: str(value) for key, value in (event.facts or {}).items()}
    if event.action == "status":
        facts = {key: STATUS_WORDS.get(value, value) for key, value in facts.items()}
    actor = "we" if event.actor == audit.SYSTEM else event.actor
    pattern = ACTIONS.get(event.action)
    text = event.action
    if pattern:
        try:
            text = pattern.format(actor=actor, **facts)
        except KeyError:
            pattern = None
    if not pattern and event.actor != audit.SYSTEM:
        text = f"{text}, by {actor}"
    row = rows.get(UUID(event.subject_id)) if event.subject_kind == "delivery" else None
    return f"{row.destination.name}: {text}" if row else text


def _next_tries(rows: Sequence[Delivery]) -> list[Line]:
    """The tries to come stand last; a row that waits for its destination has no time yet."""
    now = clock.now()
    return [
        Line(row.next_attempt_at, f"next try of {row.destination.name}", "wait")
        for row in rows
        if row.state is DeliveryState.FAILED and not words.waiting_for(row.destination, now)
    ]
