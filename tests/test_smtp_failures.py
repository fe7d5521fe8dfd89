"""The e-mail channel against servers that hang, drip and drop at each step: what is known about the mail then."""

import socket
import threading
import time

import pytest
from flask import current_app

from leadapp.deliveries.channels import email
from leadapp.errors import NotSentError, OutcomeUnknownError, PermanentError, TemporaryError
from tests.channels_fixtures import mail_claim, soon
from tests.sinks import RawServer, closed_port, drip, time_limit
from tests.test_supervisor import eventually

PLAIN = {"mail_use_tls": False, "mail_starttls_required": False}
STEPS = ("banner", "EHLO", "MAIL", "RCPT", "DATA", "dot")
ANSWERS = {
    "banner": b"220 sink.example ESMTP\r\n",
    "EHLO": b"250-sink.example\r\n250 SIZE\r\n",
    "MAIL": b"250 OK\r\n",
    "RCPT": b"250 OK\r\n",
    "DATA": b"354 go on\r\n",
    "dot": b"250 OK queued\r\n",
    "RSET": b"250 OK\r\n",
}


class Script:
    """A server that speaks SMTP until `step` of its `mail`th mail, and then does `then(sock)` instead of answering."""

    def __init__(self, step, then, mail=1):
        self.step, self.then, self.mail = step, then, mail
        self.begun = 0
        self.taken = 0

    def __call__(self, sock: socket.socket) -> None:
        stream = sock.makefile("rb")
        if not self._goes_on(sock, "banner"):
            return
        while line := stream.readline():
            word = line[:4].decode().upper()
            if word == "QUIT":
                return
            self.begun += word == "MAIL"
            if not self._goes_on(sock, word):
                return
            if word == "DATA":
                while stream.readline() != b".\r\n":
                    pass
                if not self._goes_on(sock, "dot"):
                    return

    def _goes_on(self, sock, word):
        is_it = word == self.step and self.begun in (self.mail, self.mail - (word in ("banner", "EHLO", "RSET")))
        if is_it:
            self.step = self.step if self.mail == 1 else ""  # a kept connection dies once
            self.then(sock)
            return False
        self.taken += word == "dot"
        sock.sendall(ANSWERS[word])
        return True


def hang(sock):
    time.sleep(6)


def drop(_sock):
    pass


def dripping(sock):
    drip(sock, b"x" * 200)


@pytest.fixture
def send_to(app_with):
    def send(server, seconds=0.3, **settings):
        if "smtp" not in getattr(send, "made", ""):
            app_with(mail_server="127.0.0.1", mail_port=server.port, **{**PLAIN, **settings})
            send.made = "smtp"
        return email.send(mail_claim(), soon(seconds))

    return send


@pytest.mark.parametrize("how", [hang, dripping], ids=["hangs", "drips"])
@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_server_that_hangs_or_drips_before_the_last_dot_is_tried_again(send_to, step, how):
    with RawServer(Script(step, how)) as server, time_limit(3):
        with pytest.raises(TemporaryError, match=r"^The mail server did not answer in time$"):
            send_to(server)


@pytest.mark.parametrize("how", [hang, drop, dripping], ids=["hangs", "drops", "drips"])
def test_a_mail_whose_answer_was_lost_after_the_last_dot_is_unknown(send_to, how):
    with RawServer(Script("dot", how)) as server, time_limit(6), pytest.raises(OutcomeUnknownError):
        send_to(server, 1.5)


@pytest.mark.parametrize("step", STEPS[:-1])
def test_a_connection_lost_before_the_last_dot_is_tried_again(send_to, step):
    with RawServer(Script(step, drop)) as server:
        with pytest.raises(TemporaryError, match="closed the connection without an answer"):
            send_to(server, 10)


def test_a_connection_lost_inside_the_body_is_tried_again(app_with):
    """The server takes the first bytes of a large mail and resets the connection."""

    def talk(sock):
        stream = sock.makefile("rb")
        for word in ("banner", "EHLO", "MAIL", "RCPT", "DATA"):
            sock.sendall(ANSWERS[word])
            stream.readline()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with RawServer(talk) as server:
        app_with(mail_server="127.0.0.1", mail_port=server.port, **PLAIN)
        with pytest.raises(TemporaryError):
            email.send(mail_claim(text="x" * 4_000_000, html=""), soon(5))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"250 OK\r\n", None),
        (b"450 4.3.0 full\r\n", TemporaryError),
        (b"421 4.3.2 going down\r\n", TemporaryError),
        (b"554 5.7.1 spam\r\n", PermanentError),
        (b"nonsense\r\n", OutcomeUnknownError),
        (b"354 go on\r\n", OutcomeUnknownError),
        (b"25", OutcomeUnknownError),
    ],
)
def test_the_answer_to_the_last_dot_decides(send_to, answer, kind):
    with RawServer(Script("dot", lambda sock: sock.sendall(answer))) as server:
        if kind is None:
            assert send_to(server, 10).status_code == 250
        else:
            with pytest.raises(kind):
                send_to(server, 10)


