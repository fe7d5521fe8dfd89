"""/metrics: what Prometheus reads, right with many processes, closed without the token."""

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy
from flask import Flask
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from redis.exceptions import RedisError

from leadapp import clock
from leadapp.app import create_app
from leadapp.database import transaction
from leadapp.deliveries import work
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claim import Wanted, claim
from leadapp.deliveries.models import DeliveryState, Destination, DestinationState, Kind
from leadapp.deliveries.sweep import sweep
from leadapp.errors import PermanentError, TemporaryError
from leadapp.extensions import db
from leadapp.ops import counted, gauges, health, heartbeats, tally
from leadapp.ops.models import Heartbeat, PeriodicRun
from leadapp.workers import beat, process

from .factories import FakeChannel, add_desk, post_lead, rows_of, the_row
from .sinks import time_limit
from .test_supervisor import eventually

TOKEN = "a token for figures"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def app(app_with: Any) -> Flask:
    return app_with(metrics_token=TOKEN)


def scrape(app: Flask) -> Samples:
    """(name, label values in the order of their names...) -> number, of everything that /metrics says."""
    answer = app.test_client().get("/metrics", headers=BEARER)
    assert answer.status_code == 200, answer.text
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def deliver(monkeypatch: pytest.MonkeyPatch, channel: FakeChannel) -> None:
    for kind in (Kind.EMAIL, Kind.WEBHOOK):
        monkeypatch.setitem(CHANNELS, kind, channel)
    work.run(Wanted(kinds=tuple(Kind), is_any_destination=True))


# --- who may read them


@pytest.mark.parametrize("path", ["/metrics", "/stats"])
@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", TOKEN, f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff\xfe"]
)
def test_a_wrong_token_gets_one_fixed_answer(app: Flask, path: str, header: str | None) -> None:
    answer = app.test_client().get(path, headers={} if header is None else {"Authorization": header})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="leadapp"')
    assert answer.json["errors"] == [
        {"code": "TOKEN_NEEDED", "field": "", "message": "Send the header Authorization: Bearer <METRICS_TOKEN>."}
    ]


@pytest.mark.parametrize("path", ["/metrics", "/stats"])
@pytest.mark.parametrize("app_env", ["test", "production"])
def test_without_a_token_figures_are_closed(app_with: Any, path: str, app_env: str, caplog: Any) -> None:
    answer = app_with(app_env=app_env, metrics_token="").test_client().get(path)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (403, "METRICS_TOKEN_NOT_SET")
    assert "set METRICS_TOKEN" in caplog.text


@pytest.mark.parametrize("path", ["/metrics", "/stats"])
def test_development_is_open_without_a_token(app_with: Any, path: str) -> None:
    assert app_with(app_env="development").test_client().get(path).status_code == 200


def test_development_with_a_token_is_closed_too(app_with: Any) -> None:
    assert app_with(app_env="development", metrics_token=TOKEN).test_client().get("/metrics").status_code == 401


def test_prometheus_may_ask_under_any_host_name(app_with: Any) -> None:
    client = app_with(metrics_token=TOKEN, allowed_hosts="leads.shop.example").test_client()
    assert client.get("/metrics", headers={**BEARER, "Host": "10.0.0.7:8000"}).status_code == 200
    assert client.get("/stats", headers={**BEARER, "Host": "10.0.0.7:8000"}).status_code == 400


# --- what they say


def test_an_accepted_lead_is_counted_by_form_and_source_and_timed(app: Flask) -> None:
    add_desk()
    app.test_client().post("/f/contact", data={"name": "Ada", "message": "hi"})
    found = scrape(app)
    assert found["leadapp_leads_accepted_total", "contact", "form"] == 1
    assert found["leadapp_accept_seconds_count", "form"] == 1
    assert 0 < found["leadapp_accept_seconds_sum", "form"] < 60
    assert found["leadapp_accept_seconds_bucket", "+Inf", "form"] == 1


def test_a_refused_post_and_a_repeated_key_are_not_counted(app: Flask) -> None:
    add_desk()
    client = app.test_client()
    for _ in range(2):
        client.post("/f/contact", data={"name": "Ada"}, headers={"Idempotency-Key": "k1"})
    assert client.post("/f/contact", data={}).status_code == 400
    assert scrape(app)["leadapp_leads_accepted_total", "contact", "form"] == 1


