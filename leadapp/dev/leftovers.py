"""Ends what an earlier `make run` left behind when it was killed.

Each process that `make run` starts leads a process group of its own, whose number lies in instance/<name>.pid.
A number may belong to somebody else by now: a group is ours only if one of its processes runs one of our
commands in this folder.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leadapp.config import INSTANCE, ROOT

OURS = ("leadapp.dev.run", "leadapp.dev.valkey", "valkey-server", "gunicorn", "worker.py")
PATIENCE = 8.0  # seconds between asking and killing


@dataclass(frozen=True)
class Running:
    """One process of this machine. `folder` is where it works, None where the system does not say."""

    pid: int
    parent: int
    group: int
    command: str
    folder: Path | None

    @property
    def is_ours(self) -> bool:
        here = self.folder is None or self.folder == ROOT or ROOT in self.folder.parents
        return here and any(word in self.command for word in OURS)


def processes() -> Iterator[Running]:
    """Every process that we may look at."""
    return _from_proc() if Path("/proc/self/stat").exists() else _from_ps()


def _from_proc() -> Iterator[Running]:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended while we looked, or is not ours
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if fields[0] != "Z":
                folder = (entry / "cwd").readlink()
                yield Running(int(entry.name), int(fields[1]), int(fields[2]), command, folder)


def _from_ps() -> Iterator[Running]:
    listing = subprocess.run(
        ["ps", "-axo", "pid=,ppid=,pgid=,command="],  # noqa: S607 - wherever the system keeps it
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listing.stdout.splitlines():
        pid, parent, group, command = line.split(maxsplit=3)
        yield Running(int(pid), int(parent), int(group), command, None)


def note(name: str, pid: int) -> None:
    """Remember a group that this run started."""
    (INSTANCE / f"{name}.pid").write_text(f"{pid} {os.getppid()}\n")


def forget(name: str) -> None:
    (INSTANCE / f"{name}.pid").unlink(missing_ok=True)


def numbers(file: Path) -> tuple[int, int]:
    """The group and the parent that a pid file names; zeros when it is damaged."""
    try:
        group, parent = file.read_text().split()
        return int(group), int(parent)
    except (OSError, ValueError):
        return 0, 0


def still_running(patience: float) -> int | None:
    """The pid of a `make run` in this folder that goes on for so many seconds; one that is ending may end."""
    until = time.monotonic() + patience
    while (pid := _living_run()) and time.monotonic() < until:
        time.sleep(0.2)
    return pid


def _living_run() -> int | None:
    """Of a `make run` whose `make` is alive: that one is not a leftover."""
    pid, parent = numbers(INSTANCE / "run.pid")
    for found in processes():
        if found.pid == pid and found.is_ours and found.parent == parent and pid != os.getpid():
            return pid
    return None


def left_behind() -> list[Running]:
    """What still runs of an earlier `make run`."""
    named = {numbers(file)[0] for file in INSTANCE.glob("*.pid")} - {0}
    return [
        found
        for found in processes()
        if found.is_ours and found.pid != os.getpid() and (found.pid in named or found.group in named)
    ]


def end_all() -> bool:
    """Ask every leftover to end, then make it. Returns whether there was any."""
    had_any = False
    for number, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, 2.0)):
        for found in left_behind():
            had_any = True
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(found.pid, number)
        until = time.monotonic() + patience
        while left_behind() and time.monotonic() < until:
            time.sleep(0.1)
    for file in INSTANCE.glob("*.pid"):
        file.unlink(missing_ok=True)
    return had_any
