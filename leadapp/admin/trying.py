"""Try the customer's API: see the request that a lead would become, then, if wanted, send a test lead that really goes.

A test there makes a record, so looking comes first, sends nothing, and the sending is confirmed.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_admin import BaseView, expose
from sqlalchemy import select

from leadapp.accounts import guard
from leadapp.admin.fields import clean
from leadapp.admin.guard import Guarded
from leadapp.deliveries import preview
from leadapp.deliveries.models import Destination, DestinationState, Kind
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.leads import json_bodies, rulesets, trial
from leadapp.leads.fields import as_text
from leadapp.leads.judging import Verdict
from leadapp.leads.models import Form

MOST_ANSWERS = 200
LONGEST = 20_000  # letters of one answer
SPARE = 2  # empty rows for answers that the sample lacks


@dataclass(frozen=True)
class Answer:
    """One row of the sample: the field, its value as people read it, and as JSON as the lead had it."""

    name: str = ""
    text: str = ""
    was: str = ""

    @property
    def value(self) -> Any:
        """What a lead would hold: a truth or a number stays one as long as nobody writes over it."""
        try:
            before = json_bodies.within(self.was) if self.was else None
        except PayloadError:
            before = None
        is_same = before is not None and _lines(as_text(before)) == _lines(self.text)
        return before if is_same else self.text


class TryView(Guarded, BaseView):  # type: ignore[misc]
    """What the customer's API would get, and a test lead for it."""

    access = guard.DESK

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Any:
        """The sample and what would become of it. Nothing is sent, nothing is stored."""
        row = _destination()
        forms = _forms(row)
        form = _chosen(forms)
        is_other = request.method == "GET" or request.form.get("do") == "sample"
        answers = _sample(form) if is_other else _posted()
        return self._page(row, forms, form, answers)

    @expose("/send/", methods=("POST",))
    def send(self) -> Any:
        """Asked first; then a test lead for this destination and nobody else."""
        row = _destination()
        forms = _forms(row)
        form, answers = _chosen(forms), _posted()
        if form is None or trial.foreseen(form, _payload(answers)).body is None:
            return self._page(row, forms, form, answers)
        if row.state is DestinationState.DISABLED:
            flash(f"{row.name} takes no leads now. Resume it, then send a test.", "info")
            return redirect(url_for("destinations.details_view", id=row.id), 303)
        if request.form.get("confirmed") != "yes":
            return self.render("admin/try_confirm.html", row=row, form=form, answers=answers)
        lead_id = trial.to(row, guard.actor(), form=form, payload=_payload(answers))
        if lead_id is None:
            flash(f"Nothing was sent: {row.name} takes no leads of {form.name} now.", "info")
            return redirect(url_for("destinations.details_view", id=row.id), 303)
        flash(f"A test lead is on its way to {row.name}, and to nobody else.", "success")
        return redirect(url_for("leads.page", lead_id=lead_id), 303)

    def _page(self, row: Destination, forms: Sequence[Form], form: Form | None, answers: Sequence[Answer]) -> Any:
        verdict = trial.foreseen(form, _payload(answers)) if form else None
        return self.render(
            "admin/try.html",
            row=row,
            forms=forms,
            form=form,
            answers=[*answers, *[Answer()] * SPARE],
            verdict=verdict,
            shown=_shown(row, verdict),
        )


def _lines(text: str) -> str:
    """Browsers send every end of a line as CR LF."""
    return text.replace("\r\n", "\n")


def _shown(row: Destination, verdict: Verdict | None) -> preview.Preview | None:
    if verdict is None or verdict.body is None:
        return None
    return preview.of_customer(row, verdict.body.text)


def _destination() -> Destination:
    key = request.args.get("id", 0, type=int)
    found = db.session.get(Destination, key) if 0 < key < 2**31 else None
    return found if found is not None and found.kind is Kind.CRM else abort(404)


def _forms(row: Destination) -> list[Form]:
    """The forms whose leads reach it: those with a mapping."""
    query = select(Form).where(Form.newest_rules_id.is_not(None)).order_by(Form.name, Form.id)
    if row.form_id is not None:
        query = query.where(Form.id == row.form_id)
    return [form for form in db.session.scalars(query) if rulesets.ruling_of(form).plan.mapping is not None]


def _chosen(forms: Sequence[Form]) -> Form | None:
    wanted = request.values.get("form", "")
    return next((form for form in forms if str(form.id) == wanted), next(iter(forms), None))


def _sample(form: Form | None) -> list[Answer]:
    found = trial.sample(form) if form else {}
    return [
        Answer(name, as_text(value), json.dumps(value, ensure_ascii=False, default=str))
        for name, value in list(found.items())[:MOST_ANSWERS]
    ]


def _posted() -> list[Answer]:
    names, texts, was = (request.form.getlist(name)[:MOST_ANSWERS] for name in ("name", "value", "was"))
    found = zip(names, texts, [*was, *[""] * len(names)], strict=False)
    rows = [Answer(clean(name)[:300], clean(text)[:LONGEST], before[:LONGEST]) for name, text, before in found]
    return [row for row in rows if row.name]


def _payload(answers: Sequence[Answer]) -> dict[str, Any]:
    return {answer.name: answer.value for answer in answers if answer.text}
