"""Destinations, deliveries and attempts: everything that goes out is a Delivery (states.md)."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from leadapp.clock import DB_NOW, UtcDateTime, db_now
from leadapp.columns import BigId, Enumerated, Json, SealedText, new_id
from leadapp.errors import TransitionError
from leadapp.extensions import Model


class DeliveryState(StrEnum):
    """The state of one outgoing thing."""

    PENDING = "pending"
    HELD = "held"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    PERMANENTLY_FAILED = "permanently_failed"
    UNKNOWN = "unknown"
    CANCELLED = "cancelled"


_S = DeliveryState
TRANSITIONS: dict[DeliveryState, frozenset[DeliveryState]] = {
    _S.PENDING: frozenset({_S.SENDING, _S.HELD, _S.CANCELLED}),
    _S.HELD: frozenset({_S.PENDING, _S.PERMANENTLY_FAILED, _S.CANCELLED}),
    _S.SENDING: frozenset({_S.DELIVERED, _S.FAILED, _S.PERMANENTLY_FAILED, _S.UNKNOWN, _S.PENDING, _S.CANCELLED}),
    _S.FAILED: frozenset({_S.SENDING, _S.HELD, _S.PERMANENTLY_FAILED, _S.CANCELLED, _S.DELIVERED}),
    _S.PERMANENTLY_FAILED: frozenset({_S.PENDING, _S.CANCELLED}),
    _S.UNKNOWN: frozenset({_S.DELIVERED, _S.PENDING, _S.CANCELLED}),
    _S.CANCELLED: frozenset({_S.PENDING}),
    _S.DELIVERED: frozenset(),
}


def before(state: DeliveryState) -> tuple[DeliveryState, ...]:
    """The states that may become `state`, for moves of many rows in one statement."""
    return tuple(origin for origin, targets in TRANSITIONS.items() if state in targets)


class HeldReason(StrEnum):
    """What a held row waits for, in the words that people read."""

    FORM_PAUSED = "form paused"
    SPAM = "suspected spam"
    PREFERENCE = "preference"
    QUIET_HOURS = "quiet hours"
    REPLAY_RATE = "replay rate"


class Kind(StrEnum):
    """How a thing goes out; deliveries.channels has one file for each."""

    EMAIL = "email"
    WEBHOOK = "webhook"
    CRM = "crm"


class Purpose(StrEnum):
    """Why a thing goes out."""

    LEAD_NOTIFICATION = "lead_notification"
    LEAD_WEBHOOK = "lead_webhook"
    LEAD_TO_CUSTOMER = "lead_to_customer"


class DestinationState(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    DISABLED = "disabled"


class DisabledBy(StrEnum):
    """Who switched a destination off: only what `env` switched off is revived by `flask setup`."""

    ENV = "env"
    PERSON = "person"
    RECEIVER = "receiver"


class ManagedBy(StrEnum):
    """Where a destination is set: by a variable, by a person, or by its form's list of copies."""

    ENV = "env"
    ADMIN = "admin"
    FORM = "form"


class AttemptOutcome(StrEnum):
    """How one attempt ended; `lost` means that its worker was never heard of again."""

    DELIVERED = "delivered"
    FAILED = "failed"
    PERMANENTLY_FAILED = "permanently_failed"
    UNKNOWN = "unknown"
    GIVEN_BACK = "given_back"
    LOST = "lost"


