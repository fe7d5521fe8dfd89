"""POST /f/<form key>: where forms post to. Parse, accept, answer."""

from flask import Blueprint, Response, g, request
from sqlalchemy import select
from werkzeug.exceptions import RequestEntityTooLarge

from leadapp.accounts.guard import PUBLIC
from leadapp.config import settings
from leadapp.errors import PayloadError
from leadapp.extensions import csrf, db, limiter
from leadapp.files.uploads import read_uploads
from leadapp.leads import answering, cors, intake
from leadapp.leads.fields import as_text
from leadapp.leads.kept_fields import Typed
from leadapp.leads.models import Form
from leadapp.leads.parsing import clean, parse
from leadapp.leads.reading import Posted

# What is kept of a request's headers: nothing that identifies or authorises anybody.
KEPT_HEADERS = ("User-Agent", "Referer", "Origin", "Accept-Language", "Content-Length", "X-Request-ID")

forms = Blueprint("forms", __name__)
forms.access = PUBLIC  # type: ignore[attr-defined]


@forms.post("/f/<key>", provide_automatic_options=False)
@csrf.exempt  # the form stands on somebody else's site
@limiter.limit(lambda: settings().ratelimit_posts)
def submit(key: str) -> Response:
    """Save the lead, then say so; an error keeps what was typed."""
    form = db.session.scalar(select(Form).where(Form.key == key))
    posted: Posted | None = None
    try:
        if form is None:
            raise PayloadError(404, "FORM_NOT_FOUND", "There is no form at this address.")
        posted = _read()
        accepted = intake.accept(form, posted, source="form")
        g.lead_id = str(accepted.lead_id)  # for the log line of this request
        answer = answering.success(form, accepted.lead_id, accepted.next_page)
    except PayloadError as error:
        db.session.rollback()
        answer = answering.refusal(error, form=form, typed=_typed(posted))
    return cors.allow(answer, form)


@forms.route("/f/<key>", methods=["OPTIONS"])
@limiter.exempt
def preflight(key: str) -> Response:
    """What a browser asks before a script on another site may post here."""
    form = db.session.scalar(select(Form).where(Form.key == key))
    return cors.preflight(form)


def _read() -> Posted:
    limits = settings()
    try:
        raw = request.get_data(cache=True)
    except RequestEntityTooLarge as error:
        megabytes = limits.max_post_bytes / 1_000_000
        message = f"This is too large to be sent: at most {megabytes:g} MB, files included."
        raise PayloadError(413, "FILES_TOO_BIG", message) from error
    parsed = parse(request.content_type or "", raw, limits)
    return Posted(
        payload=parsed.payload,
        raw=parsed.raw,
        content_type=clean(request.content_type or ""),
        headers={name: clean(request.headers[name])[:1000] for name in KEPT_HEADERS if name in request.headers},
        uploads=read_uploads(parsed.files),
        problems=parsed.problems,
        page=clean(request.referrer or ""),
        idempotency_key=clean(request.headers.get("Idempotency-Key", ""))[:255],
    )


def _typed(posted: Posted | None) -> Typed | None:
    if posted is None:
        return None
    return {
        name: [as_text(one) for one in value] if isinstance(value, list) else [as_text(value)]
        for name, value in posted.payload.items()
    }
