"""Figures: the last days by status, day, form and destination, as bars with their numbers beside them."""

from typing import Any

from flask import request, url_for
from flask_admin import BaseView, expose
from sqlalchemy import select

from leadapp.accounts import guard
from leadapp.admin import bars
from leadapp.admin.deliveries import to_a_test_lead
from leadapp.admin.guard import Guarded
from leadapp.admin.showing import LEAD_WORDS
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads.models import Form, LeadStatus
from leadapp.ops import stats

SPANS = (1, 7, 14, 30)


class StatsView(Guarded, BaseView):  # type: ignore[misc]
    """/admin/figures/"""

    access = guard.STAFF

    @expose("/")
    def index(self) -> Any:
        days, form = asked()
        numbers = stats.count(days, form)
        return self.render(
            "admin/stats.html",
            numbers=numbers,
            days=days,
            spans=SPANS,
            chosen=form,
            forms=list(db.session.scalars(select(Form).order_by(Form.name, Form.id))),
            day_bars=bars.day_bars(numbers.days),
            statuses=[(status, numbers.total.by_status[status]) for status in LeadStatus],
            status_words=LEAD_WORDS.__getitem__,
            status_scale=bars.LENGTH / max(1, max(numbers.total.by_status.values(), default=0)),
            form_bars=bars.form_bars(numbers),
            destination_bars=bars.destination_bars(numbers),
            lead_words=bars.words_of(bars.LEADS),
            delivery_words=bars.words_of(bars.DELIVERIES),
            first_step=to_a_test_lead(),
            form_address=_form_address,
            destination_address=_destination_address,
        )


def _form_address(form: Any) -> str:
    """Its leads, for who may read them."""
    return url_for("leads.index_view", flt1_form_is=form.id) if guard.may(guard.READERS) else ""


def _destination_address(destination: Any) -> str:
    return url_for("destinations.details_view", id=destination.id) if guard.may(guard.DESK) else ""


def asked() -> tuple[int, Form | None]:
    """What the person chose; anything odd in the address is the usual view."""
    try:
        return stats.asked_days(request.args.get("days", "")), stats.asked_form(request.args.get("form", ""))
    except PayloadError:
        return stats.MOST_DAYS, None
