"""The shape of the code: what a newcomer may rely on, checked line by line."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

import leadapp
from leadapp import queue
from leadapp.config import ROOT
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.due import QUEUE_KINDS
from leadapp.deliveries.models import TRANSITIONS, DeliveryState, Kind
from leadapp.ops.logs import NAMES
from leadapp.workers import process

PACKAGE = ROOT / "leadapp"
FILES = sorted(PACKAGE.rglob("*.py"))
TOP_LEVEL = (
    *("leadapp", "migrations", "templates", "tests", "docs", "benchmarks", ".ci"),
    *("wsgi.py", "worker.py", "requirements.txt", "requirements-dev.txt", "Procfile", "Procfile.dev", "app.json"),
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "Makefile", "pyproject.toml", "Dockerfile"),
    *("compose.yaml", "compose.demo.env", ".dockerignore", ".python-version", ".env.example", ".editorconfig"),
    ".gitignore",
)

# From the bottom up; a file imports from its own line and from those before it.
LAYERS = (
    "errors clock config extensions webextensions sql",
    "signing audit columns database schema headers limits breaker",
    "queue http network slowclients",
    "messages rules",
    "files deliveries",
    "leads accounts",
    "admin ops",
    "app desk cli schedule workers dev errorpages",
)
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names.split()}
NO_NAMES = {"utils", "util", "helpers", "helper", "services", "service", "common", "core", "misc"}


# What only pages, or only `flask` commands, need.
NOT_IN_WORKERS = {"flask_admin", "flask_security", "flask_limiter", "wtforms", "rq_dashboard", "alembic", "sentry_sdk"}


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), str(file))


def unit(file: Path) -> str:
    """The folder or file of leadapp/ that a file belongs to."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno} is a relative import"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def wrong_imports(file: Path) -> list[str]:
    if unit(file) == "__init__":
        return [f"{file}:{line} {name}" for line, name in imports(file)]
    found = []
    for line, name in imports(file):
        parts = name.split(".")
        is_ours = parts[0] == "leadapp" and len(parts) > 1 and parts[1] in HEIGHT
        if is_ours and HEIGHT[parts[1]] > HEIGHT[unit(file)]:
            found.append(f"{file.relative_to(ROOT)}:{line} imports {name}, which lies above it")
    return found


def test_imports_point_down() -> None:
    assert [wrong for file in FILES for wrong in wrong_imports(file)] == []


def test_the_import_test_sees_a_wrong_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "queue.py").write_text('"""Doc."""\n\nfrom leadapp.admin import site\n')
    monkeypatch.setattr("tests.test_shape.PACKAGE", tmp_path)
    monkeypatch.setattr("tests.test_shape.ROOT", tmp_path)
    assert wrong_imports(tmp_path / "queue.py") == ["queue.py:3 imports leadapp.admin.site, which lies above it"]


def test_every_folder_and_file_has_its_place_in_the_order() -> None:
    assert {unit(file) for file in FILES} - {"__init__"} <= set(HEIGHT)


def test_the_order_in_the_docs_is_the_order_here() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    block = re.search(r"## Imports point down\n\n((?:    .*\n)+)", page)
    assert block
    lines = [set(part.split()) for part in block[1].split(">")]
    assert lines == [set(names.split()) for names in reversed(LAYERS)]


@pytest.mark.parametrize(
    ("library", "where"),
    [
        ("rq", {"queue.py", "workers/process.py"}),
        ("requests", {"http.py"}),
        ("smtplib", {"messages/providers", "deliveries", "network.py"}),
        ("fcntl", {"dev/valkey.py"}),
    ],
)
def test_a_library_has_its_one_place(library: str, where: set[str]) -> None:
    users = {
        file.relative_to(PACKAGE).as_posix()
        for file in FILES
        for _, name in imports(file)
        if name.split(".")[0] == library
    }
    assert {user for user in users if not any(user.startswith(place) for place in where)} == set()


def test_no_file_is_called_after_nothing() -> None:
    assert [file for file in FILES if {file.stem, file.parent.name} & NO_NAMES] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.relative_to(PACKAGE).as_posix())
