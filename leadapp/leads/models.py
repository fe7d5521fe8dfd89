"""Forms, and the leads that came in through them."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from leadapp.clock import DB_NOW, UtcDateTime
from leadapp.columns import BigId, Enumerated, Json, new_id
from leadapp.extensions import Model


class LeadStatus(StrEnum):
    """Where a lead stands; states.md, "Lead"."""

    RECEIVED = "RECEIVED"
    REJECTED = "REJECTED"
    READY = "READY"
    DELIVERED = "DELIVERED"
    FAILED = "FAILED"
    PERMANENTLY_FAILED = "PERMANENTLY_FAILED"


class IntegrationStatus(StrEnum):
    """How one kind of delivery stands for a lead; states.md, "Integration columns"."""

    DISABLED = "disabled"
    PENDING = "pending"
    FAILED = "failed"
    SENT = "sent"


class Form(Model):
    """A form on somebody's site; `key` is public and stands in the address that the form posts to.

    `is_strict`: a post that lacks one of `required_fields`, or has an e-mail that is none, is refused and not
    stored. `cc_allowed`: the addresses that a post may ask copies for (leads.copies makes their destinations).
    """

    __tablename__ = "form"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    form_type: Mapped[str] = mapped_column(String(60), default="contact")
    site_url: Mapped[str] = mapped_column(String(500), default="")
    allowed_origins: Mapped[list[str]] = mapped_column(Json, default=list)
    honeypot: Mapped[str] = mapped_column(String(120), default="")
    is_paused: Mapped[bool] = mapped_column(default=False)
    is_strict: Mapped[bool] = mapped_column(default=False)
    required_fields: Mapped[list[str]] = mapped_column(Json, default=list)
    cc_allowed: Mapped[list[str]] = mapped_column(Json, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)

    def __str__(self) -> str:
        return self.name


def _status_column() -> Mapped[IntegrationStatus]:
    return mapped_column(Enumerated(IntegrationStatus), default=IntegrationStatus.DISABLED)


# What the admin's search looks up, word by word (PostgreSQL only). `left`, because to_tsvector raises on a megabyte,
# and no index may cost a lead; punctuation is a blank, so that the parts of an address are words too.
PUNCTUATION = "@._-+/,;()"
LEAD_WORDS = (  # spelt as PostgreSQL gives it back, so that the two can be compared
    """to_tsvector('simple'::regconfig, translate(((("left"(lead.name, 200) || ' '::text) || lead.email::text) """
    f"""|| ' '::text) || "left"(lead.phone, 60), '{PUNCTUATION}'::text, '{" " * len(PUNCTUATION)}'::text))"""
)


class Lead(Model):
    """One enquiry as it came in, what was understood of it, and how its deliveries stand.

    `raw_body` holds the bytes as they came, file parts left out. The `email_*`, `webhook_*` and `crm_*` columns
    are written by `leads.integration.refresh` alone.
    """

    __tablename__ = "lead"
    __table_args__ = (
        Index("ix_lead_received", "received_at", "id"),
        Index("ix_lead_status", "status", "received_at", "id"),
        # The filters of the admin's list, each in the order of the list
        Index("ix_lead_form", "form_id", "received_at", "id"),
        Index("ix_lead_folder", "is_spam", "received_at", "id"),
        Index("ix_lead_email_status", "email_status", "received_at", "id"),
        Index("ix_lead_webhook_status", "webhook_status", "received_at", "id"),
        Index("ix_lead_crm_status", "crm_status", "received_at", "id"),
        Index(
            "ix_lead_test",
            "received_at",
            "id",
            postgresql_where=text("is_test"),
            sqlite_where=text("is_test"),
        ),
        Index("ix_lead_words", text(LEAD_WORDS), postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_lead_content", "form_id", "content_hash", "received_at"),
        Index(
            "ix_lead_check_at",
            "check_at",
            postgresql_where=text("check_at IS NOT NULL"),
            sqlite_where=text("check_at IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    form_id: Mapped[int] = mapped_column(ForeignKey("form.id"))
    form_type: Mapped[str] = mapped_column(String(60), default="contact")
    correlation_id: Mapped[str] = mapped_column(String(64), index=True)
    source: Mapped[str] = mapped_column(String(20), default="form")
    status: Mapped[LeadStatus] = mapped_column(Enumerated(LeadStatus), default=LeadStatus.RECEIVED)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    name: Mapped[str] = mapped_column(Text, default="")
    email: Mapped[str] = mapped_column(String(320), default="", index=True)  # longer ones stay in `fields`
    phone: Mapped[str] = mapped_column(Text, default="")
    message: Mapped[str] = mapped_column(Text, default="")
    fields: Mapped[dict[str, Any]] = mapped_column(Json, default=dict)
    raw_body: Mapped[bytes] = mapped_column(LargeBinary, default=b"", deferred=True)
    content_type: Mapped[str] = mapped_column(String(255), default="")
    raw_payload: Mapped[str] = mapped_column(Text, default="", deferred=True)
    headers: Mapped[dict[str, Any]] = mapped_column(Json, default=dict, deferred=True)
    lead_source: Mapped[str] = mapped_column(Text, default="direct")
    utm_source: Mapped[str] = mapped_column(Text, default="")
    utm_medium: Mapped[str] = mapped_column(Text, default="")
    utm_campaign: Mapped[str] = mapped_column(Text, default="")
    utm_term: Mapped[str] = mapped_column(Text, default="")
    utm_content: Mapped[str] = mapped_column(Text, default="")
    gclid: Mapped[str] = mapped_column(Text, default="")
    fbclid: Mapped[str] = mapped_column(Text, default="")
    msclkid: Mapped[str] = mapped_column(Text, default="")
    page_url: Mapped[str] = mapped_column(Text, default="")
    referrer: Mapped[str] = mapped_column(Text, default="")
    is_spam: Mapped[bool] = mapped_column(default=False)
    spam_reason: Mapped[str] = mapped_column(String(200), default="")
    is_test: Mapped[bool] = mapped_column(default=False)
    duplicate_of_id: Mapped[UUID | None] = mapped_column(ForeignKey("lead.id"), index=True)
    problems: Mapped[list[dict[str, Any]]] = mapped_column(Json, default=list)
    content_hash: Mapped[str] = mapped_column(String(64), default="")
    check_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    check_count: Mapped[int] = mapped_column(default=0)

    email_status: Mapped[IntegrationStatus] = _status_column()
    email_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    email_last_error: Mapped[str] = mapped_column(Text, default="")
    email_attempts: Mapped[int] = mapped_column(default=0)
    webhook_status: Mapped[IntegrationStatus] = _status_column()
    webhook_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    webhook_last_error: Mapped[str] = mapped_column(Text, default="")
    webhook_attempts: Mapped[int] = mapped_column(default=0)
    webhook_last_status_code: Mapped[int | None]
    crm_status: Mapped[IntegrationStatus] = _status_column()
    crm_sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    crm_last_error: Mapped[str] = mapped_column(Text, default="")
    crm_attempts: Mapped[int] = mapped_column(default=0)
    crm_last_status_code: Mapped[int | None]

    form: Mapped[Form] = relationship()

    def __str__(self) -> str:
        return self.name or self.email or self.phone or f"Lead of {self.received_at:%d %b %Y %H:%M}"


class Idempotency(Model):
    """An Idempotency-Key that was used on a form, the hash of the body it came with, and its lead."""

    __tablename__ = "idempotency"
    __table_args__ = (UniqueConstraint("scope", "key"),)

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    scope: Mapped[str] = mapped_column(String(80))
    key: Mapped[str] = mapped_column(String(255))
    body_hash: Mapped[str] = mapped_column(String(64))
    lead_id: Mapped[UUID] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW, index=True)
