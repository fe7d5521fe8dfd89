"""The search box above the leads: names, e-mail addresses and phone numbers by the beginning of their words.

On PostgreSQL one GIN index (`ix_lead_words`) answers. It knows no order: the leads of a rare word are looked up there
and sorted, those of a common one are found soonest by walking the list. Either way around takes seconds where the
other takes milliseconds, so each has a limit, and the planner's statistics say which is tried first. Words of a
message are looked for where no name fits, in the newest leads only. A lead's id and its correlation id are found too,
typed whole.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Text, and_, cast, false, func, literal, literal_column, or_, select, text, true

from leadapp.admin.keyset import Part
from leadapp.database import is_postgresql
from leadapp.extensions import db
from leadapp.leads.models import LEAD_WORDS, PUNCTUATION, Lead

MANY = 5_000  # are looked up and sorted; a word that more leads have is found by walking
WALKED = 10_000
NEWEST = 1_000  # of these the messages are looked through, each from its beginning
MESSAGE = 4_000
LONGEST = 200
SHORT = 3  # fewer letters begin too many words to be looked up first
SEARCHED = (Lead.name, Lead.email, Lead.phone, Lead.message)

SIMPLE: ColumnElement[str] = literal_column("'simple'::regconfig")
PLANNER = "SELECT set_config(name, :to, true) FROM unnest(ARRAY['enable_seqscan', 'enable_indexscan']) name"


def page(query: Any, words: str, part: Part) -> list[Lead]:
    """One page of the leads in which every one of these words begins a word."""
    words = words[:LONGEST]
    if not is_postgresql():
        return list(part.of(_containing(query, words)))
    fits = _fits(words)
    ways = (_looked_up, _walked)
    if len(words) < SHORT or _estimate(fits) > MANY:
        ways = (_walked, _looked_up)
    else:
        fits = _narrowest(words, fits)
    fits |= _is_id(words)
    for way in ways:
        if (found := way(query, fits, part)) is not None:
            return found or list(part.of(_elsewhere(query, words, fits)))
    return list(part.of(query.filter(fits)))


def narrow(query: Any, words: str) -> Any:
    """The same leads, all of them and in no order."""
    words = words[:LONGEST]
    if not is_postgresql():
        return _containing(query, words)
    fits = _narrowest(words, _fits(words)) | _is_id(words)
    return query.filter(fits) if _is_anywhere(fits) else _elsewhere(query, words, fits)


def _containing(query: Any, words: str) -> Any:
    said = (or_(*(column.icontains(word, autoescape=True) for column in SEARCHED)) for word in words.split())
    return query.filter(and_(true(), *said) | _is_id(words))


def _is_id(words: str) -> ColumnElement[bool]:
    """The id of a lead, or what its sender follows it by."""
    is_followed = Lead.correlation_id == words
    try:
        return is_followed | (Lead.id == UUID(words))
    except ValueError:
        return is_followed


def _fits(words: str, more: str = ":*") -> ColumnElement[bool]:
    """Every word in full but the last, which may be the beginning of one. No word at all fits nothing."""
    blanks = f"'{' ' * len(PUNCTUATION)}'"
    plain = func.translate(literal(words, Text), literal_column(f"'{PUNCTUATION}'"), literal_column(blanks))
    parsed = func.nullif(cast(func.plainto_tsquery(SIMPLE, plain), Text), "", type_=Text)
    sought = func.to_tsquery(SIMPLE, parsed.concat(literal(more, Text)))
    return literal_column(LEAD_WORDS).op("@@", is_comparison=True)(sought)


def _narrowest(words: str, fits: ColumnElement[bool]) -> ColumnElement[bool]:
    """The words in full from the index, if the last one begins many words and the others leave few leads.

    What `exam` begins, a million leads may have, and the index would gather them all.
    """
    *whole, last = words.translate(str.maketrans(PUNCTUATION, " " * len(PUNCTUATION))).split() or [""]
    if not any(word.isascii() and word.isalnum() for word in whole) or _estimate(_fits(last)) <= MANY:
        return fits
    sure = _fits(" ".join(whole), "")
    return sure & fits.is_(True) if _estimate(sure) <= MANY else fits  # the index takes no IS TRUE


def _estimate(fits: ColumnElement[bool]) -> int:
    """How many leads the planner expects, by its list of the most common words."""
    compiled = select(Lead.id).where(fits).compile(dialect=db.engine.dialect)
    plan = db.session.connection().exec_driver_sql(f"EXPLAIN (FORMAT JSON) {compiled}", compiled.params).scalar_one()
    return int(plan[0]["Plan"]["Plan Rows"])


@contextmanager
def _by_the_index_of_words() -> Iterator[None]:
    """Keep the planner from walking the list or the table: it would guess that a match is near."""
    db.session.execute(text(PLANNER), {"to": "off"})
    yield
    db.session.execute(text(PLANNER), {"to": "on"})


def _looked_up(query: Any, fits: ColumnElement[bool], part: Part) -> list[Lead] | None:
    """None when there are more than MANY."""
    some = part.beyond(query.filter(fits)).enable_eagerloads(False).with_entities(Lead.received_at, Lead.id)
    hits = some.limit(MANY + 1).cte("hits").prefix_with("MATERIALIZED")
    order = (column.desc() if part.is_newest_first else column.asc() for column in (hits.c.received_at, hits.c.id))
    with _by_the_index_of_words():
        found = db.session.execute(select(hits.c.id, func.count().over()).order_by(*order).limit(part.size)).all()
    if found and found[0][1] > MANY:
        return None
    return list(part.ordered(query.filter(Lead.id.in_([key for key, _ in found])))) if found else []


def _walked(query: Any, fits: ColumnElement[bool], part: Part) -> list[Lead] | None:
    """None when the next WALKED leads of the list do not fill the page."""
    near = query.enable_eagerloads(False).with_entities(Lead.received_at, Lead.id, fits.label("fits"))
    walk = part.ordered(part.beyond(near)).limit(WALKED).offset(0).subquery()
    found = db.session.scalars(select(walk.c.id).where(walk.c.fits).limit(part.size)).all()
    return list(part.ordered(query.filter(Lead.id.in_(found)))) if len(found) == part.size else None


def _is_anywhere(fits: ColumnElement[bool]) -> bool:
    with _by_the_index_of_words():
        return db.session.scalar(select(Lead.id).where(fits).limit(1)) is not None


def _elsewhere(query: Any, words: str, fits: ColumnElement[bool]) -> Any:
    """In messages, where no name fits; nowhere, where one does on another page or in another folder."""
    if "@" in words or _is_anywhere(fits):
        return query.filter(false())
    newest = select(Lead.id).order_by(Lead.received_at.desc(), Lead.id.desc()).limit(NEWEST).offset(0)
    beginning = func.left(Lead.message, MESSAGE)  # a message may be a megabyte
    says = (beginning.icontains(word, autoescape=True) for word in words.split())
    return query.filter(Lead.id.in_(select(Lead.id).where(Lead.id.in_(newest), *says).offset(0)))
