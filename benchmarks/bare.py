"""The least that a lead desk could do, to measure ours against: a bare web and a bare worker.

Web: INSERT, COMMIT, LPUSH, answer. Worker: BRPOP, SELECT, POST, UPDATE, COMMIT. No checks, no retries, no truth.
"""

import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterable
from typing import Any

import psycopg
import requests
from redis import Redis

SCHEMA = "CREATE TABLE IF NOT EXISTS bare (id text PRIMARY KEY, body text NOT NULL, state text NOT NULL)"
QUEUE = "bare"
_own = threading.local()


def database() -> psycopg.Connection[Any]:
    if not hasattr(_own, "database"):
        _own.database = psycopg.connect(os.environ["BARE_DATABASE"])
    found: psycopg.Connection[Any] = _own.database
    return found


_redis: Redis | None = None


def redis() -> Redis:
    global _redis  # noqa: PLW0603 - one pool for all threads of this script
    _redis = _redis or Redis.from_url(os.environ["REDIS_URL"])
    return _redis


def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI app for the same gunicorn as ours."""
    size = int(environ.get("CONTENT_LENGTH") or 0)
    body = json.loads(environ["wsgi.input"].read(size) or b"{}")
    lead_id = str(uuid.uuid4())
    database().execute("INSERT INTO bare VALUES (%s, %s, 'pending')", (lead_id, json.dumps(body)))
    database().commit()
    redis().lpush(QUEUE, lead_id)
    answer = json.dumps({"ok": True, "id": lead_id}).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


def work(url: str) -> None:
    """Until the queue has been empty for four seconds."""
    connection = psycopg.connect(os.environ["BARE_DATABASE"])
    session = requests.Session()
    while popped := redis().brpop([QUEUE], timeout=4):
        lead_id = popped[1].decode()
        row = connection.execute("SELECT body FROM bare WHERE id = %s", (lead_id,)).fetchone()
        assert row is not None
        answer = session.post(url, data=row[0], headers={"Content-Type": "application/json"}, timeout=10)
        state = "delivered" if answer.ok else "failed"
        connection.execute("UPDATE bare SET state = %s WHERE id = %s", (state, lead_id))
        connection.commit()


if __name__ == "__main__":
    work(sys.argv[1])
