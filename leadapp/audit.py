"""The audit trail: who did what to which row, when; written in the transaction of the change itself."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Index, String, select, text
from sqlalchemy.orm import Mapped, mapped_column

from leadapp.clock import DB_NOW, UtcDateTime
from leadapp.columns import BigId, Json
from leadapp.extensions import Model, db

SYSTEM = "system"


class Subject(Protocol):
    """Any row with a table name and an id."""

    @property
    def __tablename__(self) -> str: ...

    id: Any


class AuditEvent(Model):
    """One thing that happened to one row. `facts` holds no personal data and no secrets."""

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_subject", "subject_id", "subject_kind", "id"),
        Index("ix_audit_event_at", "at", "id"),
        Index(
            "ix_audit_event_actor",
            "actor",
            "at",
            "id",
            postgresql_where=text("actor <> 'system'"),
            sqlite_where=text("actor <> 'system'"),
        ),
        Index(
            "ix_audit_event_rare",
            "subject_kind",
            "at",
            "id",
            postgresql_where=text("subject_kind <> 'lead' AND subject_kind <> 'delivery'"),
            sqlite_where=text("subject_kind <> 'lead' AND subject_kind <> 'delivery'"),
        ),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    subject_kind: Mapped[str] = mapped_column(String(40))
    subject_id: Mapped[str] = mapped_column(String(40))
    action: Mapped[str] = mapped_column(String(60))
    actor: Mapped[str] = mapped_column(String(255), default=SYSTEM)
    facts: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)


def record(subject: Subject, action: str, actor: str = SYSTEM, **facts: Any) -> None:
    """Add one event to the open transaction; `actor` is a user's e-mail, or what part of the app acted."""
    db.session.add(event(subject, action, actor, **facts))


def event(subject: Subject, action: str, actor: str = SYSTEM, **facts: Any) -> AuditEvent:
    """The same event, for a caller that inserts it by itself."""
    return event_of((subject.__tablename__, subject.id), action, actor, **facts)


def event_of(subject: tuple[str, Any], action: str, actor: str = SYSTEM, /, **facts: Any) -> AuditEvent:
    """The same of a row that is not loaded: its table's name and its id."""
    return AuditEvent(subject_kind=subject[0], subject_id=str(subject[1]), action=action, actor=actor, facts=facts)


def history(*subjects: Subject) -> Sequence[AuditEvent]:
    """Everything that happened to these rows, oldest first."""
    found: list[AuditEvent] = []
    for kind in {subject.__tablename__ for subject in subjects}:
        ids = [str(subject.id) for subject in subjects if subject.__tablename__ == kind]
        query = select(AuditEvent).where(AuditEvent.subject_kind == kind, AuditEvent.subject_id.in_(ids))
        found += db.session.scalars(query)
    return sorted(found, key=lambda event: event.id)
