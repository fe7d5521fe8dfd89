"""SMTP connections to a real server (aiosmtpd): encryption, log-in, and connections that are kept."""

from concurrent.futures import ThreadPoolExecutor

import flask_mail
import pytest
from flask import current_app

from leadapp.deliveries.channels import email
from leadapp.errors import DestinationError, TemporaryError
from leadapp.messages.providers.smtp import IDLE_SECONDS
from tests.channels_fixtures import mail_claim, soon
from tests.sinks import SmtpSink, make_certificate

PLAIN = {"mail_use_tls": False, "mail_starttls_required": False}
DESK = "desk@shop.example"


@pytest.fixture
def sink():
    with SmtpSink() as sink:
        yield sink


@pytest.fixture
def plain(app_with, sink):
    """An app that sends to the sink without encryption."""
    return app_with(mail_server="127.0.0.1", mail_port=sink.port, mail_from_name="Shop", **PLAIN)


@pytest.fixture
def certificate(tmp_path):
    return make_certificate(tmp_path, "localhost")


def encrypted(sink, **more):
    return {"mail_server": "localhost", "mail_port": sink.port, **more}


# Encryption and log-in.


def test_starttls_with_a_certificate_that_we_trust_and_a_log_in(app_with, certificate):
    with SmtpSink(tls=certificate.server, require_starttls=True, login=("desk", "s3cret")) as sink:
        app_with(**encrypted(sink, mail_ca_file=str(certificate.ca_file), mail_username="desk", mail_password="s3cret"))
        email.send(mail_claim(), soon())
        assert (len(sink.mails), sink.logins) == (1, 1)


def test_tls_from_the_first_byte(app_with, certificate):
    with SmtpSink(implicit_tls=certificate.server) as sink:
        app_with(**encrypted(sink, mail_ca_file=str(certificate.ca_file), mail_use_ssl=True))
        for _ in range(2):
            email.send(mail_claim(), soon())
        assert (len(sink.mails), sink.connections) == (2, 1)


@pytest.mark.parametrize("how", ["tls", "implicit_tls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(app_with, certificate, how):
    with SmtpSink(**{how: certificate.server}, login=("desk", "s3cret")) as sink:
        app_with(**encrypted(sink, mail_use_ssl=how == "implicit_tls", mail_username="desk", mail_password="s3cret"))
        with pytest.raises(TemporaryError, match="has a certificate that we do not accept: self-signed"):
            email.send(mail_claim(), soon())
        assert (sink.mails, sink.logins) == ([], 0)


def test_a_certificate_for_another_name_is_refused(app_with, tmp_path):
    other = make_certificate(tmp_path, "other.example")
    with SmtpSink(tls=other.server) as sink:
        app_with(**encrypted(sink, mail_ca_file=str(other.ca_file)))
        with pytest.raises(TemporaryError, match="has a certificate that we do not accept: Hostname mismatch"):
            email.send(mail_claim(), soon())


def test_a_server_without_starttls_gets_nothing(app_with, sink):
    app_with(**encrypted(sink))
    with pytest.raises(TemporaryError, match="offers no encryption"):
        email.send(mail_claim(), soon())
    assert sink.mails == []


def test_a_server_without_starttls_is_fine_where_it_is_not_required(app_with, sink):
    app_with(**encrypted(sink, mail_starttls_required=False))
    email.send(mail_claim(), soon())
    assert len(sink.mails) == 1


def test_required_encryption_wins_when_both_are_said(app_with, sink):
    app_with(**encrypted(sink, mail_use_tls=False, mail_starttls_required=True))
    with pytest.raises(TemporaryError, match="offers no encryption"):
        email.send(mail_claim(), soon())


def test_a_ca_file_that_is_missing_is_named(app_with, sink):
    app_with(**encrypted(sink, mail_ca_file="/nowhere.pem"))
    with pytest.raises(TemporaryError, match="MAIL_CA_FILE"):
        email.send(mail_claim(), soon())


@pytest.mark.parametrize("password", ["wrong", "pässword"])
def test_a_refused_log_in_pauses_the_destination(app_with, certificate, password):
    with SmtpSink(tls=certificate.server, login=("desk", "s3cret")) as sink:
        app_with(**encrypted(sink, mail_ca_file=str(certificate.ca_file), mail_username="desk", mail_password=password))
        for _ in range(2):  # and the connection is not kept without a log-in
            with pytest.raises(DestinationError) as failed:
                email.send(mail_claim(), soon())
            assert not failed.value.disable
        assert sink.mails == []


def test_a_server_that_offers_no_log_in_is_said_to(app_with, sink):
    app_with(mail_server="127.0.0.1", mail_port=sink.port, mail_username="desk", mail_password="s", **PLAIN)
    sink.login = None
    with pytest.raises((TemporaryError, DestinationError)):
        email.send(mail_claim(), soon())


# Connections.


def test_connections_are_kept_between_mails(plain, sink):
    for _ in range(10):
        email.send(mail_claim(), soon())
    assert (len(sink.mails), sink.connections) == (10, 1)


def test_no_more_connections_than_the_setting_says(app_with, sink):
    app = app_with(mail_server="127.0.0.1", mail_port=sink.port, mail_connections=3, **PLAIN)

    def send(_number):
        with app.app_context():
            return email.send(mail_claim(), soon(20)).status_code

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(send, range(60))) == [250] * 60
    assert sink.connections <= 3
    assert len(sink.mails) == 60


def test_a_server_that_was_restarted_costs_no_failure(plain, sink):
    email.send(mail_claim(), soon())
    sink.stop()
    sink.start()
    email.send(mail_claim(), soon())
    assert (len(sink.mails), sink.connections) == (2, 2)


def test_a_connection_is_closed_when_it_was_idle_for_a_while(plain, sink, monkeypatch):
    email.send(mail_claim(), soon())
    pool = current_app.extensions["smtp"]
    pool._idle = [(since - IDLE_SECONDS, connection) for since, connection in pool._idle]
    pool._sweep()
    assert pool._idle == []
    email.send(mail_claim(), soon())
    assert sink.connections == 2


def test_a_connection_is_not_used_for_ever(plain, sink, monkeypatch):
    monkeypatch.setattr("leadapp.messages.providers.smtp_connection.MAILS_PER_CONNECTION", 2)
    for _ in range(4):
        email.send(mail_claim(), soon())
    assert sink.connections == 2


def test_flask_mails_own_send_refuses_a_message_whose_gaps_are_open(plain, sink):
    pool = current_app.extensions["smtp"]
    with pytest.raises(TypeError):
        pool.fresh().send(flask_mail.Message("subject", sender=DESK, recipients=[DESK], body="text"))
