"""The only outgoing HTTP client: pooled connections, guarded addresses, a hard end, a size cap, no redirects.

`ssrfguard` resolves a name once and connects to one of the addresses it checked. We post through the connection pools
of its transport adapter, not through a `Session`: a session reads proxies, netrc and CA variables from the environment,
keeps cookies, reads the whole body of a redirect that it was told not to follow, and costs as much CPU as all the rest
of a delivery.
"""

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_network
from typing import Any, NamedTuple, cast

import requests
import urllib3
from certifi import where
from flask import Flask, current_app
from ssrfguard import DEFAULT_DENIED, AddressTable, Block, Policy, Reach, SSRFGuardError
from ssrfguard import BlockedAddressError as NotAllowedError
from ssrfguard.requests import SafeAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.response import HTTPResponse

from leadapp import network
from leadapp.config import Settings
from leadapp.errors import BlockedAddressError, ConfigurationError, ConnectionFailedError
from leadapp.network import Deadline

VERSION = "0.1.0"  # equal to pyproject.toml's, held by a test
USER_AGENT = f"Leadapp/{VERSION}"
HEADERS = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
READ_LIMIT = 64 * 1024
EXCERPT_LIMIT = 4 * 1024
ADDRESSES_TRIED = 2
LANES = 4  # threads for each of POOL: deliveries.work lets go of slow sends, and all may go to one host
IDLE_SECONDS = 30.0
BUNDLE = where()  # certifi, whatever the environment says
PLACES_KEPT = 500  # addresses whose check and pool a process keeps
EVERY_PORT = frozenset(range(1, 65536))
Resolver = Callable[..., network.Lookup]

# Reached by nobody, whatever a setting allows: link-local networks, and where clouds hand out credentials.
NEVER = (
    "169.254.0.0/16",
    "fe80::/10",
    "100.100.100.200/32",  # Alibaba Cloud
    "168.63.129.16/32",  # Azure: public, but it answers only inside a virtual machine
    "192.0.0.192/32",  # Oracle Cloud
    "fd00:ec2::/32",  # AWS, fd00:ec2::254 among them
    "fd20:ce::254/128",  # Google Cloud
    "fd00:42::42/128",  # Scaleway
    "fd00:c1::a9fe:a9fe/128",  # Oracle Cloud
    "64:ff9b:1::/48",  # carries any IPv4 address in a way that only its own network can read (RFC 8215)
)
NEVER_NAME = "never reached"
NEVER_REACHED = AddressTable(
    tuple(Block(ip_network(network), NEVER_NAME, "RFC 3927 and others", Reach.DENIED) for network in NEVER)
    + tuple(block for block in DEFAULT_DENIED.blocks if block.reach is Reach.TRANSLATED)  # to look inside them
)


@dataclass(frozen=True)
class Answer:
    """What a receiver said: its status, its headers (any case), and of its body as text the first 4 KiB to keep
    (`excerpt`), and all that was read of it, at most 64 KiB (`body`)."""

    status: int
    headers: Mapping[str, str]
    excerpt: str
    body: str = ""


class EgressPolicy(Policy):
    """ssrfguard's policy, in which an allowed network cannot open what is never reached."""

    def check_address(self, address: Any) -> None:
        NEVER_REACHED.classify(address).raise_if_blocked()
        super().check_address(address)


@dataclass
class _Call:
    """What the connection of the running call must know, and what it found out."""

    deadline: Deadline
    connect_timeout: float
    connection: HTTPConnection | None = None
    is_reused: bool = False
    was_sent: bool = False

    def time_to_connect(self) -> float:
        return min(self.connect_timeout, self.deadline.left())


_running: ContextVar[_Call] = ContextVar("running")


