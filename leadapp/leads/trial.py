"""Test leads that really go out, marked as tests: through a whole form, or to one destination alone."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select

from leadapp import clock
from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.database import transaction
from leadapp.deliveries import outbox
from leadapp.deliveries.models import DeliveryState, Destination
from leadapp.extensions import db
from leadapp.leads import intake, integration
from leadapp.leads.judging import Verdict, judge
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.planning import plan_all
from leadapp.leads.reading import Posted, came_in, read
from leadapp.leads.rechecking import latest_leads, verdict_on
from leadapp.leads.rulesets import ruling_of

SOURCE = "test"


def through(form: Form) -> UUID:
    """A test lead the way a visitor's comes in, to every destination of the form."""
    return intake.accept(form, _posted(), SOURCE).lead_id


def to(
    destination: Destination, actor: str, *, form: Form | None = None, payload: Mapping[str, Any] | None = None
) -> UUID | None:
    """A test lead for this destination alone; None when it takes no leads, the rules reject it, or there is no form.

    `payload` is what it says, `form` whose lead it is; without them a made-up one of the first form that fits.
    """
    form = form or _form_of(destination)
    if form is None:
        return None
    with transaction():
        moment = db.session.scalars(select(db_now())).one()
        lead, _ = read(form, _posted() if payload is None else _marked(payload))
        came_in(lead, moment)
        lead.source = SOURCE
        if lead.status is LeadStatus.RECEIVED:  # run again, its rules would send it to the customer's API as well
            lead.status, lead.check_at = LeadStatus.READY, None
        rows = [row for row in plan_all(lead, ()) if row.destination_id == destination.id]
        integration.show_new(lead, rows)
        if rows:
            db.session.add(lead)
            db.session.flush()
            db.session.add_all(rows)
            record(lead, "received", actor, source=SOURCE, status=str(lead.status), deliveries=len(rows))
        else:
            db.session.expunge_all()
    owed = [(row.id, row.kind) for row in rows if row.state is DeliveryState.PENDING]
    reason = outbox.ring_rows(owed, moment)
    if reason is not None:
        outbox.ring_failed([row_id for row_id, _ in owed], reason)
    return lead.id if rows else None


def foreseen(form: Form, payload: Mapping[str, Any]) -> Verdict:
    """What the form's rules and mapping make of this test lead. Nothing is written."""
    return judge(form, _marked(payload).payload, "", ruling_of(form))


def sample(form: Form) -> dict[str, Any]:
    """Answers that pass: those of the newest real lead that does, about a person who is made up."""
    made_up = {**_posted().payload, "first_name": "Test", "last_name": "Lead"}
    del made_up["_test"]
    for lead in latest_leads(form):
        verdict = verdict_on(lead, ruling_of(form))
        if verdict.body is not None and verdict.understood is not None:
            places = ((role, place) for role, place in verdict.understood.places.items() if " and " not in place)
            person = {place: made_up[role] for role, place in places if role in made_up}
            return {**person, **{name: value for name, value in verdict.answers.items() if name not in person}}
    return {name: value for name, value in made_up.items() if name not in ("first_name", "last_name")}


def latest(form: Form, count: int) -> list[Lead]:
    """The newest leads of a form, spam and tests too."""
    query = select(Lead).where(Lead.form_id == form.id).order_by(Lead.received_at.desc(), Lead.id.desc())
    return list(db.session.scalars(query.limit(count)))


def _form_of(destination: Destination) -> Form | None:
    """The form whose leads go there; the first one for a destination of every form."""
    if destination.form_id is not None:
        return db.session.get(Form, destination.form_id)
    return db.session.scalar(select(Form).order_by(Form.id).limit(1))


def _marked(payload: Mapping[str, Any]) -> Posted:
    return Posted(payload={**payload, "_test": "1"})


def _posted() -> Posted:
    """The time makes it no repeat of the test before."""
    return Posted(
        payload={
            "name": "Test Lead",
            "email": "test@example.com",
            "phone": "+1 202 555 0100",
            "message": f"This is a test, sent from the admin on {clock.now():%d %b %Y at %H:%M:%S.%f} UTC.",
            "_test": "1",
        }
    )
