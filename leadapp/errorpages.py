"""What anybody sees when a request fails: a page in plain words, or JSON for scripts. Never a traceback."""

import logging
from typing import NamedTuple

from flask import Flask, Response, jsonify, request
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from werkzeug.exceptions import HTTPException

from leadapp import clock
from leadapp.errors import PayloadError
from leadapp.leads import cors, pages, webhook_answers
from leadapp.leads.answering import error_json, refusal, wants_json
from leadapp.leads.kept_fields import Typed
from leadapp.ops import logs
from leadapp.webextensions import limiter

RETRY_AFTER_SECONDS = 30

log = logging.getLogger(__name__)


class Words(NamedTuple):
    """How an HTTP status is said: `code` to machines, `title` and `text` to people."""

    code: str
    title: str
    text: str


WORDS = {
    400: Words("BAD_REQUEST", "We could not read that", "Part of it arrived damaged. Go back and try once more."),
    401: Words("LOGIN_NEEDED", "Please log in first", "This page is for people with an account here."),
    403: Words(
        "FORBIDDEN",
        "This page is not open to you",
        "Your account may not use it. The owner of this Leadapp can give you another role.",
    ),
    404: Words("NOT_FOUND", "There is nothing at this address", "The link may be old, or a letter may be missing."),
    405: Words(
        "METHOD_NOT_ALLOWED",
        "This address works in another way",
        "It cannot be opened like this. If you sent a form, its address is not quite right.",
    ),
    413: Words(
        "FILES_TOO_BIG",
        "That is more than we can take",
        "Go back, send smaller files or fewer of them, and keep your text: it is still in the form.",
    ),
    415: Words("UNSUPPORTED_TYPE", "We cannot read this kind of content", "Send it as a form or as JSON."),
    429: Words(
        "TOO_MANY_REQUESTS",
        "That was a little fast",
        "Many requests came from your connection. Wait a minute, then try again.",
    ),
    500: Words(
        "SERVER_ERROR",
        "Something broke on our side",
        "It has been written down, and it is not your doing. Please try again in a few minutes.",
    ),
    503: Words(
        "UNAVAILABLE",
        "We cannot reach our storage right now",
        "This usually takes less than a minute. Please try again.",
    ),
}
FORM_NOT_FOUND = Words(
    "FORM_NOT_FOUND",
    "This form does not exist",
    "Is this your site? Compare the address in the form's action with the one in the admin, under Forms.",
)
STALE = Words(
    "PAGE_TOO_OLD",
    "This page was open too long",
    "Nothing was changed. Go back, load the page again and send it once more; cookies must be allowed.",
)
NOT_SENT = {
    400: "Your message was not sent: part of it arrived damaged. Please try again.",
    413: "Your message was not sent: it is more than we can take. Send smaller files or fewer of them.",
    429: "Your message was not sent: many came from your connection. Wait a minute, then send it again.",
    500: "Your message was not sent: something broke on our side. Please try again.",
    503: "Your message was not sent; please try again. We cannot reach our storage right now.",
}


def init_app(app: Flask) -> None:
    app.register_error_handler(HTTPException, answer_http_error)
    for unreachable in (OperationalError, InterfaceError, PoolTimeoutError):
        app.register_error_handler(unreachable, answer_lost_database)


def answer_http_error(error: HTTPException) -> Response | HTTPException:
    """Every abort() and unhandled exception."""
    if error.code is None or error.code < 400 or error.response is not None:
        return error
    answer = _answer(error.code, _words(error))
    for name, value in error.get_headers():
        if name.lower() in ("allow", "retry-after", "www-authenticate"):
            answer.headers[name] = value
    if error.code == 429 and "Retry-After" not in answer.headers:
        answer.headers["Retry-After"] = str(_seconds_to_wait())
    return answer


def answer_lost_database(error: SQLAlchemyError) -> Response:
    """The database is away, locked or out of connections: nothing was saved, and that is what we say."""
    cause = getattr(error, "orig", None) or error
    log.error("database unavailable", extra={"code": type(cause).__name__})
    answer = _answer(503, WORDS[503])
    answer.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return answer


def _words(error: HTTPException) -> Words:
    if isinstance(error, CSRFError):
        return STALE
    if error.code == 404 and request.path.startswith("/f/"):
        return FORM_NOT_FOUND
    return WORDS.get(error.code or 500) or Words(error.name.upper().replace(" ", "_"), error.name, "")


def _answer(status: int, words: Words) -> Response:
    if webhook_answers.is_ours(request.path):
        return webhook_answers.failure(status, words.code, f"{words.title}. {words.text}".strip())
    if _is_form_post():
        message = NOT_SENT.get(status, f"Your message was not sent. {words.title}. {words.text}")
        return cors.allow(refusal(PayloadError(status, words.code, message), typed=_typed(status)), None)
    if wants_json(request):
        answer = jsonify(error_json(PayloadError(status, words.code, f"{words.title}. {words.text}".strip())))
    else:
        reference = logs.request_id() if status == 500 else ""
        answer = Response(pages.render("public/error.html", words=words, reference=reference))
    answer.status_code = status
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _is_form_post() -> bool:
    return request.method == "POST" and (request.path.startswith("/f/") or request.path in ("/", "/submit"))


def _typed(status: int) -> Typed | None:
    """What the visitor typed, for the page to give it back; None when the body is what cannot be read."""
    if status in (400, 413, 415):
        return None
    try:
        return request.form.to_dict(flat=False)
    except HTTPException:  # too large, or the connection broke: then there is nothing to keep
        return None


def _seconds_to_wait() -> int:
    """Until the limit that was hit lets go; a minute where the limiter cannot say."""
    hit = limiter.current_limit
    if hit is None:
        return 60
    left = int(hit.reset_at - clock.now().timestamp())  # reset_at is rounded up to a whole second
    return min(max(1, left), hit.limit.get_expiry())
