"""The pages that a visitor of somebody's site sees: the form, thank you, and what went wrong."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, request

from leadapp import headers
from leadapp.config import settings
from leadapp.errors import PayloadError
from leadapp.leads.kept_fields import Field, Typed, kept_fields
from leadapp.leads.models import Form
from leadapp.leads.redirects import origins
from leadapp.leads.suspicion import stamp


def render(template: str, **values: Any) -> str:
    """A public page, without Flask's context processors: one asks the database who is logged in, even while
    the page is to say that there is no database."""
    return current_app.jinja_env.get_template(template).render(values)


def hosted_form(form: Form) -> str:
    """The form itself as a page, for whoever opens the address that it posts to."""
    _let_it_lead_on(form)
    _let_it_be_framed(form)
    return render("public/form.html", form=form, made=stamp(form.key, settings()))


def thank_you(form: Form, back: str = "") -> str:
    """The built-in page after success. `back` is the checked address that the visitor came from, or ""."""
    _let_it_be_framed(form)
    host = urlsplit(back).netloc
    return render("public/thanks.html", form=form, back=back, back_host="" if host == request.host else host)


def problem(form: Form | None, errors: Sequence[PayloadError], typed: Typed, *, file_fields: Sequence[str] = ()) -> str:
    """Why nothing was sent, above a form with everything that was typed, to be sent again to where it went.

    Fields that the page cannot know are kept too. Passwords, tokens, honeypots and files are not: each file
    field is offered again, empty.
    """
    if form:
        _let_it_lead_on(form)
        _let_it_be_framed(form)
    wrong = {error.field: error.message for error in errors}
    fields = kept_fields(typed, wrong, form.honeypot if form else "")
    fields += [Field(f"file-{at}", name, "", "file") for at, name in enumerate(file_fields, start=1)]
    action = request.script_root + request.path
    return render("public/problem.html", form=form, errors=errors, fields=fields, action=action)


def _let_it_lead_on(form: Form) -> None:
    """Browsers hold form-action against the redirect after a post too, and `_next` may name these sites."""
    for origin in sorted(origins(form.site_url, *form.allowed_origins)):
        headers.allow("form-action", origin)


def _let_it_be_framed(form: Form) -> None:
    """By whoever may post to the form: its page, and what comes after it, can stand inside another page."""
    framing = sorted(origins(form.site_url, *form.allowed_origins)) if form.allowed_origins else ["*"]
    for origin in ("'self'", *framing):
        headers.allow("frame-ancestors", origin)