def test_attempts_and_deliveries_are_counted_as_they_end(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    post_lead(add_desk()[0])
    deliver(monkeypatch, FakeChannel())
    found = scrape(app)
    for kind in ("email", "webhook"):
        assert found["leadapp_attempts_total", kind, "delivered"] == 1
        assert found["leadapp_deliveries_settled_total", kind, "delivered"] == 1
        assert found["leadapp_accept_to_delivered_seconds_count", kind] == 1
        assert found["leadapp_deliveries", kind, "pending"] == 0


def test_failures_and_the_dead_are_told_apart(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    post_lead(add_desk()[0])
    deliver(monkeypatch, FakeChannel([TemporaryError("500"), PermanentError("400")]))
    found = scrape(app)
    assert (
        sum(
            found["leadapp_attempts_total", kind, "failed"]
            for kind in ("email", "webhook")
            if found.get(("leadapp_attempts_total", kind, "failed"))
        )
        == 1
    )
    assert sum(found["leadapp_deliveries", kind, "failed"] for kind in ("email", "webhook")) == 1
    assert sum(found["leadapp_deliveries_dead", kind] for kind in ("email", "webhook")) == 1
    assert not [series for series in found if series[0].startswith("leadapp_accept_to_delivered")]


def test_a_worker_that_was_lost_is_an_attempt_that_was_lost(app: Flask) -> None:
    post_lead(add_desk()[0])
    claim(Wanted(kinds=(Kind.WEBHOOK,)), "worker")
    with clock.frozen(clock.now() + timedelta(minutes=10)):
        sweep()
    assert scrape(app)["leadapp_attempts_total", "webhook", "lost"] == 1


def test_oldest_due_is_the_age_of_what_could_be_sent(app: Flask) -> None:
    row = the_row(post_lead(add_desk()[0]), Kind.WEBHOOK)
    with transaction():
        db.session.merge(row).next_attempt_at = clock.now() - timedelta(seconds=400)
    assert 399 < scrape(app)["leadapp_oldest_due_seconds", "integrations"] < 460
    assert scrape(app)["leadapp_oldest_due_seconds", "notifications"] < 60


@pytest.mark.parametrize("values", [{"state": DestinationState.PAUSED}, {"paused_until": True}])
def test_what_waits_for_its_destination_is_not_late(app: Flask, values: dict[str, Any]) -> None:
    lead = post_lead(add_desk()[0])
    if "paused_until" in values:
        values = {"paused_until": clock.now() + timedelta(minutes=5)}
    with transaction():
        for row in rows_of(lead):
            row.next_attempt_at = clock.now() - timedelta(hours=1)
        for destination in db.session.scalars(sqlalchemy.select(Destination)):
            for name, value in values.items():
                setattr(destination, name, value)
    assert scrape(app)["leadapp_oldest_due_seconds", "integrations"] == 0


def test_what_is_planned_for_later_is_not_late(app: Flask) -> None:
    lead = post_lead(add_desk()[0])
    with transaction():
        for row in rows_of(lead):
            row.next_attempt_at = clock.now() + timedelta(hours=1)
    assert scrape(app)["leadapp_oldest_due_seconds", "notifications"] == 0


def test_paused_destinations_and_queues_are_counted(app: Flask) -> None:
    form, _, hook = add_desk()
    post_lead(form)
    with transaction():
        db.session.merge(hook).state = DestinationState.PAUSED
    found = scrape(app)
    assert found["leadapp_destinations", "webhook", "paused"] == 1
    assert found["leadapp_destinations", "email", "active"] == 1
    assert found["leadapp_queue_length", "notifications"] == 1
    assert found["leadapp_queue_failed_jobs", "notifications"] == 0


def test_signs_of_life_tell_the_age_of_each_process(app: Flask) -> None:
    with transaction():
        for name, role, age in (
            ("worker:a:1", "worker", 3),
            ("worker:b:2", "worker", 200),
            ("worker:c:3", "worker", 9000),
        ):
            db.session.add(Heartbeat(name=name, role=role, seen_at=clock.now() - timedelta(seconds=age)))
        heartbeats.beat(heartbeats.CLOCK)
    found = scrape(app)
    assert found["leadapp_processes_alive", "worker"] == 1
    assert found["leadapp_processes_alive", "clock"] == 1
    assert 2 < found["leadapp_heartbeat_age_seconds", "a:1", "worker"] < 60
    assert 199 < found["leadapp_heartbeat_age_seconds", "b:2", "worker"] < 260
    assert ("leadapp_heartbeat_age_seconds", "c:3", "worker") not in found


def test_periodic_jobs_tell_when_they_ended_and_whether_they_broke(app: Flask) -> None:
    with transaction():
        ended = clock.now() - timedelta(seconds=50)
        db.session.add(PeriodicRun(name="sweep", finished_at=ended, last_error="OperationalError"))
    found = scrape(app)
    assert 49 < found["leadapp_periodic_age_seconds", "sweep"] < 110
    assert found["leadapp_periodic_broken", "sweep"] == 1


def test_no_label_holds_anything_of_a_visitor(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    post_lead(add_desk()[0], name="Ada Lovelace", email="ada@example.com")
    deliver(monkeypatch, FakeChannel())
    said = app.test_client().get("/metrics", headers=BEARER).text
    assert not re.search("Ada|Lovelace|@|example.com", said)


def test_openmetrics_is_spoken_to_who_prefers_it(app: Flask) -> None:
    post_lead(add_desk()[0])
    tally.observe(counted.ACCEPT_SECONDS, 0.2, "form")
    wanted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = app.test_client().get("/metrics", headers={**BEARER, "Accept": wanted})
    assert answer.content_type.startswith("application/openmetrics-text")
    assert {family.name for family in read_openmetrics(answer.text)} >= {"leadapp_accept_seconds", "leadapp_up"}


# --- many processes, and what is away


def test_the_counts_of_every_process_add_up(app: Flask, settings_for: Any) -> None:
    other = create_app(settings_for(metrics_token=TOKEN))
    other.extensions["queue"].redis = app.extensions["queue"].redis
    for one in (app, other):
        with one.app_context():
            tally.count(counted.ACCEPTED, "contact", "form")
            tally.observe(counted.ACCEPT_SECONDS, 0.03, "form")
            tally.flush()
    for one in (app, other):
        found = scrape(one)
        assert found["leadapp_leads_accepted_total", "contact", "form"] == 2
        assert found["leadapp_accept_seconds_bucket", "0.025", "form"] == 0
        assert found["leadapp_accept_seconds_bucket", "0.05", "form"] == 2
        assert found["leadapp_accept_seconds_sum", "form"] == pytest.approx(0.06)
    with other.app_context():
        db.engine.dispose()


class NoRedis:
    """A Redis that is away."""

    def __getattr__(self, name: str) -> Any:
        def raises(*_: Any, **__: Any) -> Any:
            raise RedisError("away")

        return raises


def test_counts_wait_in_memory_while_redis_is_away(app: Flask) -> None:
    line = app.extensions["queue"]
    there, line.redis = line.redis, NoRedis()
    tally.count(counted.ACCEPTED, "contact", "form")
    assert not tally.flush()
    found = scrape(app)
    assert (found["leadapp_up", "redis"], found["leadapp_up", "database"]) == (0, 1)
    assert not [series for series in found if series[0].startswith("leadapp_leads_accepted")]
    line.redis = there
    tally.count(counted.ACCEPTED, "contact", "form")
    found = scrape(app)
    assert (found["leadapp_leads_accepted_total", "contact", "form"], found["leadapp_up", "redis"]) == (2, 1)


def test_what_waits_in_memory_is_bounded(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "MOST_SERIES", 3)
    for number in range(10):
        tally.count(counted.ACCEPTED, f"form-{number}", "form")
    tally.count(counted.ACCEPTED, "form-0", "form")
    assert sorted(app.extensions["tally"].waiting().values()) == [1, 1, 2]


def test_a_flushed_redis_is_a_counter_that_starts_again(app: Flask) -> None:
    tally.count(counted.ACCEPTED, "contact", "form", by=5)
    tally.flush()
    app.extensions["queue"].redis.flushall()
    tally.count(counted.ACCEPTED, "contact", "form")
    assert scrape(app)["leadapp_leads_accepted_total", "contact", "form"] == 1


def test_a_lost_database_is_told_and_the_rest_is_there(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any, **__: Any) -> Any:
        raise sqlalchemy.exc.OperationalError("", {}, Exception("away"))

    monkeypatch.setattr(db.session, "execute", away)
    found = scrape(app)
    assert (found["leadapp_up", "database"], found["leadapp_up", "redis"]) == (0, 1)
    assert "leadapp_queue_length" in {series[0] for series in found}


def test_a_database_that_hangs_is_given_up_soon(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIME_BOX", 0.1)
    gate = threading.Event()  # opened at the end: the next test needs the one thread for such questions

    def hangs() -> list[Any]:
        gate.wait(10)
        return []

    monkeypatch.setattr(gauges, "from_database", hangs)
    with time_limit(5):
        found = scrape(app)
    gate.set()
    assert (found["leadapp_up", "database"], found["leadapp_up", "redis"]) == (0, 1)


@pytest.mark.parametrize("sign_off", [process._sign_off, beat._sign_off])
def test_a_process_that_ends_in_order_writes_what_it_counted(app: Flask, sign_off: Any) -> None:
    tally.count(counted.ACCEPTED, "contact", "form")
    sign_off()
    assert app.extensions["queue"].redis.hlen(tally.HASH) == 1


def test_series_of_an_older_version_do_not_break_the_page(app: Flask) -> None:
    redis = app.extensions["queue"].redis
    redis.hset(tally.HASH, '["leadapp_leads_accepted", "contact", "form", "more"]', 3)
    redis.hset(tally.HASH, '["forgotten"]', 3)
    assert scrape(app)["leadapp_up", "redis"] == 1


def test_the_eager_queue_counts_in_its_own_memory(app_with: Any) -> None:
    app = app_with(metrics_token=TOKEN, queue_eager=True)
    app.extensions["queue"].redis = NoRedis()
    tally.count(counted.ACCEPTED, "contact", "form")
    assert scrape(app)["leadapp_leads_accepted_total", "contact", "form"] == 1


def test_counting_writes_by_itself_after_a_moment(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tally, "FLUSH_SECONDS", 0.01)
    own = tally.Tally(app)
    own._writes_by_itself = True
    app.extensions["tally"] = own
    tally.count(counted.ACCEPTED, "contact", "form")
    eventually(lambda: app.extensions["queue"].redis.hlen(tally.HASH) > 0)
    assert own.waiting() == {}


def test_every_open_state_is_listed_and_finished_ones_are_not_counted_again() -> None:
    assert set(gauges.OPEN_STATES) == set(DeliveryState) - {DeliveryState.DELIVERED, DeliveryState.CANCELLED}
