"""Async iteration and waiting."""

from __future__ import annotations

import asyncio
import gc
import threading
import time

import pytest

import tickloom as tl
from tests.oracle.sessions import ist
from tests.unit.feed.fake import INFY, TCS, Fake, full, until
from tickloom.events import BarClosed, Connection, Message, Ticks

MORNING = ist("2026-07-01 10:00:00")
SECOND = 1_000_000_000


@pytest.fixture
def source() -> Fake:
    return Fake(now_ns=MORNING)


def test_events_come_in_order_and_end_when_the_feed_stops(source: Fake) -> None:
    async def main() -> list[object]:
        feed = tl.Feed(source)
        stream = feed.events(Ticks, Message)
        async with feed:
            for number in range(20):
                source.send(full(volume=number, at_ns=MORNING))
                source.text(f'{{"type": "message", "data": {number}}}')
            threading.Timer(0.3, feed.stop).start()
            return [
                event.data if isinstance(event, Message) else next(iter(event)).volume_traded async for event in stream
            ]

    assert asyncio.run(main()) == [number for number in range(20) for _ in range(2)]


def test_every_stream_has_a_queue_of_its_own(source: Fake) -> None:
    async def main() -> None:
        feed = tl.Feed(source, queue=4)
        async with feed:
            fast, slow = feed.events(Ticks), feed.events(Ticks)
            for number in range(1, 51):
                source.send(full(volume=number, at_ns=MORNING))
                (tick,) = await asyncio.wait_for(anext(fast), 5)
                assert tick.volume_traded == number
            event = await anext(slow)
            assert (event.frames, next(iter(event)).volume_traded) == (50, 50)
            assert (slow.account.offered, slow.account.dropped) == (50, 49)
            await slow.aclose()
            await fast.aclose()
            streams = feed.status().streams
            assert (streams.offered, streams.delivered + streams.dropped) == (100, 100)

    asyncio.run(main())


def test_a_stream_that_nobody_holds_goes_away(source: Fake) -> None:
    feed = tl.Feed(source, policy="block", queue=1)
    with feed:
        stream = feed.events(Ticks)
        source.send(full(volume=1, at_ns=MORNING))
        source.send(full(volume=2, at_ns=MORNING))
        source.send(full(volume=3, at_ns=MORNING))
        time.sleep(0.1)
        assert stream.account.offered == 1
        assert feed.status().ticks == 2
        del stream
        gc.collect()
        until(lambda: feed.status().ticks == 3)
        source.send(full(volume=4, at_ns=MORNING))
        until(lambda: feed.status().ticks == 4)
    streams = feed.status().streams
    assert streams.offered == streams.delivered + streams.dropped


def test_a_stream_whose_loop_is_closed_holds_nobody_up(source: Fake) -> None:
    feed = tl.Feed(source, policy="block", queue=1)
    with feed:

        async def main() -> object:
            stream = feed.events(Ticks)
            source.send(full(volume=1, at_ns=MORNING))
            await anext(stream)
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0.05)
            task.cancel()
            return stream

        stream = asyncio.run(main())
        for number in range(2, 12):
            source.send(full(volume=number, at_ns=MORNING))
        until(lambda: feed.status().ticks == 11)
        assert stream is not None


def test_a_stream_can_be_read_by_a_thread_too(source: Fake) -> None:
    feed = tl.Feed(source)
    with feed, feed.events(Connection, Ticks, symbols=INFY) as stream:
        source.send(full(TCS, at_ns=MORNING))
        source.send(full(INFY, 11_100, at_ns=MORNING))
        while not isinstance(event := stream.get(5), Ticks):
            pass
        assert next(iter(event)).last_price == 111.0
        with pytest.raises(TimeoutError):
            stream.get(0.05)
    assert stream.get(1) is None


