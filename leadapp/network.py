"""What every network call needs: a hard end that closes the socket, DNS that ends in time, and words for failures.

The time-outs of requests and smtplib hold for one socket operation each: a server that sends a byte a second, or
one that is slow at each of eight steps, outlasts them. So one watchdog thread shuts down the sockets of a call
whose time is up, and the blocked thread wakes with an error.
"""

import errno
import heapq
import http.client
import itertools
import os
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

Lookup = list[tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]]


class _Watchdog:
    """One thread that calls each action when its time.monotonic() moment comes. Actions must not block."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def call_at(self, moment: float, action: Callable[[], None]) -> None:
        with self._changed:
            heapq.heappush(self._due, (moment, next(self._numbers), action))
            if self._thread is None or not self._thread.is_alive():  # not yet, or we are a forked child
                self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)
                self._thread.start()
            elif self._due[0][0] == moment:
                self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._due:
                    self._changed.wait()
                wait = self._due[0][0] - time.monotonic()
                if wait > 0:
                    self._changed.wait(wait)
                    continue
                action = heapq.heappop(self._due)[2]
            action()


def duplicate(sock: socket.socket) -> socket.socket:
    """The same connection under a descriptor of its own: closing the one leaves the other as it is."""
    return socket.socket(fileno=os.dup(sock.fileno()))


_watchdog = _Watchdog()
call_at = _watchdog.call_at


class Deadline:
    """The hard end of one network call, as a context manager: sockets given to `watch` are cut when it comes."""

    def __init__(self, moment: float) -> None:
        """`moment` is a time.monotonic() value."""
        self.moment = moment
        self._lock = threading.Lock()
        self._handles: list[socket.socket] = []
        self._lent: list[socket.socket] = []
        self._is_over = False

    def __enter__(self) -> Self:
        call_at(self.moment, self._cut)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._lock:
            self._is_over = True
            for handle in self._handles:
                handle.close()
            self._handles.clear()
            self._lent.clear()

    def left(self) -> float:
        """Seconds until the end; a thousandth of one when it has passed, for time-outs that must be positive."""
        return max(0.001, self.moment - time.monotonic())

    @property
    def has_passed(self) -> bool:
        return time.monotonic() >= self.moment

    def watch(self, sock: socket.socket) -> None:
        """Cut this connection at the end. A duplicate is kept: TLS detaches the socket that it wraps, and a
        response may outlive the connection object that it came through."""
        self.take_over(duplicate(sock))
        if self.has_passed:
            self._cut()

    def lend(self, handle: socket.socket) -> None:
        """Cut this one's connection too: a duplicate whose owner keeps it for the next call, and hands it to
        `take_over` rather than close it."""
        with self._lock:
            self._lent.append(handle)
        if self.has_passed:
            self._cut()

    def give_back(self, handle: socket.socket) -> None:
        """Cut this one no more: its connection serves another call by now."""
        with self._lock:
            self._lent = [lent for lent in self._lent if lent is not handle]

    def take_over(self, handle: socket.socket) -> None:
        """Close this duplicate when the call is over; at once when it is."""
        with self._lock:
            if self._is_over:
                handle.close()
            else:
                self._handles.append(handle)

    def _cut(self) -> None:
        with self._lock:
            if self._is_over:
                return
            for handle in (*self._handles, *self._lent):
                try:
                    handle.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # the other side was faster


def lookup(host: str, port: int, within: float, flags: int = 0) -> Lookup:
    """socket.getaddrinfo for TCP that ends: TimeoutError after `within` seconds, gaierror for an unknown name.

    getaddrinfo cannot be interrupted, so it runs on a thread that is left behind when it is late.
    """
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM, 0, flags))
        except (OSError, UnicodeError) as error:
            found.append(error)

    asking = threading.Thread(target=ask, name="lookup", daemon=True)
    asking.start()
    asking.join(within)
    if not found:
        raise TimeoutError(f"no answer from DNS in {within:g} seconds")
    if isinstance(found[0], UnicodeError):
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from found[0]
    if isinstance(found[0], BaseException):
        raise found[0]
    answers: Lookup = found[0]
    return answers


def alternate(answers: Lookup) -> Lookup:
    """The same answers with IPv4 and IPv6 taking turns, so that a broken family costs one attempt (RFC 8305)."""
    first = [answer for answer in answers if answer[0] == answers[0][0]]
    other = [answer for answer in answers if answer[0] != answers[0][0]]
    pairs = itertools.zip_longest(first, other)
    return [answer for pair in pairs for answer in pair if answer is not None]


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection to the first of two addresses that answers, watched by the deadline; OSError otherwise."""
    answers = alternate(lookup(host, port, deadline.left()))[:2]
    error: OSError | None = None
    for turns, (family, kind, protocol, _, address) in zip((len(answers), 1), answers, strict=False):
        sock = socket.socket(family, kind, protocol)
        try:
            deadline.watch(sock)
            sock.settimeout(deadline.left() / turns)
            sock.connect(address)
            sock.settimeout(deadline.left())
        except OSError as failed:
            sock.close()
            error = failed
        else:
            return sock
    raise error or OSError("no address")


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on down to the socket's own."""
    current: BaseException | None = error
    while current is not None:
        yield current
        current = current.__cause__ or current.__context__


_WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "has a name that cannot be found (DNS)"),
    (TimeoutError, "did not answer in time"),
    (ConnectionRefusedError, "refuses the connection"),
    (ssl.SSLEOFError, "closed the connection without an answer"),
    (ssl.SSLError, "cannot agree with us on encryption (TLS)"),
    (ConnectionError, "closed the connection without an answer"),
    (smtplib.SMTPServerDisconnected, "closed the connection without an answer"),
    (http.client.HTTPException, "answered with something that is not HTTP"),
)


def words(error: BaseException) -> str:
    """How a call failed, as people say it of the other side: "refuses the connection"."""
    chain = list(causes(error))
    for found in chain:
        if isinstance(found, ssl.SSLCertVerificationError):
            return f"has a certificate that we do not accept: {found.verify_message}"
    for kind, said in _WORDS:
        if any(isinstance(found, kind) for found in chain):
            return said
    numbers = {found.errno for found in chain if isinstance(found, OSError)}
    if numbers & {errno.ENETUNREACH, errno.EHOSTUNREACH}:
        return "cannot be reached from here (no route)"
    return "cannot be reached"
