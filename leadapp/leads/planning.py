"""What a new lead owes: one delivery for each destination that is not switched off, with its frozen body."""

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime

from leadapp.deliveries import outbox
from leadapp.deliveries.frozen import FrozenBody
from leadapp.deliveries.models import Delivery, Destination, HeldReason, Kind, ManagedBy
from leadapp.files.models import Document
from leadapp.leads import catalog, copies
from leadapp.leads.models import Lead, LeadStatus
from leadapp.leads.notification import email_payload
from leadapp.leads.webhook_payload import webhook_body
from leadapp.leads.wishes import wishes_of

logger = logging.getLogger(__name__)

Freeze = Callable[[Lead, Sequence[Document]], str]
BODIES: dict[Kind, Freeze] = {Kind.EMAIL: email_payload, Kind.WEBHOOK: webhook_body}  # crm: what the mapping made


NO_WISHES = {
    "code": "WISHES",
    "field": "",
    "message": "What the form asks for beside its answers (subject, copies) could not be read, and was left out.",
}


def plan_all(lead: Lead, documents: Sequence[Document], moment: datetime | None = None) -> list[Delivery]:
    """The rows of a lead, for the caller to add; due at `moment`, or when it came in.

    A paused destination gets its row too: it waits there. Nobody is told of a rejected lead when its form says
    so, and the customer's API never is.
    """
    if lead.status is LeadStatus.REJECTED and not lead.form.tells_rejected:
        return []
    found = [one for one in catalog.destinations_of(lead.form) if one.kind in BODIES or may_reach_customer(lead)]
    destinations = _chosen(lead, found)
    bodies = {kind: _frozen(kind, lead, documents) for kind in {one.kind for one in destinations}}
    start = (moment or lead.received_at, held_reason(lead))
    return [outbox.plan(lead.id, one, bodies[one.kind], start) for one in destinations]


def _chosen(lead: Lead, found: Sequence[Destination]) -> Sequence[Destination]:
    """With the copies that the post asked for. A bug in reading what it asks for costs those, and never the lead."""
    try:
        return copies.choose(lead, wishes_of(lead).copies, found)
    except Exception:
        logger.exception("could not read what a post asks for", extra={"lead_id": str(lead.id)})
        lead.problems = [*lead.problems, NO_WISHES]
        return [one for one in found if one.managed_by is not ManagedBy.FORM]


def plan_customer(lead: Lead, moment: datetime) -> list[Delivery]:
    """The rows for the customer's API alone, for a lead whose rules were run again."""
    if not may_reach_customer(lead):
        return []
    body = _frozen(Kind.CRM, lead, ())
    start = (moment, held_reason(lead))
    return [
        outbox.plan(lead.id, one, body, start) for one in catalog.destinations_of(lead.form) if one.kind is Kind.CRM
    ]


def may_reach_customer(lead: Lead) -> bool:
    """Whether rules and mapping let the lead go to the customer's API."""
    return lead.status is not LeadStatus.REJECTED and lead.customer_body is not None


def held_reason(lead: Lead) -> HeldReason | None:
    """Why the rows of this lead wait from the start, if they do."""
    if lead.is_spam:
        return HeldReason.SPAM
    return HeldReason.FORM_PAUSED if lead.form.is_paused else None


def _frozen(kind: Kind, lead: Lead, documents: Sequence[Document]) -> FrozenBody:
    if kind is Kind.CRM and lead.customer_body is not None:
        return lead.customer_body
    try:
        return FrozenBody(BODIES[kind](lead, documents))
    except Exception:
        logger.exception("could not write a body", extra={"lead_id": str(lead.id), "kind": str(kind)})
        problem = {
            "code": "PLAIN_BODY",
            "field": "",
            "message": f"The {kind} was written without its template.",
        }
        lead.problems = [*lead.problems, problem]
        return FrozenBody(_plain(kind, lead))


def _plain(kind: Kind, lead: Lead) -> str:
    """The same news without any template."""
    fields = {
        "name": lead.name,
        "email": lead.email,
        "phone": lead.phone,
        "message": lead.message,
        **lead.fields,
    }
    if kind is Kind.EMAIL:
        text = "\n".join(f"{name}: {value}" for name, value in fields.items() if value)
        return json.dumps({"subject": f"New enquiry via {lead.form.name}", "text": text, "html": "", "reply_to": ""})
    return json.dumps({"type": "lead.received", "data": {"id": str(lead.id), "fields": fields}}, default=str)
