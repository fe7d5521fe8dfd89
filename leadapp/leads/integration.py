"""What a lead shows of its deliveries: its status and its email_*, webhook_* and crm_* columns (states.md).

`refresh` alone writes them, in the transaction that changes a delivery: it locks the leads in id order first and
reads their deliveries afterwards, so that under READ COMMITTED an older state is never written over a newer one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from sqlalchemy import Uuid, bindparam, select
from sqlalchemy.orm import load_only

from leadapp.audit import record
from leadapp.deliveries.models import Delivery, DeliveryState, Kind, Purpose
from leadapp.extensions import db
from leadapp.leads.models import IntegrationStatus, Lead, LeadStatus

_S = DeliveryState
OWN_PURPOSES = frozenset({Purpose.LEAD_NOTIFICATION, Purpose.LEAD_WEBHOOK, Purpose.LEAD_TO_CUSTOMER})
NEEDS_A_PERSON = frozenset({_S.PERMANENTLY_FAILED, _S.UNKNOWN})
UNDERWAY = frozenset({_S.PENDING, _S.HELD, _S.SENDING})
# Statuses that deliveries do not decide: the rules have not run, or said no.
FIXED = frozenset({LeadStatus.RECEIVED, LeadStatus.REJECTED})
# What refresh reads and writes of a lead; the rest of it is large.
OWN_COLUMNS = load_only(
    Lead.status,
    *(getattr(Lead, column.key) for column in Lead.__table__.columns if column.key.startswith(tuple(map(str, Kind)))),
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
    select(Lead)
    .where(Lead.id.in_(bindparam("ids", expanding=True)))
    .order_by(Lead.id)
    .options(OWN_COLUMNS)
    .with_for_update(of=Lead, key_share=True)
    .execution_options(populate_existing=True)
)
DELIVERIES = select(Delivery.lead_id, *(getattr(Delivery, one.name) for one in fields(Row))).where(
    Delivery.lead_id.in_(bindparam("ids", type_=Uuid, expanding=True))
)


def refresh(lead_ids: Sequence[UUID]) -> None:
    """Bring these leads up to date with their deliveries, inside the open transaction."""
    leads = list(db.session.scalars(LOCKED, {"ids": sorted(lead_ids)}))
    rows = _rows([lead.id for lead in leads])
    for lead in leads:
        show(lead, rows.get(lead.id, []))


def _rows(lead_ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
    found: dict[UUID, list[Row]] = {}
    for lead_id, *rest in db.session.execute(DELIVERIES, {"ids": list(lead_ids)}):
        if lead_id is not None:
            found.setdefault(lead_id, []).append(Row(*rest))
    return found


def show(lead: Lead, rows: Sequence[Row]) -> None:
    """Write status and columns on a lead; a change of status is an audit row."""
    if lead.status not in FIXED:
        status = lead_status(rows)
        if lead.status is not status:
            record(lead, "status", was=str(lead.status), now=str(status))
            lead.status = status
    _show_columns(lead, rows)


def show_new(lead: Lead, rows: Iterable[Delivery]) -> None:
    """The same for a lead that is being saved with its first rows: intake writes its one audit row."""
    planned = [Row.of(row) for row in rows]
    if lead.status not in FIXED:
        lead.status = lead_status(planned)
    _show_columns(lead, planned)


def _show_columns(lead: Lead, rows: Iterable[Row]) -> None:
    own = [row for row in rows if row.purpose in OWN_PURPOSES]
    for kind in Kind:
        found = columns(row for row in own if row.kind is kind)
        setattr(lead, f"{kind}_status", found.status)
        setattr(lead, f"{kind}_sent_at", found.sent_at)
        setattr(lead, f"{kind}_last_error", found.last_error)
        setattr(lead, f"{kind}_attempts", found.attempts)
        if kind is not Kind.EMAIL:
            setattr(lead, f"{kind}_last_status_code", found.last_status_code)
