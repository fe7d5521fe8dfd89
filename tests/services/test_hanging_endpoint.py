"""One endpoint of ten hangs for ten seconds: the other nine notice nothing (design.md, section 5)."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from leadapp.app import create_app
from leadapp.deliveries.models import Kind
from tests.conftest import SECRET, make_settings
from tests.factories import add_destination
from tests.services.conftest import fresh_database
from tests.services.stack import Stack, wait_for
from tests.sinks import HttpAnswer, Request

ENDPOINTS = 10
HANGS = f"/{ENDPOINTS}"
PER_SECOND = 4
LEADS = 60  # each of them for all ten endpoints
HANGING_SECONDS = 10.0
WITHIN = 1.5
NOISE = 0.02  # seconds that two processes on one machine differ by anyway

AGES = """SELECT extract(epoch FROM delivery.sent_at - lead.received_at)::float
FROM delivery JOIN lead ON lead.id = delivery.lead_id JOIN destination ON destination.id = delivery.destination_id
WHERE delivery.kind = 'webhook' AND destination.name <> :hangs"""


def hang(request: Request) -> HttpAnswer:
    if request.path == HANGS:
        time.sleep(HANGING_SECONDS + 1)
    return 200, {}, b"ok"


def with_ten_endpoints(folder: Path, database: str) -> Stack:
    folder.mkdir()
    timing = {"http_timeout": HANGING_SECONDS, "lease_seconds": 30, "delivery_retry_base_seconds": 30}
    return Stack(folder, database, zapier_webhook_url="", log_level="WARNING", **timing)


def add_endpoints(stack: Stack) -> None:
    app = create_app(make_settings(database_url=stack.database_url, encryption_keys=SECRET))
    with app.app_context():
        for number in range(1, ENDPOINTS + 1):
            add_destination(Kind.WEBHOOK, stack.hook.url.replace("/hook", f"/{number}"), name=f"/{number}")


@pytest.fixture
def both(tmp_path: Path) -> Iterator[list[Stack]]:
    """Two of everything side by side, so that a busy machine slows both down: all well, and one endpoint hanging."""
    with ExitStack() as running:
        stacks = []
        for name in ("well", "hanging"):
            database = running.enter_context(fresh_database())
            stacks.append(running.enter_context(with_ten_endpoints(tmp_path / name, database)))
            add_endpoints(stacks[-1])
        for stack in stacks:  # warm up
            stack.post(0)
            wait_for(lambda stack=stack: stack.all_delivered(ENDPOINTS + 1), 30)  # and the owner's mail
        stacks[1].hook.answer = hang
        yield stacks


def post_evenly(stacks: list[Stack]) -> None:
    """So many leads a second to each, whatever the answers take."""
    began = time.monotonic()
    for number in range(LEADS):
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        for stack in stacks if number % 2 else reversed(stacks):
            stack.post(secrets.token_hex(4))


def p95(stack: Stack) -> float:
    """Seconds from post to delivered at the nine endpoints that are well."""

    def look() -> list[float]:
        ages = [row[0] for row in stack.query(AGES, hangs=HANGS)]
        return [] if None in ages else sorted(ages)

    ages = wait_for(look, 20)
    assert len(ages) == (LEADS + 1) * (ENDPOINTS - 1)
    return float(ages[int(len(ages) * 0.95)])


@pytest.mark.alone
@pytest.mark.timeout(120)
def test_nine_endpoints_do_not_notice_that_the_tenth_hangs(both: list[Stack]) -> None:
    post_evenly(both)
    well, hanging = map(p95, both)
    waiting = both[1].query("SELECT count(*) FROM delivery WHERE kind = 'webhook' AND state <> 'delivered'")[0][0]
    assert waiting == LEADS, "the tenth endpoint did not hang"
    assert hanging <= WITHIN * well + NOISE, f"p95 {hanging:.3f} s beside {well:.3f} s"
