"""Destinations: where leads go, their secrets (shown once), and pausing, resuming, switching off."""

from datetime import datetime
from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask_admin import expose
from markupsafe import Markup
from sqlalchemy import func, select
from wtforms import SelectField, StringField, ValidationError
from wtforms.validators import DataRequired, Length

from leadapp import audit
from leadapp.accounts import guard
from leadapp.admin import showing
from leadapp.admin.causes import WAITING
from leadapp.admin.deliveries import outcome_badge
from leadapp.admin.fields import clean, mail_address_problem, web_address_problem
from leadapp.admin.leads import form_options
from leadapp.admin.listing import DeskForm, DeskView
from leadapp.config import settings
from leadapp.database import transaction
from leadapp.deliveries import destinations, words
from leadapp.deliveries.models import Attempt, Delivery, Destination, DestinationState, Kind, ManagedBy
from leadapp.extensions import db
from leadapp.leads import trial
from leadapp.signing import new_secret

EVERY_FORM = "every"
ATTEMPTS = 20
OFFERED = (Kind.EMAIL, Kind.WEBHOOK)


class DestinationForm(DeskForm):
    """What a person can set about a destination; the secret is none of it."""

    kind = SelectField("Kind", choices=[(str(kind), words.KIND_NAMES[kind]) for kind in OFFERED])
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
        description="An e-mail address, or the https:// address of a webhook.",
    )
    form_id = SelectField("Leads of", choices=[])

    def __init__(self, formdata: Any = None, obj: Destination | None = None, **kwargs: Any) -> None:
        if obj is not None:
            kwargs |= {"address": obj.recipient, "form_id": str(obj.form_id or EVERY_FORM)}
            obj_kind, obj_name = str(obj.kind), obj.name
            kwargs |= {"kind": obj_kind, "name": obj_name}
        super().__init__(formdata, None, **kwargs)
        self._obj = obj
        self.form_id.choices = [(EVERY_FORM, "every form"), *((key, name) for key, name in form_options())]

    def validate_address(self, field: Any) -> None:
        kind = str(self._obj.kind) if self._obj is not None else self.kind.data
        problem = mail_address_problem if kind == Kind.EMAIL else web_address_problem
        if said := problem(field.data):
            raise ValidationError(said)

    def settings(self, kind: Kind) -> dict[str, str]:
        return {"to" if kind is Kind.EMAIL else "url": self.address.data}

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
        with transaction():
            row = Destination(
                kind=kind,
                name=form.name.data,
                settings=form.settings(kind),
                form_id=form.chosen_form(),
                secret=secret,
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
        if variable := owner_of(row):
            flash(f"{row.name} is set by {variable}. Change it there.", "info")
            return redirect(url_for("destinations.details_view", id=row.id), 303)
        form = self.edit_form(obj=row)
        del form.kind
        if not self.validate_form(form):
            return self.render(self.edit_template, form=form, model=row)
        with transaction():
            changed = [row.name, row.settings, row.form_id]
            row.name, row.settings = form.name.data, form.settings(row.kind)
            row.form_id = form.chosen_form()
            if changed != [row.name, row.settings, row.form_id]:
                audit.record(row, "destination changed", guard.actor())
        flash("Saved.", "success")
        return redirect(url_for("destinations.details_view", id=row.id), 303)

    @expose("/details/")
    def details_view(self) -> Any:
        row = self.details_row()
        waiting = select(func.count()).where(Delivery.destination_id == row.id, Delivery.state.in_(WAITING))
        return self.render(
            "admin/destination.html",
            row=row,
            waiting=db.session.scalar(waiting) or 0,
            variable=owner_of(row),
            has_secret=db.session.scalar(select(Destination.secret).where(Destination.id == row.id)) is not None,
            may_rotate=may_rotate(row),
            last_success=last_success(row),
            attempts=latest_attempts(row),
            outcome_badge=outcome_badge,
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
        flash(f"{row.name} is paused. New leads wait for it; nothing is lost.", "success")
        return self._back(row)

    @expose("/resume/", methods=("POST",))
    def resume(self) -> Any:
        row = self._posted()
        destinations.resume(row.id, guard.actor())
        flash(f"{row.name} is in use again. Everything that waited is sent now.", "success")
        return self._back(row)

    @expose("/switch-off/", methods=("POST",))
    def switch_off(self) -> Any:
        row = self._posted()
        if variable := owner_of(row):
            flash(f"{row.name} is set by {variable}. Clear it there to switch it off, or pause it here.", "info")
            return self._back(row)
        destinations.switch_off(row.id, "", guard.actor())
        flash(f"{row.name} is switched off. New leads do not go there any more.", "success")
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
        target = request.form.get("url", "")
        if not guard.is_safe_next(target):
            target = url_for("destinations.details_view", id=row.id)
        return redirect(target, 303)


def last_success(row: Destination) -> datetime | None:
    """When something last arrived there."""
    query = select(Delivery.sent_at).where(Delivery.destination_id == row.id, Delivery.sent_at.is_not(None))
    return db.session.scalar(query.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(1))


def latest_attempts(row: Destination) -> list[Attempt]:
    """The tries of its newest deliveries, newest first."""
    newest = select(Delivery.id).where(Delivery.destination_id == row.id)
    newest = newest.order_by(Delivery.created_at.desc(), Delivery.id.desc()).limit(ATTEMPTS)
    query = select(Attempt).where(Attempt.delivery_id.in_(list(db.session.scalars(newest))))
    return list(db.session.scalars(query.order_by(Attempt.started_at.desc(), Attempt.id.desc()).limit(ATTEMPTS)))


def owner_of(row: Destination) -> str:
    """The environment variable, or the list of its form, that owns this row; "" when a person does."""
    if row.managed_by is ManagedBy.FORM:
        return "its form's list of copies"
    if row.managed_by is not ManagedBy.ENV:
        return ""
    return (row.env_key or "").split(":")[0].split("=")[0].strip() or _guessed(row)


def _guessed(row: Destination) -> str:
    return "LEAD_NOTIFICATION_EMAIL" if row.kind is Kind.EMAIL else "ZAPIER_WEBHOOK_URL"


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
