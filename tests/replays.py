"""Refused rows for the tests of replays, and a layer above that does as it is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import select

from leadapp.clock import db_now
from leadapp.columns import new_id
from leadapp.database import transaction
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, Kind, Purpose, Replay
from leadapp.deliveries.replay_choice import Anew, Foreseen, Readmitted, Selection
from leadapp.deliveries.settle import Result, settle
from leadapp.errors import DeliveryError, PermanentError
from leadapp.extensions import db
from leadapp.leads.models import Form
from tests.factories import post_lead

S = DeliveryState
BODY = Anew('{"new": true}', "v2", [{"target": "street", "reason": "missing"}])
REFUSED = PermanentError("The receiver answered 400", status_code=400)


def end_all(kind: Kind, error: DeliveryError = REFUSED) -> None:
    """Whatever is due for this kind is claimed once and ends like this."""
    while claims := claim(Wanted(kinds=(kind,), is_any_destination=True), "w"):
        settle([Result(one, error=error) for one in claims])


def refuse(form: Form, count: int, kind: Kind = Kind.WEBHOOK) -> list[UUID]:
    """So many leads whose webhook was refused for good; the ids of the refused rows, oldest first."""
    for _ in range(count):
        post_lead(form)
    end_all(kind)
    query = select(Delivery.id).where(Delivery.kind == kind, Delivery.state == S.PERMANENTLY_FAILED)
    return list(db.session.scalars(query.order_by(Delivery.id)))


def add_customer_row(lead_id: UUID, destination: Destination) -> UUID:
    """A row for the customer's API, due now."""
    with transaction():
        row = Delivery(
            id=new_id(),
            lead_id=lead_id,
            destination_id=destination.id,
            kind=Kind.CRM,
            purpose=Purpose.LEAD_TO_CUSTOMER,
            payload="{}",
            dedupe_key=f"{lead_id}:{destination.id}",
            next_attempt_at=db_now(),
        )
        db.session.add(row)
    return row.id


def row_of(row_id: UUID) -> Delivery:
    return db.session.get_one(Delivery, row_id, populate_existing=True)


def states(ids: Sequence[UUID]) -> list[DeliveryState]:
    return [row_of(one).state for one in ids]


def the_replay(replay_id: int) -> Replay:
    return db.session.get_one(Replay, replay_id, populate_existing=True)


@dataclass
class FakeLeads:
    """Stands in for leads: every lead has this body, and every rejected one owes what `rows` makes for it."""

    body: Anew = BODY
    rejected: list[UUID] = field(default_factory=list)
    refused: dict[UUID, str] = field(default_factory=dict)
    destination_id: int = 0

    def count(self, selection: Selection) -> int:
        return len(self.rejected)

    def find(self, selection: Selection, after: UUID | None, limit: int) -> Sequence[UUID]:
        return [one for one in self.rejected if after is None or one > after][:limit]

    def make_anew(self, lead_ids: Sequence[UUID]) -> Mapping[UUID, Anew]:
        return dict.fromkeys(lead_ids, self.body)

    def foresee(self, lead_ids: Sequence[UUID]) -> Foreseen:
        refused = {one: self.refused[one] for one in lead_ids if one in self.refused}
        return Foreseen({one: [self.destination_id] for one in lead_ids if one not in refused}, refused)

    def readmit(self, lead_ids: Sequence[UUID]) -> Readmitted:
        assert self.destination_id
        rows = [
            Delivery(
                id=new_id(),
                lead_id=one,
                destination_id=self.destination_id,
                kind=Kind.CRM,
                purpose=Purpose.LEAD_TO_CUSTOMER,
                payload="{}",
                dedupe_key=f"{one}:{self.destination_id}",
            )
            for one in lead_ids
            if one not in self.refused
        ]
        db.session.add_all(rows)
        db.session.flush()
        return Readmitted(rows, {one: self.refused[one] for one in lead_ids if one in self.refused})
