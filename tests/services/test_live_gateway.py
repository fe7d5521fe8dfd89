"""The gateway from one end to the other: JSON in, rules, mapping, the customer's API out, on real parts.

By itself it starts PostgreSQL's database, Redis, web, worker and `flask mock-customer-api`. With LIVE_E2E=1 it talks to
a stack that runs already (LIVE_E2E_API_BASE_URL, LIVE_E2E_MOCK_BASE_URL; for replays also LIVE_E2E_ADMIN_EMAIL and
LIVE_E2E_ADMIN_PASSWORD; LIVE_E2E_TRIES tries before it gives up; LIVE_E2E_SECONDS for retries to come) and looks only at
what it answers and at what the mock got.
"""

import html
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
import requests

from tests.desk import token_of
from tests.services.conftest import fresh_database
from tests.services.stack import ROOT, Stack, die_with_the_test, free_port, wait_for

IS_LIVE = os.environ.get("LIVE_E2E") == "1"
TRIES = int(os.environ.get("LIVE_E2E_TRIES", "0"))
# For two retries or a replay to come. A running stack may have the usual pauses, 30 and 60 s and a fifth more.
SECONDS = float(os.environ.get("LIVE_E2E_SECONDS", "150" if IS_LIVE else "60"))
TOKEN = "customer-token-of-this-test"
OWNER, PASSWORD = "owner@shop.example", "correct horse battery staple"
GOOD = {"address": {"zip": "66123", "street": "123 Main St"}, "house": {"is_owner": True}, "phone": "+49 681 5006123"}


@dataclass
class Gateway:
    """Both ends: what machines post to, and what the customer got."""

    api: str
    mock: str
    stack: Stack | None = None
    session: requests.Session = field(default_factory=requests.Session)

    def post(self, **changes: Any) -> dict[str, Any]:
        """Post a lead of a new person. Returns its answer, with the e-mail it was posted with."""
        email = f"e2e-{uuid4().hex}@example.com"
        answer = requests.post(f"{self.api}/webhooks/leads/", json={"email": email, **GOOD, **changes}, timeout=10)
        assert answer.status_code == 200, answer.text
        return {**answer.json(), "email": email}

    def behave(self, **behaviour: Any) -> None:
        answer = requests.post(f"{self.mock}/mock", json={"reset": True, **behaviour}, timeout=5)
        assert answer.status_code == 200, answer.text

    def calls(self, lead: dict[str, Any]) -> list[dict[str, Any]]:
        """What the customer got of this lead, oldest first."""
        seen = requests.get(f"{self.mock}/requests", timeout=5).json()["requests"]
        return [
            one for one in seen if isinstance(one["body"], dict) and one["body"].get("customer_email") == lead["email"]
        ]

    def answered(self, lead: dict[str, Any], *statuses: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Wait until the customer's answers for this lead were exactly these."""
        wait_for(lambda: len(self.calls(lead)) >= len(statuses), seconds)
        calls = self.calls(lead)
        assert [one["status"] for one in calls] == list(statuses)
        return calls

    def status(self, lead: dict[str, Any], wanted: str) -> None:
        """The lead's status in the database, where this test can see it."""
        if self.stack is not None:
            stack, lead_id = self.stack, lead["lead_id"]
            wait_for(lambda: stack.lead(lead_id).status == wanted)

    def log_in(self) -> None:
        email = os.environ.get("LIVE_E2E_ADMIN_EMAIL", OWNER)
        password = os.environ.get("LIVE_E2E_ADMIN_PASSWORD", "" if IS_LIVE else PASSWORD)
        if not password:
            pytest.skip("LIVE_E2E_ADMIN_EMAIL and LIVE_E2E_ADMIN_PASSWORD are needed for this one")
        page = self.session.get(f"{self.api}/account/login", timeout=10)
        typed = {"csrf_token": token_of(page.text), "email": email, "password": password}
        answer = self.session.post(f"{self.api}/account/login", data=typed, timeout=10)
        assert "/account/login" not in answer.url, "the log-in was refused"

    def replay(self, what: str) -> None:
        """Send many again, as the owner does: look, then start."""
        address = f"{self.api}/admin/replays/new/"
        page = self.session.get(address, timeout=10).text
        key = re.search(rf'<option[^>]* value="({what}:\d+)"', page)
        assert key, f"there is nothing of {what} to send again"
        typed = {"csrf_token": token_of(page), "what": key[1], "how": "as-it-was", "per_minute": "600"}
        seen = self.session.post(address, data=typed, timeout=10).text
        mark = re.search(r'name="mark" value="([^"]+)"', seen)
        assert mark, "the page did not show what would happen"
        confirmed = {**typed, "mark": html.unescape(mark[1]), "confirmed": "yes"}
        answer = self.session.post(address, data=confirmed, allow_redirects=False, timeout=10)
        assert answer.status_code == 303, answer.text


def start_mock(log: Path) -> tuple[subprocess.Popen[bytes], str]:
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "mock-customer-api"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--token", TOKEN],
            cwd=ROOT,
            env={**os.environ, "APP_ENV": "development"},
            stdout=output,
            stderr=output,
            preexec_fn=die_with_the_test,
        )
    url = f"http://127.0.0.1:{port}"
    wait_for(lambda: answers(f"{url}/healthz"), 30)
    return process, url


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=1).ok
    except requests.RequestException:
        return False


