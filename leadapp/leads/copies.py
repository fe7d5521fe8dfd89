"""Copies that a post asks for (`_cc`, `_bcc`, `ccemail`), only to addresses that the form's owner listed.

Each listed address is a destination of its own, made when the list is saved: so a copy is a delivery like any other,
with its own recipient, retries, pause and history, and nobody sees who else got one. A post picks from the list and
can add nothing to it; otherwise the form would be an open relay.
"""

from collections.abc import Sequence

from sqlalchemy import select

from leadapp.audit import record
from leadapp.database import transaction
from leadapp.deliveries import destinations
from leadapp.deliveries.models import Destination, DestinationState, DisabledBy, Kind, ManagedBy
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead

MOST_COPIES = 20
NOT_LISTED = {
    "code": "CC_NOT_LISTED",
    "field": "",
    "message": "The form asked for a copy to an address that is not on its list; that one was not sent.",
}


def keep_destinations(form: Form, actor: str) -> None:
    """Make the destinations say what the form's list says: new ones are made, missing ones switched off."""
    wanted = {address.casefold(): address for address in form.cc_allowed[:MOST_COPIES]}
    with transaction():
        rows = {row.recipient.casefold(): row for row in _rows(form)}
        for key, address in wanted.items():
            if key not in rows:
                _add(form, address, actor)
    for key, row in rows.items():
        if key not in wanted and row.state is not DestinationState.DISABLED:
            destinations.switch_off(row.id, "no longer on the form's list of copies", actor)
        elif key in wanted and row.state is DestinationState.DISABLED and row.disabled_by is DisabledBy.PERSON:
            destinations.resume(row.id, actor)


def _rows(form: Form) -> Sequence[Destination]:
    query = select(Destination).where(Destination.form_id == form.id, Destination.managed_by == ManagedBy.FORM)
    return db.session.scalars(query.order_by(Destination.id)).all()


def _add(form: Form, address: str, actor: str) -> None:
    row = Destination(
        kind=Kind.EMAIL,
        name=f"Copy to {address}"[:120],
        settings={"to": address},
        form_id=form.id,
        managed_by=ManagedBy.FORM,
        env_key=f"copy:{form.id}:{address.casefold()}",
    )
    db.session.add(row)
    db.session.flush()
    record(row, "destination made", actor, form=form.key)


def choose(lead: Lead, asked: Sequence[str], found: Sequence[Destination]) -> list[Destination]:
    """Of these destinations, the ones that this lead goes to; a copy that was refused is noted on the lead."""
    usual = [row for row in found if row.managed_by is not ManagedBy.FORM]
    listed = {address.casefold() for address in lead.form.cc_allowed}
    if any(address not in listed for address in asked) and not lead.is_spam:
        lead.problems = [*lead.problems, NOT_LISTED]
    served = {row.recipient.casefold() for row in usual if row.kind is Kind.EMAIL}
    picked = listed.intersection(asked) - served
    copies = [row for row in found if row.managed_by is ManagedBy.FORM and row.recipient.casefold() in picked]
    return [*usual, *copies]
