"""Deliveries and their attempts: what went out, what waits, what each try said. Read-only but for the buttons."""

import json
from typing import Any
from uuid import UUID

from flask import Response, abort, g, request, url_for
from flask_admin import expose
from flask_admin.actions import action
from markupsafe import Markup
from sqlalchemy import select
from sqlalchemy.orm import defer, joinedload, undefer

from leadapp.accounts import guard
from leadapp.admin import replay_new, sending, showing
from leadapp.admin.filters import BeginsWith, Choice, ExactlyNumber, NumberChoice, Since, Until, named, said
from leadapp.admin.keyset import KeysetView
from leadapp.deliveries import words
from leadapp.deliveries.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    Destination,
    Kind,
)
from leadapp.deliveries.replay_choice import What
from leadapp.extensions import db
from leadapp.leads.models import Lead

GROUPS = {
    "waiting": (DeliveryState.PENDING, DeliveryState.SENDING, DeliveryState.FAILED, DeliveryState.HELD),
    "needs-you": (DeliveryState.PERMANENTLY_FAILED, DeliveryState.UNKNOWN),
}
STATE_WORDS = {
    DeliveryState.PENDING: "waiting to be sent",
    DeliveryState.HELD: "on hold",
    DeliveryState.SENDING: "being sent",
    DeliveryState.DELIVERED: "sent",
    DeliveryState.FAILED: "failed, will be tried again",
    DeliveryState.PERMANENTLY_FAILED: "refused or given up",
    DeliveryState.UNKNOWN: "may have been sent",
    DeliveryState.CANCELLED: "not sent",
}
OUTCOME_WORDS = {
    AttemptOutcome.DELIVERED: "sent",
    AttemptOutcome.FAILED: "failed, tried again",
    AttemptOutcome.PERMANENTLY_FAILED: "refused for good",
    AttemptOutcome.UNKNOWN: "answer lost",
    AttemptOutcome.GIVEN_BACK: "given back unsent",
    AttemptOutcome.LOST: "worker lost",
}
# The frame of a mail runs nothing and loads nothing; only our own pages may show it.
MAIL_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; form-action 'none'"
)


class StateChoice(Choice):
    """A state, or a group of states that belong together."""

    def apply(self, query: Any, value: str, alias: Any = None) -> Any:
        column = self.get_column(alias)
        states = GROUPS.get(value) or (DeliveryState(value),)
        return query.filter(column.in_([said(column, state) for state in states]))


def to_a_test_lead() -> tuple[str, str] | None:
    """The button of lists that only leads fill, for who may send a test one."""
    return ("Send a test lead from a form's page", url_for("desk_forms.index_view")) if guard.may(guard.DESK) else None


def destination_options() -> list[tuple[str, str]]:
    rows = db.session.execute(select(Destination.id, Destination.name).order_by(Destination.name))
    return [(str(key), name) for key, name in rows]


def listed(
    state: str = "", destination: Destination | None = None, code: int | None = None, problem: str | None = None
) -> str:
    """The address of the deliveries list, narrowed; `problem` is how the last error begins."""
    narrowed: dict[str, Any] = {"flt0_state_is": state or None, "flt4_answer_is": code}
    narrowed["flt6_problem_begins"] = problem or None
    if destination is not None:
        narrowed["flt1_destination_is"] = destination.id
    return url_for("deliveries.index_view", **narrowed)


def _state(_view: Any, _context: Any, row: Delivery, _name: str) -> Markup:
    return showing.badge(showing.delivery_words(row))


def _when(_view: Any, _context: Any, row: Any, name: str) -> Markup:
    return showing.when(getattr(row, name))


def _destination(_view: Any, _context: Any, row: Delivery, _name: str) -> Markup:
    return Markup('<span class="breakable">{} <span class="muted kind">{}</span></span>').format(
        row.destination.name, words.KIND_NAMES[row.kind]
    )


def lead_names(rows: list[Delivery]) -> dict[UUID, str]:
    """The names of the leads of one page of rows, in one query; a delivery itself knows only the id."""
    ids = {row.lead_id for row in rows if row.lead_id is not None}
    query = select(Lead.id, Lead.name, Lead.email).where(Lead.id.in_(ids))
    return {key: name or email or "no name" for key, name, email in db.session.execute(query)}


