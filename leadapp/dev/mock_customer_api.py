"""A customer's API to try Leadapp against: it takes leads, answers as such APIs do, and shows what arrived.

`flask mock-customer-api`. GET / shows what arrived (HTML, or JSON to who asks for it), POST /mock changes how it
answers while it runs, DELETE /requests forgets, GET /healthz says that it lives. Every other POST is a lead.
Nothing is written to disk; the newest thousand calls are kept in memory.
"""

import hmac
import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from email.message import Message
from html import escape
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

KEPT = 1_000
LARGEST = 1_000_000  # bytes of a body
REQUIRED = (("phone",), ("product", "name"))  # what this customer insists on


@dataclass(frozen=True)
class Behaviour:
    """How leads are answered. `status` is given `times` times (0: always); `body` replaces the usual answer."""

    status: int = 0
    times: int = 0
    failure_rate: float = 0.0
    delay: float = 0.0
    retry_after: str = ""
    body: Any = None

    def faults(self) -> list[str]:
        """What cannot be meant."""
        checks = (
            (self.status == 0 or 200 <= self.status <= 599, "status is 0 (as usual) or from 200 to 599"),
            (0.0 <= self.failure_rate <= 1.0, "failure_rate is from 0 to 1"),
            (0.0 <= self.delay <= 120.0, "delay is from 0 to 120 seconds"),
            (self.times >= 0, "times is 0 (always) or more"),
        )
        return [words for is_fine, words in checks if not is_fine]


@dataclass(frozen=True)
class Arrived:
    """One call and how it was answered. The bearer token is not kept, only whether it was right."""

    number: int
    at: str
    path: str
    idempotency_key: str
    is_authorised: bool
    body: Any
    status: int
    answer: Any


@dataclass
class Mock:
    """What arrived and how to answer; shared by the threads of the server."""

    token: str = ""
    behaviour: Behaviour = field(default_factory=Behaviour)
    arrived: deque[Arrived] = field(default_factory=lambda: deque(maxlen=KEPT))
    taken: dict[str, str] = field(default_factory=dict)  # Idempotency-Key -> id that was given
    count: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def control(self, wanted: Any) -> tuple[int, Any]:
        """POST /mock: change what is named; {} changes nothing, {"reset": true} is as at the start."""
        names = {one.name for one in fields(Behaviour)}
        if not isinstance(wanted, dict) or not set(wanted) <= names | {"reset"}:
            return 400, {"error": f"Send an object with any of: {', '.join(sorted(names))}, reset."}
        with self.lock:
            base = Behaviour() if wanted.pop("reset", False) else self.behaviour
            try:
                changed = replace(base, **wanted)
                faults = changed.faults()
            except TypeError:
                faults = ["numbers must be numbers"]
            if faults:
                return 400, {"error": "; ".join(faults)}
            self.behaviour = changed
            return 200, asdict(changed)

    def take(self, path: str, headers: Message, raw: bytes) -> tuple[int, Any, str]:
        """Answer one lead: status, body, Retry-After."""
        key = headers.get("Idempotency-Key", "")
        is_authorised = self._is_authorised(headers.get("Authorization", ""))
        body = _parsed(raw)
        with self.lock:
            behaviour = self._next_behaviour()
            status, answer = self._answer(behaviour, key, body, is_authorised=is_authorised)
            self.count += 1
            seen = Arrived(self.count, _now(), path, key, is_authorised, body, status, answer)
            self.arrived.append(seen)
        time.sleep(behaviour.delay)
        return status, answer, behaviour.retry_after if status >= 400 else ""

    def _is_authorised(self, header: str) -> bool:
        wanted = f"Bearer {self.token}".encode()
        return not self.token or hmac.compare_digest(header.strip().encode("utf-8", "surrogateescape"), wanted)

    def _next_behaviour(self) -> Behaviour:
        """The one for this call; a status that was to be given so many times ends by itself."""
        now = self.behaviour
        if now.status and now.times:
            left = replace(now, times=now.times - 1)
            self.behaviour = left if left.times else replace(now, status=0, times=0, retry_after="", body=None)
        return now

    def _answer(self, behaviour: Behaviour, key: str, body: Any, *, is_authorised: bool) -> tuple[int, Any]:
        if not is_authorised:
            return 401, {"error": "The bearer token is missing or wrong."}
        if behaviour.status:
            return behaviour.status, behaviour.body or {"error": responses.get(behaviour.status, "Told to answer so.")}
        if random.random() < behaviour.failure_rate:  # noqa: S311 - a coin, not a secret
            return 503, {"error": "Failed by chance (failure rate)."}
        if missing := _missing(body):
            return 422, {"error": f"Missing: {', '.join(missing)}."}
        if key in self.taken:
            return 200, {"status": "duplicate", "id": self.taken[key]}
        made = str(uuid4())
        if key:
            self.taken[key] = made
        return 201, behaviour.body or {"status": "created", "id": made}

    def forget(self) -> tuple[int, Any]:
        with self.lock:
            self.arrived.clear()
            self.taken.clear()
        return 200, {"status": "forgotten"}

    def seen(self) -> dict[str, Any]:
        """Newest last; `accepted` are the leads that were taken, each once."""
        with self.lock:
            calls = [asdict(one) for one in self.arrived]
            behaviour = asdict(self.behaviour)
        accepted = [one["body"] for one in calls if one["status"] == 201]
        return {"count": len(calls), "behaviour": behaviour, "accepted": accepted, "requests": calls}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return None


