"""Webhook: the frozen body, signed for this try, posted once.

A second run posts the same body under the same `webhook-id`; receivers drop an id that they know.
"""

import time

from leadapp import http, signing
from leadapp.config import Settings, settings
from leadapp.deliveries.answers import http_error
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.errors import (
    BlockedAddressError,
    ConnectionFailedError,
    DestinationError,
    NotSentError,
    PermanentError,
    TemporaryError,
)

WHO = "The webhook"


def deadline_seconds(settings: Settings) -> float:
    """The whole call, in seconds."""
    return settings.http_timeout


def send(claim: Claim, deadline: float) -> Receipt:
    """POST the row's body to its destination as it is set now; over by `deadline` (time.monotonic())."""
    if time.monotonic() >= deadline:
        raise NotSentError("no time left to send it")
    url = str(claim.settings.get("url") or claim.recipient)
    headers = {"Content-Type": "application/json", **_signature(claim)}
    try:
        answer = http.post(url, claim.payload.encode(), headers, deadline)
    except BlockedAddressError as error:
        raise PermanentError(f"{WHO}'s address may not be called: {error}") from error
    except ConnectionFailedError as error:
        raise TemporaryError(f"{WHO} {error}") from error
    meaning = http_error(WHO, answer, settings().retry_statuses)
    if meaning:
        raise meaning
    return Receipt(answer.status, answer.excerpt)


def _signature(claim: Claim) -> dict[str, str]:
    """A receiver that checks would refuse an unsigned body, so without a secret nothing goes out."""
    try:
        return signing.webhook_headers(claim.secret or "", str(claim.delivery_id), claim.claimed_at, claim.payload)
    except ValueError as error:
        raise DestinationError(
            f"{WHO}'s signing secret cannot be read: put in a new one, then resume it", disable=False
        ) from error
