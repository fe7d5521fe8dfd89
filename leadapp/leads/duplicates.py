"""Leads of one person: linked, and the customer's API is told of the person once within the window.

A later lead's row for the customer's API is planned all the same, called off from the start: its body is there to
look at, and somebody can send it anyway.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, ScalarSelect, TextClause, and_, exists, literal_column, not_, select, text
from sqlalchemy.orm import aliased

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.config import settings
from leadapp.database import is_postgresql, transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.models import Delivery, DeliveryState, Kind
from leadapp.deliveries.replay_choice import is_definite
from leadapp.extensions import db
from leadapp.leads.fields import as_text
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.rules.paths import path_of, value_at
from leadapp.sql import is_word, not_word

SPARED = "the customer was told of this person already"


def person_hash(form: Form, tree: Mapping[str, Any]) -> str:
    """The same for two leads of one person on one form; "" when a key field is empty, or the form has none.

    Keyed, so that nobody who reads the database can try out addresses.
    """
    values = [_plain(value_at(tree, path_of(name))) for name in form.person_keys or ()]
    if not values or not all(values):
        return ""
    key = settings().secret_key.get_secret_value().encode()
    return hmac.new(key, json.dumps([form.id, values]).encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> str:
    """Case and blanks make nobody another person."""
    return " ".join(as_text(value).split()).casefold()


def one_at_a_time(hashes: Iterable[str]) -> None:
    """Leads that share a content or a person wait for each other, all in one order (SQLite: its write lock does)."""
    keys = sorted({int(found[:15], 16) for found in hashes if found})
    if keys and is_postgresql():
        db.session.connection().execute(_locks(len(keys)), {f"key{at}": key for at, key in enumerate(keys)})


@cache
def _locks(count: int) -> TextClause:
    calls = ", ".join(f"pg_advisory_xact_lock(:key{at})" for at in range(count))
    return text(f"SELECT {calls}")


@dataclass(frozen=True)
class Person:
    """Whose leads are looked for; values, or parameters of a statement that is made once."""

    form_id: Any
    hash: Any
    but_not: Any = None  # a lead that does not count


def first_of(person: Person) -> ScalarSelect[UUID]:
    """The earliest lead of this person within the window, as SQL; null without one."""
    other = aliased(Lead)
    query = select(other.id).where(*_is_of(other, person)).order_by(other.received_at).limit(1)
    return query.scalar_subquery()


def was_told(person: Person) -> ColumnElement[bool]:
    """Whether the customer's API has, or will get, a lead of this person within the window, as SQL.

    Of a lead that it refused for certain it knows nothing.
    """
    other = aliased(Lead)
    refused = and_(is_word(Delivery.state, DeliveryState.PERMANENTLY_FAILED), is_definite())
    return exists().where(
        *_is_of(other, person),
        not_word(other.status, [LeadStatus.REJECTED]),
        other.duplicate_of_id.is_(None),
        Delivery.lead_id == other.id,
        is_word(Delivery.kind, Kind.CRM),
        not_word(Delivery.state, [DeliveryState.CANCELLED]),
        not_(refused),
    )


def _is_of(other: Any, person: Person) -> list[ColumnElement[bool]]:
    found = [
        other.form_id == person.form_id,
        other.person_hash == person.hash,
        other.person_hash != literal_column("''"),  # written out, as the index has it
        other.received_at > db_now(-timedelta(hours=settings().duplicate_window_hours)),
        other.is_spam.is_(False),
        other.is_test.is_(False),
    ]
    return found if person.but_not is None else [*found, other.id != person.but_not]


def spare(rows: Sequence[Delivery], first_id: UUID | None = None) -> None:
    """Call new rows for the customer's API off before they are saved."""
    for row in rows:
        if row.kind is Kind.CRM:
            row.state, row.held_reason, row.enqueued_at = DeliveryState.CANCELLED, None, None
            row.last_error = f"{SPARED} (lead {first_id})" if first_id else SPARED


def _spared(lead_id: UUID) -> Any:
    return (
        Delivery.lead_id == lead_id,
        Delivery.kind == Kind.CRM,
        Delivery.state == DeliveryState.CANCELLED,
        Delivery.last_error.startswith(SPARED),
    )


def is_spared(lead_id: UUID) -> bool:
    """Whether there is something to send anyway."""
    return bool(db.session.scalar(select(exists().where(*_spared(lead_id)))))


def send_to_customer_anyway(lead_id: UUID, actor: str) -> list[UUID]:
    """Send what was spared, now. A second press, also at the same moment, finds nothing. Returns the rows' ids."""
    with transaction():
        rows, moment = outbox.lock(db.session.scalars(select(Delivery.id).where(*_spared(lead_id))).all())
        spared = [row for row in rows.values() if row.state is DeliveryState.CANCELLED]
        for row in spared:
            row.move(DeliveryState.PENDING, moment)
            row.tries, row.last_error = 0, ""
            row.make_due(moment)
            record(row, "sent anyway", actor, was=str(DeliveryState.CANCELLED))
        outbox.changed(spared)
        ids = [row.id for row in spared]
    outbox.ring_due(ids)
    return ids
