"""The HTTP client against servers that hang, drip, flood, drop and redirect, and against addresses in costume."""

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from leadapp import http
from leadapp.config import Settings
from leadapp.errors import BlockedAddressError, ConfigurationError, ConnectionFailedError
from tests.channels_fixtures import soon
from tests.sinks import HttpSink, RawServer, drip, make_certificate, read_request, time_limit

JSON = {"Content-Type": "application/json"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def client(resolver: Any = None, **settings: Any) -> http.Client:
    made = Settings(_env_file=None, app_env="test", **settings)
    return http.Client(made, resolver) if resolver else http.Client(made)


def post(url: str, seconds: float = 3.0, **settings: Any) -> http.Answer:
    return client(**settings).post(url, b"{}", JSON, soon(seconds))


def answers_with(*addresses: str) -> Any:
    """A resolver for which every name has these addresses."""

    def resolve(_host: str, port: int, _within: float, _flags: int) -> Any:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0))
            if ":" in address
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in addresses
        ]

    return resolve


def failure_of(talk: Any, seconds: float = 0.3) -> ConnectionFailedError:
    """How a post to a server that behaves like `talk` fails, in time."""
    with RawServer(talk) as server, time_limit(seconds + 0.5), pytest.raises(ConnectionFailedError) as failed:
        post(server.url, seconds)
    return failed.value


def test_the_body_arrives_with_our_name_and_version():
    with HttpSink() as sink:
        answer = post(sink.url)
    request = sink.requests[0]
    assert (answer.status, answer.excerpt) == (200, "ok")
    assert request.body == b"{}"
    assert request.headers["User-Agent"] == http.USER_AGENT
    assert request.headers["Content-Type"] == "application/json"


def test_the_version_is_the_one_in_pyproject():
    assert f'version = "{http.VERSION}"' in (http_root() / "pyproject.toml").read_text()


def http_root():
    from leadapp.config import ROOT

    return ROOT


def test_a_second_post_takes_the_same_connection():
    with HttpSink() as sink:
        ours = client()
        for _ in range(3):
            ours.post(sink.url, b"{}", JSON, soon())
    assert len({request.connection for request in sink.requests}) == 1


def test_sixteen_threads_share_one_client():
    with HttpSink(lambda request: (200, {}, request.body)) as sink:
        ours = client()
        with ThreadPoolExecutor(16) as pool:
            bodies = [str(number).encode() for number in range(200)]
            answers = list(pool.map(lambda body: ours.post(sink.url, body, JSON, soon(20)), bodies))
    assert [answer.excerpt for answer in answers] == [body.decode() for body in bodies]
    assert len({request.connection for request in sink.requests}) <= 16


def test_a_redirect_is_an_answer_and_is_not_followed():
    with HttpSink() as inner, HttpSink() as sink:
        sink.answer = lambda _: (302, {"Location": inner.url}, b"")
        assert post(sink.url).status == 302
    assert inner.requests == []


def test_a_redirect_with_an_endless_body_is_cut():
    head = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 99999999999\r\n\r\n"
    with RawServer(lambda sock: flood(sock, head)) as server, time_limit(2):
        assert post(server.url, 5).status == 302


def test_a_gigabyte_is_cut_at_64_kib_and_4_kib_are_kept():
    sent: list[int] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
    with RawServer(lambda sock: flood(sock, head, sent)) as server, time_limit(2):
        answer = post(server.url, 5)
    assert answer.status == 200
    assert answer.excerpt == "x" * 4096
    assert len(sent) < 64  # of 1,024 pieces of a megabyte; the rest filled socket buffers at most


def flood(sock: socket.socket, head: bytes, sent: list[int] | None = None) -> None:
    read_request(sock)
    sock.sendall(head)
    for number in range(1024):
        sock.sendall(b"x" * 1024 * 1024)
        if sent is not None:
            sent.append(number)


def test_an_excerpt_is_text_without_nul_of_at_most_4_kib():
    with HttpSink(lambda _: (200, {}, b"a\0b" + b"\xff" * 5000)) as sink:
        excerpt = post(sink.url).excerpt
    assert excerpt.startswith("ab\ufffd")
    assert len(excerpt.encode()) <= 4096


def test_a_packed_answer_is_not_unpacked():
    with HttpSink(lambda _: (200, {"Content-Encoding": "gzip"}, b"\x1f\x8b bomb")) as sink:
        assert post(sink.url).excerpt == ""
        assert sink.requests[0].headers["Accept-Encoding"] == "identity"