def _lead(_view: Any, _context: Any, row: Delivery, _name: str) -> Markup:
    name = g.lead_names.get(row.lead_id)
    if name is None:
        return Markup('<span class="muted mono">{}</span>').format(str(row.lead_id or "none")[-12:])
    address = url_for("leads.page", lead_id=row.lead_id)
    return Markup('<a class="breakable" href="{}">{}</a>').format(address, name)


class DeliveryView(KeysetView):
    """Everything that goes out."""

    access = guard.STAFF
    title = "Deliveries"
    intro = "One row for each lead and each place it goes to."
    empty_title = "Nothing has gone out yet"
    empty_words = "Each lead adds one row here for every destination: a mail, a webhook, a record in a CRM."
    column_list = ("created_at", "lead_id", "destination", "state", "attempts", "last_status_code")
    column_labels = {"lead_id": "Lead", "created_at": "Planned", "attempts": "Tries", "last_status_code": "Answer"}
    cursor_columns = (Delivery.created_at, Delivery.id)
    column_formatters = {"created_at": _when, "lead_id": _lead, "destination": _destination, "state": _state}
    column_filters = (
        StateChoice(
            Delivery.state,
            "State",
            [("needs-you", "needs you"), ("waiting", "waiting"), *named(DeliveryState, STATE_WORDS)],
        ),
        NumberChoice(Delivery.destination_id, "Destination", destination_options),
        Choice(Delivery.kind, "Kind", [(str(kind), name) for kind, name in words.KIND_NAMES.items()]),
        Since(Delivery.created_at, "Planned"),
        ExactlyNumber(Delivery.last_status_code, "Answer"),
        Until(Delivery.created_at, "Planned"),
        BeginsWith(Delivery.last_error, "Problem"),
    )
    link_column = 0

    def get_query(self) -> Any:
        return db.session.query(Delivery).options(joinedload(Delivery.destination))

    def get_list(self, page: int | None, *args: Any, **kwargs: Any) -> Any:
        count, rows = super().get_list(page, *args, **kwargs)
        g.lead_names = lead_names(rows) if guard.may(guard.READERS) else {}
        return count, rows

    def first_step(self) -> tuple[str, str] | None:
        return to_a_test_lead()

    def called(self, row: Delivery) -> str:
        name = g.lead_names.get(row.lead_id)
        return f"{words.KIND_NAMES[row.kind]} to {row.destination.name}{f' for {name}' if name else ''}"

    def is_action_allowed(self, name: str) -> bool:
        if name == "replay":
            return guard.may(guard.SENDERS)
        return name in sending.OPERATIONS and guard.may(sending.OPERATIONS[name].access)

    @action("again", "Send again")
    def act_again(self, ids: list[str]) -> Any:
        return sending.answer(self, sending.OPERATIONS["again"], sending.uuids(ids))

    @action("replay", "Send again in steps")
    def act_replay(self, ids: list[str]) -> Any:
        return replay_new.page_of_chosen(What.ROWS, sending.uuids(ids))

    @action("mark-sent", "Mark as sent")
    def act_mark_sent(self, ids: list[str]) -> Any:
        return sending.answer(self, sending.OPERATIONS["mark-sent"], sending.uuids(ids))

    @action("cancel", "Do not send")
    def act_cancel(self, ids: list[str]) -> Any:
        return sending.answer(self, sending.OPERATIONS["cancel"], sending.uuids(ids))

    @expose("/do/<verb>", methods=("POST",))
    def operate(self, verb: str) -> Any:
        """One button for one row, for one cause, and what the confirmation page posts to."""
        operation = sending.OPERATIONS.get(verb) or abort(404)
        return sending.answer(self, operation, sending.posted_ids())

    @expose("/details/")
    def details_view(self) -> Any:
        row = self.details_row()
        may_read = guard.may(guard.READERS)
        query = select(Attempt).where(Attempt.delivery_id == row.id).order_by(Attempt.fence)
        repeats = select(Delivery).where(Delivery.repeat_of_id == row.id).order_by(Delivery.created_at)
        return self.render(
            "admin/delivery.html",
            row=row,
            attempts=list(db.session.scalars(query)),
            repeats=list(db.session.scalars(repeats)),
            may_read=may_read,
            mail=mail_of(row) if may_read else None,
            body=row.payload if may_read and row.kind is not Kind.EMAIL else None,
            operations=sending.allowed(row),
            here=request.full_path,
            outcome_words=OUTCOME_WORDS,
        )

    @expose("/mail/<uuid:delivery_id>")
    def mail(self, delivery_id: UUID) -> Any:
        """The HTML of a mail for the frame on the lead's page, shut in by its own policy."""
        if not guard.may(guard.READERS):
            return guard.refuse()
        row = db.session.get(Delivery, delivery_id, options=[undefer(Delivery.payload)]) or abort(404)
        found = mail_of(row) or abort(404)
        headers = {"Content-Security-Policy": MAIL_POLICY, "X-Frame-Options": "SAMEORIGIN"}
        return Response(found.get("html", ""), content_type="text/html; charset=utf-8", headers=headers)


