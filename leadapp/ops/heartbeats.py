"""Signs of life: each worker process and the clock write one row, and the admin counts the fresh ones.

Seen-at comes from the database's clock, so that a machine whose clock is wrong does not look dead.
"""

import os
import socket
from datetime import timedelta

from sqlalchemy import delete, func, select

from leadapp.clock import db_now
from leadapp.database import insert_into, transaction
from leadapp.extensions import db
from leadapp.ops.models import Heartbeat

WORKER = "worker"
CLOCK = "clock"
FRESH = timedelta(seconds=30)
KEPT = timedelta(days=1)


def own_name(role: str) -> str:
    """What this process is called: `<role>:<host>:<pid>`."""
    return f"{role}:{socket.gethostname()[:80]}:{os.getpid()}"


def beat(role: str, doing: str = "") -> None:
    """Say that this process lives; one statement, safe to repeat. `doing` is a word for people."""
    row = {
        "name": own_name(role),
        "role": role,
        "doing": doing[:120],
        "seen_at": db_now(),
        "started_at": db_now(),
    }
    statement = insert_into(Heartbeat).values(row)
    update = {"doing": statement.excluded.doing, "seen_at": db_now()}
    with transaction():
        db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=update))


def alive(role: str) -> int:
    """How many processes of this role were seen in the last 30 seconds."""
    query = select(func.count()).where(Heartbeat.role == role, Heartbeat.seen_at > db_now(-FRESH))
    return db.session.scalar(query) or 0


def forget(name: str) -> None:
    """Take a process that ends in order off the list at once; nothing happens when it is not there."""
    with transaction():
        db.session.execute(delete(Heartbeat).where(Heartbeat.name == name))


def forget_the_dead() -> None:
    """Remove the rows of processes that were not seen for a day; safe to repeat."""
    with transaction():
        db.session.execute(delete(Heartbeat).where(Heartbeat.seen_at < db_now(-KEPT)))
