"""The worker process on fakeredis: what it runs, what it refuses, and what rq-dashboard's requeue does."""

import contextlib
from datetime import timedelta

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from rq import Queue, requeue_job
from rq.job import Job
from rq.registry import FailedJobRegistry
from rq.serializers import JSONSerializer

from leadapp import queue
from leadapp.database import transaction
from leadapp.deliveries import work
from leadapp.deliveries.channels import CHANNELS
from leadapp.deliveries.claims import Receipt
from leadapp.deliveries.models import Delivery, DeliveryState, Destination, Kind
from leadapp.errors import DeliveryFailed, PermanentError, TemporaryError
from leadapp.extensions import db
from leadapp.leads import jobs
from leadapp.leads.models import Form
from leadapp.workers import process
from tests.factories import FakeChannel, add_desk, post_lead, rows_of, the_row

S = DeliveryState


@pytest.fixture
def redis(app: Flask, monkeypatch):
    found = app.extensions["queue"].redis
    monkeypatch.setattr(queue, "connect", lambda *_: found)
    return found


@pytest.fixture
def hook(monkeypatch) -> FakeChannel:
    channel = FakeChannel()
    monkeypatch.setitem(CHANNELS, Kind.WEBHOOK, channel)
    monkeypatch.setitem(CHANNELS, Kind.EMAIL, FakeChannel())
    return channel


@pytest.fixture
def desk(redis, hook) -> Form:
    return add_desk()[0]


def work_off() -> None:
    process.serve(queue.QUEUES, is_burst=True)


def refuse_connection(*_args, **_options):
    raise RedisConnectionError("gone")


def failed(redis, name: str = "integrations") -> list[str]:
    return FailedJobRegistry(name, connection=redis, serializer=JSONSerializer).get_job_ids(cleanup=False)


def test_the_worker_delivers_what_was_rung(desk):
    lead = post_lead(desk)
    work_off()
    assert {the_row(lead, kind).state for kind in (Kind.EMAIL, Kind.WEBHOOK)} == {S.DELIVERED}


@pytest.mark.parametrize("name", ["os.system", "subprocess.run", "leadapp.leads.jobs.recheck"])
def test_a_job_that_is_not_on_the_list_is_refused(desk, redis, tmp_path, name):
    victim = tmp_path / "touched"
    Queue("integrations", connection=redis, serializer=JSONSerializer).enqueue(name, f"touch {victim}")
    work_off()
    assert not victim.exists()
    (job_id,) = failed(redis)
    result = Job.fetch(job_id, connection=redis, serializer=JSONSerializer).latest_result()
    assert "not on the list" in result.exc_string


@pytest.mark.parametrize("hook_name", ["on_success", "on_failure"])
def test_a_job_that_carries_a_callback_is_refused(desk, redis, hook_name):
    from rq import Callback

    lead = post_lead(desk)
    redis.delete("rq:queue:integrations")
    Queue("integrations", connection=redis, serializer=JSONSerializer).enqueue(
        queue.JOBS["send_lead_webhook"], str(lead.id), **{hook_name: Callback("os.getcwd")}
    )
    work_off()
    assert the_row(lead, Kind.WEBHOOK).state is S.PENDING
    assert len(failed(redis)) == 1


def test_a_job_with_dead_rows_fails_and_its_requeue_sends_exactly_them(desk, redis, hook):
    hook.answers = [PermanentError("The webhook answered 400"), Receipt(200)]
    lead = post_lead(desk)
    work_off()
    (job_id,) = failed(redis)
    job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
    assert job.meta[queue.NEEDS_YOU] == [str(the_row(lead, Kind.WEBHOOK).id)]
    assert "ada@" not in str(job.latest_result().exc_string)
    requeue_job(job_id, connection=redis, serializer=JSONSerializer)
    work_off()
    assert the_row(lead, Kind.WEBHOOK).state is S.DELIVERED
    assert failed(redis) == []


