"""The destinations that environment variables name; `flask setup` writes them.

A removed address or a cleared variable switches its row off, and naming it again switches it on; but what a
person paused or switched off, or a receiver refused (410, 401), stays so.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import idna
from sqlalchemy import and_, case, func, null, select, text

from leadapp.audit import record
from leadapp.clock import db_now
from leadapp.config import Settings
from leadapp.database import insert_into, is_postgresql, transaction
from leadapp.deliveries.models import Destination, DestinationState, DisabledBy, Kind, ManagedBy
from leadapp.errors import ConfigurationError
from leadapp.extensions import db
from leadapp.signing import new_secret, secret_bytes

EMAIL_KEY = "LEAD_NOTIFICATION_EMAIL"
WEBHOOK_KEY = "ZAPIER_WEBHOOK_URL"
CUSTOMER_KEY = "CUSTOMER_API_URL"
TOKEN = re.compile(r"[!-~]{1,4000}")  # what the Authorization header carries
ADDRESS = re.compile(r"[\w!#$%&'*+/=?^`{|}~-][\w!#$%&'*+/=?^`{|}~.-]{0,63}@[a-z\d](?:[a-z\d.-]*[a-z\d])?", re.I | re.A)
ACTOR = "flask setup"
KEPT_SETTINGS = frozenset({"answers"})  # a person sets them in the admin, whoever owns the address
PAUSED_BEFORE = "; it was paused: "
SETUP_LOCK = 5_323_268_778  # any fixed number; two setups at once wait for each other


@dataclass(frozen=True)
class Wanted:
    """A destination that the environment names; `keeps_secret` when the one that is stored wins."""

    env_key: str
    kind: Kind
    name: str
    settings: dict[str, str]
    secret: str | None = None
    keeps_secret: bool = True


def upsert_destinations(settings: Settings, first_owner_email: str | None) -> None:
    """Make the rows say what the variables say; safe to run again, and twice at once.

    Raises ConfigurationError, naming the variable, before anything is written.
    """
    wanted = [*_mails(settings, first_owner_email), *_webhooks(settings), *_customers(settings)]
    with transaction():
        if is_postgresql():
            db.session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": SETUP_LOCK})
        earlier = {row.env_key: (row.state, row.settings) for row in _own_rows()}
        for destination in wanted:
            _, where_now = earlier.get(destination.env_key, (None, {}))
            _upsert(destination, {name: value for name, value in where_now.items() if name in KEPT_SETTINGS})
        for row in _own_rows():
            if row.env_key not in {destination.env_key for destination in wanted}:
                _switch_off(row)
                continue
            if row.env_key not in earlier:
                record(row, "destination made", ACTOR)
                continue
            state, where = earlier[row.env_key]
            _pause_as_before(row, is_same_place=where == row.settings)
            if (state, where) != (row.state, row.settings):
                record(row, "destination changed", ACTOR, state=str(row.state))


def _own_rows() -> Sequence[Destination]:
    """Locked in id order, as everybody locks destinations."""
    mails = Destination.env_key.startswith(f"{EMAIL_KEY}:", autoescape=True)
    query = (
        select(Destination)
        .where(mails | Destination.env_key.in_((WEBHOOK_KEY, CUSTOMER_KEY)))
        .order_by(Destination.id)
        .with_for_update(key_share=True)
    )
    return db.session.scalars(query.execution_options(populate_existing=True)).all()


def _mails(settings: Settings, first_owner_email: str | None) -> list[Wanted]:
    if settings.lead_notification_email:
        addresses = [_address(address, EMAIL_KEY) for address in settings.lead_notification_email]
    else:
        addresses = [_address(first_owner_email, "The first owner's address")] if first_owner_email else []
    unique = {address.lower(): address for address in reversed(addresses)}
    return [
        Wanted(f"{EMAIL_KEY}:{key}", Kind.EMAIL, address[:120], {"to": address})
        for key, address in sorted(unique.items())
    ]


def _address(written: str, source: str) -> str:
    """The address, or ConfigurationError. Only its form is checked: `desk@mail.local` may well be one."""
    local, _, host = written.rpartition("@")
    try:
        host = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except idna.IDNAError:
        host = ""
    address = f"{local}@{host}"
    if not ADDRESS.fullmatch(address) or ".." in address or len(address) > 254:
        raise ConfigurationError(f"{source}: {written!r} is not an e-mail address, such as desk@shop.example")
    return address


def _webhooks(settings: Settings) -> list[Wanted]:
    url = settings.zapier_webhook_url.strip()
    if not url:
        return []
    given = settings.zapier_webhook_secret.get_secret_value()
    host = _host(url)
    secret = _checked(given) if given else new_secret()
    return [Wanted(WEBHOOK_KEY, Kind.WEBHOOK, host[:120], {"url": url}, secret, keeps_secret=not given)]


def _customers(settings: Settings) -> list[Wanted]:
    url = settings.customer_api_url.strip()
    if not url:
        return []
    token = settings.customer_token.get_secret_value()
    if token and not TOKEN.fullmatch(token):
        raise ConfigurationError("CUSTOMER_TOKEN holds blanks or letters that no header can carry; copy it once more")
    host = _host(url, CUSTOMER_KEY)
    return [Wanted(CUSTOMER_KEY, Kind.CRM, host[:120], {"url": url}, token or None, keeps_secret=not token)]


def _host(url: str, variable: str = WEBHOOK_KEY) -> str:
    """The host of a usable http(s) address, or ConfigurationError that leaves its path, a secret, out."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises when it is none
    except ValueError:
        parts = urlsplit("")
    has_gaps = any(character.isspace() or not character.isprintable() for character in url)
    if parts.scheme not in ("http", "https") or not parts.hostname or has_gaps or parts.username is not None:
        raise ConfigurationError(
            f"{variable} is not an address that can be posted to: https://host/path, without a user name"
        )
    return parts.hostname


