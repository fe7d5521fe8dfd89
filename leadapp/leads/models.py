"""Forms, and the leads that came in through them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, select, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from leadapp.clock import DB_NOW, UtcDateTime
from leadapp.columns import BigId, Enumerated, Json, SealedText, new_id
from leadapp.deliveries.frozen import FrozenBody
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


class MappingSource(StrEnum):
    """Where the body for the customer's API comes from; without one, a form's leads never go there."""

    NONE = "none"
    FILE = "file"  # ATTRIBUTE_MAPPING_PATH
    OWN = "own"  # saved with the form's rules


class RulesVersion(Model):
    """One version of a form's rules and mapping; the highest `number` is in force, none means no rules, no mapping.

    `rules` and `mapping` are the JSON texts as they were saved (leadapp.rules reads them); `mapping` counts when
    `mapping_source` is "own".
    """

    __tablename__ = "rules_version"
    __table_args__ = (UniqueConstraint("form_id", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    form_id: Mapped[int] = mapped_column(ForeignKey("form.id", ondelete="CASCADE"))
    number: Mapped[int]
    rules: Mapped[str] = mapped_column(Text, default="[]")
    mapping_source: Mapped[MappingSource] = mapped_column(Enumerated(MappingSource), default=MappingSource.NONE)
    mapping: Mapped[str] = mapped_column(Text, default="{}")
    note: Mapped[str] = mapped_column(String(200), default="")
    made_by: Mapped[str] = mapped_column(String(255), default="")
    made_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)


class Form(Model):
    """A form on somebody's site; `key` is public and stands in the address that the form posts to.

    `is_strict`: a post that lacks one of `required_fields`, or has an e-mail that is none, is refused and not
    stored. `cc_allowed`: the addresses that a post may ask copies for (leads.copies makes their destinations).
    `pinned_fields`: role (email, name, first_name, last_name, phone, message) -> the field that the form means.
    `country`: ISO 3166 alpha-2, how national phone numbers are read; "" leaves them as they came.
    `sender`: the one payload shape that is read (leads.senders); "" recognises it. `secret` proves the sender.
    `person_keys`: the fields that tell whether two leads are of one person; [] never links them.
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
    pinned_fields: Mapped[dict[str, str]] = mapped_column(Json, default=dict)
    country: Mapped[str] = mapped_column(String(2), default="")
    sender: Mapped[str] = mapped_column(String(30), default="")
    secret: Mapped[str | None] = mapped_column(SealedText, deferred=True)
    tells_rejected: Mapped[bool] = mapped_column(default=True)
    person_keys: Mapped[list[str]] = mapped_column(Json, default=lambda: ["email"])
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    # Which rules are in force comes with every form that is read, at the cost of no statement of its own.
    newest_rules_id: Mapped[int | None] = column_property(
        select(RulesVersion.id)
        .where(RulesVersion.form_id == id)
        .order_by(RulesVersion.number.desc())
        .limit(1)
        .correlate_except(RulesVersion)
        .scalar_subquery()
    )

    def __str__(self) -> str:
        return self.name


class MappingCopy(Model):
    """A good text of the file at ATTRIBUTE_MAPPING_PATH; `digest` names it on deliveries.

    The one seen last stays in force, for fresh processes too, while the file is broken.
    """

    __tablename__ = "mapping_copy"

    id: Mapped[int] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    text: Mapped[str] = mapped_column(Text)
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)


def _status_column() -> Mapped[IntegrationStatus]:
    return mapped_column(Enumerated(IntegrationStatus), default=IntegrationStatus.DISABLED)


# What the admin's search looks up, word by word (PostgreSQL only). `left`, because to_tsvector raises on a megabyte,
# and no index may cost a lead; punctuation is a blank, so that the parts of an address are words too.
PUNCTUATION = "@._-+/,;()"
LEAD_WORDS = (  # spelt as PostgreSQL gives it back, so that the two can be compared
    """to_tsvector('simple'::regconfig, translate(((("left"(lead.name, 200) || ' '::text) || lead.email::text) """
    f"""|| ' '::text) || "left"(lead.phone, 60), '{PUNCTUATION}'::text, '{" " * len(PUNCTUATION)}'::text))"""
)


