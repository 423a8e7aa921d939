"""What runs the reader: the busy selector, and what other threads ask of the reader."""

from __future__ import annotations

import resource
import selectors
import socket
import threading
import time

import pytest

from tickloom.feed.session import BusySelector, Orders


def sleeps(selector: selectors.BaseSelector) -> int:
    """How often the thread gave up its core in twenty waits of five milliseconds."""
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
    for _ in range(20):
        assert selector.select(0.005) == []
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before


def test_a_busy_selector_never_sleeps_and_keeps_its_time() -> None:
    with selectors.DefaultSelector() as patient, BusySelector() as busy:
        assert sleeps(patient) >= 20
        began = time.monotonic()
        assert sleeps(busy) < 10
        assert 0.1 <= time.monotonic() - began < 1


def test_a_busy_selector_sees_what_is_ready_and_lets_other_threads_run() -> None:
    here, there = socket.socketpair()
    with here, there, BusySelector() as busy:
        busy.register(here, selectors.EVENT_READ)
        assert busy.select(0) == []
        timer = threading.Timer(0.05, there.send, (b"x",))
        timer.start()
        ((key, _),) = busy.select(None)
        assert key.fileobj is here
        timer.join()


def test_what_was_asked_is_done_in_order_and_an_error_goes_to_who_asked() -> None:
    orders, done = Orders(), []
    first, second = orders.ask(lambda: done.append(1)), orders.ask(lambda: 1 / 0)
    third = orders.ask(lambda: done.append(3))
    assert done == []
    orders.obey()
    assert done == [1, 3]
    assert first.result(0) is third.result(0) is None
    with pytest.raises(ZeroDivisionError):
        second.result(0)
