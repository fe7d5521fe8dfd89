"""SMTP: a few connections kept open, a hard end for each send, and no guess about a mail whose answer was lost."""

import smtplib
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

from flask import Flask, current_app

from leadapp import network
from leadapp.config import Settings
from leadapp.errors import NotSentError, OutcomeUnknownError, PermanentError, TemporaryError
from leadapp.messages.letter import Letter
from leadapp.messages.outgoing import Handed, Mail
from leadapp.messages.providers.smtp_connection import Connection
from leadapp.messages.providers.smtp_session import Answer
from leadapp.network import Deadline

IDLE_SECONDS = 30.0


class Pool:
    """Up to MAIL_CONNECTIONS connections of this process; those not used for 30 s are closed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._turns = threading.BoundedSemaphore(max(settings.mail_connections, 1))
        self._lock = threading.Lock()
        self._idle: list[tuple[float, Connection]] = []
        self._will_sweep = False
        self._tls: ssl.SSLContext | None = None

    @contextmanager
    def turn(self, deadline: Deadline) -> Iterator[None]:
        """Wait for a free connection, for at most half of the time that a send has."""
        if not self._turns.acquire(timeout=deadline.left() / 2):
            raise NotSentError("all connections to the mail server are busy")
        try:
            yield
        finally:
            self._turns.release()

    def kept(self) -> Connection | None:
        """The connection that was used last, to be tried first."""
        with self._lock:
            return self._idle.pop()[1] if self._idle else None

    def fresh(self) -> Connection:
        try:
            self._tls = self._tls or ssl.create_default_context(cafile=self._settings.mail_ca_file or None)
        except OSError as error:
            raise TemporaryError("MAIL_CA_FILE cannot be read") from error
        return Connection(current_app.extensions["mail"], self._settings, self._tls)

    def keep(self, connection: Connection) -> None:
        connection.is_kept = True
        if connection.is_worn:
            connection.close()
            return
        with self._lock:
            self._idle.append((time.monotonic(), connection))
            self._plan_sweep()

    def _plan_sweep(self) -> None:
        if self._idle and not self._will_sweep:
            self._will_sweep = True
            network.call_at(self._idle[0][0] + IDLE_SECONDS, self._sweep)

    def _sweep(self) -> None:
        with self._lock:
            limit = time.monotonic() - IDLE_SECONDS
            old = [connection for since, connection in self._idle if since <= limit]
            self._idle = [(since, connection) for since, connection in self._idle if since > limit]
            self._will_sweep = False
            self._plan_sweep()
        for connection in old:
            connection.close()


class _DeadConnectionError(Exception):
    """A kept connection turned out dead before the mail was on its way."""


def init_app(app: Flask) -> None:
    """Make the pool of this process; nothing is connected until the first mail."""
    app.extensions["smtp"] = Pool(app.config["SETTINGS"])


def send(mail: Mail, deadline: float) -> Handed:
    """Hand one mail to MAIL_SERVER, over by `deadline` (time.monotonic()).

    Raises smtplib.SMTPResponseException for what the server refused, TemporaryError when the connection was lost
    before the mail was complete, and OutcomeUnknownError when it was lost after.
    """
    pool: Pool = current_app.extensions["smtp"]
    if not current_app.extensions["mail"].server:
        raise PermanentError("mail is not set up: MAIL_SERVER is empty")
    letter = Letter(mail)
    with Deadline(deadline) as end, pool.turn(end):
        code, answer = _hand_over(pool, letter, end)
    return Handed(code, f"{code} {answer.decode('utf-8', 'replace')}".replace("\0", ""))


def _hand_over(pool: Pool, letter: Letter, deadline: Deadline) -> Answer:
    connection = pool.kept()
    if connection is not None:
        try:
            return _use(pool, connection, letter, deadline)
        except _DeadConnectionError:
            pass  # once more, on a new one
    return _use(pool, pool.fresh(), letter, deadline)


def _use(pool: Pool, connection: Connection, letter: Letter, deadline: Deadline) -> Answer:
    is_ready = is_fit = False
    try:
        connection.ready(deadline)
        is_ready = True
        answer = connection.hand_over(letter)
        is_fit = True
    except PermanentError:
        is_fit = is_ready  # refused by us: the connection is as good as before
        raise
    except OSError as error:  # smtplib's errors are among them
        if connection.is_kept and not is_ready and not deadline.has_passed:
            raise _DeadConnectionError from error
        is_fit = is_ready and _is_answer(error) and error.smtp_code != 421
        meaning = error if is_fit else _meaning(connection, error, deadline)
        raise meaning from (None if meaning is error else error)
    finally:
        if is_fit:
            pool.keep(connection)
        else:
            connection.close()
    return answer


def _is_answer(error: OSError) -> TypeGuard[smtplib.SMTPResponseException]:
    """Whether the server answered with a code that SMTP knows for a refusal."""
    return isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 600


def _meaning(connection: Connection, error: OSError, deadline: Deadline) -> Exception:
    """What an error that ended this connection means for the mail."""
    session = connection.session
    began_data = session is not None and session.began_data
    if connection.is_kept and not began_data and not deadline.has_passed:
        return _DeadConnectionError()
    if _is_answer(error):
        return error
    if session is not None and session.sent_last_dot:
        return OutcomeUnknownError("The mail server was given the mail, and the connection broke before its answer")
    if deadline.has_passed:
        return TemporaryError("The mail server did not answer in time")
    if isinstance(error, smtplib.SMTPResponseException):
        return TemporaryError("The mail server answered with something that is not SMTP")
    return TemporaryError(f"The mail server {network.words(error)}")
