"""POST /f/<form key>, /submit and /: where forms post to. Parse, accept, answer."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, request

from leadapp.accounts.guard import PUBLIC
from leadapp.config import settings
from leadapp.errors import PayloadError
from leadapp.extensions import db
from leadapp.files.uploads import read_uploads
from leadapp.leads import answering, catalog, cors, intake, strict
from leadapp.leads.bodies import body_size, is_cut_off, is_small, read_body
from leadapp.leads.charsets import clean
from leadapp.leads.fields import as_text
from leadapp.leads.kept_fields import Typed
from leadapp.leads.models import Form
from leadapp.leads.parsing import Parsed, parse, refuse_excess
from leadapp.leads.reading import Posted
from leadapp.webextensions import csrf, limiter

# What is kept of a request's headers: nothing that identifies or authorises anybody.
KEPT_HEADERS = ("User-Agent", "Referer", "Origin", "Accept-Language", "Content-Length", "X-Request-ID")
# Fields that hold the form's key where the address does not (Web3Forms, StaticForms, Netlify); case does not matter.
KEY_FIELDS = ("access_key", "accesskey", "apikey", "api_key", "form-name")

forms = Blueprint("forms", __name__)
forms.access = PUBLIC  # type: ignore[attr-defined]


@forms.post("/f/<key>", provide_automatic_options=False, strict_slashes=False)
@forms.post("/submit", provide_automatic_options=False)
@forms.post("/", provide_automatic_options=False)
@csrf.exempt  # the form stands on somebody else's site
@limiter.limit(lambda: settings().ratelimit_posts)
@limiter.limit(
    lambda: settings().ratelimit_bytes,
    cost=lambda: body_size(request, settings()),
    exempt_when=lambda: is_small(request),
)
def submit(key: str = "") -> Response:
    """Save the lead, then say so; an error keeps what was typed."""
    form: Form | None = None
    parsed: Parsed | None = None
    try:
        # The whole body first: a slow client must hold neither a transaction nor a connection meanwhile.
        body = read_body(request, settings().max_post_bytes)
        form = _form(key)
        parsed = parse(request.content_type or "", body, settings())
        if is_cut_off(request):
            parsed.note("CUT_OFF", "The connection broke while this was sent; this is what arrived.")
        form = form or _form(key or named_key(parsed.payload))
        if form is None:
            raise PayloadError(404, "FORM_NOT_FOUND", "There is no form at this address.")
        refuse_excess(parsed, settings())
        if faults := strict.faults(form, parsed.payload, [file.name or "" for file in parsed.files]):
            answer = answering.refusal(*faults, form=form, typed=_typed(parsed))
        else:
            answer = _accept(form, parsed)
    except PayloadError as error:
        db.session.rollback()
        form = form or _form(key)
        answer = answering.refusal(error, form=form, typed=_typed(parsed))
    return cors.allow(answer, form)


def _accept(form: Form, parsed: Parsed) -> Response:
    accepted = intake.accept(form, _posted(parsed), source="form")
    g.lead_id = str(accepted.lead_id)  # for the log line of this request
    return answering.success(form, accepted.lead_id, accepted.next_page)


@forms.route("/f/<key>", methods=["OPTIONS"], strict_slashes=False)
@forms.route("/submit", methods=["OPTIONS"])
@forms.route("/", methods=["OPTIONS"])
@limiter.exempt
def preflight(key: str = "") -> Response:
    """What a browser asks before a script on another site may post here."""
    return cors.preflight(_form(key))


def named_key(payload: Mapping[str, Any]) -> str:
    """The form's key as a field names it, "" when none does."""
    named = {name.casefold(): as_text(value).strip() for name, value in payload.items()}
    return next((named[name] for name in KEY_FIELDS if named.get(name)), "")


def _form(key: str) -> Form | None:
    known = catalog.form_of(clean(key)) if key else None
    return known.form if known else None


def _posted(parsed: Parsed) -> Posted:
    return Posted(
        payload=parsed.payload,
        raw=parsed.raw,
        content_type=clean(request.content_type or ""),
        headers={name: clean(request.headers[name])[:1000] for name in KEPT_HEADERS if name in request.headers},
        uploads=read_uploads(parsed.files),
        problems=parsed.problems,
        page=clean(request.referrer or ""),
        idempotency_key=clean(request.headers.get("Idempotency-Key", "")),
        correlation_id=request.environ.get("leadapp.request_id", ""),
    )


def _typed(parsed: Parsed | None) -> Typed | None:
    if parsed is None:
        return None
    return {
        name: [as_text(one) for one in value] if isinstance(value, list) else [as_text(value)]
        for name, value in parsed.payload.items()
    }
