"""What machines send to a form: whose payload it is, how it is proven, its country, and who counts as one person."""

from typing import Any
from urllib.parse import quote

from flask import abort, flash, redirect, request, url_for
from flask_admin import BaseView, expose
from sqlalchemy import select
from wtforms import BooleanField, SelectField, ValidationError

from leadapp import audit
from leadapp.accounts import guard
from leadapp.admin.countries import COUNTRIES
from leadapp.admin.fields import LinesField, clean, options
from leadapp.admin.guard import Guarded
from leadapp.admin.listing import DeskForm
from leadapp.config import AppEnv, settings
from leadapp.database import transaction
from leadapp.extensions import db
from leadapp.leads import rulesets
from leadapp.leads.models import Form, MappingSource, RulesVersion
from leadapp.leads.senders import SENDERS
from leadapp.leads.snippet import site_address

SHORTEST_SECRET, LONGEST_SECRET = 8, 500
MOST_KEYS = 10


def check_keys(_form: Any, field: Any) -> None:
    """Names of fields, not a novel."""
    if len(field.data) > MOST_KEYS or any(len(line) > 200 for line in field.data):
        raise ValidationError(f"At most {MOST_KEYS} names of at most 200 letters each.")


class SendersForm(DeskForm):
    """What a person can set about machines that send to a form; the secret is none of it."""

    country = SelectField(
        "Country",
        choices=options([("", "not said"), *sorted(COUNTRIES.items(), key=lambda pair: pair[1])]),
        description="How phone numbers without a country code are read. Not said: they stay as they came.",
    )
    sender = SelectField(
        "Sender",
        choices=options(
            [("", "whoever it is: recognised by what comes"), *((key, one.label) for key, one in SENDERS.items())]
        ),
        description="With one chosen, JSON from anybody else is refused.",
    )
    tells_rejected = BooleanField("Tell me about rejected leads too")
    person_keys = LinesField(
        "These fields say that two leads are of one person",
        [check_keys],
        description="One a line, such as email or phone. Of one who writes again within {hours} you are told, and the "
        "customer's API is not. Empty: every lead is somebody else.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        hours = settings().duplicate_window_hours
        said = "an hour" if hours == 1 else f"{hours:g} hours"
        self.person_keys.description = self.person_keys.description.format(hours=said)


class SendersView(Guarded, BaseView):  # type: ignore[misc]
    """Senders, country and person of a form."""

    access = guard.DESK

    @expose("/", methods=("GET", "POST"))
    def index(self) -> Any:
        row = _form()
        form = SendersForm(request.form if request.method == "POST" else None, obj=row)
        if request.method == "GET" or not form.validate():
            return self._page(row, form)
        before = {name: getattr(row, name) for name in form.data if hasattr(row, name)}
        with transaction():
            form.populate_obj(row)
            changed = sorted(name for name, value in before.items() if getattr(row, name) != value)
            if changed:
                audit.record(row, "form changed", guard.actor(), changed=changed)
        flash("Saved.", "success")
        return _back(row)

    @expose("/secret/", methods=("POST",))
    def secret(self) -> Any:
        """Put a secret in, replace it, take it out. It is never shown again."""
        row = _form()
        typed = "" if request.form.get("do") == "remove" else clean(request.form.get("secret"))
        if request.form.get("do") != "remove" and not SHORTEST_SECRET <= len(typed) <= LONGEST_SECRET:
            said = f"The secret has {SHORTEST_SECRET} to {LONGEST_SECRET} letters. Nothing was changed."
            return self._page(row, SendersForm(None, obj=row), said)
        with transaction():
            row.secret = typed or None
            audit.record(row, "secret changed" if typed else "secret taken out", guard.actor())
        flash("The secret counts from now on. Give it to the sender." if typed else "The secret is gone.", "success")
        return _back(row)

    def _page(self, row: Form, form: SendersForm, problem: str = "") -> Any:
        return self.render(
            "admin/senders.html",
            row=row,
            form=form,
            problem=problem,
            has_secret=db.session.scalar(select(Form.id).where(Form.id == row.id, Form.secret.is_not(None)))
            is not None,
            is_checked_anyway=bool(settings().webhook_shared_secret.get_secret_value()),
            address=f"{site_address()}/webhooks/leads/{quote(row.key, safe='')}",
        )


def notices() -> list[str]:
    """What the start page has to say of the gateway: a faulty mapping file, and leads that anybody can send."""
    found = []
    by_file = RulesVersion.mapping_source == MappingSource.FILE
    uses_file = select(Form.id).join(RulesVersion, RulesVersion.id == Form.newest_rules_id).where(by_file).limit(1)
    if db.session.scalar(uses_file) is not None and (fault := rulesets.mapping_fault()):
        found.append(fault)
    open_form = select(Form.name).where(Form.secret.is_(None), Form.newest_rules_id.is_not(None)).order_by(Form.id)
    is_open = settings().app_env is AppEnv.PRODUCTION and not settings().webhook_shared_secret.get_secret_value()
    if is_open and (name := db.session.scalar(open_form.limit(1))):
        found.append(
            f"Anybody who knows the address can send leads of {name} as JSON. Set WEBHOOK_SHARED_SECRET, or give the "
            "form a secret of its own (Forms, Senders)."
        )
    return found


def _form() -> Form:
    key = request.args.get("id", 0, type=int)
    return (db.session.get(Form, key) if 0 < key < 2**31 else None) or abort(404)


def _back(row: Form) -> Any:
    return redirect(url_for("senders.index", id=row.id), 303)
