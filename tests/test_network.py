"""Hard ends: the watchdog cuts what is watched, at its time, and nothing else."""

import os
import socket
import threading
import time

import pytest

from leadapp import network
from leadapp.network import Deadline
from tests.sinks import time_limit


def pair():
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    return ours, theirs


def test_a_watched_socket_wakes_up_at_the_deadline():
    ours, _theirs = pair()
    with time_limit(3), Deadline(time.monotonic() + 0.2) as deadline:
        deadline.watch(ours)
        assert ours.recv(1) == b""
        assert deadline.has_passed


def test_a_socket_that_is_watched_too_late_is_cut_at_once():
    ours, _theirs = pair()
    with Deadline(time.monotonic() - 1) as deadline:
        deadline.watch(ours)
        assert ours.recv(1) == b""


def test_a_socket_is_left_alone_after_its_call():
    ours, theirs = pair()
    with Deadline(time.monotonic() + 0.1) as deadline:
        deadline.watch(ours)
    time.sleep(0.2)
    theirs.sendall(b"x")
    assert ours.recv(1) == b"x"


def test_deadlines_of_many_threads_do_not_wait_for_each_other():
    ends: list[float] = []

    def call(seconds):
        ours, _theirs = pair()
        began = time.monotonic()
        with Deadline(began + seconds) as deadline:
            deadline.watch(ours)
            ours.recv(1)
        ends.append(time.monotonic() - began - seconds)

    threads = [threading.Thread(target=call, args=(0.3 - 0.01 * number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ends) == 20
    assert max(ends) < 2


def test_no_descriptor_is_left_behind():
    ours, _theirs = pair()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        with Deadline(time.monotonic() + 5) as deadline:
            deadline.watch(ours)
    assert len(os.listdir("/proc/self/fd")) < before + 50  # other threads may open some


def test_time_left_is_never_zero_or_less():
    assert Deadline(time.monotonic() - 10).left() > 0


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..b", "\ud800"])
def test_what_cannot_be_a_host_name_is_an_unknown_one(host):
    with pytest.raises(socket.gaierror):
        network.lookup(host, 80, 2)


def test_families_take_turns():
    six, four = (socket.AF_INET6, 1, 6, "", "six"), (socket.AF_INET, 1, 6, "", "four")
    assert network.alternate([six, six, four, four]) == [six, four, six, four]
    assert network.alternate([]) == []


def test_words_name_the_deepest_cause():
    wrapped = RuntimeError("wrapped")
    wrapped.__cause__ = ConnectionRefusedError(111, "Connection refused")
    assert network.words(wrapped) == "refuses the connection"
    assert network.words(OSError(113, "No route to host")) == "cannot be reached from here (no route)"
    assert network.words(OSError("?")) == "cannot be reached"