def _checked(secret: str) -> str:
    try:
        secret_bytes(secret)
    except ValueError as error:
        raise ConfigurationError(f"ZAPIER_WEBHOOK_SECRET: {error}") from None
    return secret


def _upsert(wanted: Wanted, kept: dict[str, Any]) -> None:
    row: dict[str, Any] = {
        "env_key": wanted.env_key,
        "kind": wanted.kind,
        "name": wanted.name,
        "settings": kept | wanted.settings,
        "secret": wanted.secret,
        "state": DestinationState.ACTIVE,
        "managed_by": ManagedBy.ENV,
    }
    statement = insert_into(Destination).values(row)
    new = statement.excluded
    off_by_env = and_(Destination.state == DestinationState.DISABLED, Destination.disabled_by == DisabledBy.ENV)
    update = {
        "name": new.name,
        "settings": new.settings,
        "secret": func.coalesce(Destination.secret, new.secret) if wanted.keeps_secret else new.secret,
        "managed_by": new.managed_by,
        "state": case((off_by_env, new.state), else_=Destination.state),
        "state_reason": case((off_by_env, ""), else_=Destination.state_reason),
        "state_changed_at": case((off_by_env, db_now()), else_=Destination.state_changed_at),
        "paused_until": case((off_by_env, null()), else_=Destination.paused_until),
        "disabled_by": case((off_by_env, null()), else_=Destination.disabled_by),
    }
    db.session.execute(statement.on_conflict_do_update(index_elements=["env_key"], set_=update))


def _switch_off(row: Destination) -> None:
    """Its variable names it no more. Who paused or switched it off before stays written on it."""
    if row.state is DestinationState.DISABLED:
        return
    was_paused = f"{PAUSED_BEFORE}{row.state_reason}" if row.state is DestinationState.PAUSED else ""
    row.state = DestinationState.DISABLED
    row.disabled_by = (row.disabled_by if was_paused else None) or DisabledBy.ENV
    row.state_reason = f"{(row.env_key or '').partition(':')[0]} does not name it any more{was_paused}"
    row.state_changed_at = db_now()
    record(row, "destination disabled", ACTOR, reason=row.state_reason)


def _pause_as_before(row: Destination, *, is_same_place: bool) -> None:
    """Named again after its variable had been cleared: paused as it was, or open when it leads somewhere else."""
    if row.state is not DestinationState.DISABLED or PAUSED_BEFORE not in row.state_reason:
        return
    row.state = DestinationState.PAUSED if is_same_place else DestinationState.ACTIVE
    row.state_reason = row.state_reason.partition(PAUSED_BEFORE)[2] if is_same_place else ""
    row.disabled_by = row.disabled_by if is_same_place else None
    row.failures_in_a_row, row.failing_since, row.paused_until = 0, None, None
    row.state_changed_at = db_now()
