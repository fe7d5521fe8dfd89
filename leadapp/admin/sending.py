"""What a person can do with deliveries: send again, mark as sent, do not send; always confirmed, always audited."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import flash, redirect, request, url_for
from sqlalchemy import select

from leadapp.accounts import guard
from leadapp.accounts.guard import Access
from leadapp.admin import undoing
from leadapp.admin.showing import plural
from leadapp.deliveries import outbox
from leadapp.deliveries.models import Delivery, DeliveryState, before
from leadapp.extensions import db

MOST_ROWS = 1000
CANCELLED_BY_HAND = "called off by hand"
UNFINISHED = (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED, DeliveryState.HELD)


@dataclass(frozen=True)
class Operation:
    """One button: what it asks, which states it fits, who may press it, what it does (ids -> ids that changed)."""

    name: str
    button: str
    question: str
    done: str
    fits: frozenset[DeliveryState]
    access: Access
    run: Callable[[Sequence[UUID]], Sequence[UUID]]


OPERATIONS = {
    found.name: found
    for found in (
        Operation(
            name="again",
            button="Send again",
            question="Send again?",
            done="put back in line, and sent in a moment",
            fits=frozenset(DeliveryState) - {DeliveryState.SENDING},
            access=guard.SENDERS,
            run=lambda ids: outbox.send_again(ids, guard.actor()),
        ),
        Operation(
            name="mark-sent",
            button="Mark as sent",
            question="Mark as sent?",
            done="marked as sent",
            fits=frozenset({DeliveryState.UNKNOWN}),
            access=guard.DESK,
            run=lambda ids: outbox.mark_sent(ids, guard.actor()),
        ),
        Operation(
            name="cancel",
            button="Do not send",
            question="Do not send?",
            done="called off",
            fits=frozenset(before(DeliveryState.CANCELLED)) - {DeliveryState.SENDING},
            access=guard.DESK,
            run=lambda ids: outbox.cancel(ids, CANCELLED_BY_HAND, guard.actor()),
        ),
    )
}


def allowed(row: Delivery) -> list[Operation]:
    """The buttons of one row for the person of this request."""
    return [found for found in OPERATIONS.values() if row.state in found.fits and guard.may(found.access)]


def answer(view: Any, operation: Operation, ids: Sequence[UUID]) -> Any:
    """The confirmation page; or, once it was confirmed, the deed and the way back."""
    if not guard.may(operation.access):
        return guard.refuse()
    back = _back()
    rows = fitting(operation, ids)
    if not rows:
        flash(f"There is nothing here to {operation.button.lower()}: look at the rows as they are now.", "info")
        return redirect(back, 303)
    if request.form.get("confirmed") != "yes":
        return view.render("admin/confirm.html", back=back, operation=operation, rows=rows, **summary(rows))
    were_held = any(row.state is DeliveryState.HELD for row in rows)  # nobody can put these on hold again
    changed = operation.run([row.id for row in rows])
    said = f"{plural(len(changed), 'row')} {operation.done}."
    if operation.name == "cancel" and not were_held:
        undoing.say_of_rows(said, url_for("deliveries.operate", verb="again"), changed, back)
    else:
        flash(said, "success")
    return redirect(back, 303)


def fitting(operation: Operation, ids: Sequence[UUID]) -> list[Delivery]:
    """Of these rows, the ones that the button fits now. A second press must not send a delivered row twice over."""
    query = select(Delivery).where(Delivery.id.in_(list(ids)[:MOST_ROWS]), Delivery.state.in_(operation.fits))
    rows = list(db.session.scalars(query.order_by(Delivery.created_at)))
    delivered = [row.id for row in rows if row.state is DeliveryState.DELIVERED]
    repeats = select(Delivery.repeat_of_id).where(Delivery.repeat_of_id.in_(delivered), Delivery.state.in_(UNFINISHED))
    on_its_way = set(db.session.scalars(repeats)) if delivered else set()
    return [row for row in rows if row.id not in on_its_way]


def summary(rows: Sequence[Delivery]) -> dict[str, Any]:
    """How many rows, where to, and how many of them were sent before."""
    where = Counter((row.destination.name, row.recipient) for row in rows)
    return {
        "where": where.most_common(20),
        "more": max(0, len(where) - 20),
        "sent_before": sum(row.state is DeliveryState.DELIVERED for row in rows),
        "stopped": sorted({row.destination.name for row in rows if row.destination.state != "active"}),
    }


def posted_ids() -> list[UUID]:
    """The ids of a post: chosen rows, or every row of one cause on the work list."""
    ids = uuids(request.form.getlist("rowid"))
    return ids or _of_cause()


def uuids(texts: Sequence[str]) -> list[UUID]:
    """Those that are ids; anything else was made up and is left out."""
    found = []
    for text in texts[:MOST_ROWS]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return found


def _of_cause() -> list[UUID]:
    form = request.form
    state, destination = form.get("state", ""), form.get("destination", type=int)
    if destination is None or state not in set(DeliveryState):
        return []
    query = select(Delivery.id).where(Delivery.destination_id == destination, Delivery.state == DeliveryState(state))
    code = form.get("code", type=int)
    if code is not None:
        query = query.where(Delivery.last_status_code == code)
    else:
        error = form.get("error", "").replace("\0", "")
        query = query.where(Delivery.last_status_code.is_(None), Delivery.last_error.startswith(error, autoescape=True))
    return list(db.session.scalars(query.order_by(Delivery.created_at).limit(MOST_ROWS)))


def _back() -> str:
    target = request.form.get("url", "")
    return target if guard.is_safe_next(target) else url_for("deliveries.index_view")
