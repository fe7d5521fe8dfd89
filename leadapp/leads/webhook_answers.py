"""What a program gets back that posts JSON: one shape for success, and one for every error under /webhooks/."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from uuid import UUID

from flask import Response, jsonify, request

from leadapp.columns import new_id
from leadapp.errors import PayloadError

PREFIX = "/webhooks"
CORRELATION = "X-Correlation-Id"
CORRELATION_HEADERS = (CORRELATION, "X-Request-ID")
RETRY_AFTER_SECONDS = "30"
KEPT_AS = "leadapp.correlation_id"  # in the WSGI environment of the request
_SANE = re.compile(r"[\x20-\x7e]{1,64}")
# What Flask and the limiter refuse before or beside the view, said to programs.
WORDS = {
    HTTPStatus.BAD_REQUEST: ("BAD_REQUEST", "The request could not be read."),
    HTTPStatus.NOT_FOUND: ("NOT_FOUND", "There is nothing at this address. Post leads to /webhooks/leads/<form key>."),
    HTTPStatus.METHOD_NOT_ALLOWED: ("METHOD_NOT_ALLOWED", "This address takes POST."),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("BODY_TOO_BIG", "The body is larger than this address takes."),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "TOO_MANY_REQUESTS",
        "Too many posts came from your address. Send this one again after Retry-After seconds.",
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: ("SERVER_ERROR", "Something broke on our side; nothing was accepted."),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "UNAVAILABLE",
        "The lead could not be stored. Send it again after Retry-After seconds.",
    ),
}


def is_ours(path: str) -> bool:
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def correlation_id() -> str:
    """The id that the sender follows this lead by, if it sent a usable one; else a new one, the same all request."""
    if KEPT_AS not in request.environ:
        given = (request.headers.get(name, "").strip() for name in CORRELATION_HEADERS)
        request.environ[KEPT_AS] = next((one for one in given if _SANE.fullmatch(one)), "") or str(new_id())
    found: str = request.environ[KEPT_AS]
    return found


def accepted(ids: Sequence[UUID], correlation: str) -> Response:
    """200, after the commit. A body without a lead in it (another event of the same sender) is "ignored"."""
    body: dict[str, object] = {"status": "accepted" if ids else "ignored"}
    if ids:
        body["lead_id"] = str(ids[0])
    if len(ids) > 1:
        body["lead_ids"] = [str(one) for one in ids]
    return _finished(jsonify({**body, "correlation_id": correlation}), correlation)


def refusal(error: PayloadError) -> Response:
    """Why nothing was accepted."""
    said: dict[str, object] = {"code": error.code, "message": error.message, "field": error.field}
    if error.position is not None:
        said["position"] = error.position
    correlation = correlation_id()
    answer = jsonify(status="error", error=said, correlation_id=correlation)
    answer.status_code = error.status
    if error.status == HTTPStatus.UNAUTHORIZED:
        answer.headers["WWW-Authenticate"] = 'SharedSecret realm="leads"'  # RFC 9110 asks for one
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        answer.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return _finished(answer, correlation)


def failure(status: int, code: str, message: str) -> Response:
    """An error that did not come from reading a lead, in our words where we have some."""
    if status in WORDS:
        code, message = WORDS[HTTPStatus(status)]
    return refusal(PayloadError(status, code, message))


def _finished(answer: Response, correlation: str) -> Response:
    answer.headers[CORRELATION] = correlation
    answer.headers["Cache-Control"] = "no-store"
    return answer
