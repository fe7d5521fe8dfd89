"""How long /webhooks/leads/ takes to answer at 100 leads a second, beside a bare loop in the same run.

    .venv/bin/python -m benchmarks.gateway

Two web processes and two workers, which deliver to the customer's API meanwhile, on real PostgreSQL and Redis. Latencies
count from the moment at which a post was due (no coordinated omission). Aim: p99 under 100 ms on two cores. The rate is
BENCH_RATE (100), each round takes BENCH_SECONDS (20).
"""

import os
import statistics
import tempfile
from pathlib import Path

import psycopg

from benchmarks import bare
from benchmarks.load import GATEWAY, Receiver, post_many
from benchmarks.throughput import bare_web, milliseconds
from tests.services.conftest import fresh_database
from tests.services.stack import Stack, free_port, wait_for

RATE = float(os.environ.get("BENCH_RATE", "100"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "20"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LANES = 64  # more than are ever busy at once, so that none waits for another's answer
AIM = 0.100  # seconds


def p99(latencies: list[float]) -> float:
    return sorted(latencies)[int(len(latencies) * 0.99)]


def one_round(name: str, port: int, path: str) -> float:
    _, latencies = post_many(port, int(RATE * SECONDS), LANES, RATE, path=path)
    print(f"    {name}: {milliseconds(latencies)}, longest {max(latencies) * 1000:.0f} ms", flush=True)
    return p99(latencies)


def main() -> None:
    receiver = Receiver()
    with tempfile.TemporaryDirectory() as folder, fresh_database() as address:
        os.environ["BARE_DATABASE"] = address
        with psycopg.connect(address) as connection:
            connection.execute(bare.SCHEMA)
        customer = {"customer_api_url": receiver.url, "customer_token": "benchmark", "zapier_webhook_url": ""}
        settings = {"mail_server": "", "lead_notification_email": "", "ratelimit_webhooks": "1000000 per minute"}
        stack = Stack(Path(folder), address, **customer, **settings, bare_database=address, log_level="WARNING")
        with stack:
            measure(stack)
    receiver.process.terminate()


def measure(stack: Stack) -> None:
    port = free_port()
    bare_web(stack, port)
    post_many(stack.port, 200, 8, path=GATEWAY)
    post_many(port, 200, 8, path=GATEWAY)
    print(f"{RATE:.0f} leads/s for {SECONDS:.0f} s, {ROUNDS} rounds")
    ours, least = [], []
    for _ in range(ROUNDS):
        ours.append(one_round("gateway", stack.port, GATEWAY))
        least.append(one_round("bare loop", port, GATEWAY))
    found = statistics.median(ours)
    print(
        f"p99: gateway {found * 1000:.1f} ms (aim: under {AIM * 1000:.0f}), bare {statistics.median(least) * 1000:.1f} ms"
    )
    wait_for(lambda: set(stack.states()) == {"delivered"}, 60)
    print(f"delivered meanwhile: {stack.states()['delivered']} of {int(RATE * SECONDS) * ROUNDS + 200}")


if __name__ == "__main__":
    main()
