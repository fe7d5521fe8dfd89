"""What accepting one lead costs on real PostgreSQL and Redis, after warm-up."""

from redis.connection import AbstractConnection
from sqlalchemy import event

from leadapp.deliveries.models import Kind
from leadapp.extensions import db
from tests.factories import add_destination, add_form


def test_a_post_costs_few_statements_one_commit_and_two_round_trips_to_redis(pg_app, monkeypatch):
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
    statements: list[str] = []
    commits: list[int] = []
    trips: list[int] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    event.listen(db.engine, "commit", lambda _: commits.append(1))
    original = AbstractConnection.send_packed_command
    monkeypatch.setattr(
        AbstractConnection,
        "send_packed_command",
        lambda self, *args, **options: trips.append(1) or original(self, *args, **options),
    )
    assert client.post("/f/contact", json={"message": "counted"}, headers=headers).status_code == 200
    assert len(statements) <= 7, "\n".join(line[:90] for line in statements)  # one more than SQLite: its lock
    assert (len(commits), len(trips)) == (1, 2)
