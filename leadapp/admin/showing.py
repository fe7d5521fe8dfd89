"""What templates use to show times, states, links and JSON."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from flask import Flask, url_for
from markupsafe import Markup, escape

from leadapp import clock
from leadapp.admin.set_up import is_set_up
from leadapp.deliveries import words
from leadapp.deliveries.models import Delivery, Destination, DestinationState, Kind
from leadapp.deliveries.words import NEEDS_YOU, NOTHING, ON_HOLD, RETRYING, SENT, WAITING, Words
from leadapp.leads.kept_fields import label_of
from leadapp.leads.models import IntegrationStatus, LeadStatus

LEAD_WORDS = {
    LeadStatus.RECEIVED: Words("saved, not looked at yet", WAITING, "wait"),
    LeadStatus.REJECTED: Words("not passed on", NOTHING, "muted"),
    LeadStatus.READY: Words("on its way", WAITING, "wait"),
    LeadStatus.DELIVERED: Words("sent", SENT, "good"),
    LeadStatus.FAILED: Words("being tried again", RETRYING, "wait"),
    LeadStatus.PERMANENTLY_FAILED: Words("needs you", NEEDS_YOU, "bad"),
}
INTEGRATION_WORDS = {
    IntegrationStatus.DISABLED: Words("not sent", NOTHING, "muted"),
    IntegrationStatus.PENDING: Words("waiting", WAITING, "wait"),
    IntegrationStatus.FAILED: Words("failed", RETRYING, "wait"),
    IntegrationStatus.SENT: Words("sent", SENT, "good"),
}
NOT_SET_UP = Words("not set up", NOTHING, "muted")
NOT_PASSED_ON = Words("not sent: rejected", NOTHING, "muted")
DESTINATION_WORDS = {
    DestinationState.ACTIVE: Words("in use", SENT, "good"),
    DestinationState.PAUSED: Words("paused", ON_HOLD, "hold"),
    DestinationState.DISABLED: Words("switched off", NOTHING, "muted"),
}


def init_app(app: Flask) -> None:
    """Filters and functions for every template."""
    app.jinja_env.filters.update(
        when=when,
        exact=exact,
        clock_time=clock_time,
        badge=badge,
        lead_state=lead_state,
        mailto=mailto,
        tel=tel,
        web_link=web_link,
        pretty=pretty,
        size=size,
        plural=plural,
        unpacked=json.loads,
        label_of=label_of,
    )
    app.jinja_env.globals.update(
        delivery_words=delivery_words,
        lead_words=lead_words,
        integration_words=integration_words,
        destination_words=destination_words,
        stopped_words=words.stopped,
        kind_name=words.KIND_NAMES.__getitem__,
        soon=lambda moment: words.soon(moment, clock.now()),
        span=words.span,
    )


def exact(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %b %Y, %H:%M:%S} UTC"


def when(moment: datetime | None, text: str = "") -> Markup:
    """A relative time, with the exact one on hover and for machines."""
    if moment is None:
        return Markup("")
    now = clock.now()
    shown = text or (words.ago(moment, now) if moment <= now else words.soon(moment, now))
    return Markup('<time datetime="{}" title="{}">{}</time>').format(clock.iso(moment), exact(moment), shown)


def clock_time(moment: datetime, first: datetime) -> Markup:
    """`10:41:07` for the timeline, with the day once it is another one than the first."""
    shown = f"{moment:%H:%M:%S}" if moment.date() == first.date() else f"{moment.day} {moment:%b %H:%M:%S}"
    return when(moment, shown)


def badge(found: Words) -> Markup:
    """A state as shape, word and colour; the shape is for eyes only."""
    inner = Markup('<span class="shape" aria-hidden="true">{}</span> ').format(found.shape)
    text = when(found.at, found.text) if found.at else escape(found.text)
    return Markup('<span class="state state-{}">{}<span class="state-word">{}</span></span>').format(
        found.tone, inner, text
    )


def delivery_words(row: Delivery) -> Words:
    return words.sentence(row, row.destination, clock.now())


def lead_words(lead: Any) -> Words:
    """The status of a lead; spam says so first."""
    if lead.is_spam:
        return Words("kept as spam", ON_HOLD, "hold")
    if lead.duplicate_of_id and _has_nothing_to_send(lead):
        return Words("repeats an earlier one", NOTHING, "muted")
    if lead.status is LeadStatus.DELIVERED and _has_nothing_to_send(lead):
        return Words("saved, nobody was told", SENT, "good")
    return LEAD_WORDS[lead.status]


def integration_words(lead: Any, kind: str) -> Words:
    """Where a lead stands with one kind of destination. `disabled` says only that no row counts: here is why."""
    status = getattr(lead, f"{kind}_status")
    if status is IntegrationStatus.FAILED and _is_the_one_that_needs_you(lead):
        return LEAD_WORDS[LeadStatus.PERMANENTLY_FAILED]
    if status is not IntegrationStatus.DISABLED:
        return INTEGRATION_WORDS[status]
    if not is_set_up(lead.form_id, Kind(kind)):
        return NOT_SET_UP
    # Of a rejected lead mails and webhooks go out, unless its form says no; the customer never gets it.
    is_kept_back = kind == Kind.CRM and lead.status is LeadStatus.REJECTED
    return NOT_PASSED_ON if is_kept_back else INTEGRATION_WORDS[status]


def _is_the_one_that_needs_you(lead: Any) -> bool:
    """ "failed" promises another try. Where only one kind failed and the lead needs somebody, there is none."""
    failed = (lead.email_status, lead.webhook_status, lead.crm_status).count(IntegrationStatus.FAILED)
    return lead.status is LeadStatus.PERMANENTLY_FAILED and failed == 1


def lead_state(lead: Any) -> Markup:
    """The badge of a lead; that of a repeat leads to the first one."""
    shown = badge(lead_words(lead))
    if lead.is_spam or not (lead.duplicate_of_id and _has_nothing_to_send(lead)):
        return shown
    return Markup('<a href="{}">{}</a>').format(url_for("leads.page", lead_id=lead.duplicate_of_id), shown)


def _has_nothing_to_send(lead: Any) -> bool:
    """DELIVERED is also where a lead ends for which nothing was planned, or all called off; "sent" would be untrue."""
    statuses = {lead.email_status, lead.webhook_status, lead.crm_status}
    return statuses == {IntegrationStatus.DISABLED}


def destination_words(row: Destination) -> Words:
    held = words.waiting_for(row, clock.now())
    if held and row.state is DestinationState.ACTIVE:
        return held
    return DESTINATION_WORDS[row.state]


def mailto(address: str) -> str:
    return "mailto:" + quote(address, safe="@+.-_")


def tel(number: str) -> str:
    return "tel:" + "".join(c for c in number if c.isascii() and (c.isdigit() or c == "+"))


def web_link(address: str) -> Markup:
    """A link for http and https, plain text for everything else that a stranger can post."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return escape(address)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return escape(address)
    return Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>').format(address, address)


def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.0f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


def plural(count: int, one: str, many: str = "") -> str:
    """`1 lead`, `12 leads`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
