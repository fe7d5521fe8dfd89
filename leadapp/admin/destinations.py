"""Destinations: where leads go, their secrets (shown once), and pausing, resuming, switching off."""

import json
from datetime import datetime
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from markupsafe import Markup
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload
from wtforms import PasswordField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.validators import DataRequired, Length

from leadapp import audit
from leadapp.accounts import guard
from leadapp.admin import showing, undoing
from leadapp.admin.causes import WAITING
from leadapp.admin.deliveries import lead_names, mail_of, outcome_badge
from leadapp.admin.fields import clean, mail_address_problem, options, web_address_problem
from leadapp.admin.leads import form_options
from leadapp.admin.listing import DeskForm, DeskView
from leadapp.config import settings
from leadapp.database import transaction
from leadapp.deliveries import destinations, words
from leadapp.deliveries.meanings import read_meanings
from leadapp.deliveries.models import Attempt, Delivery, Destination, DestinationState, Kind, ManagedBy
from leadapp.deliveries.setup import CUSTOMER_KEY, EMAIL_KEY, TOKEN, WEBHOOK_KEY
from leadapp.errors import RulesError
from leadapp.extensions import db
from leadapp.leads import trial
from leadapp.signing import new_secret

EVERY_FORM = "every"
ATTEMPTS = 20
SHOWN = 2_000  # characters of a request in the log; the page of the delivery has all of it
OFFERED = (Kind.EMAIL, Kind.WEBHOOK, Kind.CRM)


class DestinationForm(DeskForm):
    """What a person can set about a destination; the secret is none of it."""

    kind = SelectField(
        "Kind",
        choices=options((str(kind), words.KIND_NAMES[kind]) for kind in OFFERED),
        render_kw={"data-kinds": True},
    )
    name = StringField(
        "Name",
        [DataRequired("Give it a name."), Length(max=120)],
        filters=[clean],
        description="How you call it: “Sales”, “Zapier”.",
    )
    address = StringField(
        "Address",
        [DataRequired("Say where leads go."), Length(max=2000)],
        filters=[clean],
        description="An e-mail address, or the https:// address of a webhook or of the customer's API.",
    )
    form_id = SelectField("Leads of", choices=[])
    token = PasswordField(
        "Token",
        [Length(max=4000)],
        filters=[clean],
        description="For the customer's API: sent as Authorization: Bearer. It is stored encrypted and never shown.",
        render_kw={"autocomplete": "off", "data-only-for": Kind.CRM},
    )
    answers = TextAreaField(
        "What its answers mean",
        [Length(max=50_000)],
        filters=[clean],
        description="For the customer's API, where an answer means something else than usual, as JSON:"
        ' [{"status": 409, "means": "duplicate"}, {"status": "2xx", "field": "ok", "equals": false,'
        ' "means": "retry"}]. The meanings are delivered, duplicate, permanent and retry.',
        render_kw={"data-only-for": Kind.CRM},
    )

    def __init__(self, formdata: Any = None, obj: Destination | None = None, **kwargs: Any) -> None:
        if obj is not None:
            kwargs |= {"address": obj.recipient, "form_id": str(obj.form_id or EVERY_FORM)}
            obj_kind, obj_name = str(obj.kind), obj.name
            kwargs |= {"kind": obj_kind, "name": obj_name, "answers": _as_text(obj.settings.get("answers"))}
        super().__init__(formdata, None, **kwargs)
        self._obj = obj
        self.form_id.choices = options([(EVERY_FORM, "every form"), *form_options()])

    def validate_address(self, field: Any) -> None:
        kind = str(self._obj.kind) if self._obj is not None else self.kind.data
        problem = mail_address_problem if kind == Kind.EMAIL else web_address_problem
        if said := problem(field.data):
            raise ValidationError(said)

    def validate_token(self, field: Any) -> None:
        if field.data and not TOKEN.fullmatch(field.data):
            raise ValidationError("A token has no blanks and only plain letters, figures and signs. Copy it once more.")

    def validate_answers(self, field: Any) -> None:
        try:
            read_meanings(field.data or "[]")
        except RulesError as error:
            raise ValidationError(str(error)) from None

    def settings(self, kind: Kind) -> dict[str, Any]:
        where = {"to" if kind is Kind.EMAIL else "url": self.address.data}
        return where | self.chosen_answers() if kind is Kind.CRM else where

    def chosen_answers(self) -> dict[str, Any]:
        """What its answers mean, as destinations keep it; nothing where they mean what they usually do."""
        found = json.loads(self.answers.data or "[]")
        return {"answers": found} if found else {}

    def chosen_form(self) -> int | None:
        return None if self.form_id.data == EVERY_FORM else int(self.form_id.data)