def test_a_requeue_after_a_person_sent_it_again_sends_nothing_twice(desk, redis, hook):
    hook.answers = [PermanentError("no"), Receipt(200)]
    post_lead(desk)
    work_off()
    (job_id,) = failed(redis)
    requeue_job(job_id, connection=redis, serializer=JSONSerializer)
    work_off()
    assert len(hook.sent) == 2


def test_a_job_that_will_be_retried_is_not_shown_as_failed(desk, redis, hook):
    from leadapp.errors import TemporaryError

    hook.answers = [TemporaryError("busy")]
    post_lead(desk)
    work_off()
    assert failed(redis) == []


def waiting(redis, name: str = "integrations") -> list[str]:
    return Queue(name, connection=redis, serializer=JSONSerializer).get_job_ids()


def test_what_a_job_took_along_leaves_the_queue_with_everything_of_it(desk, redis):
    first, others = post_lead(desk), [post_lead(desk) for _ in range(40)]
    jobs.send_lead_webhook(str(first.id))
    assert waiting(redis) == [f"send_lead_webhook-{first.id}"]
    assert not [key for key in redis.keys("rq:job:send_lead_webhook-*") if str(first.id) not in key.decode()]
    assert len(waiting(redis, "notifications")) == 41
    assert {the_row(lead, Kind.WEBHOOK).state for lead in others} == {S.DELIVERED}


def test_a_job_stays_while_anything_of_its_lead_is_open(desk, redis, hook):
    hook.answers = [Receipt(200), PermanentError("no"), TemporaryError("busy")]
    first, refused, busy = post_lead(desk), post_lead(desk), post_lead(desk)
    with contextlib.suppress(DeliveryFailed):
        jobs.send_lead_webhook(str(first.id))
    kept = {f"send_lead_webhook-{lead.id}" for lead in (first, refused, busy)}
    assert set(waiting(redis)) == kept


def test_a_job_that_covers_two_rows_stays_until_both_are_over(desk, redis, hook):
    with transaction():
        db.session.add(Destination(kind=Kind.WEBHOOK, name="second", settings={"url": "http://b.example"}))
    first, second = post_lead(desk), post_lead(desk)
    held_back = rows_of(second)[-1]
    with transaction():
        row = db.session.get(Delivery, held_back.id)
        row.next_attempt_at += timedelta(hours=1)
    jobs.send_lead_webhook(str(first.id))
    assert f"send_lead_webhook-{second.id}" in waiting(redis)


def test_a_lost_redis_stops_no_job_that_took_others_along(desk, redis, hook, monkeypatch):
    first, second = post_lead(desk), post_lead(desk)
    monkeypatch.setattr(redis, "pipeline", refuse_connection)
    jobs.send_lead_webhook(str(first.id))
    assert the_row(second, Kind.WEBHOOK).state is S.DELIVERED


def test_queues_take_turns():
    assert process.queues_for(0, 2) == ("notifications", "integrations")
    assert process.queues_for(1, 2) == queue.QUEUES
    assert process.queues_for(0, 1) == queue.QUEUES


def test_a_worker_looks_into_sql_also_for_failing_destinations(desk, hook):
    lead = post_lead(desk)
    process.look_into_sql(("integrations",))
    assert the_row(lead, Kind.WEBHOOK).state is S.DELIVERED
    assert the_row(lead, Kind.EMAIL).state is S.PENDING


def test_a_stopped_worker_takes_no_further_job(desk, redis):
    lead = post_lead(desk)
    work.STOP.set()
    try:
        work_off()
    finally:
        work.STOP.clear()
    assert the_row(lead, Kind.WEBHOOK).state is S.PENDING


def test_what_redis_keeps_of_a_broken_job_quotes_nobody(desk, redis, monkeypatch):
    def broken(*_args):
        raise LookupError("@".join(["ada", "example.com"]))

    monkeypatch.setattr("leadapp.leads.jobs.deliver_owed", broken)
    post_lead(desk)
    work_off()
    (job_id,) = failed(redis)
    kept = Job.fetch(job_id, connection=redis, serializer=JSONSerializer).latest_result().exc_string
    assert "LookupError" in kept
    assert "ada@" not in kept
