"""Forms: make and change them, the snippet to paste, and where their leads go."""

import re
import secrets
from typing import Any
from uuid import UUID

from flask import abort, flash, g, redirect, request, url_for
from flask_admin import expose
from markupsafe import Markup
from sqlalchemy import or_, select
from wtforms import BooleanField, StringField, ValidationError
from wtforms.validators import DataRequired, Length, Optional

from leadapp import audit
from leadapp.accounts import guard
from leadapp.admin import migrating, pins, showing, undoing
from leadapp.admin.fields import (
    LinesField,
    check_copies,
    check_origins,
    check_required_fields,
    check_web_address,
    clean,
)
from leadapp.admin.listing import DeskForm, DeskView
from leadapp.admin.snippets import snippets
from leadapp.database import transaction
from leadapp.deliveries import outbox, words
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, HeldReason
from leadapp.extensions import db
from leadapp.leads import copies, trial
from leadapp.leads.models import Form, Lead, LeadStatus
from leadapp.leads.snippet import form_address, html_snippet
from leadapp.ops import stats

KEY = re.compile(r"[a-z0-9][a-z0-9_-]{1,63}")
RELEASED_AT_ONCE = 500
LATEST = 10


class FormForm(DeskForm):
    """What a person can set about a form."""

    name = StringField(
        "Name",
        [DataRequired("Give the form a name."), Length(max=120)],
        filters=[clean],
        description="Shown in the list of leads and in mails: “Ada Lovelace via Contact form”.",
    )
    key = StringField(
        "Key",
        filters=[clean],
        description="The last part of the address that the form posts to. Leave it empty for one that nobody guesses.",
    )
    form_type = StringField(
        "Type",
        [Optional(), Length(max=60)],
        filters=[clean],
        default="contact",
        description="A word for the machines that get the leads, such as contact or quote.",
    )
    site_url = StringField(
        "Site",
        [Optional(), Length(max=500), check_web_address],
        filters=[clean],
        description="The site that the form stands on, such as https://www.example.com. Where the form names the page "
        "after sending (_next), it has to be one of this site.",
    )
    allowed_origins = LinesField(
        "Allowed sites",
        [check_origins],
        description="One a line, such as https://www.example.com. Empty: any site may post.",
    )
    honeypot = StringField(
        "Trap field",
        [Optional(), Length(max=120)],
        filters=[clean],
        description="A hidden field that only robots fill in. The field _gotcha always is one.",
    )
    is_strict = BooleanField("Strict: refuse what lacks a needed field or has no real e-mail address; it is not kept")
    required_fields = LinesField(
        "Needed fields",
        [check_required_fields],
        description="For a strict form. One a line, as the form names them; or email, name, phone, message.",
    )
    cc_allowed = LinesField(
        "Copies",
        [check_copies],
        description="Addresses that the form may ask copies for (_cc, _bcc, ccemail), one a line. Others get none.",
    )
    is_paused = BooleanField("Paused: keep the leads, tell nobody until it is switched on again")

    def validate_key(self, field: Any) -> None:
        if field.data and not KEY.fullmatch(field.data):
            raise ValidationError("Use small letters, digits, - and _; two to 64 of them.")
        others = select(Form.id).where(Form.key == field.data)
        if self._obj is not None:
            others = others.where(Form.id != self._obj.id)
        if field.data and db.session.scalar(others):
            raise ValidationError("Another form has this key already.")


def _name(_view: Any, _context: Any, row: Form, _name: str) -> Markup:
    return Markup('{} <span class="muted mono">{}</span>').format(row.name, row.key)


def _state(_view: Any, _context: Any, row: Form, _name: str) -> Markup:
    paused = words.Words("paused", words.ON_HOLD, "hold")
    return showing.badge(paused if row.is_paused else words.Words("takes leads", words.SENT, "good"))


def numbers_of(form: Form) -> stats.Leads:
    """Its leads of the last thirty days; counted once for all forms of a page."""
    if "form_numbers" not in g:
        g.form_numbers = {one.id: found for one, found in stats.count(stats.MOST_DAYS).forms}
    found: stats.Leads = g.form_numbers.get(form.id) or stats.Leads()
    return found


