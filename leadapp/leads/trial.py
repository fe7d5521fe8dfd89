"""Test leads that really go out, marked as tests: through a whole form, or to one destination alone."""

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
from leadapp.leads.models import Form, Lead
from leadapp.leads.planning import plan_all
from leadapp.leads.reading import Posted, came_in, read

SOURCE = "test"


def through(form: Form) -> UUID:
    """A test lead the way a visitor's comes in, to every destination of the form."""
    return intake.accept(form, _posted(), SOURCE).lead_id


def to(destination: Destination, actor: str) -> UUID | None:
    """A test lead for this destination alone; None when it takes no leads, or there is no form yet."""
    form = _form_of(destination)
    if form is None:
        return None
    with transaction():
        moment = db.session.scalars(select(db_now())).one()
        lead, _ = read(form, _posted())
        came_in(lead, moment)
        lead.source = SOURCE
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


def latest(form: Form, count: int) -> list[Lead]:
    """The newest leads of a form, spam and tests too."""
    query = select(Lead).where(Lead.form_id == form.id).order_by(Lead.received_at.desc(), Lead.id.desc())
    return list(db.session.scalars(query.limit(count)))


def _form_of(destination: Destination) -> Form | None:
    """The form whose leads go there; the first one for a destination of every form."""
    if destination.form_id is not None:
        return db.session.get(Form, destination.form_id)
    return db.session.scalar(select(Form).order_by(Form.id).limit(1))


def _posted() -> Posted:
    """The time makes it no repeat of the test before."""
    return Posted(
        payload={
            "name": "Test Lead",
            "email": "test@example.com",
            "phone": "+1 555 0100",
            "message": f"This is a test, sent from the admin on {clock.now():%d %b %Y at %H:%M:%S.%f} UTC.",
            "_test": "1",
        }
    )
