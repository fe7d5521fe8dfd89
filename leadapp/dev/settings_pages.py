"""Writes .env.example and the table of docs/configuration.md from config.py; a test holds them equal."""

from collections.abc import Iterator
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from leadapp.config import ROOT, Settings

ENV_EXAMPLE = ROOT / ".env.example"
CONFIGURATION = ROOT / "docs" / "configuration.md"
BEGIN, END = "<!-- settings: made by `flask settings --markdown` -->", "<!-- end of settings -->"
HEADER = """\
# Every setting of Leadapp with its default. Made from leadapp/config.py by `flask settings --env`.
# Copy it to .env and take the # off what you change; the environment comes before .env.
"""


def env_example() -> str:
    parts = [HEADER]
    for group, fields in grouped():
        parts.append(f"\n# --- {group} ---\n")
        parts += [f"# {field.description}\n# {names(name, field)[0]}={default(field)}\n" for name, field in fields]
    return "".join(parts)


def table() -> str:
    """One table for each group."""
    parts = []
    for group, fields in grouped():
        parts.append(f"### {group}\n\n| variable | meaning | default |\n|---|---|---|\n")
        parts += [row(name, field) for name, field in fields]
        parts.append("\n")
    return "".join(parts).rstrip("\n") + "\n"


def row(name: str, field: FieldInfo) -> str:
    first, *others = names(name, field)
    also = f" (also {', '.join(f'`{other}`' for other in others)})" if others else ""
    shown = f"`{default(field)}`" if default(field) else ""
    meaning = (field.description or "").replace("|", "\\|").replace("<", "&lt;")
    return f"| `{first}`{also} | {meaning} | {shown} |\n"


def grouped() -> Iterator[tuple[str, list[tuple[str, FieldInfo]]]]:
    """Settings in the order of config.py, by group."""
    for group, fields in groupby(Settings.model_fields.items(), key=lambda item: _extra(item[1])["group"]):
        yield group, list(fields)


def names(name: str, field: FieldInfo) -> list[str]:
    """The variable's name, and what else it may be called."""
    alias = field.validation_alias
    return [str(choice) for choice in alias.choices] if isinstance(alias, AliasChoices) else [name.upper()]


def default(field: FieldInfo) -> str:
    """As one would write it in .env; nothing for secrets."""
    value = field.default
    match value:
        case SecretStr():
            return ""
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case tuple():
            return ",".join(value)
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def page_with(new_table: str, page: str) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{new_table}\n{END}{after}"


def write_env_example() -> Path:
    ENV_EXAMPLE.write_text(env_example())
    return ENV_EXAMPLE


def write_markdown() -> Path:
    CONFIGURATION.write_text(page_with(table(), CONFIGURATION.read_text()))
    return CONFIGURATION
