"""The forms and where their leads go, as this process read them at most half a second ago.

Nearly every post needs the same few rows, and loading them costs a fifth of accepting it. What is changed in this
process counts at once, what another process changed within SECONDS. The rows are shared by all threads: nobody writes
to them. Neither forms nor destinations are ever deleted, so what is known here is at worst a little old.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from flask import Flask, current_app
from sqlalchemy import bindparam, event, or_, select
from sqlalchemy.orm import Session

from leadapp.deliveries.models import Destination, DestinationState
from leadapp.extensions import db
from leadapp.leads.models import Form, RulesVersion

T = TypeVar("T")
SECONDS = 0.5
MOST_KEPT = 1_000
CHANGING = (Form, RulesVersion, Destination)
MARK = "leadapp.catalog"  # on a session: it changes what is known here

_OF_FORM = [*Form.__table__.columns, Form.newest_rules_id.label("newest_rules_id")]
BY_KEY = select(*_OF_FORM, Form.secret.is_not(None)).where(Form.key == bindparam("key"))
# Only what a plan needs of a destination.
IN_USE = (
    select(Destination.id, Destination.kind, Destination.settings, Destination.managed_by)
    .where(
        or_(Destination.form_id == bindparam("form_id"), Destination.form_id.is_(None)),
        Destination.state != DestinationState.DISABLED,
    )
    .order_by(Destination.id)
)


class Known(NamedTuple):
    """A form, and whether a secret is saved for it: one that cannot be read must not pass for none."""

    form: Form
    has_secret: bool


@dataclass
class _Catalog:
    """What is known, and until when (time.monotonic())."""

    kept: dict[tuple[type, Any], tuple[float, Any]] = field(default_factory=dict)
    changes: int = 0  # how often it was told to forget

    def look(self, kind: type, key: Any, read: Callable[[], T | None]) -> T | None:
        """What was read a moment ago, or what is there now; that something is missing is not kept."""
        until, found = self.kept.get((kind, key), (0.0, None))
        if until > time.monotonic():
            return found  # type: ignore[no-any-return]
        began, changes = time.monotonic(), self.changes
        fresh = read()
        if fresh is not None and changes == self.changes:  # else it may be what was there before the change
            if len(self.kept) >= MOST_KEPT:
                self.kept.clear()
            self.kept[kind, key] = (began + SECONDS, fresh)
        return fresh

    def forget(self) -> None:
        self.changes += 1
        self.kept.clear()


def init_app(app: Flask) -> None:
    """An empty catalog for this app."""
    app.extensions["catalog"] = _Catalog()


@event.listens_for(db.session, "after_flush")
def _mark(session: Session, _context: Any) -> None:
    if any(isinstance(row, CHANGING) for row in (*session.new, *session.dirty, *session.deleted)):
        session.info[MARK] = True


@event.listens_for(db.session, "after_commit")
def _forget_if_marked(session: Session) -> None:
    if session.info.pop(MARK, False):
        _catalog().forget()


def _catalog() -> _Catalog:
    found: _Catalog = current_app.extensions["catalog"]
    return found


def form_of(key: str) -> Known | None:
    """The form with this key, with its secret; in no session."""

    def read() -> Known | None:
        row = db.session.connection().execute(BY_KEY, {"key": key}).one_or_none()
        if row is None:
            return None
        *values, has_secret = row
        return Known(Form(**{column.name: value for column, value in zip(_OF_FORM, values, strict=True)}), has_secret)

    return _catalog().look(Form, key, read)


def destinations_of(form: Form) -> Sequence[Destination]:
    """Where leads of this form go: all that are not switched off, as far as a plan needs them."""

    def read() -> list[Destination]:
        found = db.session.connection().execute(IN_USE, {"form_id": form.id})
        return [Destination(**row._mapping) for row in found]

    return _catalog().look(Destination, form.id, read) or []
