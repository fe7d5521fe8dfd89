"""Logging in, out, and who may not."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from leadapp.accounts import guard, people
from leadapp.accounts.forms import REFUSED
from leadapp.accounts.models import Role, RoleName, User
from leadapp.audit import AuditEvent
from leadapp.extensions import db
from leadapp.webextensions import limiter

from .desk import PASSWORD, Desk, add_user, browser, token_of

OWNER = "owner@shop.example"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return browser(app)


@pytest.fixture
def owner(app: Flask) -> User:
    return people.create_user(OWNER, RoleName.OWNER, PASSWORD)[0]


def log_in(
    client: FlaskClient, email: str = OWNER, password: str = PASSWORD, url: str = "/account/login", **more
) -> TestResponse:
    token = token_of(client.get("/account/login").text)
    return client.post(url, data={"email": email, "password": password, "csrf_token": token, **more})


def test_an_owner_logs_in_and_sees_the_start_page(client, owner):
    answer = log_in(client)
    assert (answer.status_code, answer.location) == (302, "/admin/")
    assert "Health" in client.get("/admin/").text


def test_the_address_may_be_written_in_capitals(client, owner):
    assert log_in(client, " Owner@SHOP.example ").location == "/admin/"


def test_a_page_that_needs_a_log_in_leads_back_to_itself(client, owner):
    answer = client.get("/admin/leads/?search=ada")
    assert answer.location == "/account/login?next=/admin/leads/?search%3Dada"
    assert log_in(client, url=answer.location).location.startswith("/admin/leads/")


@pytest.mark.parametrize(
    ("email", "password"),
    [(OWNER, "wrong"), ("nobody@shop.example", PASSWORD), ("not an address", "x")],
)
def test_every_refusal_says_the_same(client, owner, email, password):
    answer = log_in(client, email, password)
    assert answer.status_code == 200
    assert REFUSED in answer.text
    assert client.get("/admin/").status_code == 302


def test_a_deactivated_user_is_refused_in_the_same_words(client, owner):
    people.deactivate(owner, "test")
    assert REFUSED in log_in(client).text


def test_a_deactivated_user_is_out_at_once(client, owner):
    log_in(client, remember="y")
    people.deactivate(owner, "test")
    assert client.get("/admin/").status_code == 302


def test_empty_fields_are_named(client, owner):
    page = log_in(client, "", "").text
    assert "Enter your e-mail address." in page
    assert "Enter your password." in page


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "http:evil.example",
        "evil.example",
    ],
)
def test_next_never_leaves_this_site(client, owner, target):
    assert not guard.is_safe_next(target)
    assert client.get("/account/login", query_string={"next": target}).location == "/account/login"
    assert log_in(client, next=target).location == "/account/login"


def test_log_out_takes_a_post_with_a_token(client, owner):
    log_in(client)
    assert client.get("/account/logout").status_code == 405
    client.post("/account/logout")
    assert client.get("/admin/").status_code == 200
    client.post("/account/logout", data={"csrf_token": token_of(client.get("/admin/").text)})
    assert client.get("/admin/").status_code == 302


def test_a_log_in_without_a_token_is_refused(client, owner):
    answer = client.post("/account/login", data={"email": OWNER, "password": PASSWORD})
    assert answer.status_code == 400
    assert client.get("/admin/").status_code == 302


def test_ten_tries_a_minute_for_each_account_and_fixed_words(app_with):
    client = browser(app_with(ratelimit_enabled=True))
    answers = [log_in(client, "guess@shop.example", "x") for _ in range(11)]
    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert "Wait a minute" in answers[-1].text
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 60


def test_the_limit_of_an_account_holds_from_every_address(app_with):
    client = browser(app_with(ratelimit_enabled=True, trusted_proxy_hops=1))
    token = token_of(client.get("/account/login").text)
    data = {"email": OWNER, "password": "x", "csrf_token": token}
    codes = [
        client.post("/account/login", data=data, headers={"X-Forwarded-For": f"192.0.2.{n}"}).status_code
        for n in range(11)
    ]
    assert codes[-1] == 429


def test_the_limit_works_while_redis_is_away(app_with):
    app = app_with(ratelimit_enabled=True, app_env="development", redis_url="redis://127.0.0.1:1/0")
    client = browser(app)
    codes = [log_in(client, "guess@shop.example", "x").status_code for _ in range(11)]
    limiter.enabled = False  # nothing to reset: its storage is the lost Redis
    assert codes == [200] * 10 + [429]


def test_cookies_are_shut_away_from_scripts_and_other_sites(client, owner):
    cookies = log_in(client, remember="y").headers.getlist("Set-Cookie")
    assert len(cookies) == 2
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies)


def test_cookies_are_secure_in_production(settings_for):
    from leadapp.app import create_app

    app = create_app(
        settings_for(
            app_env="production", secret_key="s" * 40, encryption_keys="e" * 40, frontend_base_url="https://x.example"
        )
    )
    assert app.config["SESSION_COOKIE_SECURE"]
    assert app.config["REMEMBER_COOKIE_SECURE"]


def test_no_token_in_an_address_logs_anybody_in(app, client, owner):
    found = client.get(f"/admin/?auth_token={owner.get_auth_token()}")
    assert found.status_code == 302


def test_changing_the_password_logs_other_devices_out(app, client, owner):
    other = browser(app)
    log_in(client)
    log_in(other)
    new = "another long password"
    fields = {"password": PASSWORD, "new_password": new, "new_password_confirm": new}
    answer = client.post("/account/change", data={**fields, "csrf_token": token_of(client.get("/account/change").text)})
    assert answer.location == "/admin/"
    assert other.get("/admin/").status_code == 302
    assert log_in(other, password=new).location == "/admin/"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"password": "wrong", "new_password": "n" * 12, "new_password_confirm": "n" * 12}, "not your password"),
        ({"password": PASSWORD, "new_password": "short", "new_password_confirm": "short"}, "at least 10"),
        ({"password": PASSWORD, "new_password": "n" * 12, "new_password_confirm": "m" * 12}, "differ"),
    ],
)
def test_a_bad_new_password_says_why(client, owner, fields, words):
    log_in(client)
    token = token_of(client.get("/account/change").text)
    assert words in client.post("/account/change", data={**fields, "csrf_token": token}).text


@pytest.mark.parametrize("url", ["/account/register", "/account/reset", "/account/confirm", "/account/verify-email"])
def test_there_is_no_registration_and_no_recovery_yet(client, url):
    assert client.get(url).status_code == 404


def test_passwords_are_kept_as_argon2(app, owner):
    assert owner.password.startswith("$argon2")


def test_roles_are_made_once(app):
    people.ensure_roles()
    people.ensure_roles()
    assert set(db.session.scalars(select(Role.name))) == {str(name) for name in RoleName}


def test_an_account_is_made_with_a_password_of_its_own(app):
    user, password = people.create_user("New@Shop.example", RoleName.VIEWER)
    assert user.email == "new@shop.example"
    assert len(password) >= 14
    assert "account made" in db.session.scalars(select(AuditEvent.action))


@pytest.mark.parametrize("email", ["", "nobody", "a b@shop.example", "@shop.example", "owner@"])
def test_what_is_no_address_gets_no_account(app, email):
    with pytest.raises(ValueError, match="not an e-mail address"):
        people.create_user(email, RoleName.OWNER)


def test_an_address_has_one_account(app, owner):
    with pytest.raises(ValueError, match="already"):
        people.create_user("OWNER@shop.example", RoleName.VIEWER, PASSWORD)


def test_the_first_owner_is_the_oldest_active_one(app):
    assert people.first_owner() is None
    add_user(RoleName.VIEWER)
    first, second = add_user(RoleName.OWNER, "a@x.example"), add_user(RoleName.OWNER, "b@x.example")
    assert people.first_owner() is first
    people.deactivate(first, "test")
    assert people.first_owner() is second


def test_whoever_has_no_role_enters_nothing(app):
    desk = Desk(app, RoleName.VIEWER)
    desk.user.roles.clear()
    db.session.commit()
    assert desk.get("/admin/").status_code == 403


def test_an_address_with_a_nul_is_refused_like_any_other(client, owner):
    assert REFUSED in log_in(client, "a\x00b@shop.example").text


def test_nothing_asks_for_the_password_once_more(app):
    assert Desk(app).get("/account/verify").status_code == 404


def test_a_stolen_session_cannot_guess_the_password(app_with):
    desk = Desk(app_with(ratelimit_enabled=True))
    fields = {"password": "wrong", "new_password": "x" * 12, "new_password_confirm": "x" * 12}
    statuses = [desk.post("/account/change", **fields).status_code for _ in range(11)]
    assert (set(statuses[:10]), statuses[10]) == ({200}, 429)