class _Watched(HTTPConnection):
    """A connection that the running call's watchdog can cut, and that sends a request as one piece."""

    has_served = False
    used_at = 0.0
    handle: socket.socket | None = None  # for the watchdog, as long as the connection is open
    deadline: Deadline | None = None  # of the last call
    held: list[bytes] | None = None  # of the request that is being put together

    @property
    def is_connected(self) -> bool:
        """Whether the pool may use it again: routers forget connections that were idle for minutes, silently."""
        return time.monotonic() - self.used_at < IDLE_SECONDS and super().is_connected

    def _new_conn(self) -> socket.socket:
        call = _running.get()
        call.connection = self
        self.timeout = call.time_to_connect()
        sock = super()._new_conn()
        self.handle = network.duplicate(sock)
        self._be_watched(call.deadline)
        sock.settimeout(call.deadline.left())
        return sock

    def _be_watched(self, deadline: Deadline) -> None:
        if self.handle is None:
            return
        if self.deadline is not None and self.deadline is not deadline:
            self.deadline.give_back(self.handle)  # the pool has it back a moment before that call is over
        self.deadline = deadline
        deadline.lend(self.handle)

    def request(self, *args: Any, **options: Any) -> None:
        call = _running.get()
        call.is_reused = self.has_served
        if self.has_served:
            self._be_watched(call.deadline)
        self.held = []
        try:
            super().request(*args, **options)
            request = b"".join(self.held)
        finally:
            self.held = None
        self.send(request)

    def send(self, data: Any) -> None:
        if self.held is not None:
            self.held.append(data)
            return
        if self.sock is None:
            self.connect()
        _running.get().was_sent = True
        super().send(data)

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        answer = super().getresponse()
        self.has_served, self.used_at = True, time.monotonic()
        return answer

    def close(self) -> None:
        super().close()
        self.has_served = False  # urllib3 opens the same object again
        if self.handle is not None and self.deadline is not None:
            self.deadline.take_over(self.handle)  # an answer that ends with the connection is still being read
            self.handle = None


class _Adapter(SafeAdapter):
    """ssrfguard's adapter, whose connections are watched too."""

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        for pool in self.poolmanager.pool_classes_by_scheme.values():
            pool.ConnectionCls = type("WatchedConnection", (_Watched, cast(type, pool.ConnectionCls)), {})


class _Place(NamedTuple):
    """An address that passed the policy: the pool of its host, and what stands in the request line."""

    pool: HTTPConnectionPool
    target: str


