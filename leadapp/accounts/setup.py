"""Flask-Security with our settings: log in, log out, change the password; nothing else yet, and no mails."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from flask import Flask, Request, Response, abort, make_response, redirect, render_template, request, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask_limiter import RequestLimit
from flask_security import Security, SQLAlchemyUserDatastore

from leadapp import clock
from leadapp.accounts import guard
from leadapp.accounts.forms import SHORTEST_PASSWORD, ChangePasswordForm, LoginForm
from leadapp.accounts.models import Role, User
from leadapp.extensions import db
from leadapp.webextensions import limiter

LOGIN_LIMIT = "10 per minute"
STAY_LOGGED_IN = timedelta(days=14)


def init_app(app: Flask) -> None:
    """Everything under /account."""
    app.config.from_mapping(_config(app))
    security = Security(login_form=LoginForm, change_password_form=ChangePasswordForm)
    security.init_app(app, SQLAlchemyUserDatastore(db, User, Role))
    # Nothing of ours asks Flask-Principal; it would look for the person on every request, forms' posts included.
    app.extensions["security"].principal.identity_loaders.clear()
    app.session_interface = _Sessions()
    # Sessions are the only way in: the library would also take a token from the address.
    app.login_manager._request_callback = None  # type: ignore[attr-defined]
    app.blueprints["security"].access = guard.PUBLIC  # type: ignore[attr-defined]
    app.view_functions["security.login"] = _throttled(app.view_functions["security.login"], _account)
    app.view_functions["security.change_password"] = _throttled(
        app.view_functions["security.change_password"], _own_account
    )
    app.view_functions["security.verify"] = _gone  # asks for the password once more; nothing of ours needs it
    app.before_request_funcs.setdefault("security", []).append(_drop_unsafe_next)


def _config(app: Flask) -> dict[str, Any]:
    is_secure = app.config["SESSION_COOKIE_SECURE"]
    return {
        "SECURITY_URL_PREFIX": "/account",
        "SECURITY_PASSWORD_HASH": "argon2",
        "SECURITY_PASSWORD_SCHEMES": ["argon2"],
        "SECURITY_PASSWORD_SINGLE_HASH": ["argon2"],  # argon2 salts by itself; no second HMAC on top
        "SECURITY_PASSWORD_LENGTH_MIN": SHORTEST_PASSWORD,
        "SECURITY_TRACKABLE": True,
        "SECURITY_CHANGEABLE": True,
        "SECURITY_FRESHNESS": timedelta(minutes=-1),  # changing it asks for the password itself
        "SECURITY_REGISTERABLE": False,
        "SECURITY_RECOVERABLE": False,
        "SECURITY_SEND_REGISTER_EMAIL": False,
        "SECURITY_SEND_PASSWORD_CHANGE_EMAIL": False,
        "SECURITY_SEND_PASSWORD_RESET_EMAIL": False,
        "SECURITY_SEND_PASSWORD_RESET_NOTICE_EMAIL": False,
        "SECURITY_API_ENABLED_METHODS": ["session"],
        "SECURITY_RETURN_GENERIC_RESPONSES": False,  # our form says one sentence for everything already
        "SECURITY_DATETIME_FACTORY": clock.now,
        "SECURITY_LOGOUT_METHODS": ["POST"],
        "SECURITY_LOGOUT_CSRF": True,
        "SECURITY_LOGIN_USER_TEMPLATE": "public/account/login.html",
        "SECURITY_CHANGE_PASSWORD_TEMPLATE": "public/account/change_password.html",
        "SECURITY_LOGOUT_USER_TEMPLATE": "public/account/logout.html",
        "SECURITY_POST_LOGIN_VIEW": "/admin/",
        "SECURITY_POST_LOGOUT_VIEW": "/account/login",
        "SECURITY_POST_CHANGE_VIEW": "/admin/",
        "SECURITY_MSG_UNAUTHENTICATED": ("Please log in first.", "info"),
        "SECURITY_MSG_PASSWORD_CHANGE": ("Your password is changed. Other devices are logged out.", "success"),
        "SECURITY_MSG_PASSWORD_NOT_PROVIDED": ("Enter the password that you use now.", "error"),
        "SECURITY_MSG_INVALID_PASSWORD": ("This is not your password.", "error"),
        "SECURITY_MSG_PASSWORD_IS_THE_SAME": ("The new password is the old one. Choose another.", "error"),
        "REMEMBER_COOKIE_DURATION": STAY_LOGGED_IN,
        "REMEMBER_COOKIE_HTTPONLY": True,
        "REMEMBER_COOKIE_SECURE": is_secure,
        "REMEMBER_COOKIE_SAMESITE": "Lax",
    }


class _Sessions(SecureCookieSessionInterface):
    """Flask's sessions; whoever brings no cookie costs no cryptography."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if not request.cookies.get(self.get_cookie_name(app)):
            return self.session_class()
        return super().open_session(app, request)


def _gone() -> Response:
    abort(404)


def _throttled(view: Any, account: Callable[[], str]) -> Any:
    """Ten tries a minute for each address, and ten for each account whatever the address."""
    by_address = limiter.limit(LOGIN_LIMIT, methods=["POST"], on_breach=_too_many)
    by_account = limiter.limit(LOGIN_LIMIT, methods=["POST"], key_func=account, on_breach=_too_many)
    return by_address(by_account(view))


def _account() -> str:
    return "account:" + request.form.get("email", "").strip().lower()[:255]


def _own_account() -> str:
    """Whoever holds a stolen session may not guess the password behind it."""
    someone = guard.person()
    return f"own:{someone.id}" if someone else "own:nobody"


def _too_many(_limit: RequestLimit) -> Response:
    page = render_template(
        "public/account/refused.html",
        title="Too many tries",
        words="Wait a minute, then try again. Nothing is locked.",
    )
    answer = make_response(page, 429)
    answer.headers["Retry-After"] = "60"
    return answer


def _drop_unsafe_next() -> Response | None:
    """A crafted link or form ends at the plain log-in page; the library would follow parts of it."""
    targets = [*request.args.getlist("next"), *request.form.getlist("next")]
    if all(guard.is_safe_next(target) for target in targets if target):
        return None
    return make_response(redirect(url_for("security.login"), 303))
