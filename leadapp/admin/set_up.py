"""What a form has destinations for, so that a page says "not set up" only where nothing is."""

from flask import g
from sqlalchemy import String, literal_column, select, type_coerce

from leadapp.deliveries.models import Destination, Kind
from leadapp.extensions import db
from leadapp.leads.models import RulesVersion

RULES = "rules"


def is_set_up(form_id: int, kind: Kind) -> bool:
    """Whether the form has a destination of this kind, in use or not, of its own or with all forms.

    The customer's API also wants rules: a form without them sends nothing there.
    """
    if "set_up" not in g:
        g.set_up = _found()
    has_destination = (form_id, str(kind)) in g.set_up or (None, str(kind)) in g.set_up
    return has_destination and (kind is not Kind.CRM or (form_id, RULES) in g.set_up)


def _found() -> set[tuple[int | None, str]]:
    """Form and kind of every destination, and which forms have rules; one query for a whole page."""
    destinations = select(Destination.form_id, type_coerce(Destination.kind, String))
    rules = select(RulesVersion.form_id, literal_column(f"'{RULES}'", String))
    return {(form_id, what) for form_id, what in db.session.execute(destinations.union(rules))}
