"""The mock customer API as a real process: it takes leads, fails as it is told, and shows what arrived."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from leadapp.config import ROOT
from leadapp.dev.mock_customer_api import Behaviour

from .conftest import SECRET
from .sinks import time_limit

BODY = {"customer_email": "user@example.com", "phone": "+4917012345678", "product": {"name": "Website lead"}}
TOKEN = {"Authorization": "Bearer customer-token"}


class Running:
    """`flask mock-customer-api` with these options."""

    def __init__(self, folder: Path, *options: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "APP_ENV": "development",
            "SECRET_KEY": SECRET,
            "DATABASE_URL": f"sqlite:///{folder / 'lead.db'}",
            "PYTHONUNBUFFERED": "1",
        }
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "mock-customer-api", "--port", "0", *options]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout
        said = self.process.stdout.readline()
        assert "listens at http://127.0.0.1:" in said, said
        self.url = said.split("listens at ")[1].split("/ ")[0]

    def post(self, body: Any = BODY, key: str = "", **headers: str) -> requests.Response:
        named = {"Idempotency-Key": key} if key else {}
        return requests.post(f"{self.url}/leads", json=body, headers={**TOKEN, **named, **headers}, timeout=10)

    def become(self, **behaviour: Any) -> requests.Response:
        return requests.post(f"{self.url}/mock", json=behaviour, timeout=10)

    def seen(self) -> dict[str, Any]:
        return requests.get(f"{self.url}/", headers={"Accept": "application/json"}, timeout=10).json()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)
        assert self.process.stdout
        self.process.stdout.close()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    found = Running(tmp_path_factory.mktemp("mock"), "--token", "customer-token")
    yield found
    found.stop()


@pytest.fixture
def mock(running: Running) -> Running:
    running.become(reset=True)
    requests.delete(f"{running.url}/requests", timeout=10)
    return running


def test_a_lead_is_taken_and_shown(mock: Running) -> None:
    answer = mock.post()
    assert (answer.status_code, answer.json()["status"]) == (201, "created")
    seen = mock.seen()
    assert (seen["count"], seen["accepted"]) == (1, [BODY])
    assert (seen["requests"][0]["path"], seen["requests"][0]["is_authorised"]) == ("/leads", True)
    assert "customer-token" not in str(seen)


def test_the_same_idempotency_key_is_a_duplicate_with_the_same_id(mock: Running) -> None:
    first, again = mock.post(key="k1"), mock.post(key="k1")
    assert (again.status_code, again.json()) == (200, {"status": "duplicate", "id": first.json()["id"]})
    assert len(mock.seen()["accepted"]) == 1


@pytest.mark.parametrize(
    "header", ["", "Bearer wrong", "Bearer customer-token ", "Basic customer-token", "Bearer \xff"]
)
def test_a_wrong_token_is_401(mock: Running, header: str) -> None:
    answer = mock.post(Authorization=header)
    assert answer.status_code == (201 if header.strip() == TOKEN["Authorization"] else 401)


def test_names_of_headers_may_be_small(mock: Running) -> None:
    headers = {"authorization": TOKEN["Authorization"], "idempotency-key": "k2"}
    for status in (201, 200):
        assert requests.post(f"{mock.url}/leads", json=BODY, headers=headers, timeout=10).status_code == status


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        ({**BODY, "phone": ""}, "phone"),
        ({**BODY, "product": {}}, "product.name"),
        ({**BODY, "product": "x"}, "product.name"),
        ([], "a JSON object"),
        (None, "a JSON object"),
    ],
)
def test_what_the_customer_insists_on_is_named(mock: Running, body: Any, missing: str) -> None:
    answer = mock.post(body)
    assert (answer.status_code, answer.json()["error"]) == (422, f"Missing: {missing}.")
    assert mock.seen()["accepted"] == []


def test_a_status_is_given_so_many_times(mock: Running) -> None:
    assert mock.become(status=503, times=3, retry_after="1").json()["times"] == 3
    answers = [mock.post(key="k") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [503, 503, 503, 201, 200]
    assert [answer.headers.get("Retry-After") for answer in answers] == ["1", "1", "1", None, None]


def test_a_status_without_a_number_stays(mock: Running) -> None:
    mock.become(status=400, body={"message": "no"})
    assert [(a.status_code, a.json()) for a in (mock.post(), mock.post())] == [(400, {"message": "no"})] * 2
    mock.become(status=0, body=None)
    assert mock.post().status_code == 201


@pytest.mark.parametrize("status", [200, 299, 404, 410, 429, 599])
def test_any_status_can_be_given(mock: Running, status: int) -> None:
    mock.become(status=status)
    assert mock.post().status_code == status


def test_a_failure_rate_of_one_fails_always(mock: Running) -> None:
    mock.become(failure_rate=1)
    assert mock.post().status_code == 503
    mock.become(failure_rate=0)
    assert mock.post().status_code == 201


def test_a_delay_is_waited_for(mock: Running) -> None:
    mock.become(delay=0.3)
    began = time.monotonic()
    with time_limit(5):
        mock.post()
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize(
    "wanted", [{"status": 700}, {"failure_rate": 2}, {"delay": -1}, {"times": -1}, {"speed": 1}, {"status": "x"}, []]
)
def test_what_cannot_be_meant_is_refused(mock: Running, wanted: Any) -> None:
    assert requests.post(f"{mock.url}/mock", json=wanted, timeout=10).status_code == 400
    assert mock.post().status_code == 201


def test_a_body_that_is_not_json_is_kept_as_nothing_and_refused(mock: Running) -> None:
    answer = requests.post(f"{mock.url}/leads", data=b"\xff\x00{", headers=TOKEN, timeout=10)
    assert answer.status_code == 422
    assert mock.seen()["requests"][0]["body"] is None


def test_a_body_that_is_too_large_is_413(mock: Running) -> None:
    answer = requests.post(f"{mock.url}/leads", headers={**TOKEN, "Content-Length": "99999999"}, timeout=10)
    assert answer.status_code == 413


def test_people_see_a_page_without_what_a_lead_could_inject(mock: Running) -> None:
    mock.post({**BODY, "note": "<script>alert(1)</script>"})
    page = requests.get(f"{mock.url}/", headers={"Accept": "text/html"}, timeout=10)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script" not in page.text


def test_it_says_that_it_lives_and_what_is_not_there(mock: Running) -> None:
    assert requests.get(f"{mock.url}/healthz", timeout=10).json() == {"status": "ok"}
    assert requests.get(f"{mock.url}/nowhere", timeout=10).status_code == 404
    assert requests.put(f"{mock.url}/leads", timeout=10).status_code == 501


def test_options_say_how_it_starts(tmp_path: Path) -> None:
    started = Running(tmp_path, "--status", "500", "--delay", "0.01")
    try:
        assert started.post(Authorization="").status_code == 500
        assert started.seen()["behaviour"]["status"] == 500
    finally:
        started.stop()


def test_behaviours_name_their_faults() -> None:
    assert Behaviour().faults() == []
    assert len(Behaviour(status=99, failure_rate=-1, delay=999, times=-1).faults()) == 4
