"""What workers run for leads. Each job takes one row id and is safe to run twice; also callable from a shell."""

import json
import logging
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import joinedload, undefer

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.database import release, transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, Purpose
from leadapp.deliveries.work import deliver_owed
from leadapp.extensions import db
from leadapp.leads import integration
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.reading import interpret

logger = logging.getLogger(__name__)

RECHECKED_AT_ONCE = 50
LONGEST_PAUSE = timedelta(days=1)


def send_lead_notification(lead_id: str) -> None:
    """Job: send the owner's mails that this lead still owes. A second run finds them sent and ends at once."""
    deliver_owed(UUID(lead_id), Purpose.LEAD_NOTIFICATION)


def send_lead_webhook(lead_id: str) -> None:
    """Job: call the webhooks that this lead still owes. A second run finds them sent and ends at once."""
    deliver_owed(UUID(lead_id), Purpose.LEAD_WEBHOOK)


def send_lead_to_customer(lead_id: str) -> None:
    """Job: call the customer's API where this lead still owes it. A second run ends at once."""
    deliver_owed(UUID(lead_id), Purpose.LEAD_TO_CUSTOMER)


def recheck() -> int:
    """Periodic: read again the leads that stayed RECEIVED, with growing pauses. Returns how many are well now."""
    with transaction():
        query = (
            select(Lead)
            .where(Lead.check_at <= db_now(), Lead.status == LeadStatus.RECEIVED)
            .order_by(Lead.id)
            .limit(RECHECKED_AT_ONCE)
            .options(undefer(Lead.raw_payload), joinedload(Lead.form))
            .with_for_update(of=Lead, key_share=True, skip_locked=True)
        )
        well = [_recheck(lead) for lead in db.session.scalars(query).all()].count(True)
    release()
    return well


def _recheck(lead: Lead) -> bool:
    earlier = lead.problems
    lead.problems = [problem for problem in earlier if problem["code"] != "PIPELINE"]
    lead.check_count += 1
    if interpret(lead, lead.form, json.loads(lead.raw_payload), lead.page_url) is None:
        lead.problems = earlier
        pause = min(LONGEST_PAUSE, timedelta(minutes=2**lead.check_count))
        lead.check_at = db_now(pause)
        return False
    lead.check_at = None
    lead.status = LeadStatus.READY
    record(lead, "read", tries=lead.check_count)
    db.session.flush()
    integration.refresh([lead.id])
    return True


def release_resumed() -> int:
    """Periodic: rows that wait for a form which is open again, also when a post raced the resume."""
    query = (
        select(Delivery.lead_id)
        .join(Lead, Lead.id == Delivery.lead_id)
        .join(Form, Form.id == Lead.form_id)
        .where(
            Delivery.state == DeliveryState.HELD,
            Delivery.held_reason == HeldReason.FORM_PAUSED,
            Form.is_paused.is_(False),
        )
        .limit(500)
    )
    lead_ids = [lead_id for lead_id in db.session.scalars(query) if lead_id is not None]
    release()
    return len(outbox.release_held(HeldReason.FORM_PAUSED, lead_ids, "system")) if lead_ids else 0