def test_a_server_that_hangs_is_cut_at_the_deadline():
    failed = failure_of(lambda sock: time.sleep(2))
    assert str(failed) == "did not answer in time"
    assert failed.sent


def test_a_server_that_drips_its_headers_is_cut_at_the_deadline():
    assert str(failure_of(lambda sock: (read_request(sock), drip(sock, OK * 5)))) == "did not answer in time"


def test_a_server_that_says_continue_for_ever_is_cut_at_the_deadline():
    def talk(sock: socket.socket) -> None:
        read_request(sock)
        while True:
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            time.sleep(0.02)

    assert str(failure_of(talk)) == "did not answer in time"


def test_a_server_that_does_not_read_the_body_is_cut_at_the_deadline():
    with RawServer(lambda sock: time.sleep(2)) as server, time_limit(0.8), pytest.raises(ConnectionFailedError):
        client().post(server.url, b"x" * 50_000_000, JSON, soon(0.3))


@pytest.mark.parametrize("framing", [b"Content-Length: 500", b"Connection: close", b"Transfer-Encoding: chunked"])
def test_the_status_counts_when_the_body_drips_on(framing):
    def talk(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        drip(sock, b"1\r\na\r\n" * 50)

    with RawServer(talk) as server, time_limit(0.8):
        assert post(server.url, 0.3).status == 200


def test_the_status_counts_when_the_body_breaks_off():
    def talk(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 500\r\n\r\nbusy")

    with RawServer(talk) as server:
        answer = post(server.url)
    assert (answer.status, answer.excerpt) == (503, "busy")


def test_a_tls_handshake_that_hangs_is_cut_at_the_deadline():
    with (
        RawServer(lambda sock: time.sleep(2)) as server,
        time_limit(0.8),
        pytest.raises(ConnectionFailedError) as failed,
    ):
        post(server.url.replace("http:", "https:"), 0.3)
    assert not failed.value.sent


def test_a_name_that_dns_never_answers_for_is_given_up(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(2))
    with time_limit(0.8), pytest.raises(ConnectionFailedError, match="did not answer in time"):
        post("http://slow.example/", 0.3)


def test_an_unknown_name_is_said_to_be_unknown(monkeypatch):
    def unknown(*_args: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailedError, match=r"name that cannot be found \(DNS\)") as failed:
        post("http://nobody.example/")
    assert not failed.value.sent


def test_a_refused_connection_is_said_to_be_refused():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConnectionFailedError, match="refuses the connection") as failed:
        post(f"http://127.0.0.1:{port}/")
    assert not failed.value.sent


def test_a_connection_dropped_after_the_body_is_known_to_have_been_sent():
    failed = failure_of(read_request)
    assert str(failed) == "closed the connection without an answer"
    assert failed.sent


def test_an_answer_that_is_not_http_is_said_to_be_none():
    assert "not HTTP" in str(failure_of(lambda sock: (read_request(sock), sock.sendall(b"220 hello\r\n"))))


def test_a_self_made_certificate_is_refused(tmp_path):
    with HttpSink(tls=make_certificate(tmp_path, "localhost").server) as sink:
        with pytest.raises(ConnectionFailedError, match="has a certificate that we do not accept") as failed:
            post(sink.url.replace("127.0.0.1", "localhost"))
        assert sink.requests == []
    assert not failed.value.sent


def test_a_kept_connection_that_died_is_replaced_without_a_failure():
    """The server closes as the next request arrives: the race that every keep-alive has."""
    first_on_connection = threading.Event()

    def talk(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(OK)
        if not first_on_connection.is_set():
            first_on_connection.set()
            sock.recv(1)  # the next request has begun; closing now resets it

    with RawServer(talk) as server:
        ours = client()
        assert [ours.post(server.url, b"{}", JSON, soon()).status for _ in range(2)] == [200, 200]
        assert server.connections == 2


def test_a_fresh_connection_that_dies_is_a_failure_at_once():
    with RawServer(read_request) as server:
        with pytest.raises(ConnectionFailedError):
            post(server.url)
        assert server.connections == 1


def test_proxies_and_netrc_of_the_environment_are_ignored(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ada password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    with HttpSink() as sink:
        assert post(sink.url).status == 200
        assert "Authorization" not in sink.requests[0].headers


def test_cookies_are_not_kept():
    with HttpSink(lambda _: (200, {"Set-Cookie": "session=1"}, b"")) as sink:
        ours = client()
        for _ in range(2):
            ours.post(sink.url, b"{}", JSON, soon())
        assert "Cookie" not in sink.requests[1].headers


# Where a call may go.

PRIVATE = [
    "http://10.0.0.1/",
    "http://192.168.1.1/",
    "http://172.16.0.1/",
    "http://100.64.0.1/",
    "http://0.0.0.0/",
    "http://224.0.0.1/",
    "http://[fc00::1]/",
    "http://[::ffff:10.0.0.1]/",
    "http://[64:ff9b::a00:1]/",
    "http://[2002:a00:1::]/",
]
METADATA = [
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/",
    "http://[::ffff:169.254.169.254]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a9fe:a9fe]/",
    "http://[2002:a9fe:a9fe::]/",
    "http://[::a9fe:a9fe]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://2852039166/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://169.254.43518/",
    "http://①⑥⑨.②⑤④.①⑥⑨.②⑤④/",
    "http://169.254.169.254./",
    "http://169。254。169。254/",
    "http://user@169.254.169.254/",
    "http://[fe80::1%25eth0]/",
]
EVERYTHING = ("0.0.0.0/0", "::/0", "169.254.0.0/16", "fe80::/10", "fd00::/8")


@pytest.mark.parametrize("url", PRIVATE)
def test_a_private_address_is_refused(url):
    with pytest.raises(BlockedAddressError, match="inside a private network"):
        post(url)


@pytest.mark.parametrize("url", METADATA)
@pytest.mark.parametrize("allowed", [(), EVERYTHING], ids=["default", "everything allowed"])
def test_metadata_is_never_reached_in_any_costume(url, allowed):
    with pytest.raises(BlockedAddressError):
        post(url, egress_allow=allowed)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe"]
)
def test_a_name_that_leads_to_metadata_is_never_reached(address):
    ours = client(answers_with(address), egress_allow=EVERYTHING)
    with pytest.raises(BlockedAddressError, match="which is never called"):
        ours.post("http://innocent.example/", b"{}", JSON, soon())


@pytest.mark.parametrize("addresses", [("10.0.0.1",), ("93.184.215.14", "10.0.0.1"), ("::ffff:10.0.0.1",)])
def test_a_name_that_leads_inside_is_refused(addresses):
    ours = client(answers_with(*addresses))
    with pytest.raises(BlockedAddressError):
        ours.post("http://innocent.example/", b"{}", JSON, soon())


def test_loopback_is_refused_in_production():
    settings = {"secret_key": "s" * 32, "encryption_keys": "k" * 32, "app_env": "production"}
    ours = http.Client(Settings(_env_file=None, **settings))
    with HttpSink() as sink, pytest.raises(BlockedAddressError):
        ours.post(sink.url, b"{}", JSON, soon())
    assert sink.requests == []


def test_a_name_is_looked_up_once_and_the_checked_address_is_the_one_connected_to():
    """A record that changes between check and connection changes nothing."""
    asked: list[str] = []

    def rebinding(host: str, port: int, within: float, flags: int) -> Any:
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "169.254.169.254"
        return answers_with(address)(host, port, within, flags)

    with HttpSink() as sink:
        answer = client(rebinding).post(f"http://rebind.example:{sink.port}/", b"{}", JSON, soon())
    assert answer.status == 200
    assert asked == ["rebind.example"]
    assert sink.requests[0].headers["Host"] == f"rebind.example:{sink.port}"


def test_the_second_address_is_tried_when_the_first_refuses():
    with HttpSink() as sink:
        ours = client(answers_with("127.0.0.2", "127.0.0.1"))
        assert ours.post(f"http://two.example:{sink.port}/", b"{}", JSON, soon()).status == 200


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nonsense",
        "//host/",
        "http://",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://a b/",
        "http://127.0.0.1\r\nHost: x/",
        "http://" + "a" * 300 + ".example/",
        "http://x/" + "a" * 9000,
    ],
)
def test_what_is_not_an_address_is_refused_in_words(url):
    with pytest.raises(BlockedAddressError, match="it is not an http or https address"):
        post(url)


def test_credentials_in_an_address_are_refused_in_words():
    with pytest.raises(BlockedAddressError, match="must not contain a user name or password"):
        post("http://user:secret@127.0.0.1/")


def test_a_network_that_would_open_every_address_behind_nat64_stops_the_start():
    with pytest.raises(ConfigurationError, match="EGRESS_ALLOW"):
        client(egress_allow=("64:ff9b::/96",))
