"""Rows for tests, and a channel that does as it is told."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select

from leadapp.config import Settings
from leadapp.database import transaction
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.deliveries.models import Delivery, Destination, Kind
from leadapp.extensions import db
from leadapp.leads import intake
from leadapp.leads.models import Form, Lead
from leadapp.leads.reading import Posted
from leadapp.signing import new_secret

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def add_form(key: str = "contact", **values: Any) -> Form:
    with transaction():
        form = Form(key=key, name=values.pop("name", "Contact form"), **values)
        db.session.add(form)
    return form


def add_destination(kind: Kind, where: str = "", **values: Any) -> Destination:
    settings = (
        {"to": where or "owner@shop.example"} if kind is Kind.EMAIL else {"url": where or "https://hook.example/x"}
    )
    secret = None if kind is Kind.EMAIL else new_secret()
    with transaction():
        row = Destination(kind=kind, name=values.pop("name", str(kind)), settings=settings, secret=secret, **values)
        db.session.add(row)
    return row


def add_desk() -> tuple[Form, Destination, Destination]:
    """The usual: one form, the owner's mail and one webhook."""
    return add_form(), add_destination(Kind.EMAIL), add_destination(Kind.WEBHOOK)


_counter = iter(range(1, 10_000_000))


def post_lead(form: Form, **fields: Any) -> Lead:
    """Accept a lead the way a request does."""
    number = next(_counter)
    payload = {"name": "Ada Lovelace", "email": "ada@example.com", "message": f"Hello, number {number}", **fields}
    accepted = intake.accept(form, Posted(payload=payload, raw=json.dumps(payload).encode()), "form")
    return db.session.get_one(Lead, accepted.lead_id)


def rows_of(lead: Lead) -> list[Delivery]:
    query = select(Delivery).where(Delivery.lead_id == lead.id).order_by(Delivery.kind)
    return list(db.session.scalars(query, execution_options={"populate_existing": True}))


def the_row(lead: Lead, kind: Kind) -> Delivery:
    return next(row for row in rows_of(lead) if row.kind is kind)


@dataclass
class FakeChannel:
    """Answers each send with the next of `answers` (a Receipt, or an error to raise); the last one repeats."""

    answers: Sequence[Receipt | Exception] = (Receipt(200, "ok"),)
    sent: list[Claim] = field(default_factory=list)
    meanwhile: Callable[[Claim], None] | None = None

    def send(self, claim: Claim, deadline: float) -> Receipt:
        self.sent.append(claim)
        if self.meanwhile:
            self.meanwhile(claim)
        answer = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def deadline_seconds(self, settings: Settings) -> float:
        return 1.0


def minutes(number: float) -> timedelta:
    return timedelta(minutes=number)