def _kind(_view: Any, _context: Any, row: Destination, _name: str) -> str:
    return words.KIND_NAMES[row.kind]


def _state(_view: Any, _context: Any, row: Destination, _name: str) -> Markup:
    return showing.badge(showing.destination_words(row))


def _where(_view: Any, _context: Any, row: Destination, _name: str) -> Markup:
    return Markup('<span class="breakable">{}</span>').format(row.recipient)


class DestinationView(DeskView):
    """Places that leads are sent to."""

    access = guard.DESK
    title = "Destinations"
    intro = "Who and what is told of a new lead."
    create_words = "New destination"
    empty_title = "Nobody is told of new leads"
    empty_words = "Add an e-mail address or a webhook, and every new lead goes there at once."
    can_create = True
    can_edit = True
    form = DestinationForm
    column_list = ("name", "kind", "settings", "state", "managed_by")
    column_labels = {"settings": "Goes to", "managed_by": "Set by"}
    column_sortable_list = ("name", "kind")
    column_default_sort = ("id", False)
    column_formatters = {
        "kind": _kind,
        "settings": _where,
        "state": _state,
        "managed_by": lambda _v, _c, row, _n: owner_of(row) or "a person",
    }

    @expose("/new/", methods=("GET", "POST"))
    def create_view(self) -> Any:
        form = self.create_form()
        if request.method == "GET" and request.args.get("form"):
            form.form_id.data = request.args["form"]
        if not self.validate_form(form):
            return self.render(self.create_template, form=form)
        kind = Kind(form.kind.data)
        secret = new_secret() if kind is Kind.WEBHOOK else None
        token = (form.token.data or None) if kind is Kind.CRM else None
        with transaction():
            row = Destination(
                kind=kind,
                name=form.name.data,
                settings=form.settings(kind),
                form_id=form.chosen_form(),
                secret=secret or token,
                managed_by=ManagedBy.ADMIN,
            )
            db.session.add(row)
            db.session.flush()
            audit.record(row, "destination made", guard.actor(), kind=str(kind))
        return self._show_once(row, secret)

    def _show_once(self, row: Destination, secret: str | None) -> Any:
        """The only page that ever holds the secret; it is the answer to a POST, so no link leads back to it."""
        if secret is None:
            flash("Saved. New leads go there from now on.", "success")
            return redirect(url_for("destinations.details_view", id=row.id), 303)
        return self.render("admin/secret.html", row=row, secret=secret)

    @expose("/edit/", methods=("GET", "POST"))
    def edit_view(self) -> Any:
        row = self.details_row()
        variable = owner_of(row)
        if variable and row.kind is not Kind.CRM:
            flash(f"{row.name} is set by {variable}. Change it there.", "info")
            return redirect(url_for("destinations.details_view", id=row.id), 303)
        form = self.edit_form(obj=row)
        _leave(form, row, is_owned=bool(variable))
        if not self.validate_form(form):
            return self.render(self.edit_template, form=form, model=row)
        with transaction():
            _change(row, form, is_owned=bool(variable))
        flash("Saved.", "success")
        return redirect(url_for("destinations.details_view", id=row.id), 303)

    @expose("/details/")
    def details_view(self) -> Any:
        row = self.details_row()
        attempts = latest_attempts(row)
        waiting = select(func.count()).where(Delivery.destination_id == row.id, Delivery.state.in_(WAITING))
        return self.render(
            "admin/destination.html",
            row=row,
            waiting=db.session.scalar(waiting) or 0,
            variable=owner_of(row),
            has_secret=db.session.scalar(select(Destination.secret).where(Destination.id == row.id)) is not None,
            may_rotate=may_rotate(row),
            last_success=last_success(row),
            attempts=attempts,
            lead_names=lead_names([one.delivery for one in attempts]) if guard.may(guard.READERS) else {},
            request_of=request_of if guard.may(guard.READERS) else None,
            outcome_badge=outcome_badge,
            answers=_as_text(row.settings.get("answers")),
        )

    @expose("/test/", methods=("POST",))
    def test(self) -> Any:
        """A test lead that goes here and nowhere else; then its page, where one sees it go."""
        row = self._posted()
        lead_id = trial.to(row, guard.actor())
        if lead_id is None:
            flash(f"{row.name} takes no leads now. Resume it, then send a test.", "info")
            return self._back(row)
        flash(f"A test lead is on its way to {row.name}, and to nobody else.", "success")
        return redirect(url_for("leads.page", lead_id=lead_id), 303)

    @expose("/pause/", methods=("POST",))
    def pause(self) -> Any:
        row = self._posted()
        destinations.pause(row.id, clean(request.form.get("reason"))[:200], guard.actor())
        said = f"{row.name} is paused. New leads wait for it; nothing is lost."
        undoing.say(said, url_for("destinations.resume"), id=row.id, url=self._way_back(row))
        return self._back(row)

    @expose("/resume/", methods=("POST",))
    def resume(self) -> Any:
        row = self._posted()
        was, reason = row.state, row.state_reason
        destinations.resume(row.id, guard.actor())
        said = f"{row.name} is in use again. Everything that waited is sent now."
        if was is DestinationState.ACTIVE or (was is DestinationState.DISABLED and owner_of(row)):
            flash(said, "success")
        else:
            stop = "destinations.pause" if was is DestinationState.PAUSED else "destinations.switch_off"
            undoing.say(said, url_for(stop), id=row.id, reason=reason[:200], url=self._way_back(row))
        return self._back(row)

    @expose("/switch-off/", methods=("POST",))
    def switch_off(self) -> Any:
        row = self._posted()
        if variable := owner_of(row):
            flash(f"{row.name} is set by {variable}. Clear it there to switch it off, or pause it here.", "info")
            return self._back(row)
        destinations.switch_off(row.id, clean(request.form.get("reason"))[:200], guard.actor())
        said = f"{row.name} is switched off. New leads do not go there any more."
        undoing.say(said, url_for("destinations.resume"), id=row.id, url=self._way_back(row))
        return self._back(row)

    @expose("/new-secret/", methods=("POST",))
    def rotate(self) -> Any:
        row = self._posted()
        if not may_rotate(row):
            flash("This secret is set elsewhere. Change it there.", "info")
            return self._back(row)
        secret = new_secret()
        with transaction():
            row.secret = secret
            audit.record(row, "secret changed", guard.actor())
        return self._show_once(row, secret)

    def _posted(self) -> Destination:
        row: Destination = self.get_one(request.form.get("id", "")) or abort(404)
        return row

    def _back(self, row: Destination) -> Any:
        return redirect(self._way_back(row), 303)

    def _way_back(self, row: Destination) -> str:
        target = request.form.get("url", "")
        return target if guard.is_safe_next(target) else url_for("destinations.details_view", id=row.id)


