"""Pages that anybody may open: the start page, a form by its own address, and thank-you."""

from urllib.parse import urlsplit

from flask import Blueprint, Response, abort, make_response, request
from sqlalchemy import select

from leadapp.accounts.guard import PUBLIC
from leadapp.config import settings
from leadapp.extensions import db
from leadapp.leads import pages
from leadapp.leads.charsets import clean
from leadapp.leads.models import Form
from leadapp.leads.redirects import next_page, origin_of
from leadapp.leads.snippet import form_address, html_snippet, site_address

SAMPLE = "contact"

public = Blueprint("public", __name__)
public.access = PUBLIC  # type: ignore[attr-defined]


# OPTIONS on these addresses is the preflight of a post, answered by form_routes.
@public.get("/", provide_automatic_options=False)
def start() -> str:
    """What this is. In production a quiet page: it is public, and the people who belong here log in."""
    if settings().is_production:
        return pages.render("public/quiet.html")
    form = _form(SAMPLE)
    return pages.render(
        "public/start.html",
        form=form,
        address=form_address(form) if form else "",
        snippet=html_snippet(form) if form else "",
        is_local=urlsplit(site_address()).hostname in ("127.0.0.1", "::1", "localhost"),
        mail_is_kept=settings().mail_provider == "console",
        has_webhook=bool(settings().zapier_webhook_url),
    )


@public.get("/f/<key>", provide_automatic_options=False, strict_slashes=False)
def form_page(key: str) -> str:
    """Whoever opens the address that a form posts to gets the form."""
    return pages.hosted_form(_form(key) or abort(404))


@public.get("/f/<key>/thanks")
def thanks(key: str) -> Response:
    form = _form(key) or abort(404)
    answer = make_response(pages.thank_you(form, _way_back(form)))
    answer.headers["Cache-Control"] = "no-store"  # the way back is this visitor's own
    return answer


def _form(key: str) -> Form | None:
    return db.session.scalar(select(Form).where(Form.key == clean(key)))


def _way_back(form: Form) -> str:
    """The page that the visitor came from, if it is ours or may use this form; else the form's site."""
    came_from = request.referrer or ""
    if came_from == request.base_url:
        return form.site_url
    may_use = form.allowed_origins or ([] if form.site_url else [came_from])
    ours = origin_of(request.url_root)
    return next_page(came_from, form.site_url, site_url=form.site_url, allowed_origins=[ours, *may_use])
