"""What accepting one lead costs on real PostgreSQL and Redis, after warm-up."""

from dataclasses import dataclass, field

import pytest
from redis.connection import AbstractConnection
from sqlalchemy import event

from leadapp.deliveries.models import Kind
from leadapp.extensions import db
from leadapp.leads import catalog
from tests.factories import add_destination, add_form


@dataclass
class Cost:
    """What was asked of the database and of Redis since the counting began."""

    statements: list[str] = field(default_factory=list)
    commits: int = 0
    trips: int = 0  # to Redis

    def commit(self, _connection: object) -> None:
        self.commits += 1

    def __str__(self) -> str:
        return "\n".join(line[:90] for line in self.statements)


@pytest.fixture
def counting(monkeypatch):
    """counting() -> the Cost of what comes from then on."""

    def begin() -> Cost:
        cost = Cost()
        event.listen(db.engine, "before_cursor_execute", lambda *args: cost.statements.append(args[2]))
        event.listen(db.engine, "commit", cost.commit)
        original = AbstractConnection.send_packed_command

        def send(self, *args, **options):
            cost.trips += 1
            return original(self, *args, **options)

        monkeypatch.setattr(AbstractConnection, "send_packed_command", send)
        return cost

    return begin


def test_a_post_costs_five_statements_one_commit_and_two_round_trips_to_redis(pg_app, counting, monkeypatch):
    monkeypatch.setattr(catalog, "SECONDS", 60.0)  # form and destinations are known
    app = pg_app(app_env="development", ratelimit_enabled=True, log_level="WARNING")
    add_form()
    for number in range(5):
        add_destination(Kind.EMAIL, f"owner{number}@shop.example")
        add_destination(Kind.WEBHOOK, f"https://hook.example/{number}")
    db.session.remove()
    client = app.test_client()
    headers = {"Accept": "application/json"}
    for number in range(3):
        client.post("/f/contact", json={"message": f"warm {number}"}, headers=headers)
    cost = counting()
    assert client.post("/f/contact", json={"message": "counted"}, headers=headers).status_code == 200
    assert len(cost.statements) == 5, str(cost)  # one more than SQLite: its lock
    assert (cost.commits, cost.trips) == (1, 2)
