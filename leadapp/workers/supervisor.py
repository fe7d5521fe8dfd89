"""One parent for the worker processes and the clock: a child that dies is started again.

The parent has made the app (children share that memory) and opened no connection. On Heroku every process
gets SIGTERM itself, and RQ stops cold at a second one: so the parent waits before it passes the signal on,
and then only to children that did not say `told()`.
"""

import contextlib
import gc
import logging
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

from flask import Flask

from leadapp import config
from leadapp.config import Settings
from leadapp.desk import create_desk
from leadapp.errors import ConfigurationError
from leadapp.ops import logs

logger = logging.getLogger(__name__)

STOPPING = (signal.SIGTERM, signal.SIGINT)
GRACE_BEFORE_PASSING_ON = 2.0
QUICK_DEATH = 10.0  # a child that lived less than this has to wait longer each time
FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
LOOK_EVERY = 0.2
SWITCH_SECONDS = 0.0005  # many threads that wait for the network most of the time: see wsgi.py
NICENESS = 10

_fork = multiprocessing.get_context("fork")
_parent: int | None = None  # in a child: the supervisor's pid
_told: Any = None  # in a child: shared with the supervisor, 1 once the child knows that it has to stop


@cache
def application() -> Flask:
    """The app of this process, made by the supervisor before it forks: children share its memory."""
    return create_desk()


def parent_is_gone() -> bool:
    """In a child: whether its supervisor was killed. It then finishes and stops; nobody would restart it."""
    return _parent is not None and os.getppid() != _parent


def told() -> None:
    """For a child's SIGTERM handler: it knows, and the supervisor need not say it a second time."""
    if _told is not None:
        _told.value = 1


@dataclass
class Child:
    """One role that always has a process, and how it fared."""

    name: str
    run: Callable[[], None]
    process: ForkProcess | None = None
    started_at: float = 0.0
    pause: float = 0.0
    start_at: float = 0.0
    told: Any = field(default_factory=lambda: RawValue("b", 0))

    def start(self) -> None:
        """Fork. Signals wait meanwhile, so that none meets the parent's handler inside the child."""
        self.told.value = 0
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
        try:
            self.process = _fork.Process(target=_live, args=(self, os.getpid()), name=self.name)
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
        self.started_at = time.monotonic()

    def bury(self) -> None:
        """Note the death and when to start again."""
        assert self.process is not None
        code = self.process.exitcode
        self.process.close()
        self.process = None
        lived = time.monotonic() - self.started_at
        self.pause = min(max(2 * self.pause, FIRST_PAUSE), LONGEST_PAUSE) if lived < QUICK_DEATH else 0.0
        self.start_at = time.monotonic() + self.pause
        facts = {"role": self.name, "exit_code": code, "pause_seconds": self.pause}
        logger.warning("a process ended and is started again", extra=facts)


def _live(child: Child, parent: int) -> None:
    """The first lines of a child: the parent's handlers go, its own come with `run`."""
    global _parent, _told
    _parent, _told = parent, child.told
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        child.run()
    except Exception:  # the last guard of a process: multiprocessing would print the error's text unmasked
        logger.exception("a process broke", extra={"role": child.name})
        sys.exit(1)


class Supervisor:
    """Keeps one process for each role until SIGTERM or SIGINT, then ends them within `grace` seconds."""

    def __init__(self, roles: Mapping[str, Callable[[], None]], grace: float) -> None:
        self.children = [Child(name, run) for name, run in roles.items()]
        self.grace = grace
        self.is_stopping = False

    def run(self) -> int:
        """Until somebody says stop. Returns the exit status."""
        for number in STOPPING:
            signal.signal(number, self._stop)
        while not self.is_stopping:
            self._start_due()
            self._bury_dead()
        self._end()
        return 0

    def _stop(self, *_: Any) -> None:
        self.is_stopping = True

    def _start_due(self) -> None:
        for child in self.children:
            if child.process is None and time.monotonic() >= child.start_at:
                child.start()

    def _bury_dead(self) -> None:
        """Wait a moment for deaths."""
        wait([child.process.sentinel for child in self.children if child.process], LOOK_EVERY)
        for child in self.children:
            if child.process and child.process.exitcode is not None and not self.is_stopping:
                child.bury()

    def _end(self) -> None:
        began = time.monotonic()
        self._wait_until(began + min(GRACE_BEFORE_PASSING_ON, self.grace))
        for child in self._living():
            if child.process and not child.told.value:
                child.process.terminate()
        self._wait_until(began + self.grace)
        for child in self._living():
            logger.warning("a process did not stop in time and is killed", extra={"role": child.name})
            if child.process:
                child.process.kill()
                child.process.join()

    def _living(self) -> list[Child]:
        return [child for child in self.children if child.process and child.process.exitcode is None]

    def _wait_until(self, moment: float) -> None:
        """Until nobody lives, or that moment."""
        while self._living() and time.monotonic() < moment:
            wait([child.process.sentinel for child in self._living() if child.process], LOOK_EVERY)


def roles(settings: Settings, worker: Callable[[int, int], None], clock: Callable[[], None]) -> dict[str, Any]:
    """Who lives: `worker(index, total)` for each of WORKER_PROCESSES, and the clock."""
    total = settings.worker_processes
    if total < 1:
        raise ConfigurationError(f"WORKER_PROCESSES is {total}: at least 1 is needed to send anything")

    def numbered(index: int) -> Callable[[], None]:
        return lambda: worker(index, total)

    return {**{f"worker-{index}": numbered(index) for index in range(total)}, "clock": clock}


def step_back(autogroup: Path = Path("/proc/self/autogroup"), terminal: str = "/dev/tty") -> None:
    """Let the web go first where both share a machine.

    Linux with autogroups counts niceness only among the processes of one session (sched(7)), and Procfile managers
    give each line a session of its own: then the session has to step back as a whole. Not one at a terminal, whose
    shell would stay nice after us.
    """
    os.nice(NICENESS)
    try:
        os.close(os.open(terminal, os.O_RDWR | os.O_NOCTTY))
    except OSError:  # there is none
        with contextlib.suppress(OSError):  # no autogroups, or not ours to change
            autogroup.write_text(str(NICENESS))


def open_more_files() -> None:
    """As many as the machine lets us: each kept connection takes two descriptors, and the usual limit is 1,024."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(OSError, ValueError):  # some systems name a limit that they do not grant
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(worker: Callable[[int, int], None], clock: Callable[[], None]) -> int:
    """What worker.py runs."""
    try:
        settings = config.read()
        found = roles(settings, worker, clock)
    except ConfigurationError as error:
        print(f"The worker cannot start. {error}", file=sys.stderr)  # noqa: T201 - before any log is set up
        return 1
    logs.start(settings)
    application()
    gc.collect()
    gc.freeze()  # a collection in a child would write to, and so copy, everything that it shares
    step_back()
    open_more_files()
    return Supervisor(found, settings.shutdown_grace_seconds).run()
