"""`make run` on a copy of the tree: a first lead is delivered; killed in any way, it starts again."""

import contextlib
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from leadapp.config import ROOT, Settings
from tests.services.conftest import REDIS
from tests.services.stack import free_port, wait_for

PARTS = ("leadapp", "migrations", "templates", "wsgi.py", "worker.py", "Procfile.dev")
NAMES = {name.upper() for name in Settings.model_fields}


class Desk:
    """`make run` of one folder: what make itself would start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def said(self) -> str:
        return (self.folder / "out.log").read_text()

    def start(self, **settings: str) -> "subprocess.Popen[bytes]":
        """Start, and wait until a lead can be taken."""
        environment = {name: value for name, value in os.environ.items() if name not in NAMES}
        with (self.folder / "out.log").open("w") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "leadapp.dev.run"],
                cwd=self.folder,
                env={**environment, "PORT": str(self.port), **settings},
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        wait_for(self.is_ready, 40)
        return self.process

    def is_ready(self) -> bool:
        assert self.process
        assert self.process.poll() is None, self.said
        if "Leadapp is at" not in self.said:
            return False
        with contextlib.suppress(requests.RequestException):
            return bool(requests.get(f"{self.address}/healthz/ready", timeout=2).json()["status"] == "ok")
        return False

    def post(self, name: str) -> None:
        answer = requests.post(
            f"{self.address}/f/contact", data={"name": name, "message": "hello"}, timeout=5, allow_redirects=False
        )
        assert answer.status_code == 303

    def states(self) -> list[str]:
        with contextlib.closing(sqlite3.connect(self.folder / "instance" / "leadapp.db", timeout=10)) as database:
            return [state for (state,) in database.execute("SELECT state FROM delivery ORDER BY id")]

    def delivers(self, count: int) -> None:
        wait_for(lambda: self.states() == ["delivered"] * count, 30)

    def processes(self) -> dict[int, str]:
        """Everything that works in this folder, by its number."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                if (entry / "cwd").readlink().is_relative_to(self.folder) and state != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path.resolve() / "desk"
    folder.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, folder / part)
    found = Desk(folder)
    yield found
    for pid in found.processes():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if found.process:
        found.process.wait()


def kill_group(desk: Desk) -> None:
    assert desk.process
    os.killpg(desk.process.pid, signal.SIGKILL)


def kill_one(name: str) -> Callable[[Desk], None]:
    def kill(desk: Desk) -> None:
        os.kill(int((desk.folder / "instance" / f"{name}.pid").read_text().split()[0]), signal.SIGKILL)

    return kill


def test_the_first_lead_is_delivered_and_the_end_is_tidy(desk: Desk) -> None:
    process = desk.start()
    assert f"Leadapp is at {desk.address}/" in desk.said
    assert re.search(r"Account made: owner@shop\.example \(owner\)\nPassword \(shown this once\): \S{12,}", desk.said)
    desk.post("Ada")
    desk.delivers(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert desk.processes() == {}


@pytest.mark.parametrize(
    "kill", [kill_group, kill_one("run"), kill_one("web"), kill_one("queue")], ids=["group", "run", "web", "queue"]
)
def test_killed_in_any_way_it_starts_again_with_its_leads(desk: Desk, kill: Any) -> None:
    desk.start()
    desk.post("Ada")
    desk.delivers(1)
    kill(desk)
    desk.start()
    assert "Password" not in desk.said
    desk.post("Bob")
    desk.delivers(2)


def test_a_second_one_in_the_same_folder_is_refused_in_words(desk: Desk) -> None:
    first = desk.start()
    second = subprocess.run(
        [sys.executable, "-m", "leadapp.dev.run"],
        cwd=desk.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs from this folder" in second.stderr
    assert first.poll() is None


def test_a_taken_port_is_named(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", desk.port)):
        done = subprocess.run(
            [sys.executable, "-m", "leadapp.dev.run"],
            cwd=desk.folder,
            env={**os.environ, "PORT": str(desk.port)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"Port {desk.port} is taken by another program" in done.stderr
    assert "Traceback" not in done.stderr


def test_redis_and_database_of_the_environment_are_used(desk: Desk, tmp_path: Path) -> None:
    process = desk.start(REDIS_URL=REDIS, DATABASE_URL=f"sqlite:///{tmp_path / 'elsewhere.db'}")
    assert not any("valkey" in command for command in desk.processes().values())
    assert (tmp_path / "elsewhere.db").exists()
    assert not (desk.folder / "instance" / "leadapp.db").exists()
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
    time.sleep(0.2)
    assert desk.processes() == {}
