"""Accept a lead: save it with everything that must go out, in one transaction, then ring (design.md, section 4).

Never in here: SMTP, HTTP, DNS. A bug in reading the fields never costs the lead: it stays RECEIVED with the problem
noted, and the owner is told all the same.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Select, and_, bindparam, exists, not_, or_, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from leadapp.audit import AuditEvent, event
from leadapp.clock import db_now, prepared
from leadapp.columns import new_id
from leadapp.config import settings
from leadapp.database import insert_all, transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.due import JOB_OF, queue_of
from leadapp.deliveries.models import Delivery, DeliveryState
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.files.uploads import Upload
from leadapp.leads import duplicates, integration, repeats
from leadapp.leads.fields import CAPTCHAS
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.planning import plan_all
from leadapp.leads.reading import Posted, came_in, read
from leadapp.leads.senders.shape import BESIDE
from leadapp.leads.suspicion import MADE
from leadapp.queue import Bell, ring
from leadapp.sql import is_word, not_word

logger = logging.getLogger(__name__)

# Where to go next and one-time tokens: a person who presses twice sends the same message with other ones.
NOT_CONTENT = CAPTCHAS | {"_next", "_redirect", "retURL", "_charset_", MADE, BESIDE}


@dataclass(frozen=True)
class Accepted:
    """The lead is in the database. `next_page` is what the post asked for, unchecked; not new: answered before."""

    lead_id: UUID
    correlation_id: str
    next_page: str = ""
    is_new: bool = True


# Called after the commit with the form, the lead and its source; desk.py fills it, in sight.
ON_ACCEPTED: list[Callable[[Form, Accepted, str], None]] = []


@dataclass(frozen=True)
class _Saved:
    accepted: Accepted
    owed: Sequence[Delivery]
    at: datetime


def accept(form: Form, posted: Posted, source: str) -> Accepted:
    """Save the lead and what it owes, then ring. PayloadError: an Idempotency-Key came with another body."""
    try:
        saved = _save(form, posted, source)
    except IntegrityError:
        if not repeats.may_repeat(posted):
            raise
        saved = _save(form, posted, source)  # the same came twice at once: by now the first one is there
    _ring(saved)
    for tell in ON_ACCEPTED:
        tell(form, saved.accepted, source)
    return saved.accepted


def _save(form: Form, posted: Posted, source: str) -> _Saved:
    with transaction():
        content_hash = _content_hash(form, posted)
        lead, next_page = read(form, posted)  # before anybody has to wait for us
        # A person's leads wait for each other only where that decides what the customer's API is told.
        duplicates.one_at_a_time([content_hash, lead.person_hash if lead.customer_body else ""])
        lead.source, lead.content_hash = source, content_hash
        first = _first_of(lead)
        if earlier := repeats.answered_before(form, posted, content_hash):
            return _Saved(Accepted(*earlier, next_page, is_new=False), (), first.at)
        came_in(lead, first.at)
        lead.duplicate_of_id, lead.same_person_as_id = first.content_id, None if first.content_id else first.person_id
        documents = [_document(lead, upload) for upload in posted.uploads]
        rows = [] if first.content_id else plan_all(lead, documents)
        if first.was_told:
            duplicates.spare(rows, first.person_id)
        integration.show_new(lead, rows)
        marks = repeats.remembered(form, posted, content_hash, lead)
        insert_all([lead, *documents, *rows, _note(lead, rows), *marks])  # the lead first: they refer to it
    owed = [row for row in rows if row.state is DeliveryState.PENDING]
    return _Saved(Accepted(lead.id, lead.correlation_id, next_page), owed, first.at)


def _content_hash(form: Form, posted: Posted) -> str:
    """The same for a double click or a reload, and for nothing else: what differs between two people counts."""
    typed = {name: value for name, value in posted.payload.items() if name not in NOT_CONTENT}
    files = [upload.sha256 for upload in posted.uploads]
    canonical = json.dumps([form.key, typed, files], sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


PERSON = duplicates.Person(bindparam("form_id"), bindparam("person_hash"))


class _First(NamedTuple):
    """The first lead with this content, and of this person, within the window; and the database's time."""

    content_id: UUID | None
    person_id: UUID | None
    was_told: bool
    at: datetime


def _first_of(lead: Lead) -> _First:
    connection, hours = db.session.connection(), settings().duplicate_window_hours
    given = {"form_id": lead.form_id, "content_hash": lead.content_hash, "person_hash": lead.person_hash}
    query = _first_query(hours, is_rejected=lead.status is LeadStatus.REJECTED)
    content_id, person_id, at = connection.execute(query, given).one()
    # Asked only where it matters: it goes through all leads of a person.
    is_asked = person_id is not None and lead.customer_body is not None
    return _First(content_id, person_id, is_asked and bool(connection.execute(_told_query(hours), given).scalar()), at)


@prepared
def _told_query(_hours: float) -> Select[bool]:
    return select(duplicates.was_told(PERSON))


@prepared
def _first_query(hours: float, *, is_rejected: bool) -> Select[UUID | None, UUID | None, datetime]:
    # What never went anywhere (spam, nobody to tell, called off) spares no later post its own deliveries; nor does
    # one that was rejected, when today's rules let it pass.
    owes_something = exists().where(Delivery.lead_id == Lead.id, not_word(Delivery.state, (DeliveryState.CANCELLED,)))
    was_rejected = is_word(Lead.status, LeadStatus.REJECTED)
    first = (
        select(Lead.id)
        .where(
            Lead.form_id == bindparam("form_id"),
            Lead.content_hash == bindparam("content_hash"),
            Lead.received_at > db_now(-timedelta(hours=hours)),
            Lead.duplicate_of_id.is_(None),
            Lead.is_spam.is_(False),
            or_(was_rejected, owes_something) if is_rejected else and_(not_(was_rejected), owes_something),
        )
        .order_by(Lead.received_at)
        .limit(1)
    )
    return select(first.scalar_subquery(), duplicates.first_of(PERSON), db_now())


def _document(lead: Lead, upload: Upload) -> Document:
    return Document(
        id=new_id(),
        lead_id=lead.id,
        field=upload.field,
        name=upload.name,
        content_type=upload.content_type,
        size=upload.size,
        sha256=upload.sha256,
        content=upload.content,
    )


def _note(lead: Lead, rows: Sequence[Delivery]) -> AuditEvent:
    facts: dict[str, Any] = {"status": str(lead.status), "deliveries": len(rows)}
    if lead.problems:
        facts["problems"] = [problem["code"] for problem in lead.problems]
    if lead.is_spam:
        facts["spam"] = lead.spam_reason
    if lead.duplicate_of_id:
        facts["duplicate_of"] = str(lead.duplicate_of_id)
    if lead.same_person_as_id:
        facts["same_person_as"] = str(lead.same_person_as_id)
    return event(lead, "received", source=lead.source, **facts)


def _ring(saved: _Saved) -> None:
    """One write to Redis for all jobs of the lead. When it fails, the rows say so and the sweeper finds them."""
    lead_id = str(saved.accepted.lead_id)
    wanted = {row.purpose: queue_of(row.kind) for row in saved.owed}
    bells = [Bell(JOB_OF[purpose], queue, [lead_id], saved.at) for purpose, queue in wanted.items()]
    reason = ring(bells) if bells else None
    if reason is None:
        return
    try:
        outbox.ring_failed([row.id for row in saved.owed], reason)
    except DBAPIError:  # the lead is saved and the answer is success; the sweeper finds rows by their age too
        logger.exception("could not note that the queue is away", extra={"lead_id": lead_id})