@pytest.mark.parametrize(
    ("banner", "kind", "words"),
    [
        (b"421 4.3.2 too busy\r\n", TemporaryError, "answered 421: 4.3.2 too busy"),
        (b"554 5.7.1 no service for you\r\n", PermanentError, "answered 554: 5.7.1 no service for you"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", TemporaryError, "something that is not SMTP"),
    ],
)
def test_a_greeting_that_refuses_is_judged_by_its_code(send_to, banner, kind, words):
    with RawServer(Script("banner", lambda sock: sock.sendall(banner))) as server:
        with pytest.raises(kind, match=words):
            send_to(server, 10)


def test_a_server_that_refuses_the_connection_is_tried_again(app_with):
    with closed_port() as port:
        app_with(mail_server="127.0.0.1", mail_port=port, **PLAIN)
        with pytest.raises(TemporaryError, match=r"^The mail server refuses the connection$"):
            email.send(mail_claim(), soon())


def test_a_server_whose_name_is_unknown_is_tried_again(app_with, monkeypatch):
    def unknown(*_args):
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    app_with(mail_server="smtp.example", **PLAIN)
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(TemporaryError, match=r"The mail server has a name that cannot be found \(DNS\)"):
        email.send(mail_claim(), soon())


def test_dns_that_never_answers_is_cut_at_the_deadline(app_with, monkeypatch):
    app_with(mail_server="smtp.example", **PLAIN)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(6))
    with time_limit(3), pytest.raises(TemporaryError, match="did not answer in time"):
        email.send(mail_claim(), soon(0.3))


def test_a_tls_handshake_that_hangs_is_cut_at_the_deadline(app_with):
    with RawServer(hang) as server, time_limit(3):
        app_with(mail_server="127.0.0.1", mail_port=server.port, mail_use_ssl=True)
        with pytest.raises(TemporaryError, match="did not answer in time"):
            email.send(mail_claim(), soon(0.3))


# Kept connections.


@pytest.mark.parametrize("step", ["RSET", "MAIL", "RCPT"])
@pytest.mark.parametrize(
    "then", [drop, lambda sock: sock.sendall(b"421 4.4.2 idle too long\r\n")], ids=["drops", "421"]
)
def test_a_kept_connection_that_dies_before_the_body_is_replaced_once(send_to, step, then):
    script = Script(step, then, mail=2)
    with RawServer(script) as server:
        assert send_to(server, 10).status_code == 250
        assert send_to(server, 10).status_code == 250
        assert (script.taken, server.connections) == (2, 2)


def test_a_kept_connection_that_was_silently_forgotten_is_replaced_in_time(send_to):
    script = Script("RSET", hang, mail=2)
    with RawServer(script) as server:
        send_to(server, 10)
        with time_limit(3):
            assert send_to(server, 2).status_code == 250
        assert server.connections == 2


def test_a_kept_connection_that_dies_in_the_body_is_not_tried_twice(send_to):
    script = Script("DATA", drop, mail=2)
    with RawServer(script) as server:
        send_to(server, 10)
        with pytest.raises(TemporaryError):
            send_to(server, 10)
        assert (script.taken, server.connections) == (1, 1)


def test_a_kept_connection_that_dies_after_the_last_dot_is_unknown(send_to):
    with RawServer(Script("dot", drop, mail=2)) as server:
        send_to(server, 10)
        with pytest.raises(OutcomeUnknownError):
            send_to(server, 10)
        assert server.connections == 1


def test_a_row_that_gets_no_turn_is_given_back_unsent(app_with):
    """All connections hang: the others wait half of their time, and are not said to have failed."""
    with RawServer(Script("MAIL", hang)) as server:
        app = app_with(mail_server="127.0.0.1", mail_port=server.port, mail_connections=1, **PLAIN)

        def busy():
            with app.app_context(), pytest.raises(TemporaryError):
                email.send(mail_claim(), soon(3))

        first = threading.Thread(target=busy)
        first.start()
        eventually(lambda: server.connections == 1)
        with time_limit(3), pytest.raises(NotSentError):
            email.send(mail_claim(), soon(0.4))
        first.join()
        assert current_app.extensions["smtp"]._idle == []
