"""Who may read figures by machine: whoever knows METRICS_TOKEN; in development anybody."""

import logging

from flask import Response, jsonify, request

from leadapp.config import AppEnv, settings
from leadapp.errors import PayloadError
from leadapp.leads.answering import error_json
from leadapp.leads.senders.proofs import is_same

logger = logging.getLogger(__name__)

NOT_SET = PayloadError(403, "METRICS_TOKEN_NOT_SET", "Figures are closed: METRICS_TOKEN is not set on this server.")
WRONG = PayloadError(401, "TOKEN_NEEDED", "Send the header Authorization: Bearer <METRICS_TOKEN>.")


def check() -> Response | None:
    """A `before_request`: None lets pass. Without a token set, only development is open."""
    token = settings().metrics_token.get_secret_value()
    if not token:
        if settings().app_env is AppEnv.DEVELOPMENT:
            return None
        logger.warning("figures were asked for and are closed: set METRICS_TOKEN")
        return _refuse(NOT_SET)
    return None if _is_right(request.headers.get("Authorization", ""), token) else _refuse(WRONG)


def _is_right(header: str, token: str) -> bool:
    """Compared in constant time; a header may hold any bytes."""
    scheme, _, given = header.partition(" ")
    return is_same(given.strip(), token) and scheme.lower() == "bearer"


def _refuse(error: PayloadError) -> Response:
    answer = jsonify(error_json(error))
    answer.status_code = error.status
    answer.headers["Cache-Control"] = "no-store"
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="leadapp"'
    return answer
