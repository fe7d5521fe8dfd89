"""Idempotency-Keys are remembered for a week: who tries the same post again does so within hours.

The ids of senders stay as long as their leads: they name the same lead forever.
"""

from datetime import timedelta

from sqlalchemy import delete, select

from leadapp.clock import db_now
from leadapp.database import release, transaction
from leadapp.extensions import db
from leadapp.leads.models import Idempotency
from leadapp.leads.repeats import SCOPE_OF_KEYS

REMEMBERED = timedelta(days=7)
AT_ONCE = 500  # rows a transaction: no post waits for it
MOST = 100  # transactions a run; the rest goes with the next


def forget_old_keys() -> int:
    """Periodic; safe to run twice. Returns how many were forgotten."""
    count = 0
    for _ in range(MOST):
        old = select(Idempotency.id).where(
            Idempotency.created_at < db_now(-REMEMBERED), Idempotency.scope.startswith(SCOPE_OF_KEYS)
        )
        with transaction():
            ids = list(db.session.scalars(old.order_by(Idempotency.created_at).limit(AT_ONCE)))
            if ids:
                db.session.execute(delete(Idempotency).where(Idempotency.id.in_(ids)))
        release()
        count += len(ids)
        if len(ids) < AT_ONCE:
            break
    return count
