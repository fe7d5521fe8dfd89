"""What the channels that post JSON share: the call itself, and why it could not be made."""

import time
from collections.abc import Mapping

from leadapp import http
from leadapp.deliveries.claims import Claim
from leadapp.errors import BlockedAddressError, ConnectionFailedError, NotSentError, PermanentError, TemporaryError

JSON = {"Content-Type": "application/json"}


def address_of(claim: Claim) -> str:
    """Where the row goes: its destination as it is set now."""
    return str(claim.settings.get("url") or claim.recipient)


def post(who: str, claim: Claim, headers: Mapping[str, str], deadline: float) -> http.Answer:
    """POST the row's body to its destination as it is set now; over by `deadline` (time.monotonic()).

    `who` begins the sentence when there is no answer: "The webhook".
    """
    if time.monotonic() >= deadline:
        raise NotSentError("no time left to send it")
    try:
        return http.post(address_of(claim), claim.payload.encode(), {**JSON, **headers}, deadline)
    except BlockedAddressError as error:
        raise PermanentError(f"{who}'s address may not be called: {error}") from error
    except ConnectionFailedError as error:
        raise TemporaryError(f"{who} {error}") from error
