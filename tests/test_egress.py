"""Where the HTTP client may go: private addresses and metadata, in many costumes, by name and by number."""

import socket
from typing import Any

import pytest

from leadapp import http
from leadapp.config import Settings
from leadapp.errors import BlockedAddressError, ConfigurationError
from tests.channels_fixtures import soon
from tests.sinks import HttpSink

JSON = {"Content-Type": "application/json"}


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
