"""Which rows may be claimed now: one SQL expression, used by claim and by sweep alike (states.md)."""

from sqlalchemy import ColumnElement, and_, exists, or_
from sqlalchemy.orm import aliased

from leadapp.clock import db_now
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, DestinationState, Kind, Purpose, before
from leadapp.queue import INTEGRATIONS, NOTIFICATIONS
from leadapp.sql import among, is_word

# Which queue carries what; a flood of one never holds up the other.
QUEUE_KINDS: dict[str, tuple[Kind, ...]] = {
    NOTIFICATIONS: (Kind.EMAIL,),
    INTEGRATIONS: (Kind.WEBHOOK, Kind.CRM),
}
# What intake rings for a lead; each delivers what the lead still owes of that purpose.
JOB_OF = {
    Purpose.LEAD_NOTIFICATION: "send_lead_notification",
    Purpose.LEAD_WEBHOOK: "send_lead_webhook",
    Purpose.LEAD_TO_CUSTOMER: "send_lead_to_customer",
}


_S = DeliveryState
THESE = among(Delivery.id, "ids")  # the rows that are named


def queue_of(kind: Kind) -> str:
    return next(queue for queue, kinds in QUEUE_KINDS.items() if kind in kinds)


def is_open() -> ColumnElement[bool]:
    """The destination takes deliveries: active, and no Retry-After still running."""
    return and_(
        is_word(Destination.state, DestinationState.ACTIVE),
        or_(Destination.paused_until.is_(None), Destination.paused_until <= db_now()),
    )


def is_trial() -> ColumnElement[bool]:
    """The destination is paused, its pause has run out, and no row is out to try it."""
    other = aliased(Delivery)
    on_trial = exists().where(other.destination_id == Destination.id, is_word(other.state, _S.SENDING))
    return and_(is_word(Destination.state, DestinationState.PAUSED), Destination.paused_until <= db_now(), ~on_trial)


def claimable() -> ColumnElement[bool]:
    """For queries that join Delivery and Destination."""
    return and_(
        is_word(Delivery.state, *before(_S.SENDING)),
        Delivery.next_attempt_at <= db_now(),
        or_(is_open(), is_trial()),
    )
