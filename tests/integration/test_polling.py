"""Polling a broker without a socket: a real HTTP server on the loopback, whose answers fail in every way."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import tickloom as tl
from tests.oracle.sessions import SECOND, ist
from tests.unit.feed.fake import until
from tickloom.events import Connection, Gap, Ticks
from tickloom.sources import Polling

OPEN = ist("2026-07-01 09:15:00")
SYMBOLS = {"NSE:INFY": 408065, "NSE:TCS": 2953217}


class Broker:
    """Answers with what `quotes` says, or with what `fault` does first."""

    def __init__(self) -> None:
        self.quotes: Any = {}
        self.fault = ""
        self.released = threading.Event()
        self.asked: list[str] = []
        self.together = self.most = 0
        lock = threading.Lock()
        broker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with lock:
                    broker.asked.append(self.path)
                    broker.together += 1
                    broker.most = max(broker.most, broker.together)
                try:
                    self.answer()
                finally:
                    with lock:
                        broker.together -= 1

            def answer(self) -> None:
                body = json.dumps(broker.quotes).encode()
                if broker.fault == "slow":
                    broker.released.wait(10)
                if broker.fault == "hang up":
                    self.close_connection = True
                    return
                self.send_response(503 if broker.fault == "503" else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if broker.fault == "cut":
                    self.wfile.write(body[: len(body) // 2])
                    self.close_connection = True
                    return
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def ask(self, names: tuple[str, ...]) -> Mapping[str, Any]:
        """What a user's function does."""
        url = f"http://127.0.0.1:{self.server.server_port}/quote?i={'&i='.join(names)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            # It is also the answer, with a socket in it.
            error.close()
            raise

    def close(self) -> None:
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def broker() -> Iterator[Broker]:
    running = Broker()
    yield running
    running.close()


class Clock:
    """Goes on by what it is told."""

    def __init__(self) -> None:
        self.now_ns = OPEN

    def __call__(self) -> int:
        return self.now_ns


def test_quotes_become_bars_with_their_own_times(broker: Broker) -> None:
    clock = Clock()
    source = Polling(broker.ask, every=0.005, symbols=SYMBOLS, clock=clock)
    with tl.Feed(source, ["1m"]) as feed, feed.events(Ticks, policy="block") as stream:
        feed.subscribe("NSE:INFY")
        for nth in range(20):
            at = OPEN + nth * 10 * SECOND
            clock.now_ns = at + SECOND
            told = {"price": 100 + nth, "volume": 5 * nth, "time": at, "oi": 3.0}
            broker.quotes = {"NSE:INFY": told, "NSE:TCS": told}
            while (event := stream.get(5)) is not None and next(iter(event)).last_price != 100 + nth:
                pass
        candles = feed.candles("NSE:INFY", "1m")
        until(lambda: len(candles) == 3)
        assert candles.close.tolist() == [105, 111, 117]
        assert candles.volume.tolist() == [25, 30, 30]
        assert candles.oi.tolist() == [3, 3, 3]
        assert set(candles.time_source.tolist()) == {tl.TimeSource.GIVEN}
        # What was told and not wanted is nobody's.
        assert dict(feed.engine.instruments) == {408065: "NSE:INFY"}
        status = feed.status()
        assert (status.connected, status.push_rejected, source.failures) == (True, 0, 0)
    assert set(broker.asked) == {"/quote?i=NSE:INFY"}


def test_without_times_ticks_are_placed_by_their_receipt(broker: Broker) -> None:
    clock = Clock()
    source = Polling(broker.ask, every=0.005, symbols=SYMBOLS, volume="none", clock=clock)
    broker.quotes = {"NSE:TCS": {"price": 10.5}}
    with tl.Feed(source, ["1m"]) as feed:
        feed.subscribe("NSE:TCS")
        candles = feed.candles("NSE:TCS", "1m")
        deadline = time.monotonic() + 10
        while len(candles) < 2 and time.monotonic() < deadline:
            pushed = feed.status().pushed
            until(lambda pushed=pushed: feed.status().pushed > pushed + 1)
            clock.now_ns += 20 * SECOND
        assert candles.close.tolist()[:2] == [10.5, 10.5]
        wanted = tl.Flags.TIME_APPROX | tl.Flags.NO_VOLUME
        assert all(flags & wanted == wanted for flags in candles.flags.tolist())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [("503", "HTTPError"), ("cut", ""), ("hang up", ""), ("nonsense", "TypeError: a function that is polled returns")],
)
def test_every_failure_is_a_lost_connection_that_comes_back(broker: Broker, fault: str, reason: str) -> None:
    good = {"NSE:INFY": {"price": 100.0, "volume": 1}}
    broker.quotes = good
    source = Polling(broker.ask, every=0.01, longest=0.02, symbols=SYMBOLS)
    seen: list[Connection | Gap] = []
    feed = tl.Feed(source, ["1m"])
    feed.on((Connection, Gap), seen.append)
    feed.subscribe("NSE:INFY")
    with feed:
        until(lambda: feed.status().connected and feed.status().pushed > 0)
        broker.fault = fault
        broker.quotes = [1, 2, 3] if fault == "nonsense" else good
        until(lambda: source.failures >= 3)
        assert not feed.status().connected
        broker.quotes, broker.fault = good, ""
        until(lambda: feed.status().connected)
        until(lambda: any(isinstance(event, Gap) for event in seen))
        assert feed.status().reconnects == feed.status().gaps == 1
    states = [event.state for event in seen if isinstance(event, Connection)]
    first = states.index("disconnected")
    assert states[:first] == ["connecting", "connected"]
    assert states[first + 1 : first + 5] == ["waiting", "connecting", "waiting", "connecting"]
    assert states[states.index("connected", first) - 1] == "connecting"
    waits = [event for event in seen if isinstance(event, Connection) and event.state == "waiting"]
    assert [event.attempt for event in waits[:3]] == [1, 2, 3]
    assert all(reason in event.reason and event.reason and event.retry_in is not None for event in waits)


