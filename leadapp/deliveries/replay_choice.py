"""What a replay takes: the rows or leads that somebody chose, and why some of them cannot be sent again."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, exists, literal, or_, select
from sqlalchemy.sql import Select

from leadapp.deliveries.models import Attempt, AttemptOutcome, Delivery, DeliveryState, HeldReason, Kind

# A 409 says "I have that one already" more often than not, and a new key would make it two.
CONFLICT = 409
# What a receiver answers before it has looked at the body; any other 5xx may come after it was kept.
BUSY = 503


class Skip(StrEnum):
    """Why a row or a lead stays where it is, in the words that people read."""

    TAKEN = ""
    IN_LINE = "in line already"
    UNKNOWN = "may have been sent: mark it as sent, or send it again by hand"
    NOT_REFUSED = "not refused: sent, waiting or called off"
    NOT_CUSTOMER = "today's rules and mapping change only what goes to the customer's API"
    MAY_HAVE_IT = "the receiver may have it: a try got no clear answer. Send it again as it was"


class What(StrEnum):
    """The four things that can be chosen."""

    ROWS = "rows"
    DESTINATION = "destination"
    LEADS = "leads"
    FORM = "form"


@dataclass(frozen=True)
class Selection:
    """Chosen rows; all that a destination refused; chosen rejected leads; all rejected leads of a form.

    `since` and `until` are when rows were given up or leads came in; `code` narrows to one answer of the receiver.
    """

    what: What
    ids: tuple[UUID, ...] = ()
    destination_id: int | None = None
    form_id: int | None = None
    code: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_of_leads(self) -> bool:
        return self.what in (What.LEADS, What.FORM)

    def as_json(self) -> dict[str, Any]:
        """For the replay's row and the audit trail."""
        found = {key: value for key, value in asdict(self).items() if value not in (None, ())}
        found["what"] = str(self.what)
        for name in ("since", "until"):
            if name in found:
                found[name] = found[name].isoformat()
        if self.ids:
            found["ids"] = [str(one) for one in self.ids]
        return found

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> "Selection":
        """From a replay's row."""
        times = {name: datetime.fromisoformat(found[name]) for name in ("since", "until") if name in found}
        return cls(
            what=What(found["what"]),
            ids=tuple(UUID(one) for one in found.get("ids", ())),
            destination_id=found.get("destination_id"),
            form_id=found.get("form_id"),
            code=found.get("code"),
            **times,
        )


@dataclass(frozen=True)
class Anew:
    """What today's rules and mapping make of one lead for the customer's API, or why nothing (`refused`, in words)."""

    body: str = ""
    mapping_version: str = ""
    left_out: Sequence[dict[str, str]] = ()
    refused: str = ""


@dataclass(frozen=True)
class Readmitted:
    """Rejected leads that pass today: their new rows, in the session and not yet held; and why others do not."""

    rows: Sequence[Delivery] = ()
    refused: Mapping[UUID, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Foreseen:
    """What `readmit` would do now: the destinations of each lead that passes, and why others do not."""

    where: Mapping[UUID, Sequence[int]] = field(default_factory=dict)
    refused: Mapping[UUID, str] = field(default_factory=dict)


class Leads(Protocol):
    """What the layer above knows and deliveries do not: leads, their rules and mapping."""

    def count(self, selection: Selection) -> int:
        """How many rejected leads these are."""

    def find(self, selection: Selection, after: UUID | None, limit: int) -> Sequence[UUID]:
        """The next rejected leads in id order."""

    def make_anew(self, lead_ids: Sequence[UUID]) -> Mapping[UUID, Anew]:
        """Today's bodies; writes nothing."""

    def foresee(self, lead_ids: Sequence[UUID]) -> Foreseen:
        """Run today's rules on rejected leads; writes nothing."""

    def readmit(self, lead_ids: Sequence[UUID]) -> Readmitted:
        """Run today's rules on rejected leads; those that pass are READY with the rows that they owe."""


def rows_of(selection: Selection, *, is_anew: bool) -> Select[UUID, int, str]:
    """id, destination id and Skip of every row that was asked for."""
    query = select(Delivery.id, Delivery.destination_id, verdict(is_anew=is_anew).label("skip"))
    if selection.what is What.ROWS:
        return query.where(Delivery.id.in_(selection.ids))
    query = query.where(
        Delivery.destination_id == selection.destination_id,
        Delivery.state.in_((DeliveryState.PERMANENTLY_FAILED, DeliveryState.UNKNOWN)),
    )
    if selection.code is not None:
        query = query.where(Delivery.last_status_code == selection.code)
    if selection.since is not None:
        query = query.where(Delivery.changed_at >= selection.since)
    if selection.until is not None:
        query = query.where(Delivery.changed_at <= selection.until)
    return query


def verdict(*, is_anew: bool) -> ColumnElement[str]:
    """Skip of a row, as SQL: the preview counts with it and the replay takes by it."""
    in_line = and_(Delivery.state == DeliveryState.HELD, Delivery.held_reason == HeldReason.REPLAY_RATE)
    found = [
        (in_line, Skip.IN_LINE),
        (Delivery.state == DeliveryState.UNKNOWN, Skip.UNKNOWN),
        (Delivery.state != DeliveryState.PERMANENTLY_FAILED, Skip.NOT_REFUSED),
    ]
    if is_anew:
        found.append((or_(Delivery.kind != Kind.CRM, Delivery.lead_id.is_(None)), Skip.NOT_CUSTOMER))
        found.append((~is_definite(), Skip.MAY_HAVE_IT))
    return case(*((condition, literal(str(skip))) for condition, skip in found), else_=literal(str(Skip.TAKEN)))


def is_definite() -> ColumnElement[bool]:
    """The receiver does not have it for certain: never tried, or refused for good and no try left open how it went."""
    of_row = Attempt.delivery_id == Delivery.id
    refused = exists().where(
        of_row, Attempt.fence == Delivery.fence, Attempt.outcome == AttemptOutcome.PERMANENTLY_FAILED
    )
    unclear = or_(Attempt.status_code.is_(None), and_(Attempt.status_code >= 500, Attempt.status_code != BUSY))
    left_open = or_(
        Attempt.outcome.is_(None),
        Attempt.outcome.in_((AttemptOutcome.LOST, AttemptOutcome.UNKNOWN)),
        and_(Attempt.outcome == AttemptOutcome.FAILED, unclear),
        Attempt.status_code == CONFLICT,
    )
    return or_(Delivery.fence == 0, and_(refused, ~exists().where(of_row, left_open)))
