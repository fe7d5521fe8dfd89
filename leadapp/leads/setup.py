"""What `flask setup` makes for leads: the form that every install has."""

from leadapp.database import insert_into, transaction
from leadapp.extensions import db
from leadapp.leads.models import Form

FIRST_FORMS = ({"key": "contact", "name": "Contact form", "form_type": "contact"},)


def ensure_forms() -> None:
    """Make the forms that are missing; what a person changed since stays. Safe to run twice at once."""
    with transaction():
        for form in FIRST_FORMS:
            db.session.execute(insert_into(Form).values(form).on_conflict_do_nothing(index_elements=["key"]))
