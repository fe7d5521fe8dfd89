"""The customer's API: the body that the mapping made, posted once with the token of its destination.

A second run posts the same body under the same Idempotency-Key; the customer drops a key that it knows.
"""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from leadapp.config import Settings, settings
from leadapp.deliveries.answers import http_error, meant
from leadapp.deliveries.channels import posting
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.deliveries.meanings import AnswerRule, Meaning, meaning_of, read_meanings
from leadapp.errors import DestinationError, RulesError

WHO = "The customer's API"
HAD_IT = "They had it already."


def deadline_seconds(settings: Settings) -> float:
    """The whole call, in seconds."""
    return settings.http_timeout


def send(claim: Claim, deadline: float) -> Receipt:
    """POST the row's body to its destination as it is set now; over by `deadline` (time.monotonic())."""
    table = _table(claim.settings.get("answers"))  # what is unfit is found before it is sent
    answer = posting.post(WHO, claim, headers(claim), deadline)
    meaning = meaning_of(answer.status, answer.body, table)
    refusal = http_error(WHO, answer, settings().retry_statuses) if meaning is None else meant(WHO, answer, meaning)
    if refusal:
        raise refusal
    note = f"{HAD_IT} " if meaning is Meaning.DUPLICATE else ""
    return Receipt(answer.status, f"{note}{answer.excerpt}")


def headers(claim: Claim) -> dict[str, str]:
    """What goes along beside the body. DestinationError when the token is one that no header can carry."""
    found = {"Idempotency-Key": str(claim.delivery_id)}
    if claim.correlation_id:
        found["X-Correlation-Id"] = claim.correlation_id
    if claim.secret:
        found["Authorization"] = f"Bearer {_token(claim.secret)}"
    return found


def _token(secret: str) -> str:
    """What no header can carry would fail every row; the destination waits for a better one instead."""
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise DestinationError(f"{WHO}'s token cannot be sent: put in a new token, then resume it", disable=False)
    return secret


def _table(answers: Any) -> Sequence[AnswerRule]:
    try:
        return _read(json.dumps(answers)) if answers else ()
    except RulesError as error:
        raise DestinationError(
            f"The list of what the answers of the customer's API mean cannot be used: {error}", disable=False
        ) from error


@lru_cache(maxsize=100)
def _read(text: str) -> Sequence[AnswerRule]:
    return read_meanings(text)
