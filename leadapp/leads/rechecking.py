"""Run the rules of today on leads that are there already: to look, to try again what broke, or to let rejected ones in.

Everything starts from the stored payload, so that a mended rule or mapping does for an old lead what it does for a
new one.
"""

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, String, bindparam, cast, exists, func, select
from sqlalchemy.orm import joinedload, undefer

from leadapp.audit import record
from leadapp.clock import db_now, prepared
from leadapp.config import settings
from leadapp.database import transaction
from leadapp.deliveries import destinations, outbox
from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.deliveries.replay_choice import Anew, Readmitted, Skip, is_definite
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.leads import duplicates, integration, planning, reading
from leadapp.leads.duplicates import Person
from leadapp.leads.judging import BROKEN, Verdict, judge
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.rulesets import Ruling, ruling_of
from leadapp.rules.pipeline import Plan

logger = logging.getLogger(__name__)

GONE = "the lead is not there any more"
A_COPY = "the same content came before: send that one"
ON_ITS_WAY = "it is on its way"
LONGEST_PAUSE = timedelta(days=1)
REPLACED = "replaced by one with today's rules and mapping"


@dataclass(frozen=True)
class Outlook:
    """What some rules make of a lead, nothing written. READY means that it passes, RECEIVED that something broke."""

    status: LeadStatus
    problems: Sequence[Mapping[str, Any]] = ()
    body: Mapping[str, Any] | None = None
    left_out: Sequence[Mapping[str, str]] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    version: str = ""


@dataclass(frozen=True)
class Applied:
    """What a lead became, its new rows, and in words why there are none."""

    status: LeadStatus
    planned: Sequence[UUID] = ()
    reason: str = ""


def latest_leads(form: Form, count: int = 20) -> list[Lead]:
    """The newest real leads of a form, with their payloads: no tests, no spam."""
    query = select(Lead).where(Lead.form_id == form.id, Lead.is_spam.is_(False), Lead.is_test.is_(False))
    query = query.order_by(Lead.received_at.desc(), Lead.id.desc()).limit(count)
    return list(db.session.scalars(query.options(undefer(Lead.raw_payload), joinedload(Lead.form))))


def outlook(lead: Lead, plan: Plan | None = None, version: str = "") -> Outlook:
    """What this plan, or today's, makes of a lead. Writes nothing."""
    verdict = verdict_on(lead, ruling_of(lead.form) if plan is None else Ruling(plan, version))
    return Outlook(
        status=verdict.status,
        problems=verdict.problems,
        body=verdict.mapped,
        left_out=verdict.body.left_out if verdict.body else (),
        fields=verdict.answers,
        version=verdict.version,
    )


def verdict_on(lead: Lead, ruling: Ruling) -> Verdict:
    return judge(lead.form, json.loads(lead.raw_payload or "{}"), lead.page_url, ruling)


def why_not(verdict: Verdict) -> str:
    """Why the customer's API gets nothing of this, in words; "" when it does."""
    if verdict.status is LeadStatus.REJECTED:
        return "today's rules reject it: " + ", ".join(dict.fromkeys(one["code"] for one in verdict.problems))
    if verdict.status is LeadStatus.RECEIVED:
        return "the rules could not be run: " + " ".join(one["message"] for one in verdict.problems)
    return "" if verdict.body else "its form has no mapping, so nothing goes to the customer's API"


# --- for replays (deliveries.replay_choice.Leads)


def make_anew(lead_ids: Sequence[UUID]) -> Mapping[UUID, Anew]:
    """Today's bodies for the customer's API. Writes nothing."""
    found = {
        lead.id: _anew(lead, verdict_on(lead, ruling_of(lead.form)))
        for lead in db.session.scalars(with_payloads(lead_ids)).all()
    }
    return {lead_id: found.get(lead_id) or Anew(refused=GONE) for lead_id in lead_ids}


def _anew(lead: Lead, verdict: Verdict) -> Anew:
    if verdict.body is None:
        return Anew(refused=why_not(verdict))
    if _was_told(lead, verdict):
        return Anew(refused=duplicates.SPARED)
    return Anew(verdict.body.text, verdict.body.mapping_version, verdict.body.left_out)


def readmit(lead_ids: Sequence[UUID]) -> Readmitted:
    """Rejected leads that pass today become READY with the rows that they owe, in the caller's transaction.

    Run twice, it finds them READY and leaves them alone.
    """
    verdicts = _judged(lead_ids)
    rows: list[Delivery] = []
    refused: dict[UUID, str] = dict.fromkeys(lead_ids, GONE)
    for lead in _lock(lead_ids):
        reason = refused.pop(lead.id) and refusal(lead, verdicts[lead.id])
        if reason:
            refused[lead.id] = reason
        else:
            rows += _let_in(lead, verdicts[lead.id])
    return Readmitted(rows, refused)


