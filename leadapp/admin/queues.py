"""rq-dashboard under /admin/queues/: its addresses and JSON, our pages, our gate, our connection.

What is replaced, and why (rq-dashboard 0.9.0): a connection for every request, out of a process-wide attribute;
pages that ran what a job said (`<%= %>`) and needed inline scripts and eval; GET /requeue; no CSRF token; 500 for
unknown jobs, jobs with dependencies, odd numbers and a lost Redis; pickle, which runs what Redis holds.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

from flask import Flask, Response, abort, current_app, jsonify, make_response, render_template, request
from redis.exceptions import RedisError
from rq_dashboard import web

from leadapp import audit, queue
from leadapp.accounts import guard
from leadapp.database import transaction

logger = logging.getLogger(__name__)
JSONSerializer = queue.JSONSerializer  # type: ignore[attr-defined]  # only queue.py imports rq

PREFIX = "/admin/queues"
NAME = "rq_dashboard"
REGISTRIES = ("queued", "scheduled", "deferred", "started", "finished", "failed", "canceled")
MOST_PER_PAGE = 200
POLL_MS = 2500
Answer = Callable[..., Any]


@dataclass
class Job:
    """What the audit trail notes of a job or a queue in Redis; both have no row."""

    id: str
    __tablename__ = "job"


def init_app(app: Flask) -> None:
    """Mount rq-dashboard and take its dangerous parts out of its hands."""
    web.config.serializer = JSONSerializer
    app.config["RQ_DASHBOARD_REDIS_URL"] = ("redis",)  # only counted: the connection is ours, the address stays here
    app.config["RQ_DASHBOARD_POLL_INTERVAL"] = POLL_MS
    web.blueprint.before_request_funcs[None] = [_gate]  # instead of its push_rq_connection
    web.blueprint.access = guard.OPERATORS
    app.register_blueprint(web.blueprint, url_prefix=PREFIX)
    for name, view in REPLACED.items():
        app.view_functions[f"{NAME}.{name}"] = view
    for endpoint, view in list(app.view_functions.items()):
        if endpoint.startswith(f"{NAME}.") and not endpoint.endswith((".static", ".favicon")):
            app.view_functions[endpoint] = _answers(view)


def _gate() -> Any:
    """Before every request: who may enter, and only things that exist."""
    if not guard.may(guard.OPERATORS):
        return guard.refuse()
    given = request.view_args or {}
    if given.get("instance_number", 0) != 0:
        return _missing("There is one Redis here, number 0.")
    if given.get("registry_name") not in (None, *REGISTRIES):
        return _missing("There is no such list of jobs.")
    if given.get("order") not in (None, "asc", "dsc"):
        return _missing("Jobs are listed in the order asc or dsc.")
    if not (_counts(given.get("per_page", "1"), MOST_PER_PAGE) and _counts(given.get("page", "1"), 10**6)):
        return _missing("There is no such page.")
    if request.method == "GET" and request.endpoint == f"{NAME}.requeue_all":
        answer = _say("This is a button", "Requeueing changes things, so it is never a link.", 405)
        answer.headers["Allow"] = "POST"
        return answer
    current_app.redis_conn = queue.line()  # type: ignore[attr-defined]
    return None


def _counts(text: Any, most: int) -> bool:
    return str(text).isascii() and str(text).isdigit() and 1 <= int(str(text)[:9]) <= most


def _answers(view: Answer) -> Answer:
    """A lost Redis and a job that is gone are answers, not errors."""

    @wraps(view)
    def inner(*args: Any, **kwargs: Any) -> Any:
        try:
            return view(*args, **kwargs)
        except web.NoSuchJobError:
            return _missing("This job is not there any more. Jobs that went well are kept for an hour.")
        except RedisError as error:
            logger.warning("the queue page got no answer from Redis: %s", queue.reason(error))
            words = f"{queue.reason(error)}. Nothing is lost: the workers look into the database meanwhile."
            return _say("The queue does not answer", words, 503)

    return inner


def _wants_json() -> bool:
    return request.path.endswith(".json") or request.method == "POST"


def _say(title: str, words: str, status: int) -> Response:
    if _wants_json():
        answer = make_response(jsonify(status="ERROR", message=words), status)
    else:
        answer = make_response(render_template("rq_dashboard/problem.html", title=title, words=words), status)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _missing(words: str) -> Response:
    return _say("Not here", words, 404)


def _fetch(job_id: str) -> Any:
    return web.Job.fetch(job_id, connection=queue.line(), serializer=JSONSerializer)


def _note(subject: str, action: str, **facts: Any) -> None:
    with transaction():
        audit.record(Job(subject[:40]), action, guard.actor(), **facts)


def _done(**facts: Any) -> Response:
    answer = jsonify(status="OK", **facts)
    answer.headers["Cache-Control"] = "no-store"
    return answer


# Pages and data that its own code cannot serve
def queues_overview(instance_number: int) -> Any:  # noqa: ARG001 - the address has it
    queue.line().ping()
    return _page("queues")


def workers_overview(instance_number: int) -> Any:  # noqa: ARG001 - the address has it
    queue.line().ping()
    return _page("workers")


def _page(tab: str) -> Response:
    return make_response(render_template(f"rq_dashboard/{tab}.html", active_tab=tab, poll_interval=POLL_MS))


def job_view(instance_number: int, job_id: str) -> Any:  # noqa: ARG001 - the address has it
    _fetch(job_id)
    page = render_template("rq_dashboard/job.html", id=job_id, active_tab="jobs", poll_interval=POLL_MS)
    return make_response(page)


def job_info(instance_number: int, job_id: str) -> Any:  # noqa: ARG001 - the address has it
    job = _fetch(job_id)
    result = job.latest_result()
    needs = [found.decode() if isinstance(found, bytes) else str(found) for found in job.dependency_ids]
    needs = [found.rsplit(":", 1)[-1] for found in needs]
    told = {
        "id": job.id,
        "created_at": web.serialize_date(job.created_at),
        "enqueued_at": web.serialize_date(job.enqueued_at),
        "started_at": web.serialize_date(job.started_at),
        "ended_at": web.serialize_date(job.ended_at),
        "origin": job.origin,
        "status": _word(job.get_status(refresh=False)),
        "result": _text(job.return_value),
        "exc_info": result.exc_string if result else None,
        "description": job.description,
        "metadata": _text(lambda: job.get_meta(refresh=False)),
    }
    if needs:
        told |= {"depends_on": needs, "depends_on_status": [_state_of(found) for found in needs]}
    answer = jsonify(told)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _text(read: Callable[[], Any]) -> str:
    """A value out of Redis as text; whoever can write there can put anything."""
    try:
        return current_app.json.dumps(read(), default=repr)
    except (ValueError, TypeError, UnicodeDecodeError):
        return "cannot be read"


def _word(state: Any) -> str:
    """RQ's states are enums whose str() carries the class."""
    return str(getattr(state, "value", state) or "")


