"""`flask setup` as the release step runs it: several at the same moment end as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from leadapp.config import ROOT
from tests.conftest import SECRET


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lead.db'}"
    found: str = request.getfixturevalue("postgresql")
    return found


def test_three_setups_at_once_make_everything_once(database_url: str) -> None:
    named = {
        "APP_ENV": "test",
        "SECRET_KEY": SECRET,
        "ENCRYPTION_KEYS": SECRET,
        "DATABASE_URL": database_url,
        "LEAD_NOTIFICATION_EMAIL": "a@shop.example,b@shop.example",
        "ZAPIER_WEBHOOK_URL": "https://hooks.example.com/1",
    }
    command = [sys.executable, "-m", "flask", "--app", "wsgi", "setup", "--first-owner", "owner@shop.example"]
    running = [
        subprocess.Popen(command, cwd=ROOT, env={**os.environ, **named}, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], said
    assert sum("Password" in words for words in said) == 1
    assert counts(database_url) == {"destination": 3, "form": 2, "rules_version": 1, "user": 1, "role": 4}


def counts(database_url: str) -> dict[str, int]:
    engine = create_engine(database_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        found = {
            table: connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one()
            for table in ("destination", "form", "rules_version", "user", "role")
        }
    engine.dispose()
    return found
