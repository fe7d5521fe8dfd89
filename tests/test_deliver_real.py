"""Leads delivered to a real SMTP server and a real HTTP receiver on loopback that misbehave (the issue's points 2, 3)."""

import email
import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select
from standardwebhooks import Webhook

from leadapp import clock
from leadapp.clock import frozen
from leadapp.deliveries import destinations, work
from leadapp.deliveries.claim import Wanted
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, DestinationState, Kind
from leadapp.extensions import db
from leadapp.leads.models import Form, IntegrationStatus, Lead, LeadStatus
from leadapp.signing import secret_bytes
from tests.factories import NOON, add_destination, add_form, post_lead, the_row
from tests.sinks import HttpSink, RawServer, Request, SmtpSink, time_limit

S = DeliveryState
MAILS = Wanted(kinds=(Kind.EMAIL,), is_any_destination=True)
HOOKS = Wanted(kinds=(Kind.WEBHOOK,), is_any_destination=True)
DeskWith = Callable[..., Form]


@pytest.fixture
def smtp() -> Iterator[SmtpSink]:
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def hook() -> Iterator[HttpSink]:
    with HttpSink() as sink:
        yield sink


@pytest.fixture
def desk_with(app_with: Callable[..., Flask], smtp: SmtpSink, hook: HttpSink) -> DeskWith:
    def build(**overrides) -> Form:
        plain = {
            "mail_server": "127.0.0.1",
            "mail_port": smtp.port,
            "mail_use_tls": False,
            "mail_starttls_required": False,
        }
        app_with(**{**plain, **overrides})
        add_destination(Kind.EMAIL)
        add_destination(Kind.WEBHOOK, hook.url)
        return add_form()

    return build


@pytest.fixture
def desk(desk_with: DeskWith) -> Form:
    return desk_with()


def reload(lead: Lead) -> Lead:
    return db.session.get_one(Lead, lead.id, populate_existing=True)


def destination(kind: Kind) -> Destination:
    query = select(Destination).where(Destination.kind == kind)
    return db.session.scalars(query, execution_options={"populate_existing": True}).one()


def the_only(kind: Kind) -> Delivery:
    query = select(Delivery).where(Delivery.kind == kind)
    return db.session.scalars(query, execution_options={"populate_existing": True}).one()


def later(lead: Lead, kind: Kind) -> frozen:
    """The moment at which this lead's row is due again."""
    return frozen(the_row(lead, kind).next_attempt_at)


def test_a_lead_reaches_the_owners_mailbox_and_the_webhook(desk, smtp, hook):
    lead = post_lead(desk, name="Zoë Ünal", message="Grüße aus 東京")
    work.run(MAILS)
    work.run(HOOKS)
    (mail,) = smtp.mails
    assert "Grüße aus 東京" in mail.text()
    assert mail.message["Reply-To"].addresses[0].addr_spec == "ada@example.com"
    assert mail.message["From"].addresses[0].addr_spec == "desk@shop.example"
    assert str(the_row(lead, Kind.EMAIL).id) in mail.message["Message-ID"]
    body = json.loads(hook.requests[0].body)
    assert (body["type"], body["data"]["name"], body["data"]["id"]) == ("lead.received", "Zoë Ünal", str(lead.id))
    assert reload(lead).status is LeadStatus.DELIVERED


def test_the_signature_is_accepted_by_the_standard_library(desk, hook):
    post_lead(desk)
    work.run(HOOKS)
    secret = secret_bytes(destination(Kind.WEBHOOK).secret)
    request = hook.requests[0]
    believed = Webhook(secret).verify(request.body, dict(request.headers))  # raises when it is not
    assert believed["type"] == "lead.received"


def test_a_worker_whose_clock_is_an_hour_off_signs_with_the_right_time(desk, hook, monkeypatch):
    monkeypatch.setattr(clock, "now", lambda: NOON + timedelta(days=900))
    post_lead(desk)
    work.run(HOOKS)
    assert abs(int(hook.requests[0].headers["webhook-timestamp"]) - time.time()) < 60


@pytest.mark.parametrize("answer", ["450 4.2.0 greylisted", "421 4.3.0 too busy"])
def test_a_server_that_says_later_gets_the_mail_later_and_once(desk, smtp, answer):
    smtp.rcpt = answer
    lead = post_lead(desk)
    work.run(MAILS)
    waiting = reload(lead)
    assert (waiting.email_status, waiting.email_attempts) == (IntegrationStatus.FAILED, 1)
    assert answer[:3] in waiting.email_last_error
    smtp.rcpt = ""
    with later(lead, Kind.EMAIL):
        work.run(MAILS)
    assert (reload(lead).email_status, len(smtp.mails)) == (IntegrationStatus.SENT, 1)


def test_a_server_that_is_gone_for_good_ends_in_permanently_failed(desk, smtp):
    smtp.stop()
    with frozen(NOON):
        lead = post_lead(desk)
        work.run(MAILS)
    for _ in range(5):
        with later(lead, Kind.EMAIL):
            work.run(MAILS)
    found = reload(lead)
    assert (found.email_status, found.email_attempts) == (IntegrationStatus.FAILED, 6)
    assert the_row(lead, Kind.EMAIL).state is S.PERMANENTLY_FAILED
    assert found.status is LeadStatus.PERMANENTLY_FAILED