def _leave(form: DestinationForm, row: Destination, *, is_owned: bool) -> None:
    """Of the form, only what can be changed about this row. What a variable owns has only its answers here."""
    gone = ["kind"]
    if row.kind is not Kind.CRM:
        gone += ["token", "answers"]
    if is_owned:
        gone += ["name", "address", "form_id", "token"]
    for name in gone:
        delattr(form, name)
    if "token" in form:
        form.token.description = "Empty: the token stays as it is. It is stored encrypted and never shown."


def _change(row: Destination, form: DestinationForm, *, is_owned: bool) -> None:
    changed = [row.name, row.settings, row.form_id]
    if is_owned:
        kept = {name: value for name, value in row.settings.items() if name != "answers"}
        row.settings = kept | form.chosen_answers()
    else:
        row.name, row.settings = form.name.data, form.settings(row.kind)
        row.form_id = form.chosen_form()
    if changed != [row.name, row.settings, row.form_id]:
        audit.record(row, "destination changed", guard.actor())
    if "token" in form and form.token.data:
        row.secret = form.token.data
        audit.record(row, "secret changed", guard.actor())


def _as_text(answers: Any) -> str:
    """One entry a line."""
    if not answers:
        return ""
    return "[\n" + ",\n".join(f"  {json.dumps(one, ensure_ascii=False)}" for one in answers) + "\n]"


