"""What a lead shows of its deliveries: its status and its email_*, webhook_* and crm_* columns (states.md).

`refresh` alone writes them, in the transaction that changes a delivery: it locks the leads in id order first and
reads their deliveries afterwards, so that under READ COMMITTED an older state is never written over a newer one.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Update, Uuid, bindparam, select, update
from sqlalchemy.orm.util import identity_key

from leadapp.audit import AuditEvent, event_of
from leadapp.database import insert_all
from leadapp.deliveries.models import Delivery, DeliveryState, Kind, Purpose
from leadapp.extensions import db
from leadapp.leads.models import IntegrationStatus, Lead, LeadStatus
from leadapp.sql import among

_S = DeliveryState
OWN_PURPOSES = frozenset({Purpose.LEAD_NOTIFICATION, Purpose.LEAD_WEBHOOK, Purpose.LEAD_TO_CUSTOMER})
NEEDS_A_PERSON = frozenset({_S.PERMANENTLY_FAILED, _S.UNKNOWN})
UNDERWAY = frozenset({_S.PENDING, _S.HELD, _S.SENDING})
# Statuses that deliveries do not decide: the rules have not run, or said no.
FIXED = frozenset({LeadStatus.RECEIVED, LeadStatus.REJECTED})
Shown = Mapping[Any, Any]  # what a lead shows, by the names of SHOWN
Changes = tuple[tuple[str, Any], ...]
# What refresh reads and writes of a lead; the rest of it is large.
SHOWN = tuple(
    column.name
    for column in Lead.__table__.columns
    if column.name.startswith(("status", *(f"{kind}_" for kind in Kind)))
)


@dataclass(frozen=True)
class Row:
    """What counts of one delivery."""

    kind: Kind
    purpose: Purpose
    state: DeliveryState
    attempts: int
    tries: int
    last_error: str
    last_status_code: int | None
    sent_at: datetime | None
    changed_at: datetime

    @classmethod
    def of(cls, row: Delivery) -> "Row":
        """From a row in memory."""
        return cls(*(getattr(row, one.name) for one in fields(cls)))

    @property
    def has_failed(self) -> bool:
        """failed, or being tried again after a first try."""
        return self.state is _S.FAILED or (self.state is _S.SENDING and self.tries > 1)


@dataclass(frozen=True)
class Columns:
    """The integration columns of one kind."""

    status: IntegrationStatus = IntegrationStatus.DISABLED
    sent_at: datetime | None = None
    last_error: str = ""
    attempts: int = 0
    last_status_code: int | None = None


def lead_status(rows: Iterable[Row]) -> LeadStatus:
    """The status of a lead whose rules passed, from its own deliveries; cancelled ones do not count."""
    counted = [row for row in rows if row.state is not _S.CANCELLED and row.purpose in OWN_PURPOSES]
    if any(row.state in NEEDS_A_PERSON for row in counted):
        return LeadStatus.PERMANENTLY_FAILED
    if any(row.has_failed for row in counted):
        return LeadStatus.FAILED
    if any(row.state in UNDERWAY for row in counted):
        return LeadStatus.READY
    return LeadStatus.DELIVERED


def columns(rows: Iterable[Row]) -> Columns:
    """The columns of one kind from that kind's rows; cancelled ones do not count."""
    counted = sorted((row for row in rows if row.state is not _S.CANCELLED), key=lambda row: row.changed_at)
    if not counted:
        return Columns()
    status = _integration_status(counted)
    last = counted[-1]
    is_sent = status is IntegrationStatus.SENT
    return Columns(
        status=status,
        sent_at=max((row.sent_at for row in counted if row.sent_at), default=None),
        last_error="" if is_sent else last.last_error,
        attempts=sum(row.attempts for row in counted),
        last_status_code=last.last_status_code,
    )


def _integration_status(rows: Sequence[Row]) -> IntegrationStatus:
    if any(row.state in NEEDS_A_PERSON or row.has_failed for row in rows):
        return IntegrationStatus.FAILED
    if any(row.state in UNDERWAY for row in rows):
        return IntegrationStatus.PENDING
    return IntegrationStatus.SENT


# Made once: making a statement costs about as much as running it.
LOCKED = (
    select(Lead.id, *(Lead.__table__.c[name] for name in SHOWN))
    .where(among(Lead.id, "ids"))
    .order_by(Lead.id)
    .with_for_update(of=Lead, key_share=True)
)
DELIVERIES = select(Delivery.lead_id, *(getattr(Delivery, one.name) for one in fields(Row))).where(
    among(Delivery.lead_id, "ids", Uuid())
)


def refresh(lead_ids: Sequence[UUID]) -> None:
    """Bring these leads up to date with their deliveries, inside the open transaction."""
    db.session.flush()
    ids, connection = sorted(lead_ids), db.session.connection()
    shown: dict[UUID, Shown] = {row.id: row._mapping for row in connection.execute(LOCKED, {"ids": ids})}
    rows = _rows(list(shown))
    alike: dict[Changes, list[UUID]] = {}
    for lead_id, was in shown.items():
        now = _shown(was["status"], rows.get(lead_id, []))
        if changes := tuple((name, value) for name, value in now.items() if was[name] != value):
            alike.setdefault(changes, []).append(lead_id)
    for changes, ids in alike.items():
        values = {f"new_{name}": value for name, value in changes}
        connection.execute(_update(tuple(name for name, _ in changes)), {"ids": ids, **values})
    _forget(shown)
    insert_all(list(_status_events(shown, alike)))


@lru_cache(maxsize=200)
def _update(names: tuple[str, ...]) -> Update:
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
    return update(Lead).where(among(Lead.id, "ids")).values(values)


def _forget(lead_ids: Iterable[UUID]) -> None:
    """What the session has of these leads was read before the change."""
    for lead_id in lead_ids:
        if lead := db.session.identity_map.get(identity_key(Lead, lead_id)):
            db.session.expire(lead, SHOWN)


def _status_events(shown: Mapping[UUID, Shown], alike: Mapping[Changes, Sequence[UUID]]) -> Iterator[AuditEvent]:
    """A change of status is an audit row."""
    for changes, ids in alike.items():
        if status := dict(changes).get("status"):
            for lead_id in ids:
                was = str(shown[lead_id]["status"])
                yield event_of((Lead.__tablename__, lead_id), "status", was=was, now=str(status))


def _rows(lead_ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = {}
    for lead_id, *rest in db.session.connection().execute(DELIVERIES, {"ids": lead_ids}):
        found.setdefault(lead_id, []).append(Row(*rest))
    return found


def show_new(lead: Lead, rows: Iterable[Delivery]) -> None:
    """The same for a lead that is being saved with its first rows: intake writes its one audit row."""
    for name, value in _shown(lead.status, [Row.of(row) for row in rows]).items():
        setattr(lead, name, value)


def _shown(status: LeadStatus, rows: Sequence[Row]) -> dict[str, Any]:
    """What SHOWN holds for these rows of a lead whose status was this one."""
    found: dict[str, Any] = {"status": status if status in FIXED else lead_status(rows)}
    own = [row for row in rows if row.purpose in OWN_PURPOSES]
    for kind in Kind:
        shown = columns([row for row in own if row.kind is kind])
        found[f"{kind}_status"] = shown.status
        found[f"{kind}_sent_at"] = shown.sent_at
        found[f"{kind}_last_error"] = shown.last_error
        found[f"{kind}_attempts"] = shown.attempts
        if kind is not Kind.EMAIL:
            found[f"{kind}_last_status_code"] = shown.last_status_code
    return found
