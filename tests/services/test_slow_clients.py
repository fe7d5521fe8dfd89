"""Clients that drip their bodies stop nobody else."""

import socket
import time
from pathlib import Path

import pytest
import requests

from tests.services.stack import Stack


@pytest.mark.timeout(90)
def test_dripping_bodies_stop_neither_other_posts_nor_the_process(tmp_path: Path):
    with Stack(tmp_path, f"sqlite:///{tmp_path / 'lead.db'}", body_seconds=3) as stack:
        head = b"POST /f/contact HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        one = socket.create_connection(("127.0.0.1", stack.port))
        one.sendall(head + b"Content-Length: 100\r\n\r\nname=")
        time.sleep(0.5)
        began = time.monotonic()
        stack.post("meanwhile")  # SQLite's write lock is free
        assert time.monotonic() - began < 2
        many = [socket.create_connection(("127.0.0.1", stack.port)) for _ in range(12)]
        for dripping in many:
            dripping.sendall(head + b"Content-Length: 100\r\n\r\nname=")
        # They are cut off one after the other, while their connections stay open: no thread is lost for good.
        assert requests.get(f"{stack.url}/healthz/live", timeout=20).ok
        time.sleep(10)
        assert requests.get(f"{stack.url}/healthz/live", timeout=2).ok
        stack.post("afterwards")
        for connection in (one, *many):
            connection.close()
        assert len(stack.query("SELECT id FROM lead")) == 2
