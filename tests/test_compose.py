"""Dockerfile and compose.yaml without Docker: held to the compose schema, and to what the app really has."""

import ast
import json
import re
import shlex
from importlib import resources
from typing import Any

import jsonschema
import pytest
import yaml
from dotenv import dotenv_values
from flask import Flask

from leadapp.config import ROOT, Settings
from leadapp.errors import ConfigurationError

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("image") == "leadapp"]
SERVING = ("web", "worker", "setup")
DEMO = {name: value or "" for name, value in dotenv_values(ROOT / "compose.demo.env").items()}
FOR_COMPOSE = {"SETTINGS_FILE", "COMPOSE_PROJECT_NAME", "POSTGRES_PASSWORD", "FIRST_OWNER"}
# What .env holds of somebody who knows the names of three mail settings and no more.
WRITTEN = {
    "SECRET_KEY": "s" * 40,
    "ENCRYPTION_KEYS": "e" * 40,
    "POSTGRES_PASSWORD": "p4ss",
    "FIRST_OWNER": "ada@shop.example",
    "MAIL_SERVER": "smtp.example.com",
    "MAIL_USERNAME": "ada",
    "MAIL_PASSWORD": "secret",
}
ALIASES = {name for field in Settings.model_fields.values() for name in getattr(field.validation_alias, "choices", ())}


def schema() -> dict[str, Any]:
    """The schema of the compose specification, as the package check-jsonschema carries it."""
    name = "builtin_schemas/vendor/compose-spec.json"
    return json.loads((resources.files("check_jsonschema") / name).read_text())


