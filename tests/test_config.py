"""Settings: where they come from, what they may be called, what is refused, and the pages that show them."""

import json
from typing import Any

import pytest

from leadapp import config
from leadapp.config import Settings
from leadapp.dev import settings_pages
from leadapp.errors import ConfigurationError

LONG = "x" * 40
PRODUCTION = {
    "app_env": "production",
    "secret_key": LONG,
    "encryption_keys": LONG,
    "database_url": "postgresql://db.example/leads",
}


def settings(**named: Any) -> Settings:
    return Settings(_env_file=None, **{"app_env": "test", **named})


def test_production_is_what_runs_unless_said_otherwise() -> None:
    assert Settings.model_fields["app_env"].default == "production"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_herokus_database_address_is_understood(scheme: str) -> None:
    given = settings(database_url=f"{scheme}://u:p@h:5432/d")
    assert given.database_url == "postgresql+psycopg://u:p@h:5432/d"
    assert not given.is_sqlite


def test_without_a_database_it_is_a_file_of_this_machine() -> None:
    assert settings().database_url == f"sqlite:///{config.INSTANCE / 'leadapp.db'}"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "REDIS_URL", "MAIL_PORT", "DEBUG", "LEAD_NOTIFICATION_EMAIL"):
        monkeypatch.setenv(name, "")
    given = settings()
    assert (given.port, given.mail_port, given.lead_notification_email) == (8000, 587, ())
    assert given.redis_url.startswith("redis://")


@pytest.mark.parametrize(
    ("variable", "name", "value"),
    [
        ("SMTP_SERVER", "mail_server", "smtp.example"),
        ("SMTP_HOST", "mail_server", "smtp.example"),
        ("SMTP_PORT", "mail_port", "2525"),
        ("SMTP_USERNAME", "mail_username", "ada"),
        ("SMTP_STARTTLS_REQUIRED", "mail_starttls_required", "True"),
        ("SMTP_FROM_EMAIL", "default_from_email", "desk@shop.example"),
        ("SMTP_FROM_NAME", "mail_from_name", "The shop"),
        ("SMTP_REPLY_TO", "mail_reply_to", "reply@shop.example"),
        ("MAIL_DEFAULT_SENDER", "default_from_email", "desk@shop.example"),
    ],
)
def test_other_names_for_mail_settings_work(
    monkeypatch: pytest.MonkeyPatch, variable: str, name: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert str(getattr(settings(), name)) == value


def test_the_other_name_of_the_password_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "secret")
    assert settings().mail_password.get_secret_value() == "secret"


def test_our_own_name_wins_over_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_HOST", "other.example")
    monkeypatch.setenv("MAIL_SERVER", "ours.example")
    assert settings().mail_server == "ours.example"


def test_lists_are_split_at_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAD_NOTIFICATION_EMAIL", " a@x.example , b@x.example,, ")
    assert settings().lead_notification_email == ("a@x.example", "b@x.example")


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"secret_key": config.DEVELOPMENT_KEY}, "SECRET_KEY"),
        ({"secret_key": "short"}, "SECRET_KEY"),
        ({"encryption_keys": ""}, "ENCRYPTION_KEYS"),
        ({"encryption_keys": f"{LONG},short"}, "ENCRYPTION_KEYS"),
        ({"debug": True}, "DEBUG"),
        ({"queue_eager": True}, "QUEUE_EAGER"),
        ({"lease_seconds": 59}, "LEASE_SECONDS"),
    ],
)
def test_what_is_unsafe_does_not_start_in_production(named: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        settings(**{**PRODUCTION, **named})


def test_a_safe_production_starts() -> None:
    assert settings(**PRODUCTION).is_production


def test_sqlite_is_refused_on_a_dyno(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNO", "web.1")
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        settings()


def test_a_wrong_value_is_named_and_not_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "hunter2")
    monkeypatch.setenv("MAIL_TIMEOUT", "soon")
    with pytest.raises(ConfigurationError) as caught:
        config.read()
    assert "PORT" in str(caught.value)
    assert "MAIL_TIMEOUT" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_no_secret_shows_when_settings_are_printed() -> None:
    shown = repr(settings(secret_key=LONG, mail_password="hunter2", sentry_dsn="https://key@x"))
    assert LONG not in shown
    assert "hunter2" not in shown
    assert "key@x" not in shown


@pytest.mark.parametrize(("given", "provider"), [({}, "console"), ({"mail_server": "smtp.example"}, "smtp")])
def test_mail_goes_to_the_console_until_a_server_is_named(given: dict[str, str], provider: str) -> None:
    assert settings(**given).mail_provider == provider


def test_production_never_pretends_to_send_mail() -> None:
    assert settings(**PRODUCTION).mail_provider == "none"


def test_env_example_is_what_the_code_says() -> None:
    assert settings_pages.ENV_EXAMPLE.read_text() == settings_pages.env_example(), "run: flask settings --env"


def test_the_table_of_settings_is_what_the_code_says() -> None:
    page = settings_pages.CONFIGURATION.read_text()
    assert page == settings_pages.page_with(settings_pages.table(), page), "run: flask settings --markdown"


def test_the_deploy_button_lets_heroku_make_every_secret_that_opens_something() -> None:
    offered = json.loads((config.ROOT / "app.json").read_text())["env"]
    generated = {name for name, how in offered.items() if how.get("generator") == "secret"}
    assert generated == {"SECRET_KEY", "ENCRYPTION_KEYS", "METRICS_TOKEN"}
    assert {name for name in offered if name.lower() not in Settings.model_fields} == set()


def test_every_setting_has_a_group_and_one_line_of_meaning() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert "\n" not in field.description, name
        assert settings_pages._extra(field)["group"], name


def test_the_example_can_be_used_as_it_is(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line.removeprefix("# ") for line in settings_pages.env_example().splitlines() if "=" in line]
    (tmp_path / ".env").write_text("\n".join(lines))
    given = Settings(_env_file=tmp_path / ".env", **PRODUCTION)
    assert given == Settings(_env_file=None, **PRODUCTION)


@pytest.mark.parametrize("name", ["POSTGRES_HOST", "CELERY_BROKER_URL", "DJANGO_SECRET_KEY", "DEBUG"])
def test_who_comes_from_django_and_celery_finds_the_name(name: str) -> None:
    assert f"`{name}`" in settings_pages.CONFIGURATION.read_text()
