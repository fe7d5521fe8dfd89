"""`make run`: everything on this machine with nothing installed, ended by Ctrl-C, startable again after any crash."""

import os
import subprocess
import sys
import time
from pathlib import Path

from honcho.environ import parse_procfile
from honcho.printer import Printer

from leadapp import config
from leadapp.config import INSTANCE, ROOT, Settings
from leadapp.dev import envfile, leftovers, processes, valkey
from leadapp.errors import ConfigurationError

FIRST_OWNER = "owner@shop.example"
PATIENCE = 5.0  # seconds for an earlier run that is ending, and for its port to come free
ASKED_TO_END = (130, 143)  # honcho's word for Ctrl-C and SIGTERM


def main() -> int:
    """Prepare, then run until somebody says stop. Returns the exit status."""
    os.chdir(ROOT)
    INSTANCE.mkdir(exist_ok=True)
    pid = leftovers.still_running(PATIENCE)
    if pid:
        return refuse(f"Leadapp already runs from this folder (process {pid}). End it with Ctrl-C there first.")
    had_leftovers = leftovers.end_all()
    leftovers.note("run", os.getpid())
    processes.end_with_make()
    is_embedded = prepare_environment()
    try:
        settings = config.read()
    except ConfigurationError as error:
        return refuse(f"Leadapp cannot start. {error}")
    if not comes_free(settings.port, PATIENCE if had_leftovers else 0.0):
        return refuse(f"Port {settings.port} is taken by another program. Choose another: PORT=8001 make run")
    return set_up(settings) or serve(settings, is_embedded)


def refuse(words: str) -> int:
    print(words, file=sys.stderr)
    return 1


def prepare_environment() -> bool:
    """Write instance/run.env. Returns whether this run brings its own Valkey: nobody named a Redis."""
    values = envfile.complete(envfile.kept())
    before = values.pop("REDIS_URL", "")
    is_embedded = not envfile.said("REDIS_URL")
    if is_embedded:
        if before:
            valkey.shut_down(before)
        values["REDIS_URL"] = valkey.address(before)
    envfile.write(values)
    return is_embedded


def comes_free(port: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while not valkey.is_free(port):
        if time.monotonic() >= until:
            return False
        time.sleep(0.1)
    return True


def set_up(settings: Settings) -> int:
    """Migrate and make what is missing, the first owner too; its password is printed this once."""
    owner = settings.lead_notification_email[0] if settings.lead_notification_email else FIRST_OWNER
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "setup", "--first-owner", owner]
    return subprocess.run(command, cwd=ROOT, env=environment(settings), check=False).returncode


def environment(settings: Settings) -> dict[str, str]:
    """What the processes get: ours, with this Python in front and the port filled in."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**os.environ, "PATH": path, "PORT": str(settings.port), "PYTHONUNBUFFERED": "1"}


def serve(settings: Settings, is_embedded: bool) -> int:
    """Run what Procfile.dev names until one of them ends, or somebody says so."""
    manager = processes.QueueLast(Printer(sys.stdout, colour=sys.stdout.isatty()))
    for name, command in parse_procfile((ROOT / "Procfile.dev").read_text()).processes.items():
        if name != processes.QUEUE or is_embedded:
            manager.add_process(name, command, env=environment(settings), cwd=str(ROOT))
    here = f"http://127.0.0.1:{settings.port}"
    print(f"\nLeadapp is at {here}/ and its admin at {here}/admin/ (Ctrl-C ends it)\n", flush=True)
    manager.loop()
    if manager.returncode in ASKED_TO_END:
        return 0
    return refuse(f"One of the processes ended by itself (exit status {manager.returncode}); its last lines are above.")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