class Client:
    """Pools of connections, shared by all threads of a process."""

    def __init__(self, settings: Settings, resolver: Resolver = network.lookup) -> None:
        self.connect_timeout = settings.http_connect_timeout
        self._resolver = resolver
        try:
            self.policy = EgressPolicy(
                allowed_networks=tuple(ip_network(allowed) for allowed in settings.egress_networks),
                allowed_ports=EVERY_PORT,
                max_connection_attempts=ADDRESSES_TRIED,
            )
        except ValueError as error:
            raise ConfigurationError(f"EGRESS_ALLOW: {error}") from error
        self._adapter = _Adapter(
            policy=self.policy,
            resolver=self._resolve,
            pool_connections=PLACES_KEPT,
            pool_maxsize=LANES * max(settings.pool, 1),
        )
        self._place_of = lru_cache(maxsize=PLACES_KEPT)(self._find_place)

    def _resolve(self, host: str, port: int, *hints: int) -> Iterable[Any]:
        """The addresses of a name within the time to connect, which they then share between them."""
        call = _running.get()
        began = time.monotonic()
        answers = network.alternate(self._resolver(host, port, call.time_to_connect(), hints[-1]))
        if call.connection is not None:
            left = call.time_to_connect() - (time.monotonic() - began)
            call.connection.timeout = max(0.001, left) / max(1, min(len(answers), ADDRESSES_TRIED))
        return answers

    def post(self, url: str, body: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
        """POST once and read the answer, over by `deadline` (time.monotonic()) whatever the other side does.

        Raises BlockedAddressError for an address that may not be called and ConnectionFailedError when there is
        no answer. A kept connection that turns out dead is replaced once, so what is posted must carry its own
        id: a receiver may, rarely, see it twice.
        """
        sent = {**HEADERS, **headers}
        with Deadline(deadline) as end:
            try:
                return self._exchange(self._place_of(url), body, sent, end)
            except _StaleConnectionError:
                return self._exchange(self._place_of(url), body, sent, end, is_last=True)

    def _find_place(self, url: str) -> _Place:
        """What may be said of an address without the network: each new connection is checked again by its own."""
        try:
            request = requests.Request("POST", url).prepare()
            self.policy.check_url(url)
            self.policy.check_url(str(request.url))
            pool = cast(HTTPConnectionPool, self._adapter.get_connection_with_tls_context(request, verify=BUNDLE))
        except SSRFGuardError as error:
            raise BlockedAddressError(_why_blocked(error)) from error
        except (requests.RequestException, urllib3.exceptions.LocationValueError, ValueError) as error:
            raise BlockedAddressError("it is not an http or https address") from error
        return _Place(pool, request.path_url)

    def _exchange(
        self, place: _Place, body: bytes, headers: Mapping[str, str], deadline: Deadline, *, is_last: bool = False
    ) -> Answer:
        call = _Call(deadline, self.connect_timeout)
        token = _running.set(call)
        try:
            response = place.pool.urlopen(
                "POST",
                place.target,
                body,
                headers,
                retries=False,
                redirect=False,
                timeout=urllib3.Timeout(connect=call.time_to_connect(), read=deadline.left()),
                preload_content=False,
                decode_content=False,
            )
        except SSRFGuardError as error:
            raise BlockedAddressError(_why_blocked(error)) from error
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if not is_last and _is_stale(call, error):
                raise _StaleConnectionError from error
            said = "did not answer in time" if deadline.has_passed else network.words(error)
            raise ConnectionFailedError(said, sent=call.was_sent) from error
        finally:
            _running.reset(token)
        try:
            text = _body(response)
            return Answer(response.status, response.headers, _excerpt(text), text)
        finally:
            response.close()


class _StaleConnectionError(Exception):
    """A kept connection was closed by the other side, which had not begun to answer."""


def _is_stale(call: _Call, error: BaseException) -> bool:
    if not call.is_reused or call.deadline.has_passed:
        return False
    return any(isinstance(found, ConnectionError) for found in network.causes(error))


def _why_blocked(error: SSRFGuardError) -> str:
    """The refusal in words for the owner of the destination."""
    for found in network.causes(error):
        if isinstance(found, NotAllowedError) and NEVER_NAME in found.reason:
            return f"it leads to {found.address}, which is never called"
        if isinstance(found, NotAllowedError):
            return f"it leads to {found.address}, inside a private network (EGRESS_ALLOW can open one)"
    reason = str(getattr(error, "reason", error))
    if "credentials" in reason:
        return "it must not contain a user name or password"
    return "it is not an http or https address"


def _excerpt(body: str) -> str:
    return body.encode()[:EXCERPT_LIMIT].decode("utf-8", "ignore")


def _body(response: urllib3.BaseHTTPResponse) -> str:
    """The start of the body as text without NUL. The status decides, so a body that breaks off is no failure."""
    kept = bytearray()
    try:
        while len(kept) < READ_LIMIT and (part := response.read1(READ_LIMIT - len(kept), decode_content=False)):
            kept += part
    except (urllib3.exceptions.HTTPError, OSError, ValueError):
        response.close()
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        return ""  # we asked for none, and unpacking what a stranger packed is a risk for nothing
    return kept.decode("utf-8", "replace").replace("\0", "")


def init_app(app: Flask) -> None:
    """Make the client of this process; a setting that it cannot obey stops the start."""
    app.extensions["http"] = Client(app.config["SETTINGS"])


def post(url: str, body: bytes, headers: Mapping[str, str], deadline: float) -> Answer:
    """`Client.post` with the client of the running application."""
    client: Client = current_app.extensions["http"]
    return client.post(url, body, headers, deadline)
