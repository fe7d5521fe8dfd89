"""The parts of `make run`: made-up secrets, leftovers, the embedded Valkey, and what is asked of pip-audit."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, ConnectionError

from leadapp.config import ROOT
from leadapp.dev import envfile, known_holes, leftovers, run, settings_pages, valkey
from tests.test_supervisor import eventually


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for everything that `make run` keeps."""
    for module, name in ((leftovers, "INSTANCE"), (leftovers, "ROOT"), (run, "INSTANCE"), (envfile, "ROOT")):
        monkeypatch.setattr(module, name, tmp_path)
    monkeypatch.setattr(envfile, "RUN_ENV", tmp_path / "run.env")
    monkeypatch.setattr(valkey, "FOLDER", tmp_path / "valkey")
    return tmp_path


def test_secrets_are_made_once(machine: Path) -> None:
    run.prepare_environment()
    first = envfile.kept()
    run.prepare_environment()
    assert envfile.kept() == first
    assert first["APP_ENV"] == "development"
    assert len(first["SECRET_KEY"]) >= 32
    assert first["SECRET_KEY"] != first["ENCRYPTION_KEYS"]


def test_nobody_else_can_read_them(machine: Path) -> None:
    run.prepare_environment()
    assert stat.S_IMODE((machine / "run.env").stat().st_mode) == 0o600


def test_what_is_set_already_is_not_made_up(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "from the environment")
    (machine / ".env").write_text("APP_ENV=test\n")
    run.prepare_environment()
    assert set(envfile.kept()) == {"ENCRYPTION_KEYS", "REDIS_URL"}


