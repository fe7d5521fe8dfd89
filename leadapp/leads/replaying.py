"""What replays ask of leads (deliveries.replay_choice.Leads): which were rejected, and what the rules say today."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, select

from leadapp.deliveries.replay_choice import Selection
from leadapp.extensions import db
from leadapp.leads.foreseeing import foresee
from leadapp.leads.models import Lead, LeadStatus
from leadapp.leads.rechecking import make_anew, readmit

__all__ = ["count", "find", "foresee", "make_anew", "readmit"]


def count(selection: Selection) -> int:
    """How many rejected leads these are."""
    return db.session.scalar(select(func.count()).select_from(Lead).where(*_chosen(selection))) or 0


def find(selection: Selection, after: UUID | None, limit: int) -> Sequence[UUID]:
    """The next rejected leads in id order, which is the order that they came in."""
    query = select(Lead.id).where(*_chosen(selection)).order_by(Lead.id).limit(limit)
    return db.session.scalars(query.where(Lead.id > after) if after is not None else query).all()


def _chosen(selection: Selection) -> list[ColumnElement[bool]]:
    found = [Lead.status == LeadStatus.REJECTED, Lead.is_spam.is_(False)]
    if selection.ids:
        found.append(Lead.id.in_(selection.ids))
    if selection.form_id is not None:
        found.append(Lead.form_id == selection.form_id)
    if selection.since is not None:
        found.append(Lead.received_at >= selection.since)
    if selection.until is not None:
        found.append(Lead.received_at <= selection.until)
    return found
