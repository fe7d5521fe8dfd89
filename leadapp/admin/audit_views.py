"""The audit trail, read-only."""

import json
from collections.abc import Sequence
from typing import Any

from flask import g, url_for
from markupsafe import Markup
from sqlalchemy import func, literal_column, select

from leadapp.accounts import guard
from leadapp.admin import showing
from leadapp.admin.deliveries import STATE_WORDS
from leadapp.admin.filters import Choice, Exactly, Since, Until
from leadapp.admin.keyset import KeysetView
from leadapp.audit import SYSTEM, AuditEvent
from leadapp.deliveries.models import Destination
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead

MOST_ACTORS = 200
KINDS = {
    "lead": ("Lead", "leads.details_view", guard.READERS),
    "delivery": ("Delivery", "deliveries.details_view", guard.STAFF),
    "destination": ("Destination", "destinations.details_view", guard.DESK),
    "form": ("Form", "desk_forms.details_view", guard.DESK),
    "replay": ("Send again", "replays.details_view", guard.SENDERS),
    "user": ("Account", "", guard.OWNERS),
    "job": ("Job", "", guard.OPERATORS),
}
WORDS = {
    **{str(status): words.text for status, words in showing.LEAD_WORDS.items()},
    **{str(state): words for state, words in STATE_WORDS.items()},
}


def actor_options() -> list[tuple[str, str]]:
    """Everybody who ever did something, one look at the index each: a DISTINCT would read the whole trail."""
    names, last = [SYSTEM], ""
    people = select(func.min(AuditEvent.actor)).where(AuditEvent.actor != literal_column(f"'{SYSTEM}'"))
    while len(names) < MOST_ACTORS and (found := db.session.scalar(people.where(AuditEvent.actor > last))):
        names.append(found)
        last = found
    return [(name, "Leadapp itself" if name == SYSTEM else name) for name in names]


def _at(_view: Any, _context: Any, row: AuditEvent, _name: str) -> Markup:
    return showing.when(row.at)


def _actor(_view: Any, _context: Any, row: AuditEvent, _name: str) -> str:
    return "Leadapp itself" if row.actor == SYSTEM else row.actor


def _subject(_view: Any, _context: Any, row: AuditEvent, _name: str) -> Markup:
    title, endpoint, access = KINDS.get(row.subject_kind, (row.subject_kind, "", None))
    name = g.get("subject_names", {}).get((row.subject_kind, row.subject_id))
    called = Markup('<span class="breakable">{}</span>').format(name) if name else ""
    shown = Markup("{} {}").format(
        title, called or Markup('<span class="muted mono">{}</span>').format(row.subject_id[-12:])
    )
    if not endpoint or not guard.may(access):
        return shown
    return Markup('<a href="{}">{}</a>').format(url_for(endpoint, id=row.subject_id), shown)


def _action(_view: Any, _context: Any, row: AuditEvent, _name: str) -> str:
    return "status changed" if row.action == "status" else row.action


def _facts(_view: Any, _context: Any, row: AuditEvent, _name: str) -> Markup:
    parts = [f"{key.replace('_', ' ')}: {_said(value)}" for key, value in row.facts.items()]
    return Markup('<span class="small breakable">{}</span>').format(", ".join(parts))


def _said(value: Any) -> str:
    """A fact for people: states in their words, the rest as it is."""
    if isinstance(value, list):
        return ", ".join(_said(part) for part in value)
    return WORDS.get(str(value), value if isinstance(value, str) else json.dumps(value))


def subject_names(rows: Sequence[AuditEvent]) -> dict[tuple[str, str], str]:
    """What people call the rows of one page: one query a table, and leads only for who may read them."""
    asked: dict[str, Any] = {"destination": (Destination.id, Destination.name), "form": (Form.id, Form.name)}
    if guard.may(guard.READERS):
        asked["lead"] = (Lead.id, func.coalesce(func.nullif(Lead.name, ""), Lead.email))
    found: dict[tuple[str, str], str] = {}
    for kind, (key, name) in asked.items():
        ids = {row.subject_id for row in rows if row.subject_kind == kind}
        typed = [key.type.python_type(text) for text in ids]
        named = db.session.execute(select(key, name).where(key.in_(typed))) if typed else ()
        found |= {(kind, str(row_id)): str(called) for row_id, called in named if called}
    return found


class AuditView(KeysetView):
    """Who did what to which row, when."""

    access = guard.SENDERS
    title = "Audit"
    intro = "Who did what, and when. Nobody can change it."
    empty_title = "Nothing happened yet"
    empty_words = "Every change that a person or Leadapp itself makes is written down here."
    can_view_details = False
    column_list = ("at", "actor", "action", "subject_id", "facts")
    column_labels = {"at": "Time", "actor": "Who", "action": "What", "subject_id": "To what", "facts": "More"}
    cursor_columns = (AuditEvent.at, AuditEvent.id)
    column_formatters = {"at": _at, "actor": _actor, "action": _action, "subject_id": _subject, "facts": _facts}
    column_filters = (
        Choice(AuditEvent.subject_kind, "To what", [(kind, title) for kind, (title, _, _) in KINDS.items()]),
        Choice(AuditEvent.actor, "Who", actor_options),
        Since(AuditEvent.at, "Time"),
        Until(AuditEvent.at, "Time"),
        Exactly(AuditEvent.subject_id, "Row"),
    )
    link_column = -1

    def get_list(self, page: int | None, *args: Any, **kwargs: Any) -> Any:
        count, rows = super().get_list(page, *args, **kwargs)
        g.subject_names = subject_names(rows)
        return count, rows
