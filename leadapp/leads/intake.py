"""Accept a lead: save it with everything that must go out, in one transaction, then ring (design.md, section 4).

Never in here: SMTP, HTTP, DNS. A bug in reading the fields never costs the lead: it stays RECEIVED with the problem
noted, and the owner is told all the same.
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import exists, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.columns import new_id
from leadapp.config import settings
from leadapp.database import is_postgresql, transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.due import queue_of
from leadapp.deliveries.models import Delivery, DeliveryState, Purpose
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.files.models import Document
from leadapp.files.uploads import Upload
from leadapp.leads import integration
from leadapp.leads.fields import CAPTCHAS
from leadapp.leads.models import Form, Idempotency, Lead
from leadapp.leads.planning import plan_all
from leadapp.leads.reading import Posted, read
from leadapp.queue import Bell, ring

logger = logging.getLogger(__name__)

# Where to go next and one-time tokens: a person who presses twice sends the same message with other ones.
NOT_CONTENT = CAPTCHAS | {"_next", "_redirect", "retURL", "_charset_"}
JOB_OF = {
    Purpose.LEAD_NOTIFICATION: "send_lead_notification",
    Purpose.LEAD_WEBHOOK: "send_lead_webhook",
    Purpose.LEAD_TO_CUSTOMER: "send_lead_to_customer",
}


@dataclass(frozen=True)
class Accepted:
    """The lead is in the database. `next_page` is what the post asked for, unchecked."""

    lead_id: UUID
    correlation_id: str
    next_page: str = ""


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
        if not posted.idempotency_key:
            raise
        saved = _save(form, posted, source)  # the same key came twice at once: by now the first one is there
    _ring(saved)
    return saved.accepted


def _save(form: Form, posted: Posted, source: str) -> _Saved:
    with transaction():
        content_hash = _content_hash(form, posted)
        _one_at_a_time(content_hash)
        first_id, moment = _first_of(form, content_hash)
        lead, next_page = read(form, posted, moment)
        if earlier := _answered_before(form, posted, content_hash):
            return _Saved(Accepted(earlier.id, earlier.correlation_id, next_page), (), moment)
        lead.source, lead.content_hash, lead.duplicate_of_id = source, content_hash, first_id
        documents = [_document(lead, upload) for upload in posted.uploads]
        rows = [] if first_id else plan_all(lead, documents)
        integration.show_new(lead, rows)
        db.session.add(lead)
        db.session.flush()  # what refers to the lead comes after it
        db.session.add_all([*documents, *rows])
        _note(lead, rows)
        if posted.idempotency_key:
            _remember(form, posted, content_hash, lead)
    owed = [row for row in rows if row.state is DeliveryState.PENDING]
    return _Saved(Accepted(lead.id, lead.correlation_id, next_page), owed, moment)


def _content_hash(form: Form, posted: Posted) -> str:
    """The same for a double click or a reload, and for nothing else: what differs between two people counts."""
    typed = {name: value for name, value in posted.payload.items() if name not in NOT_CONTENT}
    files = [upload.sha256 for upload in posted.uploads]
    canonical = json.dumps([form.key, typed, files], sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _one_at_a_time(content_hash: str) -> None:
    """Two posts with the same content wait for each other (SQLite: its write lock does that)."""
    if is_postgresql():
        key = int(content_hash[:15], 16)
        db.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _first_of(form: Form, content_hash: str) -> tuple[UUID | None, datetime]:
    """The first lead with this content on this form within the window, and the database's time."""
    window = timedelta(hours=settings().duplicate_window_hours)
    # What never went anywhere (spam, nobody to tell, called off) spares no later post its own deliveries.
    owes_something = exists().where(Delivery.lead_id == Lead.id, Delivery.state != DeliveryState.CANCELLED)
    first = (
        select(Lead.id)
        .where(
            Lead.form_id == form.id,
            Lead.content_hash == content_hash,
            Lead.received_at > db_now(-window),
            Lead.duplicate_of_id.is_(None),
            Lead.is_spam.is_(False),
            owes_something,
        )
        .order_by(Lead.received_at)
        .limit(1)
    )
    row = db.session.execute(select(first.scalar_subquery(), db_now())).one()
    return row[0], row[1]


def _answered_before(form: Form, posted: Posted, body_hash: str) -> Lead | None:
    """The lead that this Idempotency-Key was answered with."""
    if not posted.idempotency_key:
        return None
    query = select(Idempotency).where(Idempotency.scope == _scope(form), Idempotency.key == _key(posted))
    earlier = db.session.scalar(query)
    if earlier is None:
        return None
    if earlier.body_hash != body_hash:
        message = "This Idempotency-Key was used before with other content. Use a new key for a new message."
        raise PayloadError(422, "IDEMPOTENCY_KEY_REUSED", message, "Idempotency-Key")
    return db.session.get_one(Lead, earlier.lead_id)


def _remember(form: Form, posted: Posted, body_hash: str, lead: Lead) -> None:
    db.session.add(Idempotency(scope=_scope(form), key=_key(posted), body_hash=body_hash, lead_id=lead.id))


def _scope(form: Form) -> str:
    return f"form:{form.id}"


def _key(posted: Posted) -> str:
    """Of a fixed length, whatever a client sends; two long keys never become one."""
    return hashlib.sha256(posted.idempotency_key.encode()).hexdigest()


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


def _note(lead: Lead, rows: Sequence[Delivery]) -> None:
    facts: dict[str, Any] = {"status": str(lead.status), "deliveries": len(rows)}
    if lead.problems:
        facts["problems"] = [problem["code"] for problem in lead.problems]
    if lead.is_spam:
        facts["spam"] = lead.spam_reason
    if lead.duplicate_of_id:
        facts["duplicate_of"] = str(lead.duplicate_of_id)
    record(lead, "received", source=lead.source, **facts)


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
