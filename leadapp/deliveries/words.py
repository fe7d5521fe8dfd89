"""What people read about a delivery: the words of states.md, a shape and a tone. Pure; no database, no HTML."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from leadapp.deliveries.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
    Kind,
)

SENT, WAITING, RETRYING, NEEDS_YOU, ON_HOLD, NOTHING = "●", "◔", "▲", "■", "‖", "○"
KIND_NAMES = {Kind.EMAIL: "E-mail", Kind.WEBHOOK: "Webhook", Kind.CRM: "CRM"}
THINGS = {Kind.EMAIL: "mail", Kind.WEBHOOK: "webhook", Kind.CRM: "record"}
BY_HAND = ("paused by hand", "switched off by hand")
_WAITING_STATES = (DeliveryState.PENDING, DeliveryState.FAILED)


@dataclass(frozen=True)
class Words:
    """A state for people. `tone` is a colour token (good, wait, bad, hold, muted); `at` the exact time behind
    the relative one."""

    text: str
    shape: str
    tone: str
    at: datetime | None = None


def sentence(delivery: Delivery, destination: Destination, now: datetime) -> Words:
    """The state of one delivery, as the admin says it."""
    if delivery.state in _WAITING_STATES and (waits := waiting_for(destination, now)):
        return waits
    match delivery.state:
        case DeliveryState.PENDING:
            return _pending(delivery, now)
        case DeliveryState.HELD:
            return Words(f"on hold: {delivery.held_reason or 'no reason given'}", ON_HOLD, "hold")
        case DeliveryState.SENDING:
            return Words("being sent", WAITING, "wait")
        case DeliveryState.DELIVERED:
            return Words(f"sent, {_ago_or_now(delivery.sent_at, now)}", SENT, "good", delivery.sent_at)
        case DeliveryState.FAILED:
            again = soon(delivery.next_attempt_at, now)
            text = f"failed {times(delivery.attempts)}, next try {again}"
            return Words(text, RETRYING, "wait", delivery.next_attempt_at)
        case DeliveryState.PERMANENTLY_FAILED:
            return Words(f"needs you: {cause(delivery)}; {advice(delivery)}", NEEDS_YOU, "bad")
        case DeliveryState.UNKNOWN:
            return Words("may have been sent: mark it as sent, or send it again", NEEDS_YOU, "bad")
        case DeliveryState.CANCELLED:
            return Words(f"not sent: {plain(delivery.last_error) or 'called off'}", NOTHING, "muted")


def _pending(delivery: Delivery, now: datetime) -> Words:
    if delivery.next_attempt_at and delivery.next_attempt_at - now > timedelta(seconds=5):
        text = f"waiting to be sent, first try {soon(delivery.next_attempt_at, now)}"
        return Words(text, WAITING, "wait", delivery.next_attempt_at)
    return Words("waiting to be sent", WAITING, "wait")


def waiting_for(destination: Destination, now: datetime) -> Words | None:
    """Why the rows of this destination wait, when they do."""
    until = destination.paused_until if destination.paused_until and destination.paused_until > now else None
    if destination.state is DestinationState.ACTIVE:
        if until is None:
            return None
        return Words(f"waits: {destination.name} asked us to come back {soon(until, now)}", ON_HOLD, "hold", until)
    is_paused = destination.state is DestinationState.PAUSED
    text = f"waits: {destination.name} {stopped(destination)}"
    if is_paused and destination.paused_until is not None:
        return Words(f"{text}; one is tried {soon(destination.paused_until, now)}", ON_HOLD, "hold", until)
    return Words(text, ON_HOLD, "hold")


def stopped(destination: Destination) -> str:
    """`is paused because it answered 401`, `was switched off by hand`."""
    reason = plain(destination.state_reason)
    if reason in BY_HAND:
        return f"was {reason}"
    verb = "is paused" if destination.state is DestinationState.PAUSED else "is switched off"
    return f"{verb} because {_lower_first(reason)}" if reason else verb


def remedy(destination: Destination) -> str:
    """What a person can do about a destination that is not in use."""
    reason = destination.state_reason
    if reason in BY_HAND:
        return "Press Resume when it may go on. Everything that waits is sent then."
    if "log-in" in reason:
        return "Put the right MAIL_USERNAME and MAIL_PASSWORD in, then press Resume. Nothing is lost."
    if "token" in reason:
        return "Give it a working token or address, then press Resume. Nothing is lost."
    return "Put it right, then press Resume. Everything that waits is sent then."


def cause(delivery: Delivery) -> str:
    """Why a row needs somebody, without a full stop."""
    return _lower_first(plain(delivery.last_error)) or "it was refused"


def advice(delivery: Delivery) -> str:
    """What a person can do about it."""
    code = delivery.last_status_code
    if "not set up" in delivery.last_error:
        variable = "DEFAULT_FROM_EMAIL" if "DEFAULT_FROM_EMAIL" in delivery.last_error else "MAIL_SERVER"
        return f"set {variable}, then send it again"
    if delivery.kind is Kind.EMAIL:
        is_refused = code is not None and 500 <= code < 600
        return f"{'check the address' if is_refused else 'check the mail server'}, then send it again"
    if code is None or code >= 500:
        return "see that the receiver is up, then send it again"
    if code < 400 or code in (404, 405, 410):
        return "check the address, then send it again"
    if code in (401, 403):
        return "put in a new token, then send it again"
    return "ask the receiver what it wants, then send it again"


def attempt_sentence(attempt: Attempt, kind: Kind, where: str) -> str:
    """One attempt in the timeline: `webhook to Zapier answered 500`."""
    thing = THINGS[kind]
    code = f" ({attempt.status_code})" if attempt.status_code else ""
    match attempt.outcome:
        case None:
            return f"{thing} to {where}: being sent"
        case AttemptOutcome.DELIVERED:
            verb = "handed over to" if kind is Kind.EMAIL else "delivered to"
            return f"{thing} {verb} {where}{code}"
        case AttemptOutcome.GIVEN_BACK:
            return f"{thing} to {where}: given back unsent, it is tried again"
        case AttemptOutcome.LOST:
            return f"{thing} to {where}: the worker was lost before it could say how it went"
        case AttemptOutcome.UNKNOWN:
            return f"{thing} to {where}: the answer was lost, it may have arrived"
        case _:
            error = plain(attempt.error) or "it failed"
            shown = "" if not attempt.status_code or str(attempt.status_code) in error else code
            return f"{thing} to {where}: {_lower_first(error)}{shown}"


def soon(moment: datetime | None, now: datetime) -> str:
    """`in 4 minutes`; `any moment now` once it is due."""
    if moment is None or moment - now < timedelta(seconds=3):
        return "any moment now"
    return f"in {span(moment - now)}"


def ago(moment: datetime, now: datetime) -> str:
    """`4 minutes ago`; the date once it is older than a week."""
    passed = now - moment
    if passed < timedelta(seconds=10):
        return "just now"
    if passed > timedelta(days=7):
        return f"{moment.day} {moment:%b %Y}"
    return f"{span(passed)} ago"


def _ago_or_now(moment: datetime | None, now: datetime) -> str:
    return ago(moment, now) if moment else "just now"


def span(length: timedelta) -> str:
    """A length of time in one unit, rounded as a person would: `45 seconds`, `4 minutes`, `3 hours`, `2 days`."""
    seconds = max(length.total_seconds(), 0)
    for size, unit, limit in ((1, "second", 60), (60, "minute", 60 * 60), (3600, "hour", 24 * 3600)):
        count = round(seconds / size)
        if count * size < limit:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    count = round(seconds / 86400)
    return f"{count} day{'' if count == 1 else 's'}"


def times(count: int) -> str:
    """`once`, `twice`, `4 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def plain(text: str) -> str:
    """A message as part of a sentence: one line, no full stop at its end."""
    return " ".join(text.split()).rstrip(".")


def _lower_first(text: str) -> str:
    """`The receiver` -> `the receiver`; `HTTP` and `Zapier's` style names stay when the second letter is big."""
    if text[1:2].isupper() or not text.split(" ", maxsplit=1)[0].isalpha():
        return text
    return text[:1].lower() + text[1:]