def _state_of(job_id: str) -> str:
    try:
        _fetch(job_id)
    except web.NoSuchJobError:
        return "expired"
    return "active"


def list_workers(instance_number: int) -> Any:  # noqa: ARG001 - the address has it
    found = [_worker(worker) for worker in web.Worker.all(connection=queue.line(), serializer=JSONSerializer)]
    answer = jsonify(workers=sorted(found, key=lambda worker: (worker["state"], worker["name"])))
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _worker(worker: Any) -> dict[str, Any]:
    try:
        job = worker.get_current_job()
    except web.NoSuchJobError:
        job = None
    return {
        "name": worker.name,
        "pid": worker.pid,
        "queues": [found.name for found in worker.queues],
        "state": _word(worker.get_state()),
        "current_job": {"job_id": job.id, "description": job.description} if job else "idle",
        "last_heartbeat": web.serialize_date(worker.last_heartbeat),
        "birth_date": web.serialize_date(worker.birth_date),
        "successful_job_count": worker.successful_job_count,
        "failed_job_count": worker.failed_job_count,
        "total_working_time": worker.total_working_time,
        "version": getattr(worker, "version", "") or "",
        "python_version": getattr(worker, "python_version", "") or "",
    }


# Buttons. All are safe: SQL decides what must go out, and brings back what is deleted here.
def delete_job_view(job_id: str) -> Any:
    _fetch(job_id).delete()
    _note(job_id, "job deleted")
    return _done()


def requeue_job_view(job_id: str) -> Any:
    job = _fetch(job_id)
    if not _requeue(job):
        return _say("Not failed", "Only failed jobs can be requeued.", 409)
    _note(job_id, "job requeued", queue=job.origin)
    return _done()


def requeue_all(queue_name: str) -> Any:
    ids = _registry(queue_name, "failed").get_job_ids(cleanup=False)
    count = sum(_requeue(job) for job in _jobs(ids))
    _note(queue_name, "failed jobs requeued", count=count)
    return _done(count=count)


def empty_queue(queue_name: str, registry_name: str) -> Any:
    if registry_name == "queued":
        count = queue.open_queue(queue_name, queue.line()).empty()  # type: ignore[no-untyped-call]
    else:
        registry = _registry(queue_name, registry_name)
        ids = registry.get_job_ids(cleanup=False)
        for job in _jobs(ids):
            job.delete()
        if ids:
            queue.line().zrem(registry.key, *ids)  # entries whose job was gone already
        count = len(ids)
    _note(queue_name, "queue emptied", registry=registry_name, count=count)
    return _done(count=count)


def compact_queue(queue_name: str) -> Any:
    found = queue.open_queue(queue_name, queue.line())
    if found.count:  # RQ renames the list, which Redis refuses for one that is empty
        found.compact()  # type: ignore[no-untyped-call]
    _note(queue_name, "queue compacted")
    return _done()


def _requeue(job: Any) -> bool:
    """Back into its queue; False when it is not on the failed list."""
    registry = _registry(job.origin, "failed")
    if queue.line().zscore(registry.key, job.id) is None:
        return False
    registry.requeue(job)
    return True


def _registry(queue_name: str, registry_name: str) -> Any:
    kind = getattr(web, f"{registry_name.capitalize()}JobRegistry")
    return kind(queue_name, connection=queue.line(), serializer=JSONSerializer)


def _jobs(ids: list[str]) -> list[Any]:
    return [job for job in web.Job.fetch_many(ids, connection=queue.line(), serializer=JSONSerializer) if job]


def favicon() -> Any:
    abort(404)


REPLACED: dict[str, Answer] = {
    found.__name__: found
    for found in (
        queues_overview,
        workers_overview,
        job_view,
        job_info,
        list_workers,
        delete_job_view,
        requeue_job_view,
        requeue_all,
        empty_queue,
        compact_queue,
        favicon,
    )
}