def test_a_server_that_hangs_costs_no_more_than_the_time_out(desk_with, smtp):
    with RawServer(lambda sock: sock.recv(1)) as silent:
        lead = post_lead(desk_with(mail_port=silent.port, mail_timeout=0.6))
        with time_limit(3):
            work.run(MAILS)
    assert the_row(lead, Kind.EMAIL).state is S.FAILED


def test_a_refusal_by_550_is_permanent_at_once(desk, smtp):
    smtp.rcpt = "550 5.7.1 not here"
    lead = post_lead(desk)
    work.run(MAILS)
    row = the_row(lead, Kind.EMAIL)
    assert (row.state, row.attempts, row.last_status_code) == (S.PERMANENTLY_FAILED, 1, 550)


def test_a_refused_login_pauses_the_mail_and_one_click_sends_everything(desk_with, smtp):
    desk = desk_with(mail_username="desk", mail_password="wrong")
    smtp.login = ("desk", "right")
    leads = [post_lead(desk) for _ in range(3)]
    work.run(MAILS)
    paused = destination(Kind.EMAIL)
    assert paused.state is DestinationState.PAUSED
    assert {the_row(lead, Kind.EMAIL).state for lead in leads} <= {S.FAILED, S.PENDING}
    assert {the_row(lead, Kind.EMAIL).tries for lead in leads} == {0}
    smtp.login = ("desk", "wrong")  # the owner put the password right
    destinations.resume(paused.id, "owner@shop.example")
    work.run(MAILS)
    assert {the_row(lead, Kind.EMAIL).state for lead in leads} == {S.DELIVERED}
    assert len(smtp.mails) == 3


def test_mail_that_is_not_set_up_is_never_called_sent(app_with):
    app_with(mail_backend="none")
    add_destination(Kind.EMAIL)
    lead = post_lead(add_form())
    work.run(MAILS)
    found = reload(lead)
    assert (found.email_status, found.email_last_error) == (IntegrationStatus.FAILED, "mail is not set up")
    assert found.status is LeadStatus.PERMANENTLY_FAILED


def answering(status: int, **headers: str) -> Callable[[Request], tuple]:
    return lambda _request: (status, {name.replace("_", "-"): value for name, value in headers.items()}, b"words")


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
def test_answers_that_are_worth_a_retry(desk, hook, status):
    hook.answer = answering(status)
    lead = post_lead(desk)
    work.run(HOOKS)
    found = reload(lead)
    assert (found.webhook_status, found.webhook_last_status_code) == (IntegrationStatus.FAILED, status)
    hook.answer = answering(200)
    with later(lead, Kind.WEBHOOK):
        work.run(HOOKS)
    assert reload(lead).webhook_sent_at is not None
    first, second = hook.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


@pytest.mark.parametrize("status", [301, 307, 400, 404, 422])
def test_answers_that_are_permanent(desk, hook, status):
    hook.answer = answering(status, Location="http://169.254.169.254/")
    lead = post_lead(desk)
    work.run(HOOKS)
    row = the_row(lead, Kind.WEBHOOK)
    assert (row.state, row.attempts, row.last_status_code) == (S.PERMANENTLY_FAILED, 1, status)


def test_a_receiver_that_hangs_is_given_up_after_the_time_out(desk_with, hook):
    hook.answer = lambda _request: time.sleep(6) or (200, {}, b"")
    lead = post_lead(desk_with(http_timeout=0.6))
    with time_limit(3):
        work.run(HOOKS)
    assert the_row(lead, Kind.WEBHOOK).state is S.FAILED


def test_retry_after_is_obeyed(desk, hook):
    hook.answer = answering(429, Retry_After="120")
    with frozen(NOON):
        lead = post_lead(desk)
        work.run(HOOKS)
    hook.answer = answering(200)
    with frozen(NOON + timedelta(seconds=119)):
        work.run(HOOKS)
    assert the_row(lead, Kind.WEBHOOK).state is S.FAILED
    with frozen(NOON + timedelta(seconds=121)):
        work.run(HOOKS)
    assert the_row(lead, Kind.WEBHOOK).state is S.DELIVERED


def test_a_receiver_that_is_gone_is_switched_off_and_says_so(desk, hook):
    hook.answer = answering(410)
    post_lead(desk)
    work.run(HOOKS)
    assert destination(Kind.WEBHOOK).state is DestinationState.DISABLED
    assert "410" in destination(Kind.WEBHOOK).state_reason


def test_a_webhook_that_is_not_set_up_is_disabled(app_with):
    app_with()
    lead = post_lead(add_form())
    assert lead.webhook_status is IntegrationStatus.DISABLED


def test_line_breaks_in_every_field_stay_out_of_the_headers(desk, smtp):
    evil = "x\r\nBcc: evil@example.com\r\n\r\nbody"
    post_lead(desk, name=evil, email=evil, phone=evil, message=evil, _subject=evil, subject=evil, **{evil: evil})
    work.run(MAILS)
    (mail,) = smtp.mails
    parsed = email.message_from_bytes(mail.content)
    assert parsed["Bcc"] is None
    assert mail.recipients == ["owner@shop.example"]


def test_a_message_of_100_kb_arrives_whole(desk, smtp):
    message = "Ä" * 50_000 + "\n.\n" + "end"
    post_lead(desk, message=message)
    work.run(MAILS)
    assert message in smtp.mails[0].text().replace("\r\n", "\n")
