"""Accepting and delivering, on real PostgreSQL and Redis, beside a bare loop in the same run.

    .venv/bin/python -m benchmarks.throughput

Prints leads accepted per second with p50/p99, deliveries per second on a backlog (one job a lead in Redis; and
swept), post-to-sink times at 20 leads/s, and the memory of all processes (PSS). TEST_POSTGRES_URL says where
PostgreSQL is; databases of its own are made and dropped. Everything stays on loopback and ends by itself.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psycopg

from benchmarks import bare
from benchmarks.load import Receiver, post_many
from tests.services.conftest import fresh_database
from tests.services.stack import Stack, free_port, wait_for

LEADS = int(os.environ.get("BENCH_LEADS", "2000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LANES = 8
STEADY = 20  # leads a second


def tidy() -> None:
    """What autovacuum does on a server of its own; those of test machines often have it off, and slow down by half."""
    with psycopg.connect(os.environ["BARE_DATABASE"], autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.0f} (of {len(values)} rounds: {min(values):.0f} to {max(values):.0f})"


def milliseconds(values: list[float]) -> str:
    ordered = sorted(values)
    return f"p50 {ordered[len(ordered) // 2] * 1000:.1f} ms, p99 {ordered[int(len(ordered) * 0.99)] * 1000:.1f} ms"


def accepted(stack: Stack, name: str, port: int) -> float:
    before = cpu_milliseconds(stack, name)
    took, latencies = post_many(port, LEADS, LANES)
    cpu = (cpu_milliseconds(stack, name) - before) / LEADS
    print(f"    {name}: {LEADS / took:.0f}/s, {milliseconds(latencies)}, {cpu:.2f} ms of CPU a post")
    return LEADS / took


def bare_web(stack: Stack, port: int) -> None:
    stack._start(
        "bare",
        *(sys.executable, "-m", "gunicorn", "benchmarks.bare:app", "--bind", f"127.0.0.1:{port}"),
        *("--worker-class", "gthread", "--workers", "2", "--threads", "4", "--no-control-socket"),
    )
    time.sleep(2)


def bare_workers(stack: Stack, receiver: Receiver) -> list[subprocess.Popen[bytes]]:
    """They end when their queue has been empty for four seconds."""
    command = [sys.executable, "-m", "benchmarks.bare", receiver.url]
    return [subprocess.Popen(command, env=stack.environment) for _ in range(2)]


def deliver_bare(stack: Stack, receiver: Receiver) -> float:
    """Two bare workers on what the bare web queued."""
    tidy()
    before = receiver.count.value
    waiting = stack.redis().llen(bare.QUEUE)
    workers = bare_workers(stack, receiver)
    receiver.wait(before + 1)
    began = time.perf_counter()
    receiver.wait(before + waiting)
    took = time.perf_counter() - began
    for worker in workers:
        worker.wait(30)
    return float(waiting / took)


def deliver_ours(stack: Stack, receiver: Receiver) -> float:
    """Our worker on a backlog, from the first delivery to the last."""
    tidy()
    waiting = stack.query("SELECT count(*) FROM delivery WHERE state = 'pending'")[0][0]
    before = receiver.count.value
    stack.start_worker()
    receiver.wait(before + 1)
    began = time.perf_counter()
    receiver.wait(before + waiting)
    took = time.perf_counter() - began
    wait_for(lambda: set(stack.states()) == {"delivered"}, 30)
    return float(waiting / took)


def steady(
    port: int, receiver: Receiver, start: Callable[[], Sequence[subprocess.Popen[bytes]]] = tuple
) -> list[float]:
    """Seconds from post to sink, of leads that come one by one."""
    receiver.drain_delays()
    before = receiver.count.value
    workers = start()
    time.sleep(1.0)  # they have begun to wait
    post_many(port, 10 * STEADY, 2, per_second=STEADY)
    receiver.wait(before + 10 * STEADY)
    for worker in workers:
        worker.wait(30)
    time.sleep(0.5)
    return receiver.drain_delays()


def stop_worker(stack: Stack) -> None:
    stack.end("worker", signal.SIGTERM)
    stack.processes["worker"].wait(20)


def pss_megabytes(stack: Stack, *names: str) -> float:
    """Proportional memory of these processes and all that they started."""
    total = 0
    for name in names:
        for pid in pids_of(stack, name):
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def cpu_milliseconds(stack: Stack, name: str) -> float:
    """What this process and all that it started have spent, in the kernel too."""
    ticks = 0
    for pid in pids_of(stack, name):
        after_name = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(after_name[11]) + int(after_name[12])
    return ticks / os.sysconf("SC_CLK_TCK") * 1000


def pids_of(stack: Stack, name: str) -> list[str]:
    session = str(stack.processes[name].pid)
    listing = subprocess.run(["ps", "-o", "pid=", "-s", session], capture_output=True, text=True, check=True)
    return listing.stdout.split()


def backlog(stack: Stack, receiver: Receiver, prepare: Callable[[], object]) -> float:
    stop_worker(stack)
    post_many(stack.port, LEADS, LANES)
    prepare()
    return deliver_ours(stack, receiver)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, fresh_database() as address:
        receiver = Receiver()
        one_webhook = {"mail_server": "", "lead_notification_email": "", "zapier_webhook_url": receiver.url}
        stack = Stack(
            Path(folder),
            address,
            **one_webhook,
            bare_database=address,
            lease_seconds=30,
            sweep_seconds=1,
            log_level="WARNING",
        )
        os.environ["BARE_DATABASE"] = address
        with stack:
            run(stack, receiver)
        receiver.process.terminate()


def run(stack: Stack, receiver: Receiver) -> None:
    with psycopg.connect(os.environ["BARE_DATABASE"]) as connection:
        connection.execute(bare.SCHEMA)
    port = free_port()
    bare_web(stack, port)
    post_many(stack.port, 200, LANES)
    post_many(port, 200, LANES)
    stop_worker(stack)
    print("accept, ours / bare:")
    ours, least = [], []
    for _ in range(ROUNDS):
        tidy()
        ours.append(accepted(stack, "web", stack.port))
        least.append(accepted(stack, "bare", port))
    print(f"accepted/s: ours {spread(ours)}, bare {spread(least)}")
    print(f"  ratio {statistics.median(ours) / statistics.median(least):.2f} (aim: 0.6)")
    stack.start_worker()
    wait_for(lambda: set(stack.states()) == {"delivered"}, 120)
    print(f"memory of web and worker: {pss_megabytes(stack, 'web', 'worker'):.0f} MB PSS (aim: under 250)")
    rates_bare = [deliver_bare(stack, receiver)]
    rung, swept = [], []
    for _ in range(ROUNDS):
        rung.append(backlog(stack, receiver, lambda: None))
        swept.append(backlog(stack, receiver, stack.redis().flushall))
        post_many(port, LEADS, LANES)
        rates_bare.append(deliver_bare(stack, receiver))
    print(f"deliveries/s on a backlog of {LEADS}: rung {spread(rung)}, swept {spread(swept)}")
    print(f"  bare {spread(rates_bare)}")
    base = statistics.median(rates_bare)
    print(f"  ratio rung {statistics.median(rung) / base:.2f}, swept {statistics.median(swept) / base:.2f} (aim: 1.2)")
    tidy()
    ours_late = steady(stack.port, receiver)
    least_late = steady(port, receiver, lambda: bare_workers(stack, receiver))
    print(f"post to sink at {STEADY} leads/s: ours {milliseconds(ours_late)}, bare {milliseconds(least_late)}")
    print(f"  ratio of p50 {statistics.median(ours_late) / statistics.median(least_late):.1f} (aim: at most 3)")


if __name__ == "__main__":
    main()
