"""honcho with three habits of our own: the queue ends last, nobody outlives a killed parent, and each process's
number is noted for the next run."""

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from honcho import manager as honcho_manager
from honcho.compat import ProcessManager
from honcho.manager import Manager
from honcho.printer import Printer
from honcho.process import Process

from leadapp.dev import leftovers

QUEUE = "queue"
KILL_WAIT = 10  # seconds from the first process that ended to killing what is left
LOOK_EVERY = 0.5


def when_orphaned(act: Callable[[], None]) -> None:
    """Call `act` once the parent of this process is gone."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK_EVERY)
        act()

    threading.Thread(target=watch, daemon=True).start()


class NotedProcess(Process):  # type: ignore[misc]
    """One line of the Procfile, in a session of its own."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        when_orphaned(self._end)
        super().run(events, ignore_signals)

    def _send_message(self, data: Any, type: str = "line") -> None:
        if type == "start":
            leftovers.note(self.name, self._child.pid)
        super()._send_message(data, type)

    def _end(self) -> None:
        if self._child is not None:
            ProcessManager().terminate(self._child.pid)
            time.sleep(KILL_WAIT)
            ProcessManager().kill(self._child.pid)
        os._exit(1)


class QueueLast(Manager):  # type: ignore[misc]
    """Ends everybody but the queue first, so that workers can put their work down in order."""

    def __init__(self, printer: Printer) -> None:
        super().__init__(printer)
        self._process_ctor = NotedProcess
        self._asked_early = self._told_queue = False
        honcho_manager.KILL_WAIT = KILL_WAIT

    def terminate(self) -> None:
        """Before every process has reported its number, honcho would stumble over the missing ones."""
        leftovers.forget("run")  # from here on the next run need not wait for this one
        if self._all_started():
            super().terminate()
        else:
            self._asked_early = True

    def _killall(self, force: bool = False) -> None:
        spared = self._processes.pop(QUEUE, None) if not force and self._living() != [QUEUE] else None
        super()._killall(force)
        if spared is not None:
            self._processes[QUEUE] = spared

    def _all_stopped(self) -> bool:
        """Asked ten times a second once all are started."""
        if self._asked_early and not self._terminating:
            super().terminate()
        if self._terminating and not self._told_queue and self._living() == [QUEUE]:
            self._told_queue = True
            self._killall()
        return bool(super()._all_stopped())

    def _living(self) -> list[str]:
        return [name for name, process in self._processes.items() if process.get("returncode") is None]


def end_with_make() -> None:
    """`make` was killed: end as if it had been asked to."""
    if "MAKELEVEL" in os.environ:
        when_orphaned(lambda: os.kill(os.getpid(), signal.SIGTERM))
