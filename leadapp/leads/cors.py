"""Cross-origin answers for forms that post with fetch (form-contract.md, "preflight"). Never with credentials."""

from flask import Response, request

from leadapp.leads.models import Form
from leadapp.leads.redirects import origin_of

ALLOWED_HEADERS = (
    "Accept, Content-Type, X-Requested-With, Authorization, Idempotency-Key, Formspree-Client, Formspree-Session-Data"
)
REMEMBERED_SECONDS = "600"


def allow(answer: Response, form: Form | None) -> Response:
    """Let the page that posted read the answer, errors too. An empty list of origins allows any."""
    origin = request.headers.get("Origin", "")
    answer.vary.add("Origin")
    if origin and (form is None or _is_allowed(origin, form)):
        answer.headers["Access-Control-Allow-Origin"] = origin if form and form.allowed_origins else "*"
        answer.headers["Access-Control-Expose-Headers"] = "X-Request-ID, Retry-After"
    return answer


def preflight(form: Form | None) -> Response:
    """204 with what is allowed."""
    answer = allow(Response(status=204), form)
    answer.headers["Access-Control-Allow-Methods"] = "POST, OPTIONS"
    answer.headers["Access-Control-Allow-Headers"] = ALLOWED_HEADERS
    answer.headers["Access-Control-Max-Age"] = REMEMBERED_SECONDS
    return answer


def _is_allowed(origin: str, form: Form) -> bool:
    allowed = {origin_of(one) for one in form.allowed_origins} - {""}
    return not form.allowed_origins or origin_of(origin) in allowed
