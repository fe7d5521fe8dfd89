"""What the sender of a form gets back: a page or JSON (form-contract.md, "What goes out")."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote
from uuid import UUID

from flask import Request, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from leadapp.errors import PayloadError
from leadapp.leads import pages
from leadapp.leads.kept_fields import Typed
from leadapp.leads.models import Form
from leadapp.leads.redirects import next_page
from leadapp.leads.snippet import form_address

THANKS = "Thank you. Your message has arrived."
JSON_TYPES = ("application/json",)
HTML_TYPES = ("text/html", "application/xhtml+xml")


def wants_json(asking: Request) -> bool:
    """XMLHttpRequest, or JSON before HTML in Accept, or a JSON body whose Accept does not prefer HTML."""
    if asking.headers.get("X-Requested-With", "").lower() == "xmlhttprequest":
        return True
    json_at, html_at = _rank(asking, JSON_TYPES), _rank(asking, HTML_TYPES)
    if asking.is_json and html_at is None:
        return True
    return json_at is not None and (html_at is None or json_at < html_at)


def _rank(asking: Request, names: Sequence[str]) -> tuple[float, int] | None:
    """Where the first of these types stands in Accept: weight, then order; None when not named, or q=0."""
    accepted = [(name.partition(";")[0].lower(), weight) for name, weight in asking.accept_mimetypes]
    places = [(-weight, at) for at, (name, weight) in enumerate(accepted) if name in names and weight > 0]
    return min(places, default=None)


def success(form: Form, lead_id: UUID, wanted: str = "") -> Response:
    """The lead is saved: 303 to the next page, or JSON. `wanted` is the post's `_next`, checked here."""
    own_page = f"{form_address(form)}/thanks"
    address = next_page(
        wanted,
        own_page,
        site_url=form.site_url,
        allowed_origins=form.allowed_origins,
        posted_from=request.referrer or request.headers.get("Origin", ""),
    )
    if wants_json(request):
        return jsonify(ok=True, success=True, id=str(lead_id), next=address, message=THANKS)
    if address == own_page:  # by its path: right whatever name this installation is reached by
        address = f"{request.script_root}/f/{quote(form.key, safe='')}/thanks"
    headers = {"Location": address, "Cache-Control": "no-store"}
    return Response(status=HTTPStatus.SEE_OTHER, headers=headers)


def refusal(
    *errors: PayloadError,
    form: Form | None = None,
    typed: Typed | None = None,
    retry_after: int | None = None,
) -> Response:
    """Why nothing was saved, with the first error's status: JSON, or a page that keeps what was typed.

    `typed` is None when the body could not be read.
    """
    if wants_json(request):
        answer = jsonify(error_json(*errors))
    else:
        file_fields = _file_fields() if typed is not None else []
        answer = Response(pages.problem(form, errors, typed or {}, file_fields=file_fields))
    answer.status_code = errors[0].status
    answer.headers["Cache-Control"] = "no-store"
    if retry_after is not None:
        answer.headers["Retry-After"] = str(retry_after)
    return answer


def _file_fields() -> list[str]:
    try:
        return list(request.files)
    except HTTPException:  # werkzeug refuses what our own, more patient parser has read
        return []


def error_json(*errors: PayloadError) -> dict[str, object]:
    """The one shape of an error that scripts get."""
    words = " ".join(error.message for error in errors)
    return {
        "ok": False,
        "success": False,
        "error": words,
        "message": words,
        "errors": [{"code": e.code, "field": e.field, "message": e.message} for e in errors],
    }
