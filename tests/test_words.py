"""The words of every state (states.md, "admin says")."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from leadapp.config import ROOT
from leadapp.deliveries import words
from leadapp.deliveries.models import (
    Attempt,
    AttemptOutcome,
    Delivery,
    DeliveryState,
    Destination,
    DestinationState,
    HeldReason,
    Kind,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
S = DeliveryState
ID = UUID(int=1)


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def destination(**values):
    given = {"state": DestinationState.ACTIVE, "state_reason": "", "paused_until": None, "name": "Zapier"}
    return Destination(kind=Kind.WEBHOOK, settings={"url": "https://x.example"}, **{**given, **values})


def delivery(state, **values):
    given = {"kind": Kind.WEBHOOK, "last_error": "", "attempts": 0, "next_attempt_at": NOW, "last_status_code": None}
    return Delivery(id=ID, state=state, **{**given, **values})


@pytest.mark.parametrize(
    ("row", "text", "shape", "tone"),
    [
        (delivery(S.PENDING), "waiting to be sent", "◔", "wait"),
        (delivery(S.PENDING, next_attempt_at=minutes(4)), "waiting to be sent, first try in 4 minutes", "◔", "wait"),
        (delivery(S.HELD, held_reason=HeldReason.FORM_PAUSED), "on hold: form paused", "‖", "hold"),
        (delivery(S.HELD, held_reason=HeldReason.SPAM), "on hold: suspected spam", "‖", "hold"),
        (delivery(S.SENDING), "being sent", "◔", "wait"),
        (delivery(S.DELIVERED, sent_at=minutes(-4)), "sent, 4 minutes ago", "●", "good"),
        (delivery(S.DELIVERED, sent_at=None), "sent, just now", "●", "good"),
        (
            delivery(S.FAILED, attempts=1, next_attempt_at=minutes(0.5)),
            "failed once, next try in 30 seconds",
            "▲",
            "wait",
        ),
        (
            delivery(S.FAILED, attempts=4, next_attempt_at=minutes(4)),
            "failed 4 times, next try in 4 minutes",
            "▲",
            "wait",
        ),
        (
            delivery(S.FAILED, attempts=2, next_attempt_at=minutes(-1)),
            "failed twice, next try any moment now",
            "▲",
            "wait",
        ),
        (
            delivery(S.PERMANENTLY_FAILED, last_error="The webhook answered 400.", last_status_code=400),
            "needs you: the webhook answered 400; ask the receiver what it wants, then send it again",
            "■",
            "bad",
        ),
        (
            delivery(S.PERMANENTLY_FAILED, last_error="mail is not set up", kind=Kind.EMAIL),
            "needs you: mail is not set up; set MAIL_SERVER, then send it again",
            "■",
            "bad",
        ),
        (delivery(S.UNKNOWN), "may have been sent: mark it as sent, or send it again", "■", "bad"),
        (delivery(S.CANCELLED, last_error="called off by hand"), "not sent: called off by hand", "○", "muted"),
    ],
)
def test_each_state_has_its_words_shape_and_tone(row, text, shape, tone):
    said = words.sentence(row, destination(), NOW)
    assert (said.text, said.shape, said.tone) == (text, shape, tone)


def test_every_state_of_the_machine_has_words():
    for state in DeliveryState:
        assert words.sentence(delivery(state), destination(), NOW).text


@pytest.mark.parametrize("state", [S.PENDING, S.FAILED])
@pytest.mark.parametrize(
    ("values", "text"),
    [
        (
            {"state": DestinationState.PAUSED, "state_reason": "The webhook refuses our token (401)"},
            "waits: Zapier is paused because the webhook refuses our token (401)",
        ),
        ({"state": DestinationState.PAUSED, "state_reason": "paused by hand"}, "waits: Zapier was paused by hand"),
        ({"state": DestinationState.PAUSED}, "waits: Zapier is paused"),
        (
            {"state": DestinationState.PAUSED, "state_reason": "20 failures in a row", "paused_until": minutes(8)},
            "waits: Zapier is paused because 20 failures in a row; one is tried in 8 minutes",
        ),
        (
            {"state": DestinationState.DISABLED, "state_reason": "It is gone (410)."},
            "waits: Zapier is switched off because it is gone (410)",
        ),
        ({"paused_until": minutes(60)}, "waits: Zapier asked us to come back in 1 hour"),
    ],
)
def test_rows_of_a_destination_that_holds_them_say_why(state, values, text):
    assert words.sentence(delivery(state), destination(**values), NOW).text == text


def test_a_retry_after_that_has_passed_holds_nothing():
    assert words.waiting_for(destination(paused_until=minutes(-1)), NOW) is None


def test_a_sent_row_does_not_care_that_its_destination_is_paused():
    paused = destination(state=DestinationState.PAUSED, state_reason="paused by hand")
    assert words.sentence(delivery(S.DELIVERED, sent_at=NOW), paused, NOW).text == "sent, just now"


@pytest.mark.parametrize(
    ("kind", "code", "advice"),
    [
        (Kind.WEBHOOK, None, "see that the receiver is up, then send it again"),
        (Kind.WEBHOOK, 503, "see that the receiver is up, then send it again"),
        (Kind.WEBHOOK, 302, "check the address, then send it again"),
        (Kind.WEBHOOK, 404, "check the address, then send it again"),
        (Kind.CRM, 403, "put in a new token, then send it again"),
        (Kind.CRM, 422, "ask the receiver what it wants, then send it again"),
        (Kind.EMAIL, 550, "check the address, then send it again"),
        (Kind.EMAIL, 450, "check the mail server, then send it again"),
        (Kind.EMAIL, None, "check the mail server, then send it again"),
    ],
)
def test_the_advice_fits_the_answer(kind, code, advice):
    assert words.advice(delivery(S.PERMANENTLY_FAILED, kind=kind, last_status_code=code)) == advice


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 seconds"), (1, "1 second"), (59, "59 seconds"), (60, "1 minute"), (89, "1 minute"), (3599, "1 hour"),
     (7200, "2 hours"), (86399, "1 day"), (86400, "1 day"), (200000, "2 days")],
)  # fmt: skip
def test_a_span_is_said_in_one_unit(seconds, text):
    assert words.span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    ("passed", "text"),
    [(timedelta(seconds=2), "just now"), (timedelta(minutes=4), "4 minutes ago"), (timedelta(days=3), "3 days ago"),
     (timedelta(days=30), "23 Oct 2026")],
)  # fmt: skip
def test_the_past_is_said_relatively_for_a_week(passed, text):
    assert words.ago(NOW - passed, NOW) == text


@pytest.mark.parametrize(
    ("outcome", "values", "text"),
    [
        (None, {}, "webhook to Zapier: being sent"),
        (AttemptOutcome.DELIVERED, {"status_code": 200}, "webhook delivered to Zapier (200)"),
        (
            AttemptOutcome.FAILED,
            {"status_code": 500, "error": "The webhook answered 500"},
            "webhook to Zapier: the webhook answered 500",
        ),
        (AttemptOutcome.FAILED, {"error": ""}, "webhook to Zapier: it failed"),
        (AttemptOutcome.GIVEN_BACK, {}, "webhook to Zapier: given back unsent, it is tried again"),
        (AttemptOutcome.LOST, {}, "webhook to Zapier: the worker was lost before it could say how it went"),
        (AttemptOutcome.UNKNOWN, {}, "webhook to Zapier: the answer was lost, it may have arrived"),
    ],
)
def test_an_attempt_is_a_sentence(outcome, values, text):
    attempt = Attempt(outcome=outcome, **{"error": "", "status_code": None, **values})
    assert words.attempt_sentence(attempt, Kind.WEBHOOK, "Zapier") == text


def test_a_mail_is_handed_over():
    attempt = Attempt(outcome=AttemptOutcome.DELIVERED, status_code=250, error="")
    assert words.attempt_sentence(attempt, Kind.EMAIL, "owner@x.example") == "mail handed over to owner@x.example (250)"


def test_every_outcome_has_a_sentence():
    for outcome in AttemptOutcome:
        assert words.attempt_sentence(Attempt(outcome=outcome, error=""), Kind.CRM, "CRM")


def test_no_page_says_since_before_a_relative_time():
    """Since ten o'clock, but not since 5 minutes ago."""
    pages = (ROOT / "templates").rglob("*.html")
    wrong = [page.name for page in pages if re.search(r"since\s*\{\{[^}]*\|\s*when", page.read_text(), re.IGNORECASE)]
    assert wrong == []