def _missing(body: Any) -> list[str]:
    """Dotted names of required values that are not there, nested or written with the dot."""
    if not isinstance(body, dict):
        return ["a JSON object"]
    return [".".join(path) for path in REQUIRED if not (body.get(".".join(path)) or _found(body, path))]


def _found(body: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return body


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    mock: Mock
    protocol_version = "HTTP/1.1"
    server_version = "mock-customer-api"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self._send(200, {"status": "ok"})
        elif path in ("/", "/requests"):
            is_page = path == "/" and "text/html" in self.headers.get("Accept", "")
            self._send(200, page(self.mock.seen()) if is_page else self.mock.seen())
        elif path == "/mock":
            self._send(200, asdict(self.mock.behaviour))
        else:
            self._send(404, {"error": "Nothing here: see /, /requests, /mock, /healthz."})

    def do_POST(self) -> None:
        raw = self._body()
        if raw is None:
            self.close_connection = True
            self._send(413, {"error": f"More than {LARGEST} bytes, or no Content-Length."})
        elif self.path == "/mock":
            self._send(*self.mock.control(_parsed(raw)))
        else:
            status, answer, retry_after = self.mock.take(self.path, self.headers, raw)
            self._send(status, answer, {"Retry-After": retry_after} if retry_after else {})

    def do_DELETE(self) -> None:
        self._send(*(self.mock.forget() if self.path == "/requests" else (404, {"error": "DELETE /requests"})))

    def _body(self) -> bytes | None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST:
            return None
        return self.rfile.read(int(length))

    def _send(self, status: int, answer: Any, headers: Mapping[str, str] | None = None) -> None:
        is_page = isinstance(answer, str)
        content = (answer if is_page else json.dumps(answer, ensure_ascii=False)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html; charset=utf-8" if is_page else "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Quiet: GET / shows everything."""


def page(seen: dict[str, Any]) -> str:
    """What arrived, newest first, for people."""
    rows = "".join(
        f"<tr><td>{one['number']}</td><td>{escape(one['at'])}</td><td>{escape(one['path'])}</td>"
        f"<td>{one['status']}</td><td><pre>{escape(json.dumps(one['body'], indent=1, ensure_ascii=False))}</pre></td>"
        f"<td><pre>{escape(json.dumps(one['answer'], ensure_ascii=False))}</pre></td></tr>"
        for one in reversed(seen["requests"])
    )
    empty = "<p>Nothing has arrived yet.</p>" if not rows else ""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Mock customer API</title>'
        "<h1>What the customer got</h1>"
        f"<p>{seen['count']} calls, {len(seen['accepted'])} leads taken. "
        f"It answers: <code>{escape(json.dumps(seen['behaviour']))}</code></p>{empty}"
        "<table><tr><th>No.<th>At<th>Path<th>Answered<th>Body<th>Answer</tr>"
        f"{rows}</table></html>"
    )


def make_server(address: tuple[str, int], mock: Mock) -> ThreadingHTTPServer:
    """Bound and listening; `serve_forever` runs it. Port 0 takes a free one."""
    handler = type("Handler", (_Handler,), {"mock": mock})
    server = ThreadingHTTPServer(address, handler)
    server.daemon_threads = True
    return server


def run(address: tuple[str, int], mock: Mock, say: Callable[[str], None]) -> None:
    """Until Ctrl-C or SIGTERM."""
    with make_server(address, mock) as server:
        host, port = server.server_address[:2]
        say(f"The mock customer API listens at http://{host!s}:{port}/ (Ctrl-C ends it)")
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            say("Ended.")
