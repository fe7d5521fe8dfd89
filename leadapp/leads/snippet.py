"""The HTML that a site owner pastes, and the address that it posts to."""

from urllib.parse import quote

from flask import request

from leadapp.config import settings
from leadapp.leads.models import Form
from leadapp.leads.pages import render


def form_address(form: Form) -> str:
    """The public address that this form's posts go to."""
    return f"{site_address()}/f/{quote(form.key, safe='')}"


def site_address() -> str:
    """Where this installation is found, no slash at the end: FRONTEND_BASE_URL, or as it was asked for."""
    return (settings().frontend_base_url or request.url_root).rstrip("/")


def html_snippet(form: Form) -> str:
    """A complete form to paste into a page: labels, autocomplete, a honeypot, no script."""
    return render("public/snippet.html", address=form_address(form))
