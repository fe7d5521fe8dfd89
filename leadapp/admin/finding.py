"""The search box above the leads: names, e-mail addresses and phone numbers by the beginning of their words.

On PostgreSQL one GIN index (`ix_lead_words`) answers. A word that few leads have is looked up there and sorted; a
word that many have is found soonest by walking the list. The database would guess which, and a wrong guess reads
a million rows, so the index is asked first. Words of a message are looked for where no name fits, in the newest
leads only.
"""

from typing import Any

from sqlalchemy import ColumnElement, Text, cast, false, func, literal, literal_column, or_, select

from leadapp.database import is_postgresql
from leadapp.extensions import db
from leadapp.leads.models import LEAD_WORDS, PUNCTUATION, Lead

MANY = 5_000
NEWEST = 2_000
LONGEST = 200
SHORT = 3  # fewer letters begin too many words to be asked for


def narrow(query: Any, words: str) -> Any:
    """The leads in which every one of these words begins a word."""
    words = words[:LONGEST]
    if not is_postgresql():
        for word in words.split():
            query = query.filter(or_(*(column.icontains(word, autoescape=True) for column in SEARCHED)))
        return query
    fits = _fits(words)
    if len(words) < SHORT:
        return query.filter(fits)
    probe = select(Lead.id).where(fits).limit(MANY + 1).subquery()
    count = db.session.scalar(select(func.count()).select_from(probe)) or 0
    if count > MANY:
        return query.filter(fits)
    if count:
        # OFFSET 0 keeps the planner from turning this into the walk that it is meant to avoid.
        return query.filter(Lead.id.in_(select(Lead.id).where(fits).offset(0)))
    return query.filter(false() if "@" in words else _in_messages(words))


SEARCHED = (Lead.name, Lead.email, Lead.phone, Lead.message)


def _fits(words: str) -> ColumnElement[bool]:
    """Every word in full but the last, which may be the beginning of one. No word at all fits nothing."""
    plain = func.translate(literal(words, Text), literal_column(f"'{PUNCTUATION}'"), literal_column(_blanks()))
    parsed = cast(func.plainto_tsquery(literal_column("'simple'::regconfig"), plain), Text)
    asked = func.nullif(parsed, "", type_=Text).concat(literal_column("':*'"))
    sought = func.to_tsquery(literal_column("'simple'::regconfig"), asked)
    return literal_column(LEAD_WORDS).op("@@", is_comparison=True)(sought)


def _blanks() -> str:
    return f"'{' ' * len(PUNCTUATION)}'"


def _in_messages(words: str) -> ColumnElement[bool]:
    newest = select(Lead.id).order_by(Lead.received_at.desc(), Lead.id.desc()).limit(NEWEST).offset(0)
    found = [Lead.message.icontains(word, autoescape=True) for word in words.split()]
    recent = select(Lead.id).where(Lead.id.in_(newest), *found).offset(0)
    return Lead.id.in_(recent)
