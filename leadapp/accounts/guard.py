"""Who may enter: every view and blueprint carries an `access`, and everything asks this file."""

from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Response, make_response, redirect, render_template, request, url_for
from flask_login import current_user

from leadapp.accounts.models import RoleName, User

Access = frozenset[RoleName] | None

PUBLIC: Access = None  # `access = PUBLIC` is said on purpose; leaving it out is an error
OWNERS = frozenset({RoleName.OWNER})
DESK = frozenset({RoleName.OWNER, RoleName.MANAGER})
READERS = DESK | {RoleName.VIEWER}
SENDERS = DESK | {RoleName.OPS}
OPERATORS = frozenset({RoleName.OWNER, RoleName.OPS})
STAFF = frozenset(RoleName)


def person() -> User | None:
    """Who is logged in and still active."""
    if not current_user.is_authenticated or not current_user.active:
        return None
    found: User = current_user._get_current_object()
    return found


def may(access: Access) -> bool:
    """Whether the person of this request has one of these roles."""
    if access is None:
        return True
    found = person()
    return found is not None and any(role.name in access for role in found.roles)


def actor() -> str:
    """The name that the audit trail keeps: the person's e-mail address."""
    found = person()
    return found.email if found else "nobody"


def refuse() -> Response:
    """What somebody sees who may not enter: the log-in page first, a plain refusal once logged in."""
    if person() is None:
        if request.method in ("GET", "HEAD") and "application/json" not in request.headers.get("Accept", ""):
            return make_response(redirect(url_for("security.login", next=_here())))
        return make_response(render_template("public/account/refused.html", title="Please log in first"), 401)
    return make_response(render_template("public/account/refused.html", title="This page is not for your role"), 403)


def gate(access: Access) -> Callable[[], Response | None]:
    """A `before_request` function that lets only these roles pass."""

    def check() -> Response | None:
        return None if may(access) else refuse()

    return check


def is_safe_next(target: str) -> bool:
    """Whether a `next` stays on this site: one slash, no scheme, no host, nothing that browsers bend into one."""
    if not target.startswith("/") or target[1:2] in ("/", "\\"):
        return False
    if any(character < " " or character == "\\" for character in target):
        return False
    try:
        parts = urlsplit(target)
    except ValueError:
        return False
    return not parts.scheme and not parts.netloc


def _here() -> str:
    query = request.query_string.decode("ascii", "replace")
    return f"{request.path}?{query}" if query else request.path