def refusal(lead: Lead, verdict: Verdict) -> str:
    """Why a rejected lead stays so, in words; "" when it is let in."""
    if lead.status is not LeadStatus.REJECTED:
        return "it is not rejected any more"
    if lead.duplicate_of_id is not None:
        return A_COPY
    if verdict.status is not LeadStatus.READY:
        return why_not(verdict)
    return duplicates.SPARED if verdict.body and _was_told(lead, verdict) else ""


def _let_in(lead: Lead, verdict: Verdict) -> list[Delivery]:
    """Its rows: for the customer's API, and for everybody else too when nobody was told so far."""
    was = lead.status
    reading.apply(lead, verdict)
    record(lead, "status", was=str(was), now=str(lead.status), rules=lead.rules_version)
    is_known = db.session.scalar(select(exists().where(Delivery.lead_id == lead.id)))
    return _add(lead, _customer_rows(lead) if is_known else planning.plan_all(lead, _documents(lead), _moment()))


# --- one lead, by hand or by the clock


def apply_again(lead_id: UUID, actor: str) -> Applied:
    """Today's rules and mapping for one lead, written: new rows with new keys for the customer's API.

    Only for what never went there or was refused for certain; safe to run twice and at once.
    """
    with transaction():
        verdict = _judged([lead_id]).get(lead_id)
        mine = select(Delivery.id).where(Delivery.lead_id == lead_id, Delivery.kind == Kind.CRM)
        rows, moment = outbox.lock(db.session.scalars(mine))
        destinations.lock({row.destination_id for row in rows.values()})
        lead = next(iter(_lock([lead_id])), None)
        if lead is None or verdict is None:
            return Applied(LeadStatus.RECEIVED, reason=GONE)
        is_late = set(db.session.scalars(mine)) > rows.keys()  # somebody made a row before the lead was ours
        if reason := ON_ITS_WAY if is_late else _hurdle(lead, verdict, rows.values()):
            return Applied(lead.status, reason=reason)
        refused = _refused(list(rows.values()))
        made = _let_in(lead, verdict)
        for row in refused:
            row.move(DeliveryState.CANCELLED, moment)
            row.last_error, row.enqueued_at = REPLACED, None
            record(row, "cancelled", actor, was=str(DeliveryState.PERMANENTLY_FAILED), reason=REPLACED)
        for row in made:
            record(row, "sent with today's rules", actor)
        outbox.changed([*refused, *made])
        applied = Applied(lead.status, [row.id for row in made if row.state is DeliveryState.PENDING])
    outbox.ring_due(applied.planned)
    return applied


def may_run_anew(lead: Lead) -> str:
    """Why `apply_again` would do nothing, in words; "" when it would. Writes and locks nothing."""
    rows = db.session.scalars(select(Delivery).where(Delivery.lead_id == lead.id, Delivery.kind == Kind.CRM))
    return _hurdle(lead, verdict_on(lead, ruling_of(lead.form)), rows)


def _hurdle(lead: Lead, verdict: Verdict, rows: Iterable[Delivery]) -> str:
    """Why a lead with these rows gets no new one."""
    if lead.status is LeadStatus.REJECTED:
        return refusal(lead, verdict)
    if lead.duplicate_of_id is not None:
        return A_COPY
    if reason := why_not(verdict):
        return reason
    if lead.status is LeadStatus.RECEIVED:
        return "its rules are run again by the clock"
    left = [row for row in rows if row.state is not DeliveryState.CANCELLED]
    states = {row.state for row in left}
    if DeliveryState.DELIVERED in states:
        return "the customer has it"
    if states - {DeliveryState.PERMANENTLY_FAILED}:
        return ON_ITS_WAY
    if len(_refused(left)) < len(left):
        return str(Skip.MAY_HAVE_IT)
    return duplicates.SPARED if _was_told(lead, verdict) else ""


def _refused(rows: Sequence[Delivery]) -> list[Delivery]:
    """Of these, the ones that the customer does not have for certain."""
    dead = [row.id for row in rows if row.state is DeliveryState.PERMANENTLY_FAILED]
    certain = set(db.session.scalars(select(Delivery.id).where(Delivery.id.in_(dead), is_definite()))) if dead else ()
    return [row for row in rows if row.id in certain]