def _needs_you(_view: Any, _context: Any, row: Form, _name: str) -> Markup:
    count = numbers_of(row).by_status[LeadStatus.PERMANENTLY_FAILED]
    if not count:
        return Markup('<span class="muted">none</span>')
    address = url_for("leads.index_view", flt0_where_it_stands_is=LeadStatus.PERMANENTLY_FAILED, flt1_form_is=row.id)
    shown = showing.badge(words.Words(showing.plural(count, "lead"), words.NEEDS_YOU, "bad"))
    return Markup('<a href="{}">{}</a>').format(address, shown)


class FormView(DeskView):
    """Forms on people's sites."""

    access = guard.DESK
    title = "Forms"
    list_template = "admin/forms.html"
    intro = "Each form has its own address. Paste its snippet into a page, or post to the address from anything."
    create_words = "New form"
    empty_title = "No forms yet"
    empty_words = "A form gives you an address that sites can post to, and the HTML to paste."
    can_create = True
    can_edit = True
    form = FormForm
    column_list = ("name", "site_url", "is_paused", "leads", "needs_you", "created_at")
    column_labels = {
        "site_url": "Site",
        "is_paused": "State",
        "leads": "Leads, 30 days",
        "needs_you": "Needs you",
        "created_at": "Made",
    }
    column_sortable_list = ("name", "created_at")
    column_default_sort = ("id", False)
    column_formatters = {
        "name": _name,
        "site_url": lambda _v, _c, row, _n: row.site_url or Markup('<span class="muted">not said</span>'),
        "is_paused": _state,
        "leads": lambda _v, _c, row, _n: f"{numbers_of(row).received:,}",
        "needs_you": _needs_you,
        "created_at": lambda _v, _c, row, _n: showing.when(row.created_at),
    }

    def create_form(self, obj: Any = None) -> FormForm:
        form: FormForm = super().create_form(obj)
        del form.is_paused
        if not guard.may(guard.OWNERS):
            del form.key
        return form

    def edit_form(self, obj: Any = None) -> FormForm:
        """The key is an address in other people's pages: only the owner changes it, before the first lead."""
        form: FormForm = super().edit_form(obj)
        if not guard.may(guard.OWNERS) or _has_leads(obj):
            del form.key
        return form

    def create_model(self, form: FormForm) -> Form:
        with transaction():
            row = Form()
            form.populate_obj(row)
            row.key = row.key or new_key(row.name)
            row.form_type = row.form_type or "contact"
            db.session.add(row)
            db.session.flush()
            audit.record(row, "form made", guard.actor(), key=row.key)
        copies.keep_destinations(row, guard.actor())
        return row

    def update_model(self, form: FormForm, model: Form) -> bool:
        before = {field.name: getattr(model, field.name, None) for field in form}
        was_paused = model.is_paused
        with transaction():
            key = model.key
            form.populate_obj(model)
            model.key = model.key or key
            model.form_type = model.form_type or "contact"
            changed = sorted(name for name, value in before.items() if getattr(model, name, None) != value)
            if changed:
                audit.record(model, "form changed", guard.actor(), changed=changed)
        copies.keep_destinations(model, guard.actor())
        if was_paused and not model.is_paused:
            released = release(model)
            if released:
                flash(f"{showing.plural(released, 'row')} waited for this form and will be sent now.", "success")
        return True

    def get_save_return_url(self, model: Form, is_created: bool = False) -> str:  # noqa: ARG002
        return url_for("desk_forms.details_view", id=model.id)

    @expose("/details/")
    def details_view(self) -> Any:
        row = self.details_row()
        query = select(Destination).where(or_(Destination.form_id == row.id, Destination.form_id.is_(None)))
        return self.render(
            "admin/form.html",
            row=row,
            figures=_figures(row),
            address=form_address(row),
            snippets=snippets(form_address(row), html_snippet(row), row.name),
            latest=trial.latest(row, LATEST),
            destinations=list(db.session.scalars(query.order_by(Destination.kind, Destination.name))),
            has_leads=_has_leads(row),
            roles=pins.ROLES,
            seen=pins.seen_names(row),
            here=request.full_path,
        )

    @expose("/test/", methods=("POST",))
    def test(self) -> Any:
        """A test lead of this form, which really goes out; then its page, where one sees it go."""
        row = self.get_one(request.form.get("id", "")) or abort(404)
        lead_id = trial.through(row)
        flash("A test lead is on its way to every destination of this form.", "success")
        return redirect(url_for("leads.page", lead_id=lead_id), 303)

    @expose("/pin/", methods=("POST",))
    def pin(self) -> Any:
        """Which field is which, as this person says; an empty box leaves it to us."""
        row = self.get_one(request.form.get("id", "")) or abort(404)
        try:
            pinned = pins.read_pins(request.form)
        except ValueError as error:
            flash(str(error), "error")
        else:
            with transaction():
                if pinned != row.pinned_fields:
                    row.pinned_fields = pinned
                    audit.record(row, "form changed", guard.actor(), changed=["pinned_fields"])
            flash("Saved. It counts for leads from now on.", "success")
        return redirect(url_for("desk_forms.details_view", id=row.id), 303)

    @expose("/migrate", methods=("GET", "POST"))
    def migrate(self) -> Any:
        """Paste a form, see what will be found, take the changed one. Nothing is stored."""
        pasted = request.form.get("html", "")
        forms = list(db.session.scalars(select(Form).order_by(Form.name, Form.id)))
        chosen = next((form for form in forms if str(form.id) == request.values.get("form")), None)
        chosen = chosen or next(iter(forms), None)
        plan = None
        if chosen and pasted.strip():
            home = migrating.Home(chosen.site_url, chosen.allowed_origins, chosen.cc_allowed)
            plan = migrating.plan(pasted, form_address(chosen), chosen.honeypot, home)
        return self.render("admin/migrate.html", forms=forms, chosen=chosen, pasted=pasted, plan=plan)

    @expose("/pause/", methods=("POST",))
    def pause(self) -> Any:
        row = self.get_one(request.form.get("id", ""))
        if row is None:
            flash("This form is gone.", "info")
            return redirect(url_for("desk_forms.index_view"), 303)
        is_paused = request.form.get("to") == "paused"
        with transaction():
            if row.is_paused != is_paused:
                row.is_paused = is_paused
                audit.record(row, "form paused" if is_paused else "form switched on", guard.actor())
        released = 0 if is_paused else release(row)
        waited = f" {showing.plural(released, 'row')} waited and will be sent now." if released else ""
        said = ("Paused: leads are kept, nobody is told." if is_paused else "Switched on.") + waited
        undoing.say(said, url_for("desk_forms.pause"), id=row.id, to="on" if is_paused else "paused")
        return redirect(url_for("desk_forms.details_view", id=row.id), 303)


