"""The page that asks what is sent again, how and how fast: looked at first, then started."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, timedelta
from uuid import UUID

from flask import render_template, request
from sqlalchemy import func, select
from wtforms import DateTimeLocalField, IntegerField, SelectField
from wtforms.validators import InputRequired, NumberRange, Optional

from leadapp import clock
from leadapp.admin.fields import options
from leadapp.admin.listing import DeskForm
from leadapp.admin.showing import plural
from leadapp.deliveries import replay, words
from leadapp.deliveries.models import Delivery, DeliveryState, Destination
from leadapp.deliveries.replay_choice import Selection, What
from leadapp.extensions import db
from leadapp.leads.models import Form, Lead, LeadStatus

AS_IT_WAS, ANEW = "as-it-was", "anew"


class ReplayForm(DeskForm):
    """What is sent again. The choices of `what` are those that there is something of."""

    what = SelectField("What", choices=[])
    since = DateTimeLocalField(
        "Since", [Optional()], format=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], description="UTC. Empty: all of them."
    )
    how = SelectField(
        "How",
        choices=options(
            [(AS_IT_WAS, "as it was, under the same id"), (ANEW, "with today's rules and mapping, as new ones")]
        ),
        description="The second is for the customer's API alone, and only for what it has refused for certain. Rejected"
        " leads always go through today's rules.",
    )
    per_minute = IntegerField(
        "How many a minute",
        [InputRequired("Say how many a minute."), NumberRange(1, replay.MOST_PER_MINUTE)],
        default=replay.PER_MINUTE,
        description="New leads go first; these fill the gaps.",
    )

    def selection(self, ids: Sequence[UUID], code: int | None) -> Selection:
        """What was chosen, for leadapp.deliveries.replay. Fields that do not fit the choice were taken out."""
        what, _, key = self.what.data.partition(":")
        if ids:
            return Selection(What(what), ids=tuple(ids))
        since = self.since.data.replace(tzinfo=UTC) if self.since.data else None
        if what == What.FORM:
            return Selection(What.FORM, form_id=int(key), since=since)
        return Selection(What.DESTINATION, destination_id=int(key), since=since, code=code)

    @property
    def is_anew(self) -> bool:
        return self.how is not None and self.how.data == ANEW


@dataclass(frozen=True)
class Seen:
    """A preview for people: what goes where, what holds it up, how long it takes. `mark` says what was looked at."""

    preview: replay.Preview
    where: list[tuple[str, int]]
    waits: list[str]
    needs: str
    of_leads: bool
    mark: str

    @property
    def may_start(self) -> bool:
        return bool(self.preview.count or self.preview.unseen)

    @property
    def looked_at(self) -> int:
        """How many of them today's rules were run on."""
        return self.preview.count + sum(self.preview.skipped.values())

    def how_many(self, count: int) -> str:
        """`3 rejected leads`, `1 row`."""
        return plural(count, "lead" if self.of_leads else "row")


def asked(what: str = "", ids: Sequence[UUID] = ()) -> ReplayForm:
    """The form of this request, or for what was chosen in a list; its choices are what there is something of."""
    form = ReplayForm(None, what=what) if what else ReplayForm(request.form if request.method == "POST" else None)
    if not ids:
        form.what.choices = options([*_destinations(), *_forms()])
        return form
    what = form.what.data if form.what.data == What.LEADS else str(What.ROWS)
    form.what.choices = options([(what, plural(len(ids), "chosen lead" if what == What.LEADS else "chosen row"))])
    del form.since
    if what == What.LEADS:
        del form.how
    return form


def page(form: ReplayForm, seen: Seen | None = None, ids: Sequence[UUID] = ()) -> str:
    """The form, and below it what would happen."""
    return render_template("admin/replay_new.html", form=form, seen=seen, ids=ids, code=code())


def page_of_chosen(what: What, ids: Sequence[UUID]) -> str | None:
    """The page for rows or leads that were chosen in a list, with its preview; None when none were."""
    if not ids:
        return None
    form = asked(str(what), ids)
    return page(form, look(form, ids), ids)


def code() -> int | None:
    """The one answer of the receiver that this is about, if it is about one."""
    found = request.values.get("code", 0, type=int)
    return found if 0 < found < 1000 else None


def _destinations() -> list[tuple[str, str]]:
    query = (
        select(Destination.id, Destination.name, func.count())
        .join(Delivery, Delivery.destination_id == Destination.id)
        .where(Delivery.state == DeliveryState.PERMANENTLY_FAILED)
        .group_by(Destination.id, Destination.name)
        .order_by(Destination.name)
    )
    return [
        (f"{What.DESTINATION}:{key}", f"what {name} did not take ({count:,})")
        for key, name, count in db.session.execute(query)
    ]


def _forms() -> list[tuple[str, str]]:
    query = (
        select(Form.id, Form.name, func.count())
        .join(Lead, Lead.form_id == Form.id)
        .where(Lead.status == LeadStatus.REJECTED, Lead.is_spam.is_(False))
        .group_by(Form.id, Form.name)
        .order_by(Form.name)
    )
    return [
        (f"{What.FORM}:{key}", f"leads of {name} that its rules rejected ({count:,})")
        for key, name, count in db.session.execute(query)
    ]


def look(form: ReplayForm, ids: Sequence[UUID]) -> Seen:
    """What would happen, counted now."""
    selection = form.selection(ids, code())
    found = replay.preview(selection, is_anew=form.is_anew)
    named = {row.id: row for row in db.session.scalars(select(Destination).where(Destination.id.in_(found.where)))}
    return Seen(
        preview=found,
        where=sorted((named[key].name, count) for key, count in found.where.items()),
        waits=waits(list(named.values())),
        needs=words.span(timedelta(minutes=(found.count + found.unseen) / (form.per_minute.data or 1))),
        of_leads=selection.is_of_leads,
        mark=f"{selection.as_json()} {form.is_anew}",
    )


def waits(destinations: Sequence[Destination]) -> list[str]:
    """Which of them take nothing now, and why."""
    now = clock.now()
    return [held.text.removeprefix("waits: ") for row in destinations if (held := words.waiting_for(row, now))]