def try_again(lead_id: UUID) -> bool:
    """Run the pipeline again on a lead that stayed RECEIVED. Returns whether it is well now.

    A second run finds it done, or another one at it, and leaves it alone.
    """
    with transaction():
        verdict = _judged([lead_id]).get(lead_id)
        lead = next(iter(_lock([lead_id], skip_locked=True)), None)
        if lead is None or verdict is None or lead.status is not LeadStatus.RECEIVED:
            return False
        lead.check_count += 1
        if verdict.status is LeadStatus.RECEIVED:
            lead.problems = [*(one for one in lead.problems if one["code"] != BROKEN), *verdict.problems]
            lead.check_at = db_now(min(LONGEST_PAUSE, timedelta(minutes=2 ** min(lead.check_count, 20))))
            return False
        lead.check_at = None
        reading.apply(lead, verdict)
        record(lead, "read", tries=lead.check_count, status=str(lead.status), rules=lead.rules_version)
        rows = _add(lead, _customer_rows(lead))
        ids = [row.id for row in rows if row.state is DeliveryState.PENDING]
    outbox.ring_due(ids)
    return True


def _customer_rows(lead: Lead) -> list[Delivery]:
    """Rows for the customer's API with keys of their own, called off when it was told of the person already."""
    if lead.duplicate_of_id is not None:
        return []
    earlier = select(Delivery.destination_id, func.count(), func.max(cast(Delivery.id, String)))
    earlier = earlier.where(Delivery.lead_id == lead.id, Delivery.kind == Kind.CRM).group_by(Delivery.destination_id)
    counts = {key: (count, latest) for key, count, latest in db.session.execute(earlier)}
    rows = planning.plan_customer(lead, _moment())
    for row in rows:
        count, latest = counts.get(row.destination_id, (0, None))
        if count:
            row.dedupe_key, row.repeat_of_id = f"{row.dedupe_key}:{count}", UUID(latest)
    if _is_told_of(lead, lead.person_hash):
        duplicates.spare(rows)
    return rows


def _add(lead: Lead, rows: Sequence[Delivery]) -> list[Delivery]:
    for row in rows:
        row.enqueued_at = None  # whoever asked rings after the commit, or the sweeper does
    db.session.add_all(rows)
    db.session.flush()
    integration.refresh([lead.id])
    return list(rows)


def _was_told(lead: Lead, verdict: Verdict) -> bool:
    return _is_told_of(lead, duplicates.person_hash(lead.form, verdict.tree))


def _is_told_of(lead: Lead, person_hash: str) -> bool:
    """Whether the customer knows this person from another lead."""
    if not person_hash:
        return False
    given = {"form_id": lead.form_id, "person_hash": person_hash, "lead_id": lead.id}
    return bool(db.session.scalar(_told(settings().duplicate_window_hours), given))


@prepared
def _told(_hours: float) -> Select[bool]:
    """Made once: a replay asks it of each lead, and making it takes five times as long as running it."""
    return select(duplicates.was_told(Person(bindparam("form_id"), bindparam("person_hash"), bindparam("lead_id"))))


def with_payloads(lead_ids: Sequence[UUID]) -> Select[Lead]:
    query = select(Lead).where(Lead.id.in_(lead_ids)).order_by(Lead.id)
    return query.options(undefer(Lead.raw_payload), joinedload(Lead.form))


def _judged(lead_ids: Sequence[UUID]) -> dict[UUID, Verdict]:
    """Today's verdicts; until the end of the transaction no other lead of these persons is judged beside them."""
    found, people = {}, []
    for lead in db.session.scalars(with_payloads(lead_ids)).all():
        found[lead.id] = verdict = verdict_on(lead, ruling_of(lead.form))
        people.append(duplicates.person_hash(lead.form, verdict.tree))
        if verdict.fault is not None:
            logger.error("the pipeline broke", exc_info=verdict.fault, extra={"lead_id": str(lead.id)})
    duplicates.one_at_a_time(people)
    return found


def _lock(lead_ids: Sequence[UUID], *, skip_locked: bool = False) -> Sequence[Lead]:
    query = with_payloads(lead_ids).with_for_update(of=Lead, key_share=True, skip_locked=skip_locked)
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def _moment() -> datetime:
    return db.session.scalars(select(db_now())).one()


def _documents(lead: Lead) -> Sequence[Document]:
    return db.session.scalars(select(Document).where(Document.lead_id == lead.id).order_by(Document.id)).all()
