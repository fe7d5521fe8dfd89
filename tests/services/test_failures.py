"""What must survive (delivery-contract.md): the whole app as processes, and each of its parts broken under it."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from leadapp import queue
from tests.services.stack import JSON, Stack, wait_for
from tests.sinks import HttpAnswer, Request

StackWith = Callable[..., Stack]


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lead.db'}"
    return str(request.getfixturevalue("postgresql"))


@pytest.fixture
def stack(tmp_path: Path, postgresql: str) -> Iterator[Stack]:
    """On PostgreSQL."""
    with Stack(tmp_path, postgresql) as running:
        yield running


def ids_of(stack: Stack) -> set[str]:
    return {str(row[0]).replace("-", "") for row in stack.query("SELECT id FROM lead")}


def plain(ids: Any) -> set[str]:
    return {one.replace("-", "") for one in ids}


def timed_post(stack: Stack, number: int) -> str:
    began = time.monotonic()
    lead_id = stack.post(number)
    assert time.monotonic() - began < 1.0
    return lead_id


def break_redis(stack: Stack, how: str) -> None:
    match how:
        case "refused":
            stack.end("redis")
        case "silent":
            stack.end("redis", signal.SIGSTOP)
        case "out of memory":
            redis = stack.redis()
            redis.config_set("maxmemory-policy", "noeviction")
            redis.config_set("maxmemory", "1")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("how", ["refused", "silent", "out of memory"])
def test_leads_are_taken_and_delivered_without_redis(stack: Stack, how: str):
    stack.post("before")
    wait_for(lambda: stack.all_delivered(2))
    break_redis(stack, how)
    first = timed_post(stack, 0)
    noted = stack.query(
        "SELECT count(*) FROM lead WHERE email_last_error LIKE 'queue unavailable:%' OR email_status = 'sent'"
    )
    ids = [first] + [timed_post(stack, number) for number in range(1, 10)]
    assert noted[0][0] == 2
    wait_for(lambda: stack.all_delivered(22), 15)
    assert {lead_id for lead_id, _ in stack.hook_ids()} >= set(ids)
    assert len(stack.smtp.mails) == 11


@pytest.mark.timeout(120)
def test_the_queue_takes_over_again_when_redis_comes_back(stack: Stack):
    break_redis(stack, "refused")
    stack.post(1)
    wait_for(lambda: stack.all_delivered(2), 15)
    stack.start_redis()
    wait_for(lambda: len(stack.redis().smembers("rq:workers")) == 2)
    time.sleep(5)  # the web's breaker
    second = stack.post(2)
    said = stack.query("SELECT last_error FROM delivery WHERE lead_id = :id", id=second)
    assert [words for (words,) in said] == ["", ""]  # rung, not left to those who look into SQL
    wait_for(lambda: stack.all_delivered(4), 15)
    finished = [f"rq:finished:{name}" for name in (queue.NOTIFICATIONS, queue.INTEGRATIONS)]
    wait_for(lambda: all(stack.redis().zcard(name) for name in finished))
    assert stack.states() == {"delivered": 4}


@pytest.mark.timeout(180)
def test_a_flushed_redis_loses_nothing(stack: Stack):
    stack.end("worker", signal.SIGTERM)
    stack.processes["worker"].wait(20)
    for number in range(500):
        stack.post(number)
    assert stack.states() == {"pending": 1000}
    stack.redis().flushall()
    stack.start_worker()
    wait_for(lambda: stack.query("SELECT count(*) FROM heartbeat")[0][0] >= 3)
    wait_for(lambda: stack.all_delivered(1000), 15)
    assert (len(stack.hook.requests), len(stack.smtp.mails)) == (500, 500)


def one_worker(stack: Stack, name: str, index: int = 1) -> None:
    """A worker process without its supervisor, so that a test can kill and restart it at will."""
    code = f"from leadapp.workers.process import run_worker; run_worker({index}, 2)"
    stack._start(name, sys.executable, "-c", code)


def one_clock(stack: Stack) -> None:
    stack._start("clock", sys.executable, "-c", "from leadapp.workers.beat import run_clock; run_clock()")


def end_worker(stack: Stack) -> None:
    stack.end("worker", signal.SIGTERM)
    stack.processes["worker"].wait(20)


def slowly(_request: Request) -> HttpAnswer:
    time.sleep(random.uniform(0.0, 0.25))
    return 200, {}, b"ok"


@pytest.mark.timeout(400)
def test_a_storm_of_kills_loses_nothing_and_repeats_nothing_unrecorded(tmp_path: Path, database_url: str):
    kills, leads = 50, 1000
    dice = random.Random(20261122)
    with Stack(tmp_path, database_url, pool=4, delivery_max_retries=30) as stack:
        end_worker(stack)
        stack.hook.answer = slowly
        one_clock(stack)
        posted: list[str] = []
        poster = threading.Thread(target=lambda: posted.extend(stack.post(n) for n in range(leads)))
        poster.start()
        for index in (0, 1):
            one_worker(stack, f"worker-{index}", index)
        for number in range(kills):
            time.sleep(dice.uniform(0.1, 2.2))
            victim = f"worker-{number % 2}"
            stack.end(victim, signal.SIGKILL)
            one_worker(stack, victim, number % 2)
        poster.join()

        def is_settled() -> bool:
            return set(stack.states()) <= {"delivered", "unknown"}

        wait_for(is_settled, 120, 0.5)
        assert len(posted) == leads
        assert ids_of(stack) == plain(posted)
        check_hooks(stack, posted)
        check_mails(stack)


def check_hooks(stack: Stack, posted: list[str]) -> None:
    """The sink received each lead; repeats carry the same id and the same body."""
    bodies: dict[str, set[tuple[str, bytes]]] = {}
    for (lead_id, webhook_id), request in zip(stack.hook_ids(), list(stack.hook.requests), strict=False):
        bodies.setdefault(lead_id, set()).add((webhook_id, request.body))
    assert bodies.keys() == set(posted)
    assert {len(found) for found in bodies.values()} == {1}


def check_mails(stack: Stack) -> None:
    """A second mail only where the reason was recorded, and under the same Message-ID."""
    counts = Counter(str(mail.message["Message-ID"]) for mail in stack.smtp.mails)
    recorded = {
        str(row[0]).replace("-", "")
        for row in stack.query("SELECT subject_id FROM audit_event WHERE action = 'sent once more'")
    }
    repeated = {key.strip("<>").partition("@")[0].replace("-", "") for key, count in counts.items() if count > 1}
    assert repeated <= recorded
    assert max(counts.values()) <= 2
    delivered = stack.query("SELECT id FROM delivery WHERE kind = 'email' AND state = 'delivered'")
    reached = {key.strip("<>").partition("@")[0].replace("-", "") for key in counts}
    assert {str(row[0]).replace("-", "") for row in delivered} <= reached


@pytest.mark.timeout(120)
def test_every_answered_lead_is_there_when_web_is_killed_under_load(tmp_path: Path, database_url: str):
    with Stack(tmp_path, database_url) as stack:
        answered: list[str] = []

        def load(thread: int) -> None:
            for number in range(10_000):
                try:
                    answered.append(stack.post(f"{thread}-{number}"))
                except requests.RequestException:
                    return

        threads = [threading.Thread(target=load, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        stack.end("web", signal.SIGKILL)
        for thread in threads:
            thread.join(30)
        assert len(answered) > 10
        assert plain(answered) <= ids_of(stack)
        stack.start_web()
        stack.post("after")
        count = 2 * len(ids_of(stack))
        wait_for(lambda: stack.all_delivered(count), 60, 0.5)
        check_hooks_once(stack)


def check_hooks_once(stack: Stack) -> None:
    assert {len(list(stack.hook_ids())), len(set(stack.hook_ids()))} == {len(ids_of(stack))}


@pytest.mark.timeout(120)
def test_the_fence_refuses_a_worker_that_was_stopped_past_its_lease(tmp_path: Path, postgresql: str):
    with Stack(tmp_path, postgresql) as stack:
        end_worker(stack)
        in_flight = threading.Event()

        def first_slow(_request: Request) -> HttpAnswer:
            if not in_flight.is_set():
                in_flight.set()
                time.sleep(1.2)
                return 500, {}, b"too late"
            return 200, {}, b"ok"

        stack.hook.answer = first_slow
        one_worker(stack, "stopped")
        lead_id = stack.post(1)
        assert in_flight.wait(20)
        stack.end("stopped", signal.SIGSTOP)
        one_clock(stack)
        one_worker(stack, "fresh")
        wait_for(lambda: ("delivered",) in [tuple(row) for row in webhook_states(stack)], 30)
        stack.end("stopped", signal.SIGCONT)
        time.sleep(2)
        assert [tuple(row) for row in webhook_states(stack)] == [("delivered",)]
        outcomes = stack.query(
            "SELECT a.outcome FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.kind = 'webhook'"
            " ORDER BY a.fence"
        )
        assert outcomes[-1][0] == "delivered"
        assert stack.lead(lead_id).webhook_status == "sent"
        assert len(set(stack.hook_ids())) == 1


def webhook_states(stack: Stack) -> list[Any]:
    return stack.query("SELECT state FROM delivery WHERE kind = 'webhook'")


@pytest.mark.timeout(120)
def test_a_database_whose_connections_are_cut_under_load_loses_nothing(stack: Stack):
    stack.hook.answer = slowly
    answered = []
    for number in range(120):
        if number % 20 == 10:
            stack.query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        answer = requests.post(f"{stack.url}/f/contact", json={"message": f"no {number}"}, headers=JSON, timeout=10)
        if answer.ok:
            answered.append(answer.json()["id"])
        else:
            assert answer.status_code == 503
    assert len(answered) > 100
    assert plain(answered) <= ids_of(stack)
    count = 2 * len(ids_of(stack))
    wait_for(lambda: stack.all_delivered(count), 60, 0.5)


@pytest.mark.timeout(120)
def test_sqlite_takes_twelve_writers_at_once(tmp_path: Path):
    with Stack(tmp_path, f"sqlite:///{tmp_path / 'lead.db'}") as stack:
        answered: list[str] = []
        threads = [
            threading.Thread(target=lambda n=n: answered.extend(stack.post(f"{n}-{m}") for m in range(15)))
            for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(answered) == 180
        wait_for(lambda: stack.all_delivered(360), 30, 0.5)
        check_hooks_once(stack)


@pytest.mark.timeout(120)
def test_sigterm_under_load_gives_unsent_rows_back(tmp_path: Path, database_url: str):
    with Stack(tmp_path, database_url, pool=4) as stack:
        stack.hook.answer = slowly
        for number in range(150):
            stack.post(number)
        began = time.monotonic()
        end_worker(stack)
        assert time.monotonic() - began < 10
        assert "sending" not in stack.states()
        stack.start_worker()
        wait_for(lambda: stack.all_delivered(300), 60, 0.5)
        check_hooks_once(stack)
        assert len(stack.smtp.mails) == 150


def children_of(pid: int) -> set[int]:
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return {int(child) for child in listing.stdout.split()}


@pytest.mark.timeout(60)
def test_a_dead_worker_is_started_again(stack: Stack):
    wait_for(lambda: stack.query("SELECT count(*) FROM heartbeat WHERE role = 'worker'")[0][0] == 2)
    supervisor = stack.processes["worker"].pid
    killed = children_of(supervisor)
    assert len(killed) == 3  # two workers and the clock
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    stack.post(1)
    wait_for(lambda: stack.all_delivered(2), 30)
    wait_for(lambda: len(children_of(supervisor)) == 3)
    assert not children_of(supervisor) & killed
