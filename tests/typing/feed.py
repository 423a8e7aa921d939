"""What a type checker sees of a feed, its events and its figures. Checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type

import tickloom as tl
from tickloom.events import BarClosed, BarEvent, BarRevised, BarUpdate, Connection, Event, Gap, Stale, Ticks
from tickloom.feed import Match, Status
from tickloom.feed.statistics import Histogram
from tickloom.sources import Kite, Polling, PushedTick, PushedTicks, Quote, Replay, Simulator, Source
from tickloom.watchlists import Mover

feed = tl.Feed(Simulator(), ["1m"], policy="drop_oldest", queue=8)
assert_type(tl.Feed(Kite("key", "token")), tl.Feed)
assert_type(tl.Feed(Replay("day.tlj", speed=None)), tl.Feed)
assert_type(tl.Feed(Polling(lambda names: {name: {"price": 1.0} for name in names}, symbols={"INFY": 1})), tl.Feed)
assert_type(PushedTicks([Quote(1, 2.0)], volume="none", received_ns=1)[0], PushedTick)
assert_type(feed.source, Source)
assert_type(feed.engine, tl.Engine)
assert_type(feed.candles("INFY", "1m"), tl.Candles)
assert_type(feed.subscriptions(), dict[int, str])
assert_type(feed.movers("TOP_GAINERS", 5, among=["INFY", 408065]), list[Mover])
assert_type(feed.error, BaseException | None)
assert_type(feed.running, bool)

status = feed.status()
assert_type(status, Status)
assert_type(status.ticks_per_second, float)
assert_type(status.lags.receive_to_callback, Histogram)
assert_type(status.lags.receive_to_callback.quantile(0.99), float | None)
assert_type(status.callbacks.dropped, int)


def on_bar(event: BarEvent) -> None:
    """Closed, revised and forming bars alike."""
    assert_type(event.bar.close, float)
    assert_type(event.symbol, str | None)
    assert_type(event.time_ns, int)


def on_tick(event: Ticks) -> None:
    """The ticks of one frame, or of several that were conflated."""
    assert_type([tick.last_price for tick in event], list[float])


def on_status(event: Connection | Gap | Stale) -> None:
    """The line."""
    assert_type(event.time_ns, int)


feed.on_bar(on_bar, interval="1m", revised=True, forming=True)
feed.on_tick(on_tick, symbols=["INFY"])
feed.on_status(on_status)
feed.on((BarClosed, BarRevised), on_bar)
feed.on(BarUpdate, on_bar)
feed.start(warmup="2d")
assert_type(feed.is_ready("INFY", "5m", 50), bool)
assert_type(feed.wait_warm(60).done, int)
assert_type(feed.reconcile("INFY", authority="broker"), dict[int, Match])
assert_type(feed.wait_bar("INFY", "1m", timeout=1), tl.Bar)
assert_type(feed.wait_tick(timeout=1), list[tl.Tick | PushedTick])


async def strategy() -> None:
    """Both ways to iterate."""
    async with feed as same:
        assert_type(same, tl.Feed)
        async for event in feed.events(Ticks):
            assert_type(event, Ticks)
        async for either in feed.events(Gap, Stale):
            assert_type(either.time_ns, int)
        async for any_event in feed.events():
            assert_type(any_event, Event)
        assert_type(feed.events(Connection).get(1), Connection | None)
