"""The short-tempered connection: it waits for a silent Redis once, then leaves it alone."""

import time

import pytest
from redis.exceptions import ConnectionError, TimeoutError

from leadapp import breaker
from tests.conftest import make_settings
from tests.sinks import RawServer, time_limit


@pytest.fixture
def silent():
    with RawServer(lambda sock: time.sleep(6)) as server:
        yield make_settings(redis_url=f"redis://127.0.0.1:{server.port}/0")


def test_a_silent_redis_costs_its_time_out_once(silent, monkeypatch):
    monkeypatch.setattr(breaker, "CLOSED_SECONDS", 60.0)  # on a slow machine five seconds are soon over
    redis, tripped = breaker.short_tempered(silent, 0.2)
    with pytest.raises(TimeoutError):
        redis.ping()
    assert tripped.is_tripped
    with time_limit(3):  # twenty time-outs are four seconds
        for _ in range(20):
            with pytest.raises(ConnectionError):
                redis.ping()


def test_pipelines_trip_it_too(silent):
    redis, tripped = breaker.short_tempered(silent, 0.2)
    pipe = redis.pipeline(transaction=False)
    pipe.set("a", 1)
    with pytest.raises(TimeoutError):
        pipe.execute()
    assert tripped.is_tripped


def test_redis_is_asked_again_after_a_while(silent, monkeypatch):
    redis, tripped = breaker.short_tempered(silent, 0.1)
    tripped.trip()
    monkeypatch.setattr(breaker, "CLOSED_SECONDS", 0.0)
    tripped.trip()
    with pytest.raises(TimeoutError):  # asked, and silent as before
        redis.ping()
    assert not tripped.is_tripped
