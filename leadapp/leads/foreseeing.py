"""What today's rules would make of rejected leads: which pass, where they would go, why others stay. Writes nothing."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import or_, select

from leadapp import clock
from leadapp.config import settings
from leadapp.deliveries.models import Delivery, Destination, DestinationState, Kind, ManagedBy
from leadapp.deliveries.replay_choice import Foreseen
from leadapp.extensions import db
from leadapp.leads import duplicates
from leadapp.leads.judging import Verdict
from leadapp.leads.models import Form, Lead
from leadapp.leads.rechecking import GONE, refusal, verdict_on, with_payloads
from leadapp.leads.rulesets import ruling_of


def foresee(lead_ids: Sequence[UUID]) -> Foreseen:
    """What rechecking.readmit would do with these leads, in their order."""
    where: dict[UUID, list[int]] = {}
    refused = dict.fromkeys(lead_ids, GONE)
    known = _known(lead_ids)
    people: set[str] = set()  # of whom the customer will have been told by then
    in_use: dict[int, Sequence[Destination]] = {}
    for lead in db.session.scalars(with_payloads(lead_ids)).all():
        verdict = verdict_on(lead, ruling_of(lead.form))
        person = _person(lead, verdict)
        reason = refusal(lead, verdict) or (duplicates.SPARED if verdict.body and person in people else "")
        if reason:
            refused[lead.id] = reason
            continue
        del refused[lead.id]
        if lead.form_id not in in_use:
            in_use[lead.form_id] = _in_use(lead.form)
        found = [one for one in in_use[lead.form_id] if _is_owed(one, verdict, is_known=lead.id in known)]
        where[lead.id] = [one.id for one in found]
        if any(one.kind is Kind.CRM for one in found) and _counts(lead):
            people |= {person} - {""}
    return Foreseen(where, refused)


def _known(lead_ids: Sequence[UUID]) -> set[UUID]:
    """Leads of which somebody was told already: only the customer's API is left."""
    return set(db.session.scalars(select(Delivery.lead_id).where(Delivery.lead_id.in_(lead_ids)).distinct()))


def _in_use(form: Form) -> Sequence[Destination]:
    """Where the form's leads go; copies aside, which some posts ask for."""
    of_form = or_(Destination.form_id == form.id, Destination.form_id.is_(None))
    is_on = (Destination.state != DestinationState.DISABLED) & (Destination.managed_by != ManagedBy.FORM)
    return db.session.scalars(select(Destination).where(of_form, is_on).order_by(Destination.id)).all()


def _is_owed(one: Destination, verdict: Verdict, *, is_known: bool) -> bool:
    return verdict.body is not None if one.kind is Kind.CRM else not is_known


def _person(lead: Lead, verdict: Verdict) -> str:
    return duplicates.person_hash(lead.form, verdict.tree)


def _counts(lead: Lead) -> bool:
    """Whether a later lead of the person is spared for this one (duplicates.was_told)."""
    window = timedelta(hours=settings().duplicate_window_hours)
    return not lead.is_test and not lead.is_spam and clock.now() - lead.received_at < window