def _figures(form: Form) -> list[tuple[int, str, str]]:
    """Number, word and list of its leads: the last thirty days."""
    found = numbers_of(form)
    kinds: tuple[tuple[int, str, dict[str, Any]], ...] = (
        (found.received, "received in 30 days", {}),
        (found.by_status[LeadStatus.DELIVERED], "delivered", {"flt0_where_it_stands_is": LeadStatus.DELIVERED}),
        (
            found.by_status[LeadStatus.PERMANENTLY_FAILED],
            "need you",
            {"flt0_where_it_stands_is": LeadStatus.PERMANENTLY_FAILED},
        ),
        (found.spam, "kept as spam", {"flt2_spam_is": "yes"}),
    )
    return [(count, said, url_for("leads.index_view", flt1_form_is=form.id, **more)) for count, said, more in kinds]


def _has_leads(form: Form) -> bool:
    return db.session.scalar(select(Lead.id).where(Lead.form_id == form.id).limit(1)) is not None


def new_key(name: str) -> str:
    """`contact-k3v9q2`: readable, and not to be guessed from another one."""
    word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "form"
    return f"{word}-{secrets.token_hex(4)}"


def release(form: Form) -> int:
    """Send what waited while the form was paused. Returns how many rows."""
    count = 0
    while waiting := _waiting_leads(form):
        released = outbox.release_held(HeldReason.FORM_PAUSED, waiting, guard.actor())
        if not released:
            break
        count += len(released)
    return count


def _waiting_leads(form: Form) -> list[UUID]:
    query = (
        select(Delivery.lead_id)
        .join(Lead, Delivery.lead_id == Lead.id)
        .where(
            Lead.form_id == form.id,
            Delivery.state == DeliveryState.HELD,
            Delivery.held_reason == HeldReason.FORM_PAUSED,
        )
        .distinct()
        .limit(RELEASED_AT_ONCE)
    )
    return [found for found in db.session.scalars(query) if found is not None]
