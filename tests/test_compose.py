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
from flask import Flask

from leadapp.config import ROOT, Settings

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = [name for name, service in SERVICES.items() if service.get("image") == "leadapp"]
ALIASES = {name for field in Settings.model_fields.values() for name in getattr(field.validation_alias, "choices", ())}


def schema() -> dict[str, Any]:
    """The schema of the compose specification, as the package check-jsonschema carries it."""
    name = "builtin_schemas/vendor/compose-spec.json"
    return json.loads((resources.files("check_jsonschema") / name).read_text())


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
    assert SERVICES["e2e"]["profiles"] == ["e2e"]
    assert [name for name, one in SERVICES.items() if "profiles" in one] == ["e2e"]


@pytest.mark.parametrize("name", SERVICES)
def test_whom_a_service_waits_for_exists_and_can_say_that_it_is_ready(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        wanted = "service_completed_successfully" if other == "setup" else "service_healthy"
        assert how["condition"] == wanted, (name, other)
        assert other in SERVICES


def test_every_variable_is_a_setting_of_the_app() -> None:
    known = {name.upper() for name in Settings.model_fields} | ALIASES
    for name in OURS:
        assert set(SERVICES[name]["environment"]) - known == set()


def test_what_can_be_set_from_outside_keeps_its_name() -> None:
    for name, value in SERVICES["web"]["environment"].items():
        used = re.findall(r"\$\{(\w+)", str(value))
        assert set(used) <= {name, "POSTGRES_PASSWORD"}, name


def test_the_settings_of_the_stack_are_ones_that_the_app_starts_with(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVICES["web"]["environment"].items():
        default = re.sub(r"\$\{\w+:?-([^}]*)\}", r"\1", str(value))
        monkeypatch.setenv(name, default)
    settings = Settings(_env_file=None)
    assert settings.mail_provider == "smtp"
    assert COMPOSE["networks"]["default"]["ipam"]["config"][0]["subnet"] in settings.egress_allow


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