class Destination(Model):
    """A place that leads of one form (or of every form) are sent to.

    `settings` holds `{"to": address}` for e-mail and `{"url": address}` for webhook and crm, there also how answers
    are read (`"answers"`, deliveries.meanings). `secret` signs webhooks and is the customer's token for crm. `env_key`
    names the environment variable (and address) that owns the row, or the form whose list of copies does.
    """

    __tablename__ = "destination"

    id: Mapped[int] = mapped_column(primary_key=True)
    form_id: Mapped[int | None] = mapped_column(ForeignKey("form.id"), index=True)
    kind: Mapped[Kind] = mapped_column(Enumerated(Kind))
    name: Mapped[str] = mapped_column(String(120))
    settings: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    secret: Mapped[str | None] = mapped_column(SealedText, deferred=True)
    state: Mapped[DestinationState] = mapped_column(Enumerated(DestinationState), default=DestinationState.ACTIVE)
    state_reason: Mapped[str] = mapped_column(Text, default="")
    state_changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    disabled_by: Mapped[DisabledBy | None] = mapped_column(Enumerated(DisabledBy))
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    failures_in_a_row: Mapped[int] = mapped_column(default=0)
    failing_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    managed_by: Mapped[ManagedBy] = mapped_column(Enumerated(ManagedBy), default=ManagedBy.ADMIN)
    env_key: Mapped[str | None] = mapped_column(String(400), unique=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)

    def __str__(self) -> str:
        return self.name

    @property
    def recipient(self) -> str:
        """Where it goes, as people read it."""
        return str(self.settings.get("to") or self.settings.get("url") or "")


LISTED = {
    "underway": "state IN ('pending', 'sending', 'failed', 'held')",
    "needs_you": "state IN ('permanently_failed', 'unknown')",
    "cancelled": "state = 'cancelled'",
}


class Delivery(Model):
    """One thing that must go out, with its frozen payload; states.md is its protocol.

    `payload` is the exact body for webhook and crm, and a JSON object of subject, text, html, reply_to and from_name
    for e-mail. `mapping_version` names the mapping that made the body for crm, `left_out` the targets that it went
    without: [{"target", "reason"}].
    """

    __tablename__ = "delivery"
    __table_args__ = (
        Index(
            "ix_delivery_due",
            "next_attempt_at",
            "id",
            postgresql_where=text("state IN ('pending', 'failed')"),
            sqlite_where=text("state IN ('pending', 'failed')"),
        ),
        Index(
            "ix_delivery_lease",
            "lease_until",
            postgresql_where=text("state = 'sending'"),
            sqlite_where=text("state = 'sending'"),
        ),
        # SQLite does not see that a bound state lies within a partial index, so there these two hold every row.
        Index(
            "ix_delivery_destination_underway",
            "destination_id",
            "state",
            "next_attempt_at",
            postgresql_where=text(LISTED["underway"]),
        ),
        Index("ix_delivery_state_changed", "state", "changed_at", postgresql_where=text(LISTED["needs_you"])),
        Index(
            "ix_delivery_repeat_of_id",
            "repeat_of_id",
            postgresql_where=text("repeat_of_id IS NOT NULL"),
            sqlite_where=text("repeat_of_id IS NOT NULL"),
        ),
        Index(
            "ix_delivery_replay",
            "replay_id",
            "state",
            postgresql_where=text("replay_id IS NOT NULL"),
            sqlite_where=text("replay_id IS NOT NULL"),
        ),
        # The admin's list, newest first, and its filters; states that are rare have an index of their own
        Index("ix_delivery_created", "created_at", "id"),
        Index("ix_delivery_destination", "destination_id", "created_at", "id"),
        Index("ix_delivery_kind", "kind", "created_at", "id"),
        *(
            Index(f"ix_delivery_{name}", "created_at", "id", postgresql_where=text(where), sqlite_where=text(where))
            for name, where in LISTED.items()
        ),
        Index(
            "ix_delivery_answer",
            "last_status_code",
            "created_at",
            "id",
            postgresql_where=text("last_status_code IS NOT NULL"),
            sqlite_where=text("last_status_code IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    lead_id: Mapped[UUID | None] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"), index=True)
    destination_id: Mapped[int] = mapped_column(ForeignKey("destination.id"))
    kind: Mapped[Kind] = mapped_column(Enumerated(Kind))
    purpose: Mapped[Purpose] = mapped_column(Enumerated(Purpose))
    recipient: Mapped[str] = mapped_column(Text, default="")
    payload: Mapped[str] = mapped_column(Text, default="", deferred=True)
    dedupe_key: Mapped[str] = mapped_column(String(120), unique=True)
    state: Mapped[DeliveryState] = mapped_column(Enumerated(DeliveryState), default=DeliveryState.PENDING)
    held_reason: Mapped[HeldReason | None] = mapped_column(Enumerated(HeldReason))
    attempts: Mapped[int] = mapped_column(default=0)
    tries: Mapped[int] = mapped_column(default=0)
    next_attempt_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    enqueued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    fence: Mapped[int] = mapped_column(default=0)
    last_error: Mapped[str] = mapped_column(Text, default="")
    last_status_code: Mapped[int | None]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    repeat_of_id: Mapped[UUID | None] = mapped_column(ForeignKey("delivery.id"))
    mapping_version: Mapped[str] = mapped_column(String(80), default="")
    left_out: Mapped[list[dict[str, str]]] = mapped_column(Json, default=list)
    replay_id: Mapped[int | None] = mapped_column(ForeignKey("replay.id"))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)

    destination: Mapped[Destination] = relationship()

    def move(self, to: DeliveryState, at: datetime | None = None) -> None:
        """Change the state as the table allows, or raise TransitionError. `at` is the database's time, if known."""
        if to not in TRANSITIONS[self.state]:
            raise TransitionError(f"a delivery that is {self.state} cannot become {to}")
        self.state = to
        self.changed_at = at or db_now()
        if to is not DeliveryState.HELD:
            self.held_reason = None

    def make_due(self, at: datetime | None = None) -> None:
        """Due at `at` (now, if none is given), and for the sweeper to ring."""
        self.next_attempt_at = at or db_now()
        self.enqueued_at = None


