"""What people would build with Django and Celery, to measure ours against: a form, the ORM, a task with retries.

    .venv/bin/pip install django celery
    .venv/bin/python -m benchmarks.ordinary

The two are no part of requirements-dev.txt. Prints accepted leads/s, deliveries/s on a backlog, post to sink and
memory of both, in one run on the same machine. It finds no fields, knows no repeats, signs nothing, keeps no attempts
and no audit trail, and loses the webhook of a lead whose `delay` meets a Redis that is away.
"""

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import celery
import django
import requests
from django import forms
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, models, transaction
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST
from sqlalchemy.engine import make_url

from benchmarks.load import Receiver, post_many
from benchmarks.throughput import LANES, LEADS, ROUNDS, milliseconds, pss_megabytes, spread, steady, stop_worker, tidy
from tests.services.conftest import fresh_database
from tests.services.stack import Stack, free_port, wait_for

if not settings.configured:
    address = make_url(os.environ.get("BARE_DATABASE", "postgresql://nobody@127.0.0.1/nothing"))
    settings.configure(
        SECRET_KEY="for a benchmark",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.common.CommonMiddleware"],
        USE_TZ=True,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.postgresql",
                "NAME": address.database,
                "USER": address.username,
                "HOST": address.host,
                "PORT": address.port or 5432,
                "CONN_MAX_AGE": 600,
            }
        },
    )
    django.setup()

queue = celery.Celery("ordinary", broker=os.environ.get("BARE_REDIS", "redis://127.0.0.1/0"))
queue.conf.update(task_ignore_result=True, task_acks_late=True)
session = requests.Session()


class Lead(models.Model):
    """A lead as a tutorial would have it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    received_at = models.DateTimeField(auto_now_add=True, db_index=True)
    name = models.CharField(max_length=200)
    email = models.EmailField(db_index=True)
    message = models.TextField(blank=True)
    posted_at = models.CharField(max_length=40, blank=True)
    status = models.CharField(max_length=20, default="pending", db_index=True)
    attempts = models.IntegerField(default=0)
    last_error = models.TextField(blank=True)

    class Meta:
        app_label = "ordinary"

    def __str__(self) -> str:
        return str(self.id)


class LeadForm(forms.ModelForm):  # type: ignore[type-arg]
    """Checks what was posted."""

    class Meta:
        model = Lead
        fields = ("name", "email", "message", "posted_at")


@csrf_exempt
@require_POST
def submit(request: HttpRequest) -> JsonResponse:
    form = LeadForm(json.loads(request.body))
    if not form.is_valid():
        return JsonResponse({"ok": False, "errors": form.errors}, status=400)
    with transaction.atomic():
        lead = form.save()
        transaction.on_commit(lambda: send.delay(str(lead.id)))
    return JsonResponse({"ok": True, "id": str(lead.id)})


@queue.task(bind=True, max_retries=5)  # type: ignore[untyped-decorator]
def send(self: Any, lead_id: str) -> None:
    """Post the lead to the webhook, and again later when that fails."""
    lead = Lead.objects.get(pk=lead_id)
    body = {name: str(getattr(lead, name)) for name in ("id", "name", "email", "message", "posted_at")}
    lead.attempts += 1
    try:
        session.post(os.environ["BARE_WEBHOOK"], json=body, timeout=10).raise_for_status()
    except requests.RequestException as error:
        lead.last_error = str(error)
        lead.save()
        raise self.retry(exc=error, countdown=30) from error
    lead.status = "delivered"
    lead.save()


urlpatterns = [path("f/contact", submit)]
application = get_wsgi_application()


class Ordinary(Stack):
    """Our stack with theirs beside it."""

    def start_theirs(self, port: int) -> None:
        web = (sys.executable, "-m", "gunicorn", "benchmarks.ordinary:application", "--bind", f"127.0.0.1:{port}")
        options = ("--preload", "--worker-class", "gthread", "--workers", "2", "--threads", "4", "--no-control-socket")
        self._start("django", *web, *options)
        time.sleep(3)

    def start_celery(self) -> None:
        command = (sys.executable, "-m", "celery", "-A", "benchmarks.ordinary:queue", "worker")
        self._start("celery", *command, "--concurrency", "2", "--loglevel", "WARNING")


def backlog(stack: Ordinary, receiver: Receiver, port: int, name: str) -> float:
    """Deliveries a second of what was posted while no worker ran, from the first to the last."""
    post_many(port, LEADS, LANES)
    tidy()
    before = receiver.count.value
    stack.start_worker() if name == "worker" else stack.start_celery()
    receiver.wait(before + 1)
    began = time.perf_counter()
    receiver.wait(before + LEADS)
    took = time.perf_counter() - began
    time.sleep(3)  # the last ones settle
    return LEADS / took


def accepted(port: int) -> float:
    tidy()
    return LEADS / post_many(port, LEADS, LANES)[0]


def run(stack: Ordinary, receiver: Receiver) -> None:
    with connection.schema_editor() as editor:
        editor.create_model(Lead)
    port = free_port()
    stack.start_theirs(port)
    ports = {"worker": stack.port, "celery": port}
    names = {"worker": "Leadapp", "celery": "Django and Celery"}
    stack.start_celery()
    for one in ports.values():
        post_many(one, 200, LANES)
    time.sleep(8)
    figures: dict[str, dict[str, list[float]]] = {name: {"accept": [], "backlog": []} for name in ports}
    for _ in range(ROUNDS):
        for name, one in ports.items():
            figures[name]["accept"].append(accepted(one))
    wait_for(lambda: set(stack.states()) == {"delivered"}, 120)
    wait_for(lambda: not Lead.objects.exclude(status="delivered").exists(), 120)
    memory = {"worker": pss_megabytes(stack, "web", "worker"), "celery": pss_megabytes(stack, "django", "celery")}
    for _ in range(ROUNDS):
        for name, one in ports.items():
            stop(stack, name)
            figures[name]["backlog"].append(backlog(stack, receiver, one, name))
    for name, one in ports.items():
        print(f"{names[name]}:")
        print(f"  accepted/s {spread(figures[name]['accept'])}")
        print(f"  deliveries/s on a backlog of {LEADS}: {spread(figures[name]['backlog'])}")
        print(f"  post to sink at 20 leads/s: {milliseconds(steady(one, receiver))}")
        print(f"  memory of web and worker: {memory[name]:.0f} MB PSS")
    for part in ("accept", "backlog"):
        ours, theirs = (statistics.median(figures[name][part]) for name in ports)
        print(f"{part}: {ours / theirs:.2f} times Django and Celery")


def stop(stack: Ordinary, name: str) -> None:
    if name == "worker":
        stop_worker(stack)
        return
    stack.end(name, signal.SIGTERM)
    stack.processes[name].wait(30)


def main() -> None:
    database = os.environ.get("BARE_DATABASE")
    if database is None:  # Django reads it when this file is imported, so a process of its own does the rest
        with fresh_database() as made:
            subprocess.run([sys.executable, "-m", __spec__.name], env={**os.environ, "BARE_DATABASE": made}, check=True)
        return
    receiver = Receiver()
    options = {"mail_server": "", "lead_notification_email": "", "zapier_webhook_url": receiver.url}
    with tempfile.TemporaryDirectory() as folder:
        stack = Ordinary(Path(folder), database, **options, bare_database=database, log_level="WARNING")
        stack.settings |= {"bare_redis": f"redis://127.0.0.1:{stack.redis_port}/1", "bare_webhook": receiver.url}
        with stack:
            run(stack, receiver)
    receiver.process.terminate()


if __name__ == "__main__":
    main()
