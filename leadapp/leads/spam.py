"""A person decides what is spam: `release` sends late what was held, `hold` keeps back what has not gone out yet.

Both are one transaction that locks as states.md says: deliveries, then leads, each in id order.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from leadapp.audit import record
from leadapp.database import transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.models import Delivery, DeliveryState, HeldReason, before
from leadapp.extensions import db
from leadapp.leads.models import Lead

BY_HAND = "marked by hand"


def release(lead_ids: Sequence[UUID], actor: str) -> list[UUID]:
    """These leads are no spam: what was held for that is due now. Returns the leads that changed.

    The rows of a form that is paused go on waiting, for the form.
    """
    with transaction():
        rows, moment = outbox.lock(_rows_of(lead_ids, (DeliveryState.HELD,)))
        leads = _lock_leads(lead_ids, is_spam=True)
        for lead in leads.values():
            record(lead, "not spam", actor, was=lead.spam_reason)
            lead.is_spam, lead.spam_reason = False, ""
        held = [row for row in rows.values() if row.lead_id in leads and row.held_reason is HeldReason.SPAM]
        due = [row for row in held if row.lead_id and _let_go(row, leads[row.lead_id], moment, actor)]
        outbox.changed(held)
    _ring(due, moment)
    return list(leads)


def hold(lead_ids: Sequence[UUID], actor: str) -> list[UUID]:
    """These leads are spam: nothing more goes out for them. Returns the leads that changed."""
    waiting = (*before(DeliveryState.HELD), DeliveryState.HELD)
    with transaction():
        rows, moment = outbox.lock(_rows_of(lead_ids, waiting))
        leads = _lock_leads(lead_ids, is_spam=False)
        for lead in leads.values():
            record(lead, "spam", actor)
            lead.is_spam, lead.spam_reason = True, BY_HAND
        kept = [row for row in rows.values() if row.lead_id in leads and row.state in waiting]
        for row in kept:
            _keep(row, moment, actor)
        outbox.changed(kept)
    return list(leads)


def _rows_of(lead_ids: Sequence[UUID], states: Sequence[DeliveryState]) -> list[UUID]:
    query = select(Delivery.id).where(Delivery.lead_id.in_(lead_ids), Delivery.state.in_(states))
    return list(db.session.scalars(query))


def _lock_leads(lead_ids: Sequence[UUID], *, is_spam: bool) -> dict[UUID, Lead]:
    """Those of the leads that are (or are not) spam now; a second press finds nothing to do."""
    query = select(Lead).where(Lead.id.in_(sorted(lead_ids))).order_by(Lead.id)
    locked = query.with_for_update(of=Lead, key_share=True).execution_options(populate_existing=True)
    return {lead.id: lead for lead in db.session.scalars(locked) if lead.is_spam is is_spam}


def _let_go(row: Delivery, lead: Lead, moment: datetime, actor: str) -> bool:
    """held -> pending, and whether it is due now."""
    if lead.form.is_paused:
        row.held_reason = HeldReason.FORM_PAUSED
        return False
    row.move(DeliveryState.PENDING, moment)
    row.make_due(moment)
    row.enqueued_at = moment  # rung below, in the same breath as the commit
    record(row, "released", actor, reason=str(HeldReason.SPAM))
    return True


def _keep(row: Delivery, moment: datetime, actor: str) -> None:
    was = row.state
    if row.state is not DeliveryState.HELD:
        row.move(DeliveryState.HELD, moment)
    row.held_reason, row.enqueued_at = HeldReason.SPAM, None
    record(row, "held", actor, was=str(was), reason=str(HeldReason.SPAM))


def _ring(rows: Sequence[Delivery], moment: datetime) -> None:
    """After the commit; a lost Redis leaves the rows to the sweeper."""
    if rows and outbox.ring_rows([(row.id, row.kind) for row in rows], moment) is not None:
        with transaction():
            outbox.forget_ring([row.id for row in rows], moment)
