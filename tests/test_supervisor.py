"""The supervisor with fake children: who is started again, who is told to stop, and how often."""

import contextlib
import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leadapp.errors import ConfigurationError
from leadapp.workers import supervisor

fork = multiprocessing.get_context("fork")
Start = Callable[..., Any]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start(role=function, grace=seconds) -> a running supervisor process; functions write into tmp_path."""
    started = []

    def begin(grace: float = 5.0, **roles: Callable[[], None]) -> Any:
        process = fork.Process(target=lambda: os._exit(supervisor.Supervisor(roles, grace).run()))
        process.start()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.join()
    for line in read(tmp_path / "pids").split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(line), signal.SIGKILL)


def read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def note(path: Path, word: object) -> None:
    with path.open("a") as file:
        file.write(f"{word}\n")


def eventually(true: Callable[[], bool], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False


def sleeper(folder: Path, *, says_told: bool = False, stops: bool = True) -> Callable[[], None]:
    """A child that counts its SIGTERMs, and stops half a second after the first one (or never)."""

    def run() -> None:
        state = {"signals": 0, "since": 0.0}

        def heard(*_: Any) -> None:
            state["signals"] += 1
            state["since"] = state["since"] or time.monotonic()
            note(folder / "signals", os.getpid())
            if says_told:
                supervisor.told()

        signal.signal(signal.SIGTERM, heard)
        note(folder / "pids", os.getpid())
        while not (stops and state["since"] and time.monotonic() > state["since"] + 3.0 * says_told):
            time.sleep(0.02)
            if supervisor.parent_is_gone():
                note(folder / "orphans", os.getpid())
                return

    return run


def pids(folder: Path) -> list[int]:
    return [int(line) for line in read(folder / "pids").split()]


def test_a_child_that_is_killed_is_started_again(start: Start, tmp_path: Path) -> None:
    start(worker=sleeper(tmp_path))
    eventually(lambda: len(pids(tmp_path)) == 1)
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    eventually(lambda: len(pids(tmp_path)) == 2)
    assert is_alive(pids(tmp_path)[1])


def test_the_other_children_live_on_when_one_dies(start: Start, tmp_path: Path) -> None:
    start(one=sleeper(tmp_path), two=sleeper(tmp_path))
    eventually(lambda: len(pids(tmp_path)) == 2)
    first, second = pids(tmp_path)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: len(pids(tmp_path)) == 3)
    assert is_alive(second)


def test_a_child_that_always_breaks_is_started_less_and_less_often(start: Start, tmp_path: Path) -> None:
    def breaks() -> None:
        note(tmp_path / "starts", time.monotonic())
        raise RuntimeError("no good")

    start(worker=breaks)
    eventually(lambda: len(read(tmp_path / "starts").split()) == 4)
    one, two, three, four = (float(line) for line in read(tmp_path / "starts").split())
    assert two - one < three - two < four - three


def test_the_pause_is_capped_and_forgotten_after_a_long_life(monkeypatch: pytest.MonkeyPatch) -> None:
    child = supervisor.Child("worker", lambda: None, pause=20.0)

    def dies(after: float) -> float:
        child.start()
        assert child.process
        child.process.join()
        child.started_at = time.monotonic() - after
        child.bury()
        return child.pause

    assert dies(after=1) == supervisor.LONGEST_PAUSE
    assert dies(after=60) == 0


def test_sigterm_ends_every_child_and_the_exit_status_is_0(start: Start, tmp_path: Path) -> None:
    parent = start(one=sleeper(tmp_path), two=sleeper(tmp_path))
    eventually(lambda: len(pids(tmp_path)) == 2)
    parent.terminate()
    parent.join(30)
    assert parent.exitcode == 0
    assert not any(is_alive(pid) for pid in pids(tmp_path))
    assert len(read(tmp_path / "signals").split()) == 2


def test_a_child_that_was_told_by_the_platform_hears_it_once(start: Start, tmp_path: Path) -> None:
    parent = start(worker=sleeper(tmp_path, says_told=True))
    eventually(lambda: len(pids(tmp_path)) == 1)
    os.kill(pids(tmp_path)[0], signal.SIGTERM)
    parent.terminate()
    parent.join(30)
    assert parent.exitcode == 0
    assert len(read(tmp_path / "signals").split()) == 1


def test_the_signal_is_not_passed_on_before_the_grace(start: Start, tmp_path: Path) -> None:
    parent = start(worker=sleeper(tmp_path))
    eventually(lambda: len(pids(tmp_path)) == 1)
    began = time.monotonic()
    parent.terminate()
    eventually(lambda: bool(read(tmp_path / "signals")))
    assert time.monotonic() - began >= supervisor.GRACE_BEFORE_PASSING_ON


def test_a_child_that_does_not_stop_is_killed_after_the_grace(start: Start, tmp_path: Path) -> None:
    parent = start(grace=2.5, worker=sleeper(tmp_path, stops=False))
    eventually(lambda: len(pids(tmp_path)) == 1)
    parent.terminate()
    parent.join(30)
    assert parent.exitcode == 0
    assert not is_alive(pids(tmp_path)[0])


def test_children_stop_by_themselves_when_the_supervisor_is_killed(start: Start, tmp_path: Path) -> None:
    parent = start(one=sleeper(tmp_path), two=sleeper(tmp_path))
    eventually(lambda: len(pids(tmp_path)) == 2)
    parent.kill()
    eventually(lambda: len(read(tmp_path / "orphans").split()) == 2)
    assert set(map(int, read(tmp_path / "orphans").split())) == set(pids(tmp_path))


def test_nothing_is_started_again_while_stopping(start: Start, tmp_path: Path) -> None:
    parent = start(worker=sleeper(tmp_path))
    eventually(lambda: len(pids(tmp_path)) == 1)
    parent.terminate()
    os.kill(pids(tmp_path)[0], signal.SIGKILL)
    parent.join(30)
    assert len(pids(tmp_path)) == 1


def test_the_supervisor_does_not_spin_while_every_child_waits(start: Start, tmp_path: Path) -> None:
    parent = start(worker=lambda: os._exit(3))
    time.sleep(1.5)
    ticks = [int(part) for part in Path(f"/proc/{parent.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]]
    assert sum(ticks) / os.sysconf("SC_CLK_TCK") < 0.5


@pytest.mark.parametrize(
    ("terminal", "told"),
    [("none", str(supervisor.NICENESS)), ("here", "0")],
    ids=["without a terminal", "at a terminal"],
)
def test_a_worker_and_its_session_step_back_for_the_web(tmp_path: Path, terminal: str, told: str) -> None:
    autogroup = tmp_path / "autogroup"
    autogroup.write_text("0")
    (tmp_path / "here").touch()

    def stepped() -> None:  # in a process of its own: niceness has no way back
        before = os.getpriority(os.PRIO_PROCESS, 0)
        supervisor.step_back(autogroup, str(tmp_path / terminal))
        os._exit(os.getpriority(os.PRIO_PROCESS, 0) - before)

    child = multiprocessing.get_context("fork").Process(target=stepped)
    child.start()
    child.join(10)
    room = 19 - os.getpriority(os.PRIO_PROCESS, 0)  # the tests may be run with `nice` themselves
    assert (child.exitcode, autogroup.read_text()) == (min(supervisor.NICENESS, room), told)


def test_a_system_without_autogroups_stops_no_worker(tmp_path: Path) -> None:
    child = multiprocessing.get_context("fork").Process(
        target=supervisor.step_back, args=(tmp_path / "gone" / "autogroup", str(tmp_path / "none"))
    )
    child.start()
    child.join(10)
    assert child.exitcode == 0


def test_outside_a_supervisor_nobody_is_missing() -> None:
    assert not supervisor.parent_is_gone()
    supervisor.told()


def test_workers_may_open_as_many_files_as_the_machine_lets_them() -> None:
    """What kept connections take would be too much for the usual limit with eight busy receivers."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, before[1]), before[1]))
        supervisor.open_more_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_each_worker_process_has_a_number_and_the_clock_is_one(settings_for: Any) -> None:
    seen: list[tuple[int, int]] = []
    found = supervisor.roles(settings_for(worker_processes=2), lambda *numbers: seen.append(numbers), lambda: None)
    assert list(found) == ["worker-0", "worker-1", "clock"]
    for run in found.values():
        run()
    assert seen == [(0, 2), (1, 2)]


def test_no_worker_process_is_refused_in_plain_words(settings_for: Any) -> None:
    with pytest.raises(ConfigurationError, match="WORKER_PROCESSES is 0"):
        supervisor.roles(settings_for(worker_processes=0), lambda index, total: None, lambda: None)


def test_bad_settings_are_one_line_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WORKER_PROCESSES", "many")
    assert supervisor.main(lambda index, total: None, lambda: None) == 1
    assert "WORKER_PROCESSES" in capsys.readouterr().err
