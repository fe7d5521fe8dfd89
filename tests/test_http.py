"""The HTTP client against servers that hang, drip, flood, drop and redirect."""

import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from leadapp import http
from leadapp.config import ROOT, Settings
from leadapp.errors import ConnectionFailedError
from tests.channels_fixtures import soon
from tests.sinks import HttpSink, RawServer, closed_port, drip, make_certificate, read_request, time_limit

JSON = {"Content-Type": "application/json"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def client(resolver: Any = None, **settings: Any) -> http.Client:
    made = Settings(_env_file=None, app_env="test", **settings)
    return http.Client(made, resolver) if resolver else http.Client(made)


def post(url: str, seconds: float = 3.0, **settings: Any) -> http.Answer:
    return client(**settings).post(url, b"{}", JSON, soon(seconds))


def failure_of(talk: Any, seconds: float = 0.3) -> ConnectionFailedError:
    """How a post to a server that behaves like `talk` fails, in time."""
    with RawServer(talk) as server, time_limit(seconds + 3), pytest.raises(ConnectionFailedError) as failed:
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
    assert f'version = "{http.VERSION}"' in (ROOT / "pyproject.toml").read_text()


def test_a_second_post_takes_the_same_connection():
    with HttpSink() as sink:
        ours = client()
        for _ in range(3):
            ours.post(sink.url, b"{}", JSON, soon())
    assert len({request.connection for request in sink.requests}) == 1


def test_a_connection_that_was_idle_for_a_while_is_not_used_again(monkeypatch):
    monkeypatch.setattr(http, "IDLE_SECONDS", 0)
    with HttpSink() as sink:
        ours = client()
        for _ in range(2):
            ours.post(sink.url, b"{}", JSON, soon())
    assert len({request.connection for request in sink.requests}) == 2


def test_head_and_body_go_out_as_one_piece():
    """Two packets wake a receiver twice, and cost as much again."""
    pieces = []

    def talk(sock: socket.socket) -> None:
        pieces.append(sock.recv(65536))
        sock.sendall(OK)

    with RawServer(talk) as server:
        post(server.url)
    head, _, body = pieces[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /hook HTTP/1.1")
    assert body == b"{}"


@pytest.mark.parametrize("framing", [b"Content-Length: 2", b"Connection: close\r\nContent-Length: 2"])
def test_no_descriptor_is_left_behind(framing):
    def talk(sock: socket.socket) -> None:
        while read_request(sock):
            sock.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\nok")

    before = len(os.listdir("/proc/self/fd"))
    with RawServer(talk) as server:
        ours = client()
        for _ in range(40):
            ours.post(server.url, b"{}", JSON, soon())
    assert len(os.listdir("/proc/self/fd")) < before + 20  # other tests' threads may open some


def test_a_call_on_a_kept_connection_is_cut_at_its_own_deadline():
    """Not at the first call's, and not never."""

    def talk(sock: socket.socket) -> None:
        for pause in (0, 0.6, 6):
            read_request(sock)
            time.sleep(pause)
            sock.sendall(OK)

    with RawServer(talk) as server, time_limit(5):
        ours = client()
        ours.post(server.url, b"{}", JSON, soon(0.4))
        assert ours.post(server.url, b"{}", JSON, soon(3)).status == 200
        with pytest.raises(ConnectionFailedError, match="did not answer in time"):
            ours.post(server.url, b"{}", JSON, soon(0.4))
    assert server.connections == 1


def test_the_end_of_one_call_never_cuts_the_next_one_on_the_same_connection(monkeypatch):
    """The pool has the connection back as soon as the answer is read, a moment before its call is over."""
    requests, is_read, excerpt = [], threading.Event(), http._excerpt

    def talk(sock: socket.socket) -> None:
        while request := read_request(sock):
            requests.append(request)
            time.sleep(0.6 * (len(requests) - 1))
            sock.sendall(OK)

    def slow_excerpt(body: str) -> str:
        if not is_read.is_set():
            is_read.set()
            time.sleep(0.6)
        return excerpt(body)

    monkeypatch.setattr(http, "_excerpt", slow_excerpt)
    with RawServer(talk) as server, time_limit(5), ThreadPoolExecutor(1) as pool:
        ours = client()
        first = pool.submit(ours.post, server.url, b"{}", JSON, soon(0.3))
        is_read.wait(2)
        assert ours.post(server.url, b"{}", JSON, soon(3)).status == first.result().status == 200
    assert (len(requests), server.connections) == (2, 1)


def test_sixteen_threads_share_one_client():
    with HttpSink(lambda request: (200, {}, request.body)) as sink:
        ours = client()
        with ThreadPoolExecutor(16) as pool:
            bodies = [str(number).encode() for number in range(200)]
            answers = list(pool.map(lambda body: ours.post(sink.url, body, JSON, soon(20)), bodies))
    assert [answer.excerpt for answer in answers] == [body.decode() for body in bodies]
    assert len({request.connection for request in sink.requests}) <= 16


def test_no_connection_is_thrown_away_when_all_threads_send_to_one_host(caplog):
    count = http.LANES * 16
    arrived = threading.Barrier(count)

    def together(_request: Any) -> tuple[int, dict[str, str], bytes]:
        arrived.wait(20)
        return 200, {}, b"ok"

    with HttpSink(together) as sink, ThreadPoolExecutor(count) as pool:
        ours = client(pool=16)
        for _ in range(2):
            list(pool.map(lambda _: ours.post(sink.url, b"{}", JSON, soon(30)), range(count)))
    assert len({request.connection for request in sink.requests}) == count
    assert "pool is full" not in caplog.text


def test_a_redirect_is_an_answer_and_is_not_followed():
    with HttpSink() as inner, HttpSink() as sink:
        sink.answer = lambda _: (302, {"Location": inner.url}, b"")
        assert post(sink.url).status == 302
    assert inner.requests == []


def test_a_redirect_with_an_endless_body_is_cut():
    head = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 99999999999\r\n\r\n"
    with RawServer(lambda sock: flood(sock, head)) as server, time_limit(4):
        assert post(server.url, 5).status == 302


def test_a_gigabyte_is_cut_at_64_kib_and_4_kib_are_kept():
    sent: list[int] = []
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n"
    with RawServer(lambda sock: flood(sock, head, sent)) as server, time_limit(4):
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
    failed = failure_of(lambda sock: time.sleep(6), 1.0)
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
    with RawServer(lambda sock: time.sleep(6)) as server, time_limit(3), pytest.raises(ConnectionFailedError):
        client().post(server.url, b"x" * 50_000_000, JSON, soon(0.3))


@pytest.mark.parametrize("framing", [b"Content-Length: 500", b"Connection: close", b"Transfer-Encoding: chunked"])
def test_the_status_counts_when_the_body_drips_on(framing):
    def talk(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        drip(sock, b"1\r\na\r\n" * 50)

    with RawServer(talk) as server, time_limit(6):  # it would drip for 15 seconds
        assert post(server.url, 1.5).status == 200


def test_the_status_counts_when_the_body_breaks_off():
    def talk(sock: socket.socket) -> None:
        read_request(sock)
        sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 500\r\n\r\nbusy")

    with RawServer(talk) as server:
        answer = post(server.url)
    assert (answer.status, answer.excerpt) == (503, "busy")


def test_a_tls_handshake_that_hangs_is_cut_at_the_deadline():
    with (
        RawServer(lambda sock: time.sleep(6)) as server,
        time_limit(3),
        pytest.raises(ConnectionFailedError) as failed,
    ):
        post(server.url.replace("http:", "https:"), 0.3)
    assert not failed.value.sent


def test_a_name_that_dns_never_answers_for_is_given_up(monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: time.sleep(6))
    with time_limit(3), pytest.raises(ConnectionFailedError, match="did not answer in time"):
        post("http://slow.example/", 0.3)


def test_an_unknown_name_is_said_to_be_unknown(monkeypatch):
    def unknown(*_args: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ConnectionFailedError, match=r"name that cannot be found \(DNS\)") as failed:
        post("http://nobody.example/")
    assert not failed.value.sent


def test_a_refused_connection_is_said_to_be_refused():
    with closed_port() as port, pytest.raises(ConnectionFailedError, match="refuses the connection") as failed:
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
