"""A feed on Upstox's protocol over a real socket has the bars of the market's truth, and mends what a cut left out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tickloom import Engine, Feed, Flags
from tickloom.sources import Upstox
from tickloom.sources.exchange import Exchange
from tickloom.sources.simulator import Market
from tickloom.ticker.settings import Settings

SECOND = 1_000_000_000
SOON = Settings(backoff_base=0.01, backoff_cap=0.05, max_tokens=5_000)
INTERVALS = ["1m", "5m"]
BOOKED = ("bars", "auction_open", "auction_close", "post", "unattributed", "dropped")
Row = tuple[int, float, float, float, float, int]


def until(what: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def rows(engine: Engine, token: int, interval: str, ends_ns: int) -> list[Row]:
    """Bars of the session; an index is published for some seconds after it."""
    bars = [bar for bar in engine.candles(token, interval).last(10_000) if bar.time < ends_ns]
    return [(bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in bars]


def truth(market: Market, token: int, interval: str) -> list[Row]:
    columns = market.truth(token, interval)
    names = ("time", "open", "high", "low", "close", "volume")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


def play(exchange: Exchange, feed: Feed, during: Callable[[], None] = lambda: None) -> None:
    """The whole session through the feed."""
    feed.subscribe(list(exchange.keys))
    with feed:
        wanted = dict.fromkeys(exchange.keys.values(), "full")
        until(lambda: wanted in exchange.subscriptions().values())
        until(lambda: feed.engine.stats()["ticks"] >= len(wanted))
        exchange.open()
        during()
        exchange.wait_finished(120)
        ends = exchange.market_time_ns()
        until(lambda: feed.source.clock() >= ends)  # type: ignore[attr-defined]
    feed.engine.advance(exchange.market.session_close_ns + 600 * SECOND)


def straight(market: Market) -> Engine:
    """Kite's frames of the same market, without a socket."""
    engine = Engine(INTERVALS)
    for one in market.instruments():
        if one.kind != "index":
            engine.track(one.token, baseline_volume=0)
    for kind, at, body in market.events():
        if kind == "frame" and body is not None:
            engine.apply(body, at)
    engine.advance(market.session_close_ns + 600 * SECOND)
    return engine


def test_every_bar_of_what_trades_one_by_one_is_the_truth_and_no_share_is_lost_of_the_rest() -> None:
    options: dict[str, Any] = {"end": "09:35", "rate": 20.0, "auction": False, "indices": 1}
    market = {"liquid": 1, "middling": 3, "thin": 12, **options}
    with Exchange(16, 5, speed=0, broker="upstox", opens="told", market=market) as exchange:
        source = Upstox("any token", url=exchange.url, symbols=exchange.keys)
        feed = Feed(source, intervals=INTERVALS)
        play(exchange, feed)
        engine, played, known = feed.engine, exchange.market, exchange.instruments
        stats = exchange.stats()
    other = straight(Market(5, instruments=16, **market))
    exact, ends = 0, played.session_close_ns
    for one in known:
        token = source.symbols[one.symbol]
        for interval in INTERVALS:
            true = truth(played, one.token, interval)
            # The same packets as Kite has them: the protocol makes no difference.
            assert rows(engine, token, interval, ends) == rows(other, one.token, interval, ends), one.symbol
            if one.liquidity == "thin" and one.kind != "index":
                assert rows(engine, token, interval, ends) == true
                exact += len(true)
        account = engine.account(token)
        assert sum(account[part] for part in BOOKED) == account["last"] - account["baseline"]
        if one.kind != "index":
            assert account["bars"] == account["last"] == played.delivered(one.token)[-1].highest_volume
    assert exact > 80
    counts = engine.stats()
    assert counts["packets"] == counts["ticks"] + counts["rejected"] == stats["packets_sent"]
    assert counts["rejected"] == 0


@pytest.mark.parametrize("cut", ["reset", "outage"])
def test_the_minutes_of_a_cut_are_mended_by_those_that_come_with_the_ticks(cut: str) -> None:
    market = {"liquid": 2, "middling": 6, "thin": 12, "end": "09:20", "rate": 20.0, "auction": False, "indices": 0}
    with Exchange(20, 5, speed=15, broker="upstox", opens="told", market=market) as exchange:
        source = Upstox("any token", url=exchange.url, symbols=exchange.keys, settings=SOON)
        feed = Feed(source, intervals=INTERVALS)
        opens = exchange.market.session_open_ns

        def fail() -> None:
            # In the second minute. Until the third is over the broker tells the second: time for a slow machine.
            until(lambda: exchange.market_time_ns() >= opens + 95 * SECOND)
            if cut == "reset":
                exchange.reset()
            else:
                exchange.go_down()
                until(lambda: exchange.market_time_ns() >= opens + 112 * SECOND)
                exchange.come_back()

        play(exchange, feed, fail)
        engine, played, known = feed.engine, exchange.market, exchange.instruments
        status, stats = feed.status(), exchange.stats()
    assert (status.reconnects, status.gaps) == (1, 1)
    assert status.bad_frames == status.rejected == 0
    # Something was lost on the line: 20 snapshots are sent a second time too.
    assert stats["packets_sent"] - 2 * len(known) < stats["market_packets"]
    other = straight(Market(5, instruments=20, **market))
    ends, mended = played.session_close_ns, 0
    for one in known:
        token = source.symbols[one.symbol]
        bars = rows(engine, token, "1m", ends)
        assert bars == rows(other, one.token, "1m", ends), one.symbol
        if one.liquidity == "thin":
            assert bars == truth(played, one.token, "1m")
        account = engine.account(token)
        assert sum(account[part] for part in BOOKED) == account["last"] - account["baseline"]
        assert account["last"] == played.delivered(one.token)[-1].highest_volume
        mended += any(bar.flags & Flags.REPAIRED for bar in engine.candles(token, "1m").last(100))
    assert mended >= (1 if cut == "reset" else 4)