def test_a_redis_that_somebody_named_is_used_instead_of_ours(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://redis.example/0")
    assert run.prepare_environment() is False
    assert "REDIS_URL" not in envfile.kept()


def test_our_own_valkey_is_on_loopback_with_a_password_of_its_own(machine: Path) -> None:
    assert run.prepare_environment() is True
    parts = urlsplit(envfile.kept()["REDIS_URL"])
    assert (parts.scheme, parts.hostname) == ("redis", "127.0.0.1")
    assert len(parts.password or "") >= 24


def test_port_and_path_reach_the_processes(settings_for: Any) -> None:
    found = run.environment(settings_for(port=8123))
    assert found["PORT"] == "8123"
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_a_taken_port_is_named(machine: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("PORT", "8123")
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.delenv("MAKELEVEL", raising=False)
    monkeypatch.setattr(valkey, "is_free", lambda port: port != 8123)
    monkeypatch.setattr(os, "chdir", lambda _: None)
    assert run.main() == 1
    assert "Port 8123 is taken" in capsys.readouterr().err


def test_every_process_of_the_procfiles_is_there() -> None:
    from honcho.environ import parse_procfile

    local = parse_procfile((ROOT / "Procfile.dev").read_text()).processes
    deployed = parse_procfile((ROOT / "Procfile").read_text()).processes
    assert list(local) == ["web", "worker", "queue"]
    assert list(deployed) == ["release", "web", "worker"]
    assert local["worker"].removeprefix("exec ") == deployed["worker"].removeprefix("exec ") == "python worker.py"


# --- the embedded Valkey


Server = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def server(machine: Path) -> Iterator[Server]:
    """server() -> a process that became the Valkey of this test."""
    started = []

    def start() -> "subprocess.Popen[bytes]":
        code = (
            "from pathlib import Path; from leadapp.dev import envfile, valkey; "
            f"envfile.RUN_ENV = Path({str(machine / 'run.env')!r}); "
            f"valkey.FOLDER = Path({str(machine / 'valkey')!r}); valkey.main()"
        )
        process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def connected() -> "Redis":
    client = Redis.from_url(envfile.kept()["REDIS_URL"])
    until = time.monotonic() + 15
    while time.monotonic() < until:
        with contextlib.suppress(ConnectionError):
            client.ping()
            return client
        time.sleep(0.05)
    raise AssertionError("no Valkey answers")


def test_what_was_queued_survives_kill_9(machine: Path, server: Server) -> None:
    run.prepare_environment()
    first = server()
    connected().set("row", "42")
    time.sleep(1.2)  # appendfsync everysec
    first.send_signal(signal.SIGKILL)
    first.wait()
    run.prepare_environment()
    server()
    assert connected().get("row") == b"42"


def test_the_launcher_becomes_the_server_and_ends_with_sigterm(machine: Path, server: Server) -> None:
    run.prepare_environment()
    process = server()
    assert connected().info("server")["process_id"] == process.pid
    process.terminate()
    assert process.wait(10) == 0


def test_nobody_gets_in_without_the_password(machine: Path, server: Server) -> None:
    run.prepare_environment()
    server()
    connected()
    port = urlsplit(envfile.kept()["REDIS_URL"]).port
    with pytest.raises(AuthenticationError):
        Redis(port=port or 0).ping()
    assert stat.S_IMODE((machine / "valkey").stat().st_mode) == 0o700
    assert stat.S_IMODE((machine / "valkey" / "valkey.conf").stat().st_mode) == 0o600


def test_one_that_was_left_behind_is_replaced(machine: Path, server: Server) -> None:
    run.prepare_environment()
    left = server()
    connected().set("row", "42")
    run.prepare_environment()
    assert left.wait(10) == 0
    server()
    assert connected().get("row") == b"42"


def test_a_stranger_on_our_port_is_left_alone(machine: Path) -> None:
    run.prepare_environment()
    before = envfile.kept()["REDIS_URL"]
    import socket

    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", urlsplit(before).port or 0))
        stranger.listen()
        run.prepare_environment()
        after = envfile.kept()["REDIS_URL"]
    assert urlsplit(after).port != urlsplit(before).port
    assert urlsplit(after).password == urlsplit(before).password


# --- leftovers


Starts = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture
def starts(machine: Path) -> Iterator[Starts]:
    """starts(script name) -> a process in this folder, leading a group of its own."""
    running = []

    def start(name: str, body: str = "import time; time.sleep(60)") -> "subprocess.Popen[bytes]":
        (machine / name).write_text(body)
        process = subprocess.Popen([sys.executable, name], cwd=machine, start_new_session=True)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_what_an_earlier_run_left_is_ended(machine: Path, starts: Starts) -> None:
    process = starts("worker.py")
    leftovers.note("worker", process.pid)
    assert leftovers.end_all() is True
    assert process.wait(5) == -signal.SIGTERM
    assert not list(machine.glob("*.pid"))


def test_one_that_does_not_listen_is_killed(machine: Path, starts: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0.5)
    body = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open('deaf', 'w'); time.sleep(60)"
    process = starts("worker.py", body)
    eventually((machine / "deaf").exists)
    leftovers.note("worker", process.pid)
    leftovers.end_all()
    assert process.wait(5) == -signal.SIGKILL


def test_a_number_that_belongs_to_somebody_else_now_is_left_alone(machine: Path, starts: Starts) -> None:
    process = starts("somebody_elses.py")
    leftovers.note("worker", process.pid)
    assert leftovers.end_all() is False
    assert process.poll() is None


def test_the_same_program_in_another_folder_is_left_alone(machine: Path, starts: Starts, tmp_path_factory: Any) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "worker.py").write_text("import time; time.sleep(60)")
    process = subprocess.Popen([sys.executable, "worker.py"], cwd=elsewhere, start_new_session=True)
    try:
        leftovers.note("worker", process.pid)
        assert leftovers.end_all() is False
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


def test_children_of_a_killed_process_are_ended_with_their_group(machine: Path, starts: Any) -> None:
    body = "import os, time; os.fork() or open('forked', 'w'); time.sleep(60)"
    process = starts("worker.py", body)
    leftovers.note("worker", process.pid)
    eventually((machine / "forked").exists)
    process.kill()
    process.wait()
    assert leftovers.end_all() is True
    assert not leftovers.left_behind()


@pytest.mark.parametrize("content", ["", "x y", "12"])
def test_a_damaged_pid_file_names_nobody(machine: Path, content: str) -> None:
    (machine / "web.pid").write_text(content)
    assert leftovers.numbers(machine / "web.pid") == (0, 0)
    assert leftovers.end_all() is False


def test_a_run_whose_make_lives_is_not_a_leftover(machine: Path, starts: Starts) -> None:
    process = starts("worker.py")
    (machine / "run.pid").write_text(f"{process.pid} {os.getpid()}\n")
    assert leftovers.still_running(0) == process.pid


def test_a_run_whose_make_was_killed_is_one(machine: Path, starts: Starts) -> None:
    process = starts("worker.py")
    (machine / "run.pid").write_text(f"{process.pid} 1\n")
    assert leftovers.still_running(0) is None


# --- pip-audit


def package(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "version": "1", "vulns": [], **more}


SKIPPED = {"name": "dark", "skip_reason": "not found"}
HOLE = {"id": "CVE-1", "fix_versions": ["2"]}


def test_packages_without_known_holes_pass() -> None:
    assert known_holes.judge({"dependencies": [package("flask")]}, is_required=True).status == 0


def test_a_known_hole_fails_and_is_named() -> None:
    verdict = known_holes.judge({"dependencies": [package("flask", vulns=[HOLE]), SKIPPED]}, is_required=False)
    assert verdict.status == 1
    assert "flask 1: CVE-1, mended in 2" in verdict.lines


def test_a_skipped_package_is_not_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    report = {"dependencies": [package("flask"), SKIPPED]}
    assert known_holes.judge(report, is_required=False).status == 1
    monkeypatch.setitem(known_holes.KNOWN_SKIPPED, "dark", "our own")
    assert known_holes.judge(report, is_required=False).status == 0


@pytest.mark.parametrize("report", [{"dependencies": [SKIPPED]}, {"dependencies": []}, {}])
@pytest.mark.parametrize("is_required", [True, False])
def test_nothing_looked_up_is_said_loudly(report: dict[str, Any], is_required: bool) -> None:
    verdict = known_holes.judge(report, is_required)
    assert verdict.status == int(is_required)
    assert "NOT AUDITED" in verdict.lines[0]


def test_the_page_around_the_table_stays() -> None:
    page = f"before\n{settings_pages.BEGIN}\nold\n{settings_pages.END}\nafter\n"
    made = settings_pages.page_with("new\n", page)
    assert made.startswith("before\n")
    assert made.endswith("\nafter\n")
    assert "old" not in made
    assert settings_pages.page_with("new\n", made) == made
