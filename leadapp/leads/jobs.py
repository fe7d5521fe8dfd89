"""What workers run for leads. Each job takes one row id and is safe to run twice; also callable from a shell."""

from uuid import UUID

from sqlalchemy import select

from leadapp.clock import db_now
from leadapp.database import release
from leadapp.deliveries import outbox
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, Purpose
from leadapp.deliveries.work import deliver_owed
from leadapp.extensions import db
from leadapp.leads import rechecking
from leadapp.leads.models import Form, Lead, LeadStatus

RECHECKED_AT_ONCE = 50


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
    due = select(Lead.id).where(Lead.check_at <= db_now(), Lead.status == LeadStatus.RECEIVED)
    lead_ids = db.session.scalars(due.order_by(Lead.check_at).limit(RECHECKED_AT_ONCE)).all()
    release()
    well = [rechecking.try_again(lead_id) for lead_id in lead_ids].count(True)
    release()
    return well


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