class ReplayState(StrEnum):
    """Where a replay stands."""

    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    STOPPED = "stopped"


class Replay(Model):
    """Many rows sent again at a set rate. Its rows carry its id and are held until their turn.

    `is_anew`: with today's rules and mapping, as new rows; otherwise as they were, the same rows and keys.
    `selection` says what was asked for, in words and ids that the audit trail can show.
    """

    __tablename__ = "replay"

    id: Mapped[int] = mapped_column(primary_key=True)
    destination_id: Mapped[int | None] = mapped_column(ForeignKey("destination.id"))
    is_anew: Mapped[bool] = mapped_column(default=False)
    selection: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    per_minute: Mapped[int] = mapped_column(default=60)
    state: Mapped[ReplayState] = mapped_column(Enumerated(ReplayState), default=ReplayState.RUNNING, index=True)
    total: Mapped[int] = mapped_column(default=0)
    skipped: Mapped[int] = mapped_column(default=0)
    asked_by: Mapped[str] = mapped_column(String(255), default="")
    asked_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    released_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Attempt(Model):
    """One claim of a delivery and how it ended; written before the network call, completed after it."""

    __tablename__ = "attempt"
    __table_args__ = (
        Index("ix_attempt_delivery", "delivery_id", "fence", unique=True),
        Index("ix_attempt_started", "started_at", "id"),
        Index("ix_attempt_outcome", "outcome", "started_at", "id"),
    )

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    delivery_id: Mapped[UUID] = mapped_column(ForeignKey("delivery.id", ondelete="CASCADE"))
    fence: Mapped[int]
    number: Mapped[int]
    started_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    outcome: Mapped[AttemptOutcome | None] = mapped_column(Enumerated(AttemptOutcome))
    status_code: Mapped[int | None]
    error: Mapped[str] = mapped_column(Text, default="")
    answer: Mapped[str] = mapped_column(Text, default="")
    duration_ms: Mapped[int | None]
    worker: Mapped[str] = mapped_column(String(80), default="")

    delivery: Mapped[Delivery] = relationship()
