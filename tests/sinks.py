"""Receivers for tests and development: an HTTP server and an SMTP server on a free port of loopback.

with HttpSink(lambda request: (500, {}, b"broken")) as sink:
    ... sink.url, sink.requests

with SmtpSink(rcpt="450 4.2.0 greylisted") as sink:
    ... sink.port, sink.mails
"""

import asyncio
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HttpAnswer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names are matched in any case. `connection` tells connections apart."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    connection: int = 0


def ok(_request: Request) -> HttpAnswer:
    return 200, {}, b"ok"


class HttpSink:
    """Records requests and answers with what `answer` says; `answer` may be exchanged while it runs."""

    def __init__(self, answer: Callable[[Request], HttpAnswer] = ok, port: int = 0, tls: ssl.SSLContext | None = None):
        self.answer = answer
        self.requests: list[Request] = []
        self.port = port  # known after the first start, and kept: it can be stopped and started again
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/hook"

    def bodies(self) -> list[bytes]:
        return [request.body for request in self.requests]

    def start(self) -> Self:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1  # headers and body in one packet

            def log_message(self, *_args: Any) -> None:
                pass

            def _respond(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # the client was killed between its headers and its body
                    self.close_connection = True
                    return
                request = Request(
                    self.command, self.path, self.headers, body, datetime.now(UTC), self.client_address[1]
                )
                sink.requests.append(request)
                status, headers, content = sink.answer(request)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _respond

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_args: Any) -> None:
                pass  # the client went away

        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_address[1]
        if self._tls:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_args: object) -> None:
        self.stop()


@dataclass(frozen=True)
class Mail:
    """One mail that the SMTP sink took."""

    sender: str
    recipients: list[str]
    content: bytes
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def message(self) -> EmailMessage:
        """Parsed strictly, with decoded headers."""
        return message_from_bytes(self.content, policy=policy.default)  # type: ignore[return-value]

    def text(self, kind: str = "plain") -> str:
        part = self.message.get_body((kind,))
        assert part is not None, f"no {kind} part"
        return part.get_content().replace("\r\n", "\n")


class SmtpSink:
    """An aiosmtpd server with knobs, each of which may be turned while it runs.

    `rcpt`, `mail` and `data` are whole answers ("450 4.2.0 greylisted") given instead of 250; `login` is
    (user, password) and makes AUTH required; `tls` offers STARTTLS and `implicit_tls` speaks TLS from the start.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        mail: str = "",
        rcpt: str = "",
        data: str = "",
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        require_starttls: bool = False,
        implicit_tls: ssl.SSLContext | None = None,
        smtputf8: bool = True,
    ):
        self.mails: list[Mail] = []
        self.connections = 0
        self.logins = 0
        self.mail, self.rcpt, self.data, self.login = mail, rcpt, data, login
        self.port = port  # known after the first start, and kept: it can be stopped and started again
        self._tls, self._require_starttls, self._implicit_tls = tls, require_starttls, implicit_tls
        self._smtputf8 = smtputf8
        self._loop: asyncio.AbstractEventLoop | None = None
        self._protocols: list[SMTP] = []

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    def start(self) -> Self:
        self._loop = asyncio.new_event_loop()
        listening = self._loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=self._implicit_tls)
        self._server = self._loop.run_until_complete(listening)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def _protocol(self) -> SMTP:
        self.connections += 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of log-ins without encryption, which tests are free to try
            protocol = SMTP(
                self,
                loop=self._loop,
                hostname="sink.example",
                tls_context=self._tls,
                require_starttls=self._require_starttls,
                authenticator=self._check,
                auth_required=self.login is not None,
                auth_require_tls=self._tls is not None,
                enable_SMTPUTF8=self._smtputf8,
            )
        self._protocols.append(protocol)
        return protocol

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if not self.mail:
            envelope.mail_from = address
            envelope.mail_options.extend(options)
        return self.mail or "250 2.1.0 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: Any) -> str:
        if not self.rcpt:
            envelope.rcpt_tos.append(address)
        return self.rcpt or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data:
            return self.data
        self.mails.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), envelope.original_content))
        return f"250 2.0.0 OK queued as {len(self.mails)}"

    def _check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self.logins += 1
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=self.login is not None and given == self.login, handled=False)

    def stop(self) -> None:
        if self._loop:
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(5)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
            self._loop.close()
            self._loop = None

    async def _shut(self) -> None:
        self._server.close()
        for protocol in self._protocols:
            if protocol.transport is not None:
                protocol.transport.abort()
        self._protocols.clear()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_args: object) -> None:
        self.stop()


class RawServer:
    """A TCP server whose every connection is given to `talk(sock)`, for servers that behave badly."""

    def __init__(self, talk: Callable[[socket.socket], None], host: str = "127.0.0.1"):
        self._talk = talk
        self._listening = socket.create_server((host, 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://{host}:{self.port}/hook"
        self.connections = 0

    def start(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock: socket.socket) -> None:
        with sock:
            try:
                self._talk(sock)
            except OSError:
                return  # the client closed, as it should

    def stop(self) -> None:
        self._listening.close()
        for sock in self._open:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_args: object) -> None:
        self.stop()


def read_request(sock: socket.socket) -> bytes:
    """One HTTP request with a Content-Length, as bytes; b"" when the client closed."""
    seen = b""
    while b"\r\n\r\n" not in seen:
        part = sock.recv(65536)
        if not part:
            return b""
        seen += part
    head, _, body = seen.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    while len(body) < length:
        body += sock.recv(65536)
    return head + b"\r\n\r\n" + body


def drip(sock: socket.socket, content: bytes, pause: float = 0.05) -> None:
    """One byte at a time."""
    for byte in content:
        sock.sendall(bytes([byte]))
        time.sleep(pause)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections, and that nobody else is given meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Fails when the block takes longer."""
    began = time.monotonic()
    yield
    took = time.monotonic() - began
    assert took < seconds, f"took {took:.2f} s"


@dataclass(frozen=True)
class Certificate:
    """A self-made authority's PEM file, and a server context with a certificate for these names."""

    ca_file: Path
    server: ssl.SSLContext


def make_certificate(folder: Path, *names: str) -> Certificate:
    """A certificate for these host names (127.0.0.1 needs none), signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    ca_file, both = folder / "ca.pem", folder / "server.pem"
    ca_file.write_bytes(pem)
    both.write_bytes(pem + key_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(both)
    return Certificate(ca_file, server)