def test_a_file_has_one_line_that_says_what_it_is_and_an_end(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 400
    words = ast.get_docstring(tree(file))
    assert words
    assert words.splitlines()[0].strip()


def functions(file: Path) -> Iterator[ast.FunctionDef]:
    yield from (node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def lines_of(function: ast.FunctionDef) -> int:
    assert function.end_lineno
    return function.end_lineno - function.lineno + 1


def test_no_function_is_longer_than_60_lines() -> None:
    found = [(file.name, one.name, lines_of(one)) for file in FILES for one in functions(file) if lines_of(one) > 60]
    assert found == []


def test_nine_of_ten_functions_are_under_30_lines() -> None:
    lengths = sorted(lines_of(one) for file in FILES for one in functions(file))
    assert lengths[len(lengths) * 9 // 10] < 30


def test_no_function_takes_more_than_four_things_in_a_row() -> None:
    crowded = [
        f"{file.relative_to(ROOT)}:{one.lineno} {one.name}"
        for file in FILES
        for one in functions(file)
        if len([arg for arg in (*one.args.posonlyargs, *one.args.args) if arg.arg not in ("self", "cls")]) > 4
        and "noqa: PLR0917" not in file.read_text().splitlines()[one.lineno - 1]
    ]
    assert crowded == []


def test_every_error_of_ours_says_so_in_its_name() -> None:
    classes = [node.name for node in ast.walk(tree(PACKAGE / "errors.py")) if isinstance(node, ast.ClassDef)]
    assert [name for name in classes if not name.endswith("Error")] == ["DeliveryFailed"]
    assert all(name in (ast.get_docstring(tree(PACKAGE / "errors.py")) or "") for name in classes)


def test_every_extra_of_a_log_line_is_on_the_list_of_names() -> None:
    used = {
        (file.name, key.value)
        for file in FILES
        for node in ast.walk(tree(file))
        if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    }
    assert {found for found in used if found[1] not in NAMES} == set()


# --- who may enter


def test_every_address_says_who_may_enter(app: Flask) -> None:
    silent = [
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static"
        and not hasattr(app.view_functions[rule.endpoint], "access")
        and not hasattr(app.blueprints.get(rule.endpoint.rpartition(".")[0]), "access")
    ]
    assert silent == []


def test_nobody_gets_into_the_admin_without_logging_in(app: Flask) -> None:
    client = app.test_client()
    for method, address in admin_addresses(app):
        answer = client.open(address, method=method)
        assert answer.status_code in (302, 400, 401, 403, 404), (method, address, answer.status_code)
        assert answer.status_code != 302 or "/account/login" in answer.location, (address, answer.location)


def admin_addresses(app: Flask) -> Iterator[tuple[str, str]]:
    example: dict[str, Any] = {"int": 0, "uuid": uuid4(), "default": "x", "path": "x", "float": 1.0}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            if not rule.rule.startswith("/admin") or rule.endpoint.endswith(".static"):
                continue
            kinds = re.findall(r"<(?:(\w+):)?(\w+)>", rule.rule)
            values = {name: example[kind or "default"] for kind, name in kinds}
            address = app.url_map.bind("localhost").build(rule.endpoint, values)
            yield from ((method, address) for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"}))


# --- queues, channels, states


def test_every_queue_has_a_worker_whatever_their_number() -> None:
    for total in (1, 2, 3, 8):
        served = [set(process.queues_for(index, total)) for index in range(total)]
        assert set().union(*served) == set(queue.QUEUES)
        assert total == 1 or any(not names & {queue.PROCESSING, queue.SCHEDULED} for names in served)
    assert set(QUEUE_KINDS) <= set(queue.QUEUES)


def test_every_job_name_is_a_function() -> None:
    for job in queue.JOBS:
        assert callable(queue.function(job))


def test_every_kind_has_its_queue() -> None:
    assert {kind for kinds in QUEUE_KINDS.values() for kind in kinds} == set(Kind)
    assert set(CHANNELS) <= set(Kind)


def test_the_states_in_the_docs_are_the_states_in_the_code() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition("| from | to |\n|---|---|\n")[2].partition("\n\n")[0]
    written = {}
    for line in table.splitlines():
        _, origin, targets, _ = (cell.strip() for cell in line.split("|"))
        names = re.sub(r"\([^)]*\)", "", targets).replace("-", "").split(",")
        written[DeliveryState(origin)] = frozenset(DeliveryState(name.strip()) for name in names if name.strip())
    assert written == TRANSITIONS


def test_every_state_is_explained_in_the_docs() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition("| state | means | admin says |\n|---|---|---|\n")[2].partition("\n\n")[0]
    assert [line.split("|")[1].strip() for line in table.splitlines()] == list(DeliveryState)


# --- pages and files


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/operations.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    named = {
        *re.findall(r"\]\((?!https?:)([^)#]+)\)", text),
        *re.findall(r"`((?:leadapp|docs|tests)/[\w/.-]+\.\w+)`", text),
    }
    missing = {name for name in named if not ((ROOT / page).parent / name).exists() and not (ROOT / name).exists()}
    assert missing - {"leadapp/deliveries/channels/sms.py"} == set()


def test_the_readme_walks_the_five_files_of_a_post() -> None:
    walked = re.findall(r"^\d\. `(leadapp/\S+\.py)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert walked == [
        "leadapp/leads/form_routes.py",
        "leadapp/leads/intake.py",
        "leadapp/leads/jobs.py",
        "leadapp/deliveries/work.py",
        "leadapp/deliveries/channels/email.py",
    ]
    assert all((ROOT / name).exists() for name in walked)


def test_the_readme_says_how_to_start_in_two_commands() -> None:
    assert "    make run\n    make test\n" in (ROOT / "README.md").read_text()


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a clone")
def test_the_top_level_is_as_agreed() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {name.partition("/")[0] for name in listed.splitlines()} - set(TOP_LEVEL) == set()


def test_every_package_is_pinned() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
        assert [line for line in lines if line and not line.startswith("-r ") and "==" not in line] == []


def test_one_version_is_told_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == leadapp.__version__
    assert leadapp.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_the_python_version_is_one_that_the_project_takes() -> None:
    wanted = (ROOT / ".python-version").read_text().strip()
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert needed == f">={wanted}"


def test_workers_load_no_pages() -> None:
    """They would cost each worker tree some 30 MB."""
    asked = "import sys, worker; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) & NOT_IN_WORKERS == set()


def test_the_web_loads_no_migrations() -> None:
    asked = "import sys, leadapp.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(loaded.stdout.split()) & {"alembic", "mako", "sentry_sdk"} == set()
