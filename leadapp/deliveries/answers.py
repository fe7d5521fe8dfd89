"""What a receiver's answer means: delivery-contract.md's table, as the DeliveryError that follows, or None.

The words are shown to shop owners: what happened first, the code with it.
"""

import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from leadapp import clock
from leadapp.deliveries.meanings import Meaning
from leadapp.errors import DeliveryError, DestinationError, PermanentError, TemporaryError
from leadapp.http import Answer

LONGEST_WAIT = timedelta(hours=24)
LOGIN_CODES = frozenset({530, 534, 535, 538})  # RFC 4954: log in first, too weak, refused, encrypt first
SAID_LIMIT = 200
NO_MAILBOX = re.compile(r"\b5\.1\.1\b")
HINTS = {
    400: "it does not accept what we send",
    404: "there is nothing at this address",
    405: "it takes no posts at this address",
    409: "it may have this one already",
    413: "this lead is too large for it",
    422: "it does not accept what we send",
}


def http_error(who: str, answer: Answer, retry_statuses: Collection[str]) -> DeliveryError | None:
    """None for 2xx, else what it means. `who` begins the sentence: "The webhook"."""
    status, excerpt = answer.status, answer.excerpt
    if 200 <= status < 300:
        return None
    if str(status) in retry_statuses or 500 <= status < 600:
        wait = retry_after(answer.headers)
        asked = f" and asks us to wait {_span(wait)}" if wait else ""
        return TemporaryError(f"{who} answered {status}{asked}", status_code=status, answer=excerpt, retry_after=wait)
    if status in (401, 403):
        said = f"{who} refuses our token ({status})"
        return DestinationError(said, disable=False, status_code=status, answer=excerpt)
    if status == 410:
        return DestinationError(f"{who} answered 410: it is gone", disable=True, status_code=status, answer=excerpt)
    if 300 <= status < 400:
        hint = "it has moved or the address is wrong, and we follow no redirects"
        return PermanentError(f"{who} answered {status}: {hint}", status_code=status, answer=excerpt)
    hint = f": {HINTS[status]}" if status in HINTS else ""
    return PermanentError(f"{who} answered {status}{hint}", status_code=status, answer=excerpt)


def meant(who: str, answer: Answer, meaning: Meaning) -> DeliveryError | None:
    """What the destination's own table says of an answer; None when the receiver has it."""
    status, excerpt = answer.status, answer.excerpt
    if meaning in (Meaning.DELIVERED, Meaning.DUPLICATE):
        return None
    if meaning is Meaning.RETRY:
        wait = retry_after(answer.headers)
        said = f"{who} answered {status}, which means try again later"
        return TemporaryError(said, status_code=status, answer=excerpt, retry_after=wait)
    return PermanentError(f"{who} answered {status}, which means no", status_code=status, answer=excerpt)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """The Retry-After header, seconds or an HTTP date, at most 24 h; None when absent, past or unreadable."""
    value = str(headers.get("Retry-After") or "").strip()
    if re.fullmatch(r"[0-9]+", value):
        seconds = int(value[:12]) if len(value) <= 12 else LONGEST_WAIT.total_seconds()
        wait = timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))
    else:
        until = _http_date(value)
        if until is None:
            return None
        # Their clock against their clock, so that ours may be wrong.
        wait = min(until - (_http_date(headers.get("Date") or "") or clock.now()), LONGEST_WAIT)
    return wait if wait > timedelta(0) else None


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def smtp_error(code: int, text: str, is_login: bool = False) -> DeliveryError | None:
    """None for 2yz, else what the mail server's answer means; `is_login` when it answered our log-in."""
    if 200 <= code < 300:
        return None
    said = " ".join(text.split())[:SAID_LIMIT]
    if code in LOGIN_CODES or (is_login and code >= 500):
        return DestinationError(
            f"The mail server refuses our log-in ({code})", disable=False, status_code=code, answer=text
        )
    sentence = f"The mail server answered {code}{': ' if said else ''}{said}"
    if not 500 <= code < 600:
        return TemporaryError(sentence, status_code=code, answer=text)
    if NO_MAILBOX.search(text):
        sentence = f"There is no mailbox at this address ({code} 5.1.1)"
    return PermanentError(sentence, status_code=code, answer=text)


def _span(wait: timedelta) -> str:
    """A wait in words: "30 seconds", "5 minutes", "2 hours"."""
    seconds = round(wait.total_seconds())
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= 2 * size:
            return f"{round(seconds / size)} {unit}s"
    return "1 second" if seconds == 1 else f"{seconds} seconds"