def last_success(row: Destination) -> datetime | None:
    """When something last arrived there."""
    query = select(Delivery.sent_at).where(Delivery.destination_id == row.id, Delivery.sent_at.is_not(None))
    return db.session.scalar(query.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(1))


def latest_attempts(row: Destination) -> list[Attempt]:
    """The tries of its newest deliveries, newest first."""
    newest = select(Delivery.id).where(Delivery.destination_id == row.id)
    newest = newest.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(ATTEMPTS)
    query = select(Attempt).where(Attempt.delivery_id.in_(list(db.session.scalars(newest))))
    query = query.options(joinedload(Attempt.delivery).undefer(Delivery.payload))
    return list(db.session.scalars(query.order_by(Attempt.started_at.desc(), Attempt.id.desc()).limit(ATTEMPTS)))


def request_of(row: Delivery) -> tuple[str, str]:
    """What was asked of the receiver, in one line, and the beginning of its content."""
    if row.kind is not Kind.EMAIL:
        return f"POST {row.recipient}", _beginning(row.payload)
    mail = mail_of(row) or {}
    return f"Mail to {row.recipient}: {mail.get('subject', '')}"[:300], _beginning(mail.get("text", ""))


def _beginning(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def owner_of(row: Destination) -> str:
    """The environment variable, or the list of its form, that owns this row; "" when a person does."""
    if row.managed_by is ManagedBy.FORM:
        return "its form's list of copies"
    if row.managed_by is not ManagedBy.ENV:
        return ""
    return (row.env_key or "").split(":")[0].split("=")[0].strip() or _guessed(row)


def _guessed(row: Destination) -> str:
    return {Kind.EMAIL: EMAIL_KEY, Kind.WEBHOOK: WEBHOOK_KEY, Kind.CRM: CUSTOMER_KEY}[row.kind]


def may_rotate(row: Destination) -> bool:
    """Webhooks are signed; the one of the environment may have its secret there too."""
    if row.kind is not Kind.WEBHOOK:
        return False
    return row.managed_by is not ManagedBy.ENV or not settings().zapier_webhook_secret.get_secret_value()


def stopped() -> list[tuple[Destination, int]]:
    """Destinations that are not in use while rows wait for them, and how many."""
    query = (
        select(Delivery.destination_id, func.count())
        .join(Destination, Delivery.destination_id == Destination.id)
        .where(Destination.state != DestinationState.ACTIVE, Delivery.state.in_(WAITING))
        .group_by(Delivery.destination_id)
    )
    return [(db.session.get_one(Destination, key), count) for key, count in db.session.execute(query)]