FOLLOWING = {"ix_lead_duplicate_of_id": "duplicate_of_id", "ix_lead_same_person": "same_person_as_id"}


class Lead(Model):
    """One enquiry as it came in, what was understood of it, and how its deliveries stand.

    `raw_body` holds the bytes as they came, file parts left out. The `email_*`, `webhook_*` and `crm_*` columns
    are written by `leads.integration.refresh` alone. `duplicate_of_id`: the same content again; `same_person_as_id`:
    the same person (`person_hash`, of the form's `person_keys`) with other content. `external_id` is the sender's.
    """

    __tablename__ = "lead"
    __table_args__ = (
        # The admin's lists and filters, newest first. What stands behind `id` is compared inside the index, so that
        # two filters at once read no row for nothing; leads.daily counts over ix_lead_received alone.
        Index("ix_lead_received", "received_at", "id", "form_id", "status", "is_spam"),
        Index("ix_lead_status", "status", "received_at", "id", "form_id", "is_spam"),
        Index("ix_lead_form", "form_id", "received_at", "id", "status", "is_spam"),
        Index("ix_lead_email_status", "email_status", "received_at", "id", "form_id", "is_spam"),
        Index("ix_lead_webhook_status", "webhook_status", "received_at", "id", "form_id", "is_spam"),
        Index("ix_lead_crm_status", "crm_status", "received_at", "id", "form_id", "is_spam"),
        Index(
            "ix_lead_spam",
            "received_at",
            "id",
            "form_id",
            "status",
            postgresql_where=text("is_spam"),
            sqlite_where=text("is_spam"),
        ),
        Index(
            "ix_lead_test",
            "received_at",
            "id",
            postgresql_where=text("is_test"),
            sqlite_where=text("is_test"),
        ),
        Index("ix_lead_words", text(LEAD_WORDS), postgresql_using="gin").ddl_if(dialect="postgresql"),
        Index("ix_lead_correlation_id", "correlation_id"),  # the admin's search
        Index("ix_lead_content", "form_id", "content_hash", "received_at"),
        Index(
            "ix_lead_person",
            "form_id",
            "person_hash",
            "received_at",
            postgresql_where=text("person_hash <> ''"),
            sqlite_where=text("person_hash <> ''"),
        ),
        *(
            Index(
                name, column, postgresql_where=text(f"{column} IS NOT NULL"), sqlite_where=text(f"{column} IS NOT NULL")
            )
            for name, column in FOLLOWING.items()
        ),
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
    correlation_id: Mapped[str] = mapped_column(String(64))
    source: Mapped[str] = mapped_column(String(20), default="form")
    status: Mapped[LeadStatus] = mapped_column(Enumerated(LeadStatus), default=LeadStatus.RECEIVED)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime, default=DB_NOW)
    name: Mapped[str] = mapped_column(Text, default="")
    email: Mapped[str] = mapped_column(String(320), default="")  # longer ones stay in `fields`
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
    duplicate_of_id: Mapped[UUID | None] = mapped_column(ForeignKey("lead.id"))
    same_person_as_id: Mapped[UUID | None] = mapped_column(ForeignKey("lead.id"))
    person_hash: Mapped[str] = mapped_column(String(64), default="")
    sender: Mapped[str] = mapped_column(String(30), default="")
    external_id: Mapped[str] = mapped_column(String(200), default="")
    rules_version: Mapped[str] = mapped_column(String(80), default="")
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
    # Not a column: what the form's mapping made of the lead, from reading to planning
    customer_body = cast("FrozenBody | None", None)

    def __str__(self) -> str:
        return self.name or self.email or self.phone or f"Lead of {self.received_at:%d %b %Y %H:%M}"


class LeadCount(Model):
    """How many leads of one UTC day, form, status and spam came in up to `counted_to`; leads.daily writes it whole."""

    __tablename__ = "lead_count"

    day: Mapped[date] = mapped_column(primary_key=True)
    form_id: Mapped[int] = mapped_column(ForeignKey("form.id", ondelete="CASCADE"), primary_key=True)
    status: Mapped[LeadStatus] = mapped_column(Enumerated(LeadStatus), primary_key=True)
    is_spam: Mapped[bool] = mapped_column(primary_key=True)
    leads: Mapped[int]
    counted_to: Mapped[datetime] = mapped_column(UtcDateTime)


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
