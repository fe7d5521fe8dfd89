"""smtplib's client on a watched socket, with a note of how far a mail got."""

import re
import smtplib
import socket
import ssl
from typing import Any

from leadapp import network
from leadapp.network import Deadline

Answer = tuple[int, bytes]
CHECK_SECONDS = 5.0
LINE_START_DOT = re.compile(rb"(?m)^\.")


class Session(smtplib.SMTP):
    """One SMTP session, TLS from the first byte when `tls` is given."""

    def __init__(self, host: str, port: int, deadline: Deadline, *, hello: str, tls: ssl.SSLContext | None) -> None:
        self.deadline = deadline
        self.began_data = False
        self.sent_last_dot = False
        self._tls = tls
        super().__init__(host, port, local_hostname=hello)  # or smtplib asks DNS for our name

    def _get_socket(self, host: str, port: int, _timeout: Any) -> socket.socket:
        sock = network.connect(host, port, self.deadline)
        return self._tls.wrap_socket(sock, server_hostname=host) if self._tls else sock

    def resume(self, deadline: Deadline) -> None:
        """Begin another mail on this connection; smtplib's errors when it is dead."""
        self.deadline, self.began_data, self.sent_last_dot = deadline, False, False
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("closed")
        deadline.watch(self.sock)
        self.sock.settimeout(min(CHECK_SECONDS, deadline.left() / 3))  # a router may have forgotten it silently
        expect("250", self.rset())
        self.sock.settimeout(deadline.left())

    def data(self, msg: Any) -> Answer:
        """DATA with bytes whose lines end in CRLF; notes how far it got, whatever happens."""
        self.began_data = True
        expect("354", self.docmd("data"))
        end = b".\r\n" if msg.endswith(b"\r\n") else b"\r\n.\r\n"
        self.send(LINE_START_DOT.sub(b"..", msg) + end)
        self.sent_last_dot = True  # sending did not fail, so every byte is on its way
        return self.getreply()

    def hang_up(self) -> None:
        """QUIT without waiting for the answer."""
        try:
            if self.sock is not None:
                self.sock.settimeout(0.1)
                self.putcmd("quit")
        except (OSError, ValueError):
            pass  # it is gone already, which is what we want
        self.close()


def expect(prefix: str, answer: Answer) -> None:
    """SMTPResponseException unless the answer's code begins with these digits."""
    if not f"{answer[0]:03d}".startswith(prefix):
        raise smtplib.SMTPResponseException(*answer)