def make_owner(stack: Stack) -> None:
    code = (
        "from leadapp.app import create_app; from leadapp.accounts import people; "
        "from leadapp.accounts.models import RoleName; app = create_app(); app.app_context().push(); "
        f"people.create_user({OWNER!r}, RoleName.OWNER, {PASSWORD!r})"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=stack.environment, check=True, timeout=60)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if IS_LIVE:
        yield Gateway(os.environ["LIVE_E2E_API_BASE_URL"].rstrip("/"), os.environ["LIVE_E2E_MOCK_BASE_URL"].rstrip("/"))
        return
    folder = tmp_path_factory.mktemp("gateway")
    mock, url = start_mock(folder / "mock.log")
    customer = {"customer_api_url": f"{url}/leads", "customer_token": TOKEN, "delivery_max_retries": 2}
    try:
        with fresh_database() as address, Stack(folder, address, **customer) as stack:
            make_owner(stack)
            yield Gateway(stack.url, url, stack)
    finally:
        mock.terminate()
        mock.wait(10)


@pytest.fixture(autouse=True)
def as_usual(gateway: Gateway) -> Iterator[None]:
    gateway.behave()
    yield
    gateway.behave()


def test_an_accepted_lead_reaches_the_customer_once_in_their_format(gateway: Gateway) -> None:
    lead = gateway.post(house={"is_owner": "ja"})
    assert lead["status"] == "accepted"
    assert UUID(lead["correlation_id"])
    [call] = gateway.answered(lead, 201)
    assert call["is_authorised"]
    assert UUID(call["idempotency_key"])
    body = dict(call["body"])
    assert body.pop("product")["name"]
    assert body == {
        "customer_email": lead["email"],
        "customer_zip": "66123",
        "customer_street": "123 Main St",
        "is_homeowner": True,
        "phone": "+496815006123",
    }
    gateway.status(lead, "DELIVERED")


@pytest.mark.parametrize(
    "changes",
    [{"address": {"zip": "12345"}}, {"house": {"is_owner": False}}, {"address": {}}, {"phone": None}],
    ids=["zip", "tenant", "nothing", "no phone"],
)
def test_a_rejected_lead_is_kept_and_never_sent_to_the_customer(gateway: Gateway, changes: dict[str, Any]) -> None:
    lead = gateway.post(**changes)
    gateway.answered(gateway.post(), 201)  # another one gets through meanwhile, so this one would have
    assert gateway.calls(lead) == []
    gateway.status(lead, "REJECTED")


def test_a_customer_who_is_away_gets_the_lead_when_back_under_the_same_key(gateway: Gateway) -> None:
    gateway.behave(status=503, times=2)
    lead = gateway.post()
    calls = gateway.answered(lead, 503, 503, 201, seconds=SECONDS)
    assert len({one["idempotency_key"] for one in calls}) == 1
    gateway.status(lead, "DELIVERED")


def test_a_refused_lead_is_not_tried_again_until_a_person_sends_it_again(gateway: Gateway) -> None:
    gateway.behave(status=400)
    lead = gateway.post()
    gateway.answered(lead, 400)
    gateway.status(lead, "PERMANENTLY_FAILED")
    time.sleep(2)  # longer than the first pause: nothing more comes
    gateway.behave()
    gateway.answered(lead, 400)
    gateway.log_in()
    gateway.replay("destination")
    calls = gateway.answered(lead, 400, 201, seconds=SECONDS)
    assert len({one["idempotency_key"] for one in calls}) == 1
    gateway.status(lead, "DELIVERED")


@pytest.mark.skipif(IS_LIVE and not TRIES, reason="LIVE_E2E_TRIES says how often the running stack tries")
def test_spent_retries_end_in_needs_you_and_a_replay_delivers(gateway: Gateway) -> None:
    gateway.behave(status=500)
    lead = gateway.post()
    tries = TRIES or 3
    gateway.answered(lead, *[500] * tries, seconds=SECONDS)
    gateway.status(lead, "PERMANENTLY_FAILED")
    gateway.behave()
    gateway.log_in()
    gateway.replay("destination")
    calls = gateway.answered(lead, *[500] * tries, 201, seconds=SECONDS)
    assert len({one["idempotency_key"] for one in calls}) == 1
    gateway.status(lead, "DELIVERED")
