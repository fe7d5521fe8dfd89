"""Webhook: the frozen body, signed for this try, posted once.

A second run posts the same body under the same `webhook-id`; receivers drop an id that they know.
"""

from leadapp import signing
from leadapp.config import Settings, settings
from leadapp.deliveries.answers import http_error
from leadapp.deliveries.channels import posting
from leadapp.deliveries.claims import Claim, Receipt
from leadapp.errors import DestinationError

WHO = "The webhook"


def deadline_seconds(settings: Settings) -> float:
    """The whole call, in seconds."""
    return settings.http_timeout


def send(claim: Claim, deadline: float) -> Receipt:
    """POST the row's body to its destination as it is set now; over by `deadline` (time.monotonic())."""
    answer = posting.post(WHO, claim, _signature(claim), deadline)
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
