"""Flask-Mail's Connection with verified TLS and a hard end, for one letter after another."""

import smtplib
import ssl
from typing import Any

import flask_mail

from leadapp.config import Settings
from leadapp.errors import DestinationError, PermanentError, TemporaryError
from leadapp.messages.addresses import domain_of
from leadapp.messages.letter import Letter
from leadapp.messages.providers.smtp_session import Answer, Session, expect
from leadapp.network import Deadline

MAILS_PER_CONNECTION = 100  # servers tend to refuse after some hundred


class Connection(flask_mail.Connection):
    """`session` is open from `open` to `close`; `is_kept` after its first letter."""

    def __init__(self, mail: Any, settings: Settings, tls: ssl.SSLContext) -> None:
        """`mail` is Flask-Mail's state: server, port, log-in."""
        super().__init__(mail)
        self.session: Session | None = None
        self.is_kept = False
        self._tls = tls
        self._hello = domain_of(settings.sender_address) or "localhost"
        # With STARTTLS switched off, only somebody who asked for it in so many words still insists on it.
        is_asked_for = settings.mail_use_tls or "mail_starttls_required" in settings.model_fields_set
        self._must_encrypt = settings.mail_starttls_required and is_asked_for

    def ready(self, deadline: Deadline) -> None:
        """Connect, or check that the kept connection still answers."""
        if self.session is not None:
            self.session.resume(deadline)
            return
        tls = self._tls if self.mail.use_ssl else None
        self.session = Session(self.mail.server, self.mail.port, deadline, hello=self._hello, tls=tls)
        self.host = self.session
        if not self.mail.use_ssl and (self.mail.use_tls or self._must_encrypt):
            self._start_tls(self.session)
        if self.mail.username and self.mail.password:
            self._log_in(self.session)

    def _start_tls(self, session: Session) -> None:
        session.ehlo_or_helo_if_needed()
        if session.has_extn("starttls"):
            session.starttls(context=self._tls)
        elif self._must_encrypt:
            raise TemporaryError("The mail server offers no encryption (STARTTLS), so we sent it nothing")

    def _log_in(self, session: Session) -> None:
        try:
            session.login(self.mail.username or "", self.mail.password or "")
        except UnicodeError as error:
            said = "MAIL_USERNAME and MAIL_PASSWORD hold letters that SMTP cannot carry"
            raise DestinationError(said, disable=False) from error
        except smtplib.SMTPNotSupportedError as error:
            said = "The mail server offers no log-in (over this connection), and MAIL_USERNAME asks for one"
            raise TemporaryError(said) from error

    def hand_over(self, letter: Letter) -> Answer:
        """Give one letter to the server. Raises smtplib's errors; `session` knows how far it got."""
        if self.session is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        if letter.has_bad_headers():
            raise PermanentError("The mail has an address or a header with a line break in it")
        self.session.ehlo_or_helo_if_needed()
        if letter.needs_utf8 and not self.session.has_extn("smtputf8"):
            raise PermanentError("The mail server cannot send to an address with special letters before the @")
        options = ["SMTPUTF8", "BODY=8BITMIME"] if letter.needs_utf8 else []
        expect("250", self.session.mail(letter.from_address, options))
        for address in letter.to_addresses:
            expect("25", self.session.rcpt(address))
        answer = self.session.data(letter.as_bytes())
        expect("2", answer)
        self.num_emails += 1
        return answer

    def send(self, message: flask_mail.Message, envelope_from: Any = None) -> None:
        """Flask-Mail's way in; only a Letter has all its gaps closed."""
        if envelope_from is not None or not isinstance(message, Letter):
            raise TypeError("a Letter, sent from its own address")
        self.hand_over(message)

    @property
    def is_worn(self) -> bool:
        return self.num_emails >= (self.mail.max_emails or MAILS_PER_CONNECTION)

    def close(self) -> None:
        if self.session is not None:
            self.session.hang_up()
            self.session = None
