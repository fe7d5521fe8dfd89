"""Posts that were answered before: the same Idempotency-Key, or the same id of the same sender, on the same form."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import bindparam, select

from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads.models import Form, Idempotency, Lead
from leadapp.leads.reading import Posted

SCOPE_OF_KEYS, SCOPE_OF_IDS = "form:", "sender:"
BEFORE = (
    select(Idempotency.body_hash, Idempotency.lead_id, Lead.correlation_id)
    .join(Lead, Lead.id == Idempotency.lead_id)
    .where(Idempotency.scope == bindparam("scope"), Idempotency.key == bindparam("key"))
)


class Earlier(NamedTuple):
    """The lead that the first of these posts became."""

    lead_id: UUID
    correlation_id: str


class _Mark(NamedTuple):
    """What a repeat is known by. `is_strict`: it has to come with the same content, too."""

    scope: str
    key: str
    is_strict: bool


def may_repeat(posted: Posted) -> bool:
    """Whether the post says how a repeat of it is known, beside its content."""
    return bool(posted.idempotency_key or (posted.sender and posted.external_id))


def answered_before(form: Form, posted: Posted, body_hash: str) -> Earlier | None:
    """The lead that an earlier one of these posts became. PayloadError: its Idempotency-Key came with other content."""
    for mark in _marks(form, posted):
        given = {"scope": mark.scope, "key": mark.key}
        found = db.session.connection().execute(BEFORE, given).one_or_none()
        if found is None:
            continue
        if mark.is_strict and found.body_hash != body_hash:
            message = "This Idempotency-Key was used before with other content. Use a new key for a new message."
            raise PayloadError(422, "IDEMPOTENCY_KEY_REUSED", message, "Idempotency-Key")
        return Earlier(found.lead_id, found.correlation_id)
    return None


def remembered(form: Form, posted: Posted, body_hash: str, lead: Lead) -> list[Idempotency]:
    """The rows that make a repeat of this post known; unique, so that two at once cannot both be first."""
    return [
        Idempotency(scope=mark.scope, key=mark.key, body_hash=body_hash, lead_id=lead.id)
        for mark in _marks(form, posted)
    ]


def _marks(form: Form, posted: Posted) -> Iterator[_Mark]:
    if posted.idempotency_key:
        yield _Mark(f"{SCOPE_OF_KEYS}{form.id}", _hashed(posted.idempotency_key), is_strict=True)
    if posted.sender and posted.external_id:
        yield _Mark(f"{SCOPE_OF_IDS}{form.id}:{posted.sender}", _hashed(posted.external_id), is_strict=False)


def _hashed(text: str) -> str:
    """Of a fixed length, whatever a client sends; two long keys never become one."""
    return hashlib.sha256(text.encode()).hexdigest()
