"""The two ends of the measuring: a client that posts as fast as it is answered, and a receiver that says 200."""

import asyncio
import json
import multiprocessing
import socket
import time
import uuid
from multiprocessing.sharedctypes import Synchronized
from typing import Any

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
FORM, GATEWAY = "/f/contact", "/webhooks/leads/"
POSTS_A_CONNECTION = 25  # then a new one: else it is chance for a whole round which process has how many of them


def post_many(
    port: int, count: int, lanes: int, per_second: float = 0.0, *, path: str = FORM
) -> tuple[float, list[float]]:
    """Post `count` leads over `lanes` connections in a process of their own. Returns seconds and latencies.

    At a given rate, a latency counts from the moment at which its post was due, so that a queue is not left out.
    """
    context = multiprocessing.get_context("spawn")
    answers: Any = context.SimpleQueue()
    process = context.Process(target=_lanes, args=(port, count, lanes, per_second, path, answers))
    process.start()
    took, latencies = answers.get()
    process.join()
    return took, latencies


def _lanes(port: int, count: int, lanes: int, per_second: float, path: str, answers: Any) -> None:
    answers.put(asyncio.run(_post_all(port, count, lanes, per_second, path)))


async def _post_all(port: int, count: int, lanes: int, per_second: float, path: str) -> tuple[float, list[float]]:
    numbers = iter(range(count))
    latencies: list[float] = []
    began = time.perf_counter()

    async def lane() -> None:
        writer = None
        for turn, number in enumerate(numbers):
            if per_second:
                due = began + number / per_second
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            sent = due if per_second else time.perf_counter()
            if writer is None or turn % POSTS_A_CONNECTION == 0:
                if writer is not None:
                    writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_request(number, path))
            await _answer(reader)
            latencies.append(time.perf_counter() - sent)
        if writer is not None:
            writer.close()

    await asyncio.gather(*(lane() for _ in range(lanes)))
    return time.perf_counter() - began, latencies


def _request(number: int, path: str) -> bytes:
    payload: dict[str, Any] = {
        "name": f"Visitor {number}",
        "email": f"visitor{number}@example.com",
        "message": f"Please call me back about number {number}.",
        "posted_at": str(time.time()),
    }
    if path == GATEWAY:
        payload["email"] = f"visitor.{uuid.uuid4().hex}@example.com"  # the same person again would be spared
        payload |= {"phone": f"+49 681 {5_000_000 + number}", "house": {"is_owner": "ja"}}
        payload |= {"address": {"zip": "66123", "street": f"Main St {number}"}}
    body = json.dumps(payload).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Accept: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n", 1)[0], head
    size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
    await reader.readexactly(size)


class Receiver:
    """An HTTP receiver in a process of its own that counts, and notes how long ago each lead was posted."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.count: Synchronized[int] = context.Value("i", 0)
        self.delays: Any = context.Queue()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.process = context.Process(target=_receive, args=(self.port, self.count, self.delays), daemon=True)
        self.process.start()
        time.sleep(0.7)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def wait(self, count: int, seconds: float = 120.0) -> float:
        """Seconds until `count` calls have come in since the start of the process."""
        began = time.perf_counter()
        while self.count.value < count:
            if time.perf_counter() - began > seconds:
                raise TimeoutError(f"{self.count.value} of {count} after {seconds} s")
            time.sleep(0.005)
        return time.perf_counter() - began

    def drain_delays(self) -> list[float]:
        found = []
        while not self.delays.empty():
            found.append(self.delays.get())
        return found


def _receive(port: int, count: "Synchronized[int]", delays: Any) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.lower().split(b"\r\n")
                size = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length")), 0)
                body = await reader.readexactly(size)
                at = body.find(b'posted_at": "')
                at = at if at >= 0 else body.find(b'posted_at":"') - 1
                if at >= 0:
                    stamp = body[at + 13 : at + 40].split(b'"', 1)[0]
                    delays.put(time.time() - float(stamp))
                writer.write(OK)
                with count.get_lock():
                    count.value += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", port)
        async with server:
            await server.serve_forever()

    asyncio.run(main())
