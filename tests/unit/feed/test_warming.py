"""A feed and its history: live bars do not wait, stops are quick, restarts begin again."""

from __future__ import annotations

import datetime as dt
import subprocess
import sys
import threading
import time

import pytest

import tickloom as tl
from tests.oracle.sessions import SECOND, ist
from tests.unit.feed.fake import INFY, TCS, Fake, full, until
from tickloom.history import Instrument, Minutes
from tickloom.history.base import MINUTE_NS, plain_wait

NOW = ist("2026-07-01 10:02:30")


class Past:
    """Implements `History`: a minute of volume 100 for every minute; may be slow, or wrong."""

    name = "past"

    def __init__(self) -> None:
        self.requests = 0
        self.asked: list[tuple[int, int, int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def trading_day(self, date: dt.date) -> bool:
        return date.weekday() < 5

    def fetch(self, instrument: Instrument, start_ns: int, end_ns: int, *, now_ns=None, wait=plain_wait) -> Minutes:
        self.requests += 1
        self.asked.append((instrument.token, start_ns, end_ns))
        while not self.gate.is_set():
            if wait(0.005):
                raise tl.ConnectionFailed("told to give up")
        if self.error is not None:
            raise self.error
        first = max(start_ns, ist("2026-07-01 09:15:00"))
        times = range(first, min(end_ns, now_ns // MINUTE_NS * MINUTE_NS), MINUTE_NS)
        return Minutes.of_rows([(at, 100.0, 101.0, 99.0, 100.5, 100, 0) for at in times], instrument)[0]

    def forget(self, instrument: Instrument) -> None:
        """Nothing is kept."""


def fed(past: Past, **options: object) -> tuple[tl.Feed, Fake]:
    source = Fake(now_ns=NOW)
    return tl.Feed(source, ["1m", "5m"], history=past, **options), source


def test_live_bars_do_not_wait_for_a_broker_that_does_not_answer():
    past = Past()
    past.gate.clear()
    feed, source = fed(past)
    feed.subscribe([INFY])
    with feed:
        feed.stop()
    feed.start(warmup="1d")
    until(lambda: past.requests)
    source.send(full(volume=1_000, at_ns=NOW))
    source.send(full(volume=1_500, at_ns=NOW + SECOND))
    until(lambda: feed.candles(INFY, "1m").forming)
    forming = feed.candles(INFY, "1m").forming
    assert forming is not None
    assert forming.volume == 500
    assert tl.Flags.PARTIAL in tl.Flags(forming.flags)
    assert feed.status().warmup.state == "running"
    assert not feed.is_ready(INFY, "1m")
    past.gate.set()
    assert feed.wait_warm(5).done == 1
    # To 10:01, which is final; 10:02 is forming.
    until(lambda: len(feed.candles(INFY, "1m")) == 47)
    assert feed.candles(INFY, "5m").volume.tolist() == [500] * 9
    feed.stop()


def test_a_stop_does_not_wait_for_a_broker_that_does_not_answer():
    past = Past()
    past.gate.clear()
    feed, _ = fed(past)
    feed.subscribe([INFY, TCS])
    feed.start(warmup="1d")
    until(lambda: past.requests == 2)
    began = time.monotonic()
    feed.stop()
    assert time.monotonic() - began < 0.5
    assert feed.status().warmup.state == "stopped"
    until(lambda: not any(thread.name.startswith("tickloom-history") for thread in threading.enumerate()))


def test_it_can_be_stopped_in_a_callback_while_history_is_joined():
    past = Past()
    feed, source = fed(past, inline=True)
    feed.subscribe([INFY, TCS])
    feed.on_tick(lambda _: feed.stop())
    feed.start(warmup="1d")
    source.send(full(volume=1_000, at_ns=NOW))
    began = time.monotonic()
    until(lambda: not feed.running)
    assert time.monotonic() - began < 1


def test_it_ends_with_its_source():
    feed = tl.Feed(Fake(script=lambda _: None, now_ns=NOW), ["1m"], history=Past())
    feed.subscribe([INFY])
    feed.start(warmup="1d")
    until(lambda: feed.status().warmup.state == "stopped")
    with pytest.raises(tl.ConnectionFailed):
        feed.wait_warm(1)


def test_another_start_reads_the_days_again():
    past = Past()
    feed, _ = fed(past)
    feed.subscribe([INFY])
    for nth in (1, 2):
        feed.start(warmup="1d")
        assert feed.wait_warm(5).state == "complete"
        feed.stop()
        assert past.requests == nth


def test_what_is_subscribed_later_is_read_later():
    past = Past()
    feed, _ = fed(past)
    feed.subscribe([INFY])
    feed.start(warmup="1d")
    assert feed.wait_warm(5).wanted == 1
    feed.subscribe([TCS])
    until(lambda: feed.status().warmup.done == 2)
    assert [token for token, *_ in past.asked] == [INFY, TCS]
    feed.stop()


def test_a_failure_of_another_kind_is_told_and_costs_that_instrument_alone(caplog):
    past = Past()
    past.error = RuntimeError("a bug of somebody")
    feed, source = fed(past)
    feed.subscribe([INFY])
    feed.start(warmup="1d")
    status = feed.wait_warm(5)
    assert (status.state, status.failed) == ("incomplete", 1)
    assert "a bug of somebody" in status.error
    assert "a bug of somebody" in caplog.text
    source.send(full(volume=1_000, at_ns=NOW))
    until(lambda: feed.status().ticks == 1)
    feed.stop()


def test_without_a_history_readiness_is_a_matter_of_bars():
    feed = tl.Feed(Fake(now_ns=NOW), ["1m"])
    feed.subscribe([INFY])
    assert not feed.is_ready(INFY, "1m")
    start = ist("2026-07-01 09:20:00")
    for nth in range(5):
        feed.engine.push(INFY, 100.0, time_ns=start + nth * MINUTE_NS, quantity=5)
    assert feed.is_ready(INFY, "1m", 3)
    assert not feed.is_ready(INFY, "1m", 5)
    assert feed.status().warmup.state == "off"
    with pytest.raises(tl.UnknownInstrument):
        feed.is_ready("NSE:NOBODY", "1m")
    with pytest.raises(ValueError, match="interval"):
        feed.is_ready(INFY, "7m")


def test_the_front_door_still_imports_no_extra():
    # `tickloom.history` alone must not bring the vendor's package either.
    code = "import sys, tickloom.feed, tickloom.history; print('kiteconnect' in sys.modules, 'requests' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_what_is_no_history_is_refused_before_anything_starts() -> None:
    class Half:
        name = "half"

        def fetch(self, *_: object, **__: object) -> None:
            """Not all that a history has."""

    with pytest.raises(TypeError, match=r"history lacks forget, requests, trading_day \(docs/history.md\): "):
        tl.Feed(Fake(), ["1m"], history=Half())


@pytest.mark.parametrize("bars", [0, -1])
def test_readiness_is_of_one_bar_at_least(bars: int) -> None:
    feed = tl.Feed(Fake(), ["1m"])
    feed.subscribe(INFY)
    with pytest.raises(ValueError, match=f"bars must be 1 or more: {bars}"):
        feed.is_ready(INFY, "1m", bars)
