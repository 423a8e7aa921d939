"""The time that a simulated exchange tells, in front of a sink that writes down what it gets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Coroutine

import pytest

from tickloom.sources.exchange_clock import ExchangeClock
from tickloom.sources.kite import Kite
from tickloom.sources.market_time import PATIENCE_S, MarketTime, Timed, asking
from tickloom.ticker.messages import ConnectionEvent

AT = 1_782_877_500_000_000_000
SECOND = 10**9


class Written:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[int] = []
        self.texts: list[tuple[str, int]] = []
        self.events: list[tuple[str, int]] = []

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        del frame, connection
        self.frames.append(received_ns)

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        del connection
        self.texts.append((text, received_ns))

    def on_connection(self, event: ConnectionEvent) -> None:
        self.events.append((event.state, event.time_ns))


def play(session: Callable[[Timed, Written, MarketTime], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        written, clock = Written(), MarketTime()
        timed = Timed(written, clock)
        await session(timed, written, clock)
        timed.close()

    asyncio.run(run())


def told(ns: object) -> str:
    return json.dumps({"type": "market_time", "data": ns})


def test_what_comes_after_the_time_was_told_has_that_time_and_the_telling_goes_no_further() -> None:
    async def session(timed: Timed, written: Written, clock: MarketTime) -> None:
        timed.on_connection(ConnectionEvent("connecting", 0, 1))
        timed.on_connection(ConnectionEvent("connected", 0, 2))
        assert (written.events, clock()) == ([], 0)
        timed.on_text(told(AT), clock.stamp(), 0)
        timed.on_frame(b"", clock.stamp(), 0)
        timed.on_text(told(AT + SECOND), clock.stamp(), 0)
        timed.on_text("{}", clock.stamp(), 0)
        timed.on_connection(ConnectionEvent("disconnected", 0, clock.stamp()))
        assert written.events == [("connecting", AT), ("connected", AT), ("disconnected", AT + SECOND)]
        assert (written.frames, written.texts, clock()) == ([AT], [("{}", AT + SECOND)], AT + SECOND)

    play(session)


@pytest.mark.parametrize("first", ["text", "frame"])
def test_a_server_that_tells_no_time_is_stamped_with_ours(first: str) -> None:
    async def session(timed: Timed, written: Written, clock: MarketTime) -> None:
        timed.on_connection(ConnectionEvent("connecting", 0, 1))
        timed.on_connection(ConnectionEvent("connected", 0, 2))
        if first == "text":
            timed.on_text("{}", 3, 0)
        else:
            timed.on_frame(b"", 3, 0)
        assert written.events == [("connecting", 1), ("connected", 2)]
        assert written.frames + [at for _, at in written.texts] == [3]
        assert abs(clock() - time.time_ns()) < 60 * SECOND

    play(session)


def test_a_server_that_says_nothing_is_connected_all_the_same() -> None:
    async def session(timed: Timed, written: Written, clock: MarketTime) -> None:
        timed.on_connection(ConnectionEvent("connected", 0, 2))
        until = time.monotonic() + 20 * PATIENCE_S
        while not written.events:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        assert written.events == [("connected", 2)]
        assert clock() > AT - 10**19

    play(session)


def test_a_refusal_is_told_at_once_and_leaves_the_time_open() -> None:
    async def session(timed: Timed, written: Written, clock: MarketTime) -> None:
        timed.on_connection(ConnectionEvent("connecting", 0, 1))
        timed.on_connection(ConnectionEvent("waiting", 0, 2))
        assert written.events == [("connecting", 1), ("waiting", 2)]
        assert clock() == 0

    play(session)


@pytest.mark.parametrize(
    "lie", [told(-1), told(2**70), told("now"), told(None), told(True), '{"type": "market_time", "data": ']
)
def test_a_time_that_is_none_is_a_text_like_others(lie: str) -> None:
    async def session(timed: Timed, written: Written, clock: MarketTime) -> None:
        timed.on_text(lie, 3, 0)
        assert written.texts == [(lie, 3)]
        assert clock.told_ns == 0

    play(session)


def test_only_a_server_without_tls_is_asked() -> None:
    assert asking("wss://ws.kite.trade") == "wss://ws.kite.trade"
    assert asking("ws://127.0.0.1:8765") == "ws://127.0.0.1:8765?market_time=1"
    assert asking("ws://127.0.0.1:8765/a?b=c") == "ws://127.0.0.1:8765/a?b=c&market_time=1"
    assert abs(Kite("key", "token").clock() - time.time_ns()) < SECOND
    assert Kite("key", "token", url="ws://127.0.0.1:1").clock() == 0
    assert Kite("key", "token", url="ws://127.0.0.1:1", clock=lambda: AT).clock() == AT


def test_what_is_told_never_runs_ahead_of_what_was_sent() -> None:
    clock = ExchangeClock(AT, 1e6)
    clock.due_ns = AT + 3 * SECOND
    until = time.monotonic() + 5
    while clock.now_ns() < AT + 60 * SECOND:
        assert time.monotonic() < until
    clock.look()
    assert clock.told_ns == AT + 3 * SECOND
    clock.due_ns = None
    clock.look()
    assert clock.told_ns >= AT + 60 * SECOND