def test_wait_tick_gives_the_next_tick_of_an_instrument(source: Fake) -> None:
    feed = tl.Feed(source)
    with feed:
        timer = threading.Timer(0.1, lambda: [source.send(full(token, at_ns=MORNING)) for token in (TCS, INFY)])
        timer.start()
        (tick,) = feed.wait_tick(INFY, timeout=5)
        timer.join()
        assert tick.instrument_token == INFY
        with pytest.raises(TimeoutError):
            feed.wait_tick(INFY, timeout=0.05)
        threading.Timer(0.1, feed.stop).start()
        with pytest.raises(tl.ConnectionFailed, match="stopped"):
            feed.wait_tick(INFY, timeout=5)
    with pytest.raises(tl.ConnectionFailed, match="does not run"):
        feed.wait_tick(INFY)


class Racing:
    """Candles of which another bar is sealed just after their times were read."""

    def __init__(self, engine: tl.Engine) -> None:
        self.engine, self.intervals = engine, engine.intervals
        self.races, self.second = 3, 0

    def candles(self, instrument: int, interval: str) -> Racing:
        self.inner = self.engine.candles(instrument, interval)
        return self

    @property
    def time(self) -> object:
        times = self.inner.time
        if self.races:
            self.races -= 1
            self.trade()
        return times

    def trade(self) -> None:
        at = MORNING + self.second * SECOND
        self.engine.apply(full(INFY, 10_000 + self.second, self.second, at), at)
        self.second += 1

    def last(self, count: int) -> object:
        return self.inner.last(count)


def test_wait_bar_gives_the_first_later_bar_though_another_is_sealed_meanwhile(
    source: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = tl.Feed(source, ["1s"])
    racing = Racing(feed.engine)
    for _ in range(8):
        racing.trade()
    with feed:
        known = feed.candles(INFY, "1s").last(3)
        monkeypatch.setattr(feed, "_engine", racing)
        bar = feed.wait_bar(INFY, "1s", timeout=5, after=known[0].time)
        monkeypatch.undo()
    assert bar == known[1]
    assert racing.races == 0


def test_a_loop_over_wait_bar_misses_no_bar(source: Fake) -> None:
    feed = tl.Feed(source, ["1s"])
    feed.subscribe(INFY)
    with feed:

        def trade() -> None:
            for second in range(30):
                at = MORNING + second * SECOND
                source.send(full(INFY, 10_000 + second, second, at), at)
                time.sleep(0.002)

        trader = threading.Thread(target=trade)
        trader.start()
        closes, after = [], 0
        while len(closes) < 20:
            bar = feed.wait_bar(INFY, "1s", timeout=5, after=after)
            after = bar.time
            closes.append(bar.close)
            # Slower than the bars come.
            time.sleep(0.01)
        trader.join()
    assert closes == [100 + (second + 1) / 100 for second in range(20)]


def test_wait_bar_without_a_past_waits_for_the_next_close(source: Fake) -> None:
    feed = tl.Feed(source, ["1s"])
    with feed:
        for second in range(8):
            at = MORNING + second * SECOND
            source.send(full(INFY, 10_000, second, at), at)
        until(lambda: feed.status().ticks == 8 and len(feed.candles(INFY, "1s")) >= 4)
        latest = feed.candles(INFY, "1s").last()[0].time
        at = MORNING + 60 * SECOND
        timer = threading.Timer(0.1, lambda: source.send(full(INFY, 10_000, 100, at), at))
        timer.start()
        assert feed.wait_bar(INFY, "1s", timeout=5).time > latest
        timer.join()


def test_waiting_in_an_inline_callback_is_refused(source: Fake) -> None:
    feed = tl.Feed(source, inline=True)
    errors: list[BaseException] = []

    def on_tick(_: Ticks) -> None:
        try:
            feed.wait_tick(timeout=1)
        except RuntimeError as error:
            errors.append(error)

    feed.on_tick(on_tick)
    with feed:
        source.send(full(at_ns=MORNING))
        until(lambda: errors)
    assert "wait for itself" in str(errors[0])


def test_bars_reach_a_stream_in_the_order_they_closed(source: Fake) -> None:
    feed = tl.Feed(source, ["1s", "5s"])
    with feed, feed.events(BarClosed, interval="5s") as stream:
        for second in range(40):
            at = MORNING + second * SECOND
            source.send(full(INFY, 10_000 + second, second, at), at)
        times = [stream.get(5).bar.time for _ in range(6)]
    assert times == sorted(times)
