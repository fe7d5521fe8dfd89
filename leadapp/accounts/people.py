"""Making accounts: roles, people, and who the first owner is."""

import secrets

from flask_security import hash_password
from sqlalchemy import func, select

from leadapp import audit
from leadapp.accounts.models import Role, RoleName, User
from leadapp.database import transaction
from leadapp.extensions import db

DESCRIPTIONS = {
    RoleName.OWNER: "Everything",
    RoleName.MANAGER: "Leads, forms, destinations, send again",
    RoleName.VIEWER: "Reads leads and where they went",
    RoleName.OPS: "Queues, deliveries and their attempts, send again",
}


def ensure_roles() -> None:
    """Make the roles that are missing; safe to run again."""
    with transaction():
        known = set(db.session.scalars(select(Role.name)))
        for name in RoleName:
            if name not in known:
                db.session.add(Role(name=name.value, description=DESCRIPTIONS[name]))


def create_user(email: str, role: RoleName, password: str | None = None) -> tuple[User, str]:
    """A new account with one role, and its password (a made-up one when none is given).

    Raises ValueError in words when the address cannot be one, or has an account already.
    """
    address = normal_address(email)
    chosen = password or secrets.token_urlsafe(12)
    hashed = hash_password(chosen)  # before the transaction: it takes a tenth of a second on purpose
    ensure_roles()
    with transaction():
        if find(address):
            raise ValueError(f"{address} has an account already")
        user = User(email=address, password=hashed, active=True, fs_uniquifier=secrets.token_hex(32))
        user.roles = list(db.session.scalars(select(Role).where(Role.name == role.value)))
        db.session.add(user)
        db.session.flush()
        audit.record(user, "account made", role=role.value)
    return user, chosen


def normal_address(email: str) -> str:
    """The address in the form that accounts are kept under; ValueError when it cannot be one."""
    address = email.strip().lower()
    name, at, host = address.rpartition("@")
    if not (name and at and host) or len(address) > 255 or any(c.isspace() for c in address):
        raise ValueError(f"{email!r} is not an e-mail address")
    return address


def find(email: str) -> User | None:
    """The account of this address, however it is written."""
    written = email.replace("\x00", "").strip().lower()  # PostgreSQL takes no NUL
    return db.session.scalar(select(User).where(func.lower(User.email) == written))


def first_owner() -> User | None:
    """The oldest active owner: who is told of leads when nobody else is named."""
    query = select(User).join(User.roles).where(Role.name == RoleName.OWNER.value, User.active.is_(True))
    return db.session.scalar(query.order_by(User.id).limit(1))


def deactivate(user: User, actor: str) -> None:
    """Shut somebody out at once: no page is served to them from the next request on."""
    with transaction():
        user.active = False
        user.fs_uniquifier = secrets.token_hex(32)  # cookies that are still around name nobody any more
        audit.record(user, "account switched off", actor=actor)
