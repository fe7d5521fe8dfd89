"""/stats: leads and deliveries of the last days in numbers, by status, form, destination and day.

Leads come from leads.daily, which is quick whatever their number; deliveries are counted from indexes alone.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from sqlalchemy import String, func, literal, select, text, type_coerce, union_all

from leadapp import clock
from leadapp.accounts import guard
from leadapp.database import release
from leadapp.deliveries.models import LISTED, Delivery, DeliveryState, Destination
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads import daily
from leadapp.leads.answering import error_json
from leadapp.leads.charsets import clean
from leadapp.leads.models import Form, LeadStatus
from leadapp.ops import bearer
from leadapp.ops.logs import mask

MOST_DAYS = daily.DAYS
NOT_DELIVERED = tuple(state for state in DeliveryState if state is not DeliveryState.DELIVERED)

stats = Blueprint("stats", __name__)
stats.access = guard.PUBLIC  # type: ignore[attr-defined]  # by METRICS_TOKEN
stats.before_request(bearer.check)


@dataclass
class Leads:
    """Leads by status. Spam is counted beside the others, not among them."""

    by_status: Counter[LeadStatus] = field(default_factory=Counter)
    spam: int = 0

    @property
    def received(self) -> int:
        return self.by_status.total()

    def add(self, one: daily.Counted) -> None:
        if one.is_spam:
            self.spam += one.count
        else:
            self.by_status[one.status] += one.count

    def as_json(self) -> dict[str, Any]:
        by_status = {status.value: self.by_status[status] for status in LeadStatus}
        return {"received": self.received, "spam": self.spam, "by_status": by_status}


@dataclass(frozen=True)
class Numbers:
    """What was counted of leads."""

    first: date
    last: date
    form: Form | None
    total: Leads
    days: dict[date, Leads]
    forms: list[tuple[Form, Leads]]


@stats.get("/stats")
def show() -> ResponseReturnValue:
    """JSON; `?days=` 1 to 30 (UTC days, today included), `?form=` a form's key."""
    try:
        form, days = asked_form(request.args.get("form", "")), asked_days(request.args.get("days", ""))
        answer = jsonify(as_json(count(days, form)))
    except PayloadError as error:
        answer = jsonify(error_json(error))
        answer.status_code = error.status
    finally:
        release()
    answer.headers["Cache-Control"] = "no-store"
    return answer


def asked_days(given: str) -> int:
    """How many days; PayloadError when it is no number from 1 to 30."""
    if not given:
        return MOST_DAYS
    if given.isascii() and given.isdigit() and len(given) <= 3 and 1 <= int(given) <= MOST_DAYS:
        return int(given)
    raise PayloadError(400, "DAYS", f"days is a number from 1 to {MOST_DAYS}.", "days")


def asked_form(key: str) -> Form | None:
    """The form with this key; PayloadError when there is none."""
    if not key:
        return None
    form: Form | None = db.session.scalar(select(Form).where(Form.key == clean(key)))
    if form is None:
        raise PayloadError(404, "FORM_NOT_FOUND", "There is no form with this key.", "form")
    return form


def count(days: int, form: Form | None = None) -> Numbers:
    """The last `days` UTC days, today included, of one form or of all."""
    last = clock.now().date()
    first = last - timedelta(days=days - 1)
    total, by_form = Leads(), dict[int, Leads]()
    by_day = {first + timedelta(days=after): Leads() for after in range(days)}
    for one in daily.counts(first):
        if form is None or one.form_id == form.id:
            for part in (total, by_day.get(one.day, Leads()), by_form.setdefault(one.form_id, Leads())):
                part.add(one)
    forms = [form] if form else list(db.session.scalars(select(Form).order_by(Form.name, Form.id)))
    return Numbers(
        first=first,
        last=last,
        form=form,
        total=total,
        days=by_day,
        forms=[(one, by_form.get(one.id, Leads())) for one in forms],
    )


def by_destination(numbers: Numbers) -> list[tuple[Destination, Counter[DeliveryState]]]:
    """The deliveries of the same days; none when one form was asked for: they are not told apart by form."""
    return [] if numbers.form else list(_by_destination(numbers.first))


def _by_destination(first: date) -> Iterator[tuple[Destination, Counter[DeliveryState]]]:
    counts: dict[int, Counter[DeliveryState]] = {}
    for destination_id, state, number in db.session.execute(_deliveries(first)):
        counts.setdefault(destination_id, Counter())[DeliveryState(state)] += number
    for destination in db.session.scalars(select(Destination).order_by(Destination.name, Destination.id)):
        found = counts.get(destination.id, Counter())
        found[DeliveryState.DELIVERED] -= sum(found[state] for state in NOT_DELIVERED)
        yield destination, found


def _deliveries(first: date) -> Any:
    """Everything that was planned, and what of it is not delivered, in one statement: both of one moment.

    The delivered ones, a million at times, are never looked up: they are the rest.
    """
    since = Delivery.created_at >= datetime.combine(first, time(), UTC)
    everything = (
        select(Delivery.destination_id, literal(DeliveryState.DELIVERED.value).label("state"), func.count())
        .where(since)
        .group_by(Delivery.destination_id)
    )
    open_ones = [
        select(Delivery.destination_id, type_coerce(Delivery.state, String), func.count())
        .where(text(where), since)
        .group_by(Delivery.destination_id, Delivery.state)
        for where in LISTED.values()
    ]
    return union_all(everything, *open_ones)


def as_json(numbers: Numbers) -> dict[str, Any]:
    """The answer of /stats. Names of destinations can hold an address, which is left out."""
    return {
        "days": len(numbers.days),
        "from": numbers.first.isoformat(),
        "to": numbers.last.isoformat(),
        "form": numbers.form.key if numbers.form else None,
        "leads": numbers.total.as_json(),
        "by_day": [{"day": day.isoformat(), **found.as_json()} for day, found in numbers.days.items()],
        "by_form": [{"form": form.key, "name": form.name, **found.as_json()} for form, found in numbers.forms],
        "by_destination": [_destination_json(*one) for one in by_destination(numbers)],
    }


def _destination_json(destination: Destination, found: Counter[DeliveryState]) -> dict[str, Any]:
    return {
        "id": destination.id,
        "name": mask(destination.name),
        "kind": destination.kind.value,
        "state": destination.state.value,
        "planned": found.total(),
        "by_state": {state.value: found[state] for state in DeliveryState},
    }
