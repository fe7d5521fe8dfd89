"""Somebody at the desk: a logged-in browser without the browser."""

import contextvars
import html
import re
import secrets
from typing import Any

from flask import Flask, has_app_context
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from leadapp.accounts import people
from leadapp.accounts.models import Role, RoleName, User
from leadapp.database import transaction
from leadapp.extensions import db

PASSWORD = "correct horse battery"


def add_user(role: RoleName, email: str = "") -> User:
    """An account that cannot log in by password: hashing costs a tenth of a second for each test."""
    people.ensure_roles()
    with transaction():
        user = User(email=email or f"{role}@shop.example", active=True, fs_uniquifier=secrets.token_hex(32))
        user.roles = list(db.session.scalars(select(Role).where(Role.name == role.value)))
        db.session.add(user)
    return user


def token_of(page: str) -> str:
    found = re.search(r'name="csrf[-_]token"[^>]*(?:content|value)="([^"]+)"', page)
    assert found, "this page has no CSRF token"
    return html.unescape(found.group(1))


class Browser(FlaskClient):
    """A client whose requests get an app context of their own, as on a server.

    Under the context that the fixtures push, `g` (and who is logged in) would live on from request to request.
    """

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if has_app_context():  # a redirect that is followed has left the test's
            db.session.rollback()  # the test's own session must not hold SQLite's lock meanwhile
            db.session.expire_all()  # and must not believe afterwards what it read before
        kwargs.setdefault("buffered", True)  # a streamed answer ends inside its context too
        return contextvars.Context().run(super().open, *args, **kwargs)


def browser(app: Flask) -> FlaskClient:
    app.test_client_class = Browser
    return app.test_client()


class Desk:
    """A person with one role, logged in."""

    def __init__(self, app: Flask, role: RoleName = RoleName.OWNER) -> None:
        self.user = add_user(role)
        self.email = self.user.email
        self.client = browser(app)
        with self.client.session_transaction() as session:
            session["_user_id"] = self.user.fs_uniquifier
            session["_fresh"] = True

    def get(self, url: str, /, **kwargs: Any) -> TestResponse:
        return self.client.get(url, **kwargs)

    def text(self, url: str, status: int = 200) -> str:
        answer = self.get(url, follow_redirects=True)
        assert answer.status_code == status, answer.text
        return answer.text

    def post(self, url: str, /, follow: bool = True, **fields: Any) -> TestResponse:
        """A post with the token of the page that the person is looking at."""
        fields["csrf_token"] = token_of(self.text("/admin/"))
        return self.client.post(url, data=fields, follow_redirects=follow)

    def confirmed(self, url: str, /, **fields: Any) -> TestResponse:
        return self.post(url, **fields, confirmed="yes")
