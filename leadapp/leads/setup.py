"""What `flask setup` makes for leads: the forms that every install has, and the gateway's rules."""

from typing import Any

from leadapp.database import insert_into, transaction
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.models import Form, MappingSource, RulesVersion
from leadapp.rules.ruleset import DEFAULT_RULES

GATEWAY = "gateway"  # the form that /webhooks/leads/ is for
FIRST_FORMS: tuple[dict[str, Any], ...] = (
    {"key": "contact", "name": "Contact form", "form_type": "contact"},
    {"key": GATEWAY, "name": "Gateway", "form_type": "gateway", "country": "DE"},
)
ACTOR = "flask setup"


def ensure_forms() -> None:
    """Make the forms that are missing; what a person changed since stays. Safe to run twice at once."""
    with transaction():
        for form in FIRST_FORMS:
            made = insert_into(Form).values(form).on_conflict_do_nothing(index_elements=["key"]).returning(Form.id)
            form_id = db.session.scalar(made)
            if form_id is not None and form["key"] == GATEWAY:
                db.session.add(_first_rules(form_id))
    rulesets.keep_copy()


def _first_rules(form_id: int) -> RulesVersion:
    return RulesVersion(
        form_id=form_id,
        number=1,
        rules=DEFAULT_RULES,
        mapping_source=MappingSource.FILE,
        note="as shipped",
        made_by=ACTOR,
    )
