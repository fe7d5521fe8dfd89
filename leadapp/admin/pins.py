"""Which posted field is the e-mail, the name, the phone, the message: what a person pins, and how a lead was read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from leadapp.admin.fields import clean
from leadapp.extensions import db
from leadapp.leads.field_facts import INSIDE, PINNED, TRIMMED
from leadapp.leads.fields import answer_names
from leadapp.leads.judging import judge
from leadapp.leads.models import Form, Lead
from leadapp.leads.rulesets import Ruling

ROLES = {
    "email": "E-mail",
    "name": "Name",
    "first_name": "First name",
    "last_name": "Last name",
    "phone": "Phone",
    "message": "Message",
}
SHOWN = ("name", "email", "phone", "message")
LONGEST_NAME = 200
LOOKED_AT = 20  # leads whose field names are offered
READABLE = 200_000  # characters of a payload that a page reads


@dataclass(frozen=True)
class Reading:
    """How one role was filled: by which field, how surely, and why."""

    role: str
    field: str
    certainty: str
    why: str


def seen_names(form: Form) -> list[str]:
    """Names of the fields in the form's latest leads, those first that came most often."""
    latest = (
        select(Lead.raw_payload)
        .where(Lead.form_id == form.id, func.length(Lead.raw_payload) < READABLE)
        .order_by(Lead.received_at.desc(), Lead.id.desc())
        .limit(LOOKED_AT)
    )
    counts: dict[str, int] = {}
    for text in db.session.scalars(latest):
        for name in answer_names(_payload(text), form.honeypot):
            counts[name] = counts.get(name, 0) + 1
    return sorted(counts, key=lambda name: -counts[name])[:100]


def read_pins(given: Mapping[str, str]) -> dict[str, str]:
    """Role -> field, as a person typed it; an empty box pins nothing. ValueError says which one does not fit."""
    pins = {role: clean(given.get(role)) for role in ROLES}
    for role, name in pins.items():
        if len(name) > LONGEST_NAME:
            raise ValueError(f"{ROLES[role]}: a field's name has at most {LONGEST_NAME} letters.")
    chosen = [name for name in pins.values() if name]
    if twice := next((name for name in chosen if chosen.count(name) > 1), ""):
        raise ValueError(f"“{twice}” stands there twice. One field is one thing.")
    return {role: name for role, name in pins.items() if name}


def readings(lead: Lead, raw_payload: str) -> list[Reading]:
    """How the lead's fields are found, worked out anew from what was posted; [] where that cannot be said."""
    found = judge(lead.form, _payload(raw_payload), lead.page_url, Ruling()).understood  # within its guard
    if found is None:
        return []
    return [
        Reading(ROLES[role], found.places.get(role, ""), certainty(found.scores.get(role)), found.reasons[role])
        for role in SHOWN
        if role in found.reasons
    ]


def certainty(score: int | None) -> str:
    """A score in words."""
    if score is None:
        return "sure"
    if score >= PINNED:
        return "set by you"
    return "sure" if score >= TRIMMED else "likely" if score >= INSIDE else "a guess"


def _payload(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:  # cut off, or not JSON: nothing to be read
        return {}
    return found if isinstance(found, dict) else {}
