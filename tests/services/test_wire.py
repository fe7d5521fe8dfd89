"""Posts as bytes on a wire to the real server: what a well-behaved client library never sends (issue 3, 2)."""

import gzip
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.stack import Stack

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Accept: application/json"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("wire")
    with Stack(folder, f"sqlite:///{folder / 'lead.db'}", ratelimit_bytes="100000000 per hour") as running:
        yield running


def lead_count(stack: Stack) -> int:
    return int(stack.query("SELECT count(*) FROM lead")[0][0])


def exchange(stack: Stack, *pieces: bytes, pause: float = 0.0, hang_up: bool = False) -> bytes:
    """Send the pieces as they are, then read until the server is done."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=20) as line:
        for piece in pieces:
            line.sendall(piece)
            time.sleep(pause)
        if hang_up:
            line.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := line.recv(65536):
            answer += chunk
        return answer


def head(*lines: str) -> bytes:
    common = ("POST /f/contact HTTP/1.1", "Host: localhost", "Connection: close", JSON)
    return "\r\n".join((*common, *lines, "", "")).encode("latin-1")


def status(answer: bytes) -> int:
    return int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def body(number: int) -> bytes:
    return b"name=Ada&message=wire+%d" % number


def test_a_client_that_asks_before_it_sends_is_told_to_go_on(stack):
    before = lead_count(stack)
    sent = body(1)
    answer = exchange(stack, head(FORM, f"Content-Length: {len(sent)}", "Expect: 100-continue"), sent)
    assert b"HTTP/1.1 200" in answer
    assert lead_count(stack) == before + 1


def test_a_body_in_chunks_is_read(stack):
    before = lead_count(stack)
    chunks = b"".join(b"%x\r\n%s\r\n" % (1, body(2)[at : at + 1]) for at in range(len(body(2))))
    answer = exchange(stack, head(FORM, "Transfer-Encoding: chunked"), chunks + b"0\r\n\r\n")
    assert (status(answer), lead_count(stack)) == (200, before + 1)


def test_a_slow_body_is_waited_for(stack):
    sent = body(3)
    pieces = [sent[at : at + 4] for at in range(0, len(sent), 4)]
    answer = exchange(stack, head(FORM, f"Content-Length: {len(sent)}"), *pieces, pause=0.1)
    assert status(answer) == 200


def test_a_packed_body_is_unpacked(stack):
    sent = gzip.compress(body(4))
    answer = exchange(stack, head(FORM, f"Content-Length: {len(sent)}", "Content-Encoding: gzip"), sent)
    assert status(answer) == 200


@pytest.mark.parametrize(
    ("lines", "sent", "statuses"),
    [
        (["Content-Length: 5"], b"a=bcdefgh", {200}),  # what follows is nobody's
        (["Content-Length: 0"], b"", {400}),
        ([], b"", {400}),
        (["Content-Length: -1"], b"a=b", {400}),
        (["Content-Length: x"], b"a=b", {400}),
        (["Content-Length: 3", "Content-Length: 4"], b"a=bc", {400}),
        (["Content-Length: 3", "Transfer-Encoding: chunked"], b"0\r\n\r\n", {400}),
        (["Transfer-Encoding: chunked"], b"zz\r\n", {400}),
        (["Content-Length: 99999999999"], b"a=b", {413}),
        (["Content-Length: 11000000"], b"a=b", {413}),
        (["Content-Length: 9", f"X: {'y' * 20_000}"], b"name=Ada1", {400, 431}),
        (["Content-Length: 9", "Accept: text/html", "Accept: */*"], b"name=Ada2", {200, 303}),
        (["Content-Length: 9", "Origin: a", "Origin: b", "Referer: \xff"], b"name=Ada3", {200}),
        (["Content-Length: 9", "Content-Type: application/json"], b"name=Ada4", {200, 400}),
    ],
)
def test_wrong_lengths_and_doubled_headers_get_one_answer_twice(stack, lines, sent, statuses):
    first, second = (exchange(stack, head(FORM, *lines), sent) for _ in range(2))
    assert status(first) == status(second)
    assert status(first) in statuses, first[:300]


def test_a_client_that_hangs_up_leaves_what_arrived_with_a_note(stack):
    exchange(stack, head(FORM, "Content-Length: 500"), b"name=Hung+up", hang_up=True)
    kept = stack.query("SELECT problems FROM lead WHERE name = 'Hung up'")
    assert [json.loads(row[0])[0]["code"] for row in kept] == ["CUT_OFF"]
    stack.post("after")


NODE = """
import { createClient } from %(library)s;
const client = createClient();
const form = new FormData();
form.append('name', 'Ada'); form.append('email', 'ada@example.com'); form.append('message', 'from node');
form.append('cv', new Blob(['bytes']), 'cv.txt');
const results = [];
for (const data of [form, {name: 'Ada', message: 'as json'}, {}]) {
  const found = await client.submitForm('contact', data, {endpoint: '%(endpoint)s'});
  results.push({kind: found.kind, next: found.next, errors: found.kind === 'error' ? found.getFormErrors() : []});
}
results.push({kind: (await client.submitForm('nobody', {a: 'b'}, {endpoint: '%(endpoint)s'})).getFormErrors()[0].code});
console.log(JSON.stringify(results));
"""


@pytest.mark.timeout(260)
def test_formspree_core_works_with_another_address_and_nothing_else(stack, tmp_path: Path):
    """@formspree/core itself, from npm; the same checks on its shapes run without it in test_form_contract_out."""
    if not shutil.which("npm"):
        pytest.skip("no npm")
    fetch = [
        "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(tmp_path),
        "@formspree/core@4.0.0",
    ]
    try:
        subprocess.run(fetch, capture_output=True, timeout=200, check=True)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        pytest.skip("npm could not fetch it")
    library = tmp_path / "node_modules/@formspree/core/dist/index.mjs"
    script = tmp_path / "try.mjs"
    script.write_text(NODE % {"library": json.dumps(str(library)), "endpoint": stack.url})
    ran = subprocess.run(["node", str(script)], capture_output=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr.decode()
    as_form, as_json, empty, unknown = json.loads(ran.stdout)
    assert (as_form["kind"], as_json["kind"]) == ("success", "success")
    assert as_form["next"].endswith("/f/contact/thanks")
    assert (empty["kind"], empty["errors"][0]["code"]) == ("error", "EMPTY")
    assert unknown["kind"] == "FORM_NOT_FOUND"
