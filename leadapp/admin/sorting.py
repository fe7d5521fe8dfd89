"""The buttons “Not spam” and “This is spam”: always confirmed, always audited."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import flash, redirect, request, url_for
from sqlalchemy import func, select

from leadapp.accounts import guard
from leadapp.admin import sending, undoing
from leadapp.admin.showing import plural
from leadapp.deliveries.models import Delivery, DeliveryState
from leadapp.extensions import db
from leadapp.leads import spam
from leadapp.leads.models import Lead


@dataclass(frozen=True)
class Verdict:
    """One button: what it asks, what it means, which leads it fits, which of their rows it moves, what it does."""

    name: str
    button: str
    question: str
    means: str
    done: str
    of_spam: bool
    moves: tuple[DeliveryState, ...]
    run: Callable[[Sequence[UUID], str], Sequence[UUID]]


VERDICTS = {
    found.name: found
    for found in (
        Verdict(
            name="not-spam",
            button="Not spam",
            question="Not spam?",
            means="Everybody who waits for it is told now, late but whole.",
            done="moved to your leads and sent now",
            of_spam=True,
            moves=(DeliveryState.HELD,),
            run=spam.release,
        ),
        Verdict(
            name="spam",
            button="This is spam",
            question="Is this spam?",
            means="It moves to the spam folder. What has not gone out yet stays here; what was sent stays sent.",
            done="moved to the spam folder",
            of_spam=False,
            moves=(DeliveryState.PENDING, DeliveryState.FAILED),
            run=spam.hold,
        ),
    )
}


def offered(lead: Lead) -> Verdict | None:
    """The button of one lead for the person of this request."""
    if not guard.may(guard.DESK):
        return None
    return next(verdict for verdict in VERDICTS.values() if verdict.of_spam is lead.is_spam)


def answer(view: Any, verdict: Verdict, ids: Sequence[UUID]) -> Any:
    """The confirmation page; or, once it was confirmed, the deed and the way back."""
    if not guard.may(guard.DESK):
        return guard.refuse()
    back = _back()
    leads = _fitting(verdict, ids)
    if not leads:
        flash("There is nothing to change: look at the leads as they are now.", "info")
        return redirect(back, 303)
    if request.form.get("confirmed") != "yes":
        return view.render("admin/sort.html", back=back, verdict=verdict, leads=leads, rows=_rows(verdict, leads))
    changed = verdict.run([lead.id for lead in leads], guard.actor())
    other = next(one for one in VERDICTS.values() if one is not verdict)
    said = f"{plural(len(changed), 'lead')} {verdict.done}."
    undoing.say_of_rows(said, url_for("leads.sort", verb=other.name), changed, back)
    return redirect(back, 303)


def _fitting(verdict: Verdict, ids: Sequence[UUID]) -> list[Lead]:
    query = select(Lead).where(Lead.id.in_(list(ids)[: sending.MOST_ROWS]), Lead.is_spam.is_(verdict.of_spam))
    return list(db.session.scalars(query.order_by(Lead.received_at.desc())))


def _rows(verdict: Verdict, leads: Sequence[Lead]) -> int:
    """How many deliveries it moves."""
    query = select(func.count()).where(
        Delivery.lead_id.in_([lead.id for lead in leads]), Delivery.state.in_(verdict.moves)
    )
    return db.session.scalar(query) or 0


def _back() -> str:
    target = request.form.get("url", "")
    return target if guard.is_safe_next(target) else url_for("leads.index_view")
