"""What a new lead owes: one delivery for each destination that is not switched off, with its frozen body."""

import json
import logging
from collections.abc import Callable, Sequence

from sqlalchemy import or_, select

from leadapp.deliveries import outbox
from leadapp.deliveries.models import Delivery, Destination, DestinationState, HeldReason, Kind
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads import copies
from leadapp.leads.models import Form, Lead
from leadapp.leads.notification import email_payload
from leadapp.leads.webhook_payload import webhook_body
from leadapp.leads.wishes import wishes_of

logger = logging.getLogger(__name__)

Freeze = Callable[[Lead, Sequence[Document]], str]
BODIES: dict[Kind, Freeze] = {Kind.EMAIL: email_payload, Kind.WEBHOOK: webhook_body}


def plan_all(lead: Lead, documents: Sequence[Document]) -> list[Delivery]:
    """The rows of a lead, for the caller to add. A paused destination gets its row too: it waits there."""
    destinations = copies.choose(lead, wishes_of(lead).copies, _destinations(lead.form))
    bodies = {kind: _frozen(kind, lead, documents) for kind in {one.kind for one in destinations}}
    held = held_reason(lead)
    return [outbox.plan(lead.id, one, bodies[one.kind], (lead.received_at, held)) for one in destinations]


def held_reason(lead: Lead) -> HeldReason | None:
    """Why the rows of this lead wait from the start, if they do."""
    if lead.is_spam:
        return HeldReason.SPAM
    return HeldReason.FORM_PAUSED if lead.form.is_paused else None


def _destinations(form: Form) -> Sequence[Destination]:
    query = select(Destination).where(
        or_(Destination.form_id == form.id, Destination.form_id.is_(None)),
        Destination.state != DestinationState.DISABLED,
        Destination.kind.in_(BODIES),
    )
    return db.session.scalars(query.order_by(Destination.id)).all()


def _frozen(kind: Kind, lead: Lead, documents: Sequence[Document]) -> str:
    try:
        return BODIES[kind](lead, documents)
    except Exception:
        logger.exception("could not write a body", extra={"lead_id": str(lead.id), "kind": str(kind)})
        problem = {
            "code": "PLAIN_BODY",
            "field": "",
            "message": f"The {kind} was written without its template.",
        }
        lead.problems = [*lead.problems, problem]
        return _plain(kind, lead)


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