def mail_of(row: Delivery) -> dict[str, str] | None:
    """The frozen mail of an e-mail row; None when there is none that can be read."""
    if row.kind is not Kind.EMAIL:
        return None
    try:
        found = json.loads(row.payload)
    except ValueError:
        return None
    if not isinstance(found, dict):
        return None
    return {key: str(value) for key, value in found.items() if value is not None}


def _attempt_link(_view: Any, _context: Any, row: Attempt, _name: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(
        url_for("deliveries.details_view", id=row.delivery_id), row.delivery.destination.name
    )


def outcome_badge(row: Attempt) -> Markup:
    """How one try ended, as shape, word and colour."""
    if row.outcome is None:
        return showing.badge(words.Words("being sent", words.WAITING, "wait"))
    good = row.outcome is AttemptOutcome.DELIVERED
    bad = row.outcome in (AttemptOutcome.PERMANENTLY_FAILED, AttemptOutcome.UNKNOWN)
    shape = words.SENT if good else words.NEEDS_YOU if bad else words.RETRYING
    tone = "good" if good else "bad" if bad else "wait"
    return showing.badge(words.Words(OUTCOME_WORDS[row.outcome], shape, tone))


def _outcome(_view: Any, _context: Any, row: Attempt, _name: str) -> Markup:
    return outcome_badge(row)


def _took(_view: Any, _context: Any, row: Attempt, _name: str) -> str:
    return "" if row.duration_ms is None else f"{row.duration_ms:,} ms"


class AttemptView(KeysetView):
    """Every single try."""

    access = guard.SENDERS
    title = "Attempts"
    intro = "Every single try, and what the receiver answered."
    empty_title = "Nothing was tried yet"
    empty_words = "As soon as a worker tries to deliver something, the try shows here with the answer it got."
    can_view_details = False
    column_list = ("started_at", "delivery", "number", "outcome", "status_code", "error", "duration_ms", "worker")
    column_labels = {
        "started_at": "Started",
        "delivery": "To",
        "number": "Try",
        "status_code": "Answer",
        "duration_ms": "Took",
    }
    cursor_columns = (Attempt.started_at, Attempt.id)
    column_formatters = {"started_at": _when, "delivery": _attempt_link, "outcome": _outcome, "duration_ms": _took}
    column_filters = (
        Choice(Attempt.outcome, "Outcome", named(AttemptOutcome, OUTCOME_WORDS)),
        Since(Attempt.started_at, "Started"),
        Until(Attempt.started_at, "Started"),
    )
    link_column = -1

    def get_query(self) -> Any:
        """Without the answers, which may be long; the page of the delivery has them."""
        to = joinedload(Attempt.delivery, innerjoin=True)
        return db.session.query(Attempt).options(
            defer(Attempt.answer), to.load_only(Delivery.id), to.joinedload(Delivery.destination)
        )

    def first_step(self) -> tuple[str, str] | None:
        return to_a_test_lead()
