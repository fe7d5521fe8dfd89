"""instance/run.env: what `make run` made up once, and every later run and `flask` command reads."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from leadapp.config import INSTANCE, ROOT

RUN_ENV = INSTANCE / "run.env"
HEADER = "# Made by `make run` for this machine; keep it to yourself. The environment and .env come first.\n"


def said(name: str) -> str:
    """What the environment, or else .env, says about one setting; "" when nothing."""
    return os.environ.get(name) or dotenv_values(ROOT / ".env").get(name) or ""


def kept(path: Path | None = None) -> dict[str, str]:
    """What the file holds."""
    return {name: value for name, value in dotenv_values(path or RUN_ENV).items() if value}


def complete(before: Mapping[str, str]) -> dict[str, str]:
    """The same, with a secret made for each one that nobody has set, and development unless said otherwise."""
    made = {
        "APP_ENV": "development",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "ENCRYPTION_KEYS": secrets.token_urlsafe(48),
    }
    missing = {name: value for name, value in made.items() if not said(name)}
    return {**missing, **before}


def write(values: Mapping[str, str], path: Path | None = None) -> None:
    """Replace the file in one step; only its owner can read it."""
    target = path or RUN_ENV
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(HEADER + "".join(f"{name}={value}\n" for name, value in sorted(values.items())))
    new.replace(target)