def filled(text: str, variables: dict[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}` and `${NAME:?why}` as compose fills them; KeyError, which says why, for the last."""

    def value(found: re.Match[str]) -> str:
        name, sign, rest = found.groups()
        if sign == ":?" and not variables.get(name):
            raise KeyError(f"{name}: {rest}")
        return variables.get(name) or rest or ""

    return re.sub(r"(?<!\$)\$\{(\w+)(?:(:[-?])([^}]*))?\}", value, text)


def settings_of(name: str, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a service whose settings file holds these: what compose.yaml itself says comes before it."""
    for setting in {one.upper() for one in Settings.model_fields} | ALIASES:
        monkeypatch.delenv(setting, raising=False)
    service = yaml.safe_load(filled((ROOT / "compose.yaml").read_text(), variables))["services"][name]
    for key, value in (variables | service["environment"]).items():
        monkeypatch.setenv(key, value)
    return Settings(_env_file=None)


def test_compose_is_what_the_specification_says() -> None:
    assert [error.message for error in jsonschema.Draft202012Validator(schema()).iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    "wrong", [{"services": {"web": {"imagge": "x"}}}, {"services": {"web": {"ports": "80"}}}, {"services": []}]
)
def test_the_schema_sees_what_is_wrong(wrong: dict[str, Any]) -> None:
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(wrong))


def test_everything_that_runs_on_has_a_health_check_and_comes_back() -> None:
    lasting = {name: one for name, one in SERVICES.items() if name not in ("setup", "e2e")}
    assert {name for name, one in lasting.items() if "test" not in one.get("healthcheck", {})} == set()
    assert {one["restart"] for one in lasting.values()} == {"unless-stopped"}
    assert SERVICES["setup"]["restart"] == "no"


def test_the_parts_that_the_issue_names_are_there() -> None:
    assert set(SERVICES) == {"web", "worker", "setup", "db", "redis", "mail", "mock", "e2e"}
    chosen = {name: one["profiles"] for name, one in SERVICES.items() if "profiles" in one}
    assert chosen == {"mail": ["demo", "e2e"], "mock": ["demo", "e2e"], "e2e": ["e2e"]}


@pytest.mark.parametrize("name", SERVICES)
def test_whom_a_service_waits_for_exists_and_can_say_that_it_is_ready(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other == "setup" else "service_healthy"
        assert how["condition"] == wanted, (name, other)
        assert other in SERVICES


# --- settings


def test_every_setting_comes_from_one_file() -> None:
    assert {name: SERVICES[name]["env_file"] for name in OURS} == dict.fromkeys(OURS, "${SETTINGS_FILE:-.env}")
    assert set(SERVING) <= set(OURS)


@pytest.mark.parametrize("name", OURS)
def test_compose_itself_decides_only_what_it_brings_along(name: str) -> None:
    assert set(SERVICES[name]["environment"]) == {"DATABASE_URL", "REDIS_URL", "PORT"}


@pytest.mark.parametrize("name", SERVING)
def test_who_sets_the_mail_server_alone_sends_the_password_under_tls(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = settings_of(name, WRITTEN, monkeypatch)
    assert (found.is_production, found.mail_server, found.mail_port) == (True, "smtp.example.com", 587)
    assert (found.mail_use_tls, found.mail_starttls_required) == (True, True)


@pytest.mark.parametrize("name", SERVING)
def test_nothing_of_the_demo_is_in_force_outside_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_of(name, WRITTEN, monkeypatch)
    assert (found.customer_api_url, found.egress_allow, found.lead_notification_email) == ("", (), ())
    assert not re.search("mailpit|mock|shop.example", str(SERVICES[name]))


@pytest.mark.parametrize("setting", ["ZAPIER_WEBHOOK_URL", "SENTRY_DSN", "DEFAULT_COUNTRY", "RATELIMIT_POSTS"])
def test_any_other_setting_reaches_the_app(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = getattr(settings_of("web", WRITTEN | {setting: "given"}, monkeypatch), setting.lower())
    assert getattr(found, "get_secret_value", lambda: found)() == "given"


@pytest.mark.parametrize("missing", ["SECRET_KEY", "ENCRYPTION_KEYS", "POSTGRES_PASSWORD", "FIRST_OWNER"])
def test_nothing_is_served_while_a_secret_or_the_owner_is_missing(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {name: value for name, value in WRITTEN.items() if name != missing}
    with pytest.raises((KeyError, ConfigurationError), match=missing):
        settings_of("web", given, monkeypatch)


def test_the_demo_sets_only_what_there_is() -> None:
    known = {name.upper() for name in Settings.model_fields} | ALIASES
    assert set(DEMO) - known == FOR_COMPOSE
    assert DEMO["SETTINGS_FILE"] == "compose.demo.env"


def test_the_demo_starts_and_reaches_the_mock_and_the_mail_catcher(monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings_of("web", DEMO, monkeypatch)
    assert (found.mail_provider, found.mail_server in SERVICES) == ("smtp", True)
    assert re.fullmatch(r"http://(\w+):8090/leads", found.customer_api_url)[1] in SERVICES  # type: ignore[index]
    assert COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"] in found.egress_allow


def test_the_demo_has_no_password_to_lose_and_a_database_of_its_own() -> None:
    assert set(DEMO) & {"MAIL_USERNAME", "MAIL_PASSWORD", "SECRET_KEY", "ENCRYPTION_KEYS"} == set()
    assert DEMO["COMPOSE_PROJECT_NAME"] != COMPOSE["name"]


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md", "docs/gateway.md", "compose.yaml"])
def test_every_command_for_the_demo_names_its_settings(page: str) -> None:
    commands = re.findall(r"docker compose [^`\n]*--profile[^`\n]*", (ROOT / page).read_text())
    assert [one for one in commands if "--env-file compose.demo.env --profile " not in one] == []


# --- parts


def test_volumes_are_named_once_and_used() -> None:
    used = {volume.split(":")[0] for one in SERVICES.values() for volume in one.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for one in SERVICES.values() for port in one.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_our_containers_may_do_nothing_that_they_need_not() -> None:
    for name in OURS:
        one = SERVICES[name]
        assert (one["cap_drop"], one["read_only"], one["init"]) == (["ALL"], True, True)


def test_the_commands_exist(app: Flask) -> None:
    for name in OURS:
        command = SERVICES[name].get("command", ["flask", "setup"])
        assert command[0] in ("flask", "python")
        assert command[1] in app.cli.commands if command[0] == "flask" else (ROOT / command[1]).exists()
        if command[0] == "flask":
            options = {option for one in app.cli.commands[command[1]].params for option in one.opts}
            assert {part for part in command[2:] if part.startswith("--")} <= options


def test_python_in_health_checks_is_python() -> None:
    tests = [one.get("healthcheck", {}).get("test", []) for one in SERVICES.values()]
    texts = [test[-1].replace("$$", "$") for test in tests if "-c" in test]
    assert texts
    assert all(ast.parse(text).body for text in texts)  # SyntaxError when it is none


# --- Dockerfile


def stages() -> dict[str, str]:
    found = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    return {(re.match(r"\S+ AS (\w+)", part) or [None, "last"])[1]: part for part in found}


def test_the_image_that_serves_runs_as_nobody_and_builds_nothing() -> None:
    app = stages()["app"]
    assert "USER leadapp" in app
    assert "pip" not in app.replace("--pip", "")
    assert not re.search("apt-get|gcc|build-essential", DOCKERFILE)
    assert stages()["last"].strip() == "app"


def test_the_python_of_the_image_is_ours() -> None:
    wanted = (ROOT / ".python-version").read_text().strip()
    assert set(re.findall(r"^FROM python:(\S+)-slim", DOCKERFILE, re.MULTILINE)) == {wanted}


def test_every_target_that_compose_builds_is_a_stage() -> None:
    targets = {one["build"]["target"] for one in SERVICES.values() if "build" in one}
    assert targets <= set(stages())


def test_what_is_copied_exists_and_is_not_left_out() -> None:
    copied = {
        source
        for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)
        for source in shlex.split(line)[:-1]
    }
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert all((ROOT / source).exists() for source in copied)
    assert {source.removeprefix("./") for source in copied} == let_in


def test_no_secret_gets_into_the_image() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    assert "**/.env" in lines
    assert not re.search("SECRET|PASSWORD|TOKEN", DOCKERFILE)


def test_the_web_command_is_the_one_of_the_procfile() -> None:
    web = re.search(r"^web: exec (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE)
    ours = re.search(r'^CMD \["sh", "-c", "exec (gunicorn .+)"\]$', stages()["app"], re.MULTILINE)
    assert web
    assert ours
    assert ours[1].replace(" --worker-tmp-dir /dev/shm", "") == web[1].replace("${PORT:-8000}", "${PORT}")


def test_no_file_names_a_registry() -> None:
    images = [one["image"] for one in SERVICES.values() if "image" in one]
    images += re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert [image for image in images if "." in image.split("/")[0].split(":")[0]] == []
    assert not re.search(r"https?://(?!127\.0\.0\.1)", DOCKERFILE)