def test_a_call_that_hangs_is_told_and_never_joined_by_a_second_one(broker: Broker) -> None:
    broker.quotes = {"NSE:INFY": {"price": 100.0}}
    source = Polling(broker.ask, every=0.01, timeout=0.1, longest=0.02, symbols=SYMBOLS)
    states: list[Connection] = []
    with tl.Feed(source, ["1m"]) as feed:
        feed.on(Connection, states.append)
        feed.subscribe("NSE:INFY")
        until(lambda: feed.status().connected)
        broker.fault = "slow"
        until(lambda: source.failures >= 3)
        assert any(event.state == "disconnected" and "no answer within 0.1 s" in event.reason for event in states)
        broker.fault = ""
        broker.released.set()
        until(lambda: feed.status().connected)
    assert broker.most == 1


def test_a_feed_stops_at_once_while_a_call_hangs_and_can_be_started_again(broker: Broker) -> None:
    broker.quotes = {"NSE:INFY": {"price": 100.0}}
    source = Polling(broker.ask, every=0.01, symbols=SYMBOLS)
    feed = tl.Feed(source, ["1m"])
    feed.subscribe("NSE:INFY")
    broker.fault = "slow"
    feed.start()
    until(lambda: broker.together == 1)
    began = time.monotonic()
    feed.stop()
    assert time.monotonic() - began < 1
    feed.start()
    broker.fault = ""
    broker.released.set()
    until(lambda: feed.status().connected)
    feed.stop()
    assert broker.most == 1


def test_a_quote_that_cannot_be_read_is_left_out_and_said_once(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.quotes = {
        "NSE:INFY": {"price": 100.0, "volume": 2.5}, "NSE:SBIN": {"price": 1.0}, "NSE:TCS": {"price": 10.0},
    }  # fmt: skip
    source = Polling(broker.ask, every=0.005, symbols=SYMBOLS)
    with tl.Feed(source, ["1m"]) as feed:
        feed.subscribe(list(SYMBOLS))
        until(lambda: source.rejected >= 6)
        broker.quotes = {"NSE:INFY": {"last_price": 1.0}, "NSE:TCS": 5}
        rejected = source.rejected
        until(lambda: source.rejected >= rejected + 4)
        assert feed.status().connected
        assert feed.status().pushed > 0
    said = [record.message for record in caplog.records]
    assert len([text for text in said if "NSE:INFY" in text]) == 1
    assert any("no such instrument in symbols" in text for text in said)


def test_a_refused_token_ends_the_run_and_is_raised() -> None:
    def refused(names: tuple[str, ...]) -> Mapping[str, Any]:
        raise tl.AuthenticationFailed("log in again")

    feed = tl.Feed(Polling(refused, symbols=SYMBOLS), ["1m"])
    states: list[str] = []
    feed.on(Connection, lambda event: states.append(event.state))
    feed.subscribe("NSE:INFY")
    with pytest.raises(tl.AuthenticationFailed, match="log in again"):
        feed.run()
    assert states == ["connecting", "authentication_failed"]


def test_not_even_what_is_no_exception_ends_the_polling() -> None:
    def panics(names: tuple[str, ...]) -> Mapping[str, Any]:
        raise BaseException("a panic")

    source = Polling(panics, every=0.005, longest=0.01, symbols=SYMBOLS)
    with tl.Feed(source, ["1m"]) as feed:
        feed.subscribe("NSE:INFY")
        until(lambda: source.failures >= 3)
        assert feed.running


def test_what_makes_no_sense_is_refused() -> None:
    async def quotes(names: tuple[str, ...]) -> Mapping[str, Any]:
        return {}

    with pytest.raises(TypeError, match="cannot be async"):
        Polling(quotes, symbols=SYMBOLS)
    with pytest.raises(ValueError, match="every must be a number of seconds above 0: 0"):
        Polling(dict, every=0, symbols=SYMBOLS)
    with pytest.raises(ValueError, match="volume must be one of cumulative, delta, none: 'day'"):
        Polling(dict, volume="day", symbols=SYMBOLS)
    feed = tl.Feed(Polling(dict, symbols=SYMBOLS), ["1m"])
    with pytest.raises(ValueError, match="no name to ask for, put it into symbols: 7"):
        feed.subscribe(7)


def test_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="a function that is polled must be callable: 5"):
        Polling(5, symbols=SYMBOLS)


def test_an_iterator_at_its_end_is_a_failed_call_that_says_so() -> None:
    answers = iter([{"NSE:INFY": {"price": 1.0}}])
    source = Polling(lambda _: next(answers), every=0.01, longest=0.02, symbols=SYMBOLS)
    reasons: list[str] = []
    feed = tl.Feed(source, ["1m"])
    feed.on(Connection, lambda event: reasons.append(event.reason))
    feed.subscribe("NSE:INFY")
    with feed:
        until(lambda: source.failures >= 2)
    assert set(filter(None, reasons)) == {"RuntimeError: StopIteration: "}
