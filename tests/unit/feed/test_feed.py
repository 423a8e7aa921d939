"""The feed with a source of the test's own: start and stop, callbacks, subscriptions, states."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import numpy as np
import pytest

import tickloom as tl
from tests.oracle import frames
from tests.oracle.sessions import ist
from tests.unit.feed.fake import INFY, TCS, Fake, frame_of, full, until
from tickloom.events import (
    BarClosed,
    BarRevised,
    BarUpdate,
    BrokerError,
    Connection,
    Event,
    Gap,
    Message,
    Order,
    Stale,
    Ticks,
)
from tickloom.sources.base import Sink

MORNING = ist("2026-07-01 10:00:00")
SECOND = 1_000_000_000


@pytest.fixture
def source() -> Fake:
    return Fake(now_ns=MORNING)


def conserved(feed: tl.Feed) -> bool:
    status = feed.status()
    account = status.callbacks
    return (
        account.offered == account.delivered + account.dropped + status.queued
        and status.packets == status.ticks + status.rejected
    )


def test_a_feed_makes_candles_and_says_so(source: Fake) -> None:
    feed = tl.Feed(source, ["1s", "1m"], symbols={"NSE:INFY": INFY})
    ticks: list[Ticks] = []
    bars: list[BarClosed] = []
    feed.on_tick(ticks.append)
    feed.on_bar(bars.append, interval="1s")
    feed.subscribe(["NSE:INFY", TCS])
    with feed:
        source.send(full(INFY, 10_000, 0, MORNING))
        source.send(full(INFY, 10_100, 50, MORNING + SECOND), MORNING + SECOND)
        source.send(full(INFY, 10_200, 70, MORNING + 9 * SECOND), MORNING + 9 * SECOND)
        until(lambda: bars and len(ticks) == 3)
        assert (bars[0].symbol, bars[0].interval, bars[0].bar.close, bars[0].bar.volume) == (
            "NSE:INFY",
            "1s",
            101.0,
            50,
        )
        assert feed.candles("NSE:INFY", "1minute").forming.close == 102.0
        assert [tick.last_price for event in ticks for tick in event] == [100.0, 101.0, 102.0]
        status = feed.status()
        assert (status.running, status.connected, status.subscribed, status.ticks) == (True, True, 2, 3)
    assert not feed.running
    assert feed.subscriptions() == {INFY: "full", TCS: "full"}
    assert conserved(feed)
    assert feed.status().queued == 0


def test_a_quiet_bar_is_closed_by_the_clock(source: Fake) -> None:
    feed = tl.Feed(source, ["1s"])
    bars: list[BarClosed] = []
    feed.on_bar(bars.append)
    with feed:
        source.send(full(INFY, 10_000, 0, MORNING))
        source.send(full(INFY, 10_100, 50, MORNING), MORNING + SECOND)
        # The bar ends one second after ten, two are its grace, and nothing comes any more.
        until(lambda: bars, 6)
    assert bars[0].bar.volume == 50


def test_a_feed_can_be_started_and_stopped_any_number_of_times(source: Fake) -> None:
    feed = tl.Feed(source)
    seen: list[Event] = []
    feed.on(Ticks, seen.append)
    before = threading.active_count()
    for number in range(30):
        feed.start()
        feed.start()
        source.send(full(volume=number, at_ns=MORNING))
        until(lambda number=number: len(seen) == number + 1)
        feed.stop()
        feed.stop()
    assert threading.active_count() == before
    # Those of the earlier runs are gone.
    assert len(feed._hub.outlets) == 1
    status = feed.status()
    assert (status.starts, source.runs, status.callbacks.delivered) == (30, 30, 30)
    assert conserved(feed)


def test_several_feeds_run_beside_each_other() -> None:
    sources = [Fake(now_ns=MORNING) for _ in range(5)]
    feeds = [tl.Feed(source) for source in sources]
    for feed in feeds:
        feed.start()
    for number, source in enumerate(sources):
        for _ in range(number + 1):
            source.send(full(at_ns=MORNING))
    for number, feed in enumerate(feeds):
        until(lambda number=number, feed=feed: feed.status().ticks == number + 1)
    for feed in feeds:
        feed.stop()


def test_a_feed_starts_where_an_event_loop_runs_already(source: Fake) -> None:
    async def notebook() -> float:
        feed = tl.Feed(source)
        feed.subscribe(INFY)
        feed.start()
        waiting = asyncio.create_task(asyncio.to_thread(feed.wait_tick, INFY, 5))
        while not waiting.done():
            source.send(full(INFY, 12_345, at_ns=MORNING))
            await asyncio.sleep(0.01)
        feed.stop()
        return (await waiting)[0].last_price

    assert asyncio.run(notebook()) == 123.45


def test_hostile_messages_between_good_ones_cost_no_tick_and_no_connection(source: Fake) -> None:
    good = full(INFY, 10_000, 5, MORNING)
    hostile = [
        b"", b"\x00", b"\xff" * 7, b"\x00\x01", b"\x00\x01\x00\xb8", good[:-1], b"\x00\x02" + good[2:],
        b"\xff\xff" + good[2:], b"\x00\x01\x00\x03abc", b"\x00\x01\xff\xffabc", bytes(300),
    ]  # fmt: skip
    texts = ["", "{", "[" * 100_000, "null", '{"type": "order"}', '{"type": 7, "data": {}}', "\ud800", "1e999"]
    feed = tl.Feed(source)
    delivered: list[int] = []
    feed.on_tick(lambda event: delivered.append(event.frames))

    def flood(sink: Sink) -> None:
        for number in range(2_000):
            sink.on_frame(good, source.now(), 0)
            sink.on_frame(hostile[number % len(hostile)], source.now(), 0)
            if number % 20 == 0:
                sink.on_text(texts[number // 20 % len(texts)], source.now(), 0)

    with feed:
        source.deliver(flood)
        # Two of the lying frames tell of more packets than the one that they hold, and give that one.
        wanted = 2_000 + sum(number % len(hostile) in {6, 7} for number in range(2_000))
        until(lambda: sum(delivered) == wanted)
        status = feed.status()
        assert (status.connected, status.reconnects, status.ticks) == (True, 0, wanted)
        assert status.packets == status.ticks + status.rejected
    assert conserved(feed)


def test_subscriptions_are_changed_on_the_readers_thread_once_it_runs(source: Fake) -> None:
    feed = tl.Feed(source)
    feed.subscribe(1)
    with feed:
        feed.subscribe([2, 3], mode="quote")
        threads = [threading.Thread(target=feed.subscribe, args=([token],)) for token in range(10, 40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        feed.unsubscribe([3])
    feed.subscribe(50)
    assert set(source.wanted) == {1, 2, 50, *range(10, 40)}
    assert source.threads == ["MainThread", *["tickloom-reader"] * 31, "MainThread"]


def test_a_subscription_that_the_source_refuses_raises_where_it_was_asked_for(source: Fake) -> None:
    feed = tl.Feed(source)
    with feed:
        with pytest.raises(ValueError, match="more than 3000"):
            feed.subscribe(range(5_000))
        assert feed.running
    with pytest.raises(tl.UnknownInstrument, match="NSE:NOBODY"):
        feed.subscribe("NSE:NOBODY")


def test_a_callback_may_subscribe_while_the_reader_waits_for_that_callback(source: Fake) -> None:
    feed = tl.Feed(source, policy="block", queue=1)
    done = []

    def on_tick(event: Ticks) -> None:
        time.sleep(0.02)
        feed.subscribe(1_000 + event.time_ns % 100)
        done.append(event)

    feed.on_tick(on_tick)
    with feed:
        began = time.monotonic()
        for number in range(20):
            source.send(full(volume=number, at_ns=MORNING))
        until(lambda: len(done) == 20)
        # The reader is woken for it: without that each would take the tenth of a second of its own look around.
        assert time.monotonic() - began < 1.5
    account = feed.status().callbacks
    assert (account.offered, account.delivered, account.dropped) == (20, 20, 0)


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
@pytest.mark.parametrize("inline", [False, True])
def test_a_callback_that_raises_is_logged_once_and_touches_nothing(
    source: Fake, caplog: pytest.LogCaptureFixture, error: BaseException, inline: bool
) -> None:
    feed = tl.Feed(source, inline=inline)
    calls, after = [], []

    def bad(event: Ticks) -> None:
        calls.append(event)
        raise error

    feed.on_tick(bad)
    feed.on_tick(after.append)
    with caplog.at_level(logging.ERROR), feed:
        for number in range(50):
            source.send(full(volume=number, at_ns=MORNING))
        until(lambda: len(after) == 50)
        assert feed.status().connected
    assert len(calls) == 50
    assert feed.status().callback_errors == 50
    assert len(caplog.records) == 1
    assert conserved(feed)


def test_a_callback_that_sleeps_delays_no_candle_and_every_event_is_accounted_for(source: Fake) -> None:
    feed = tl.Feed(source, queue=8)
    seen: list[int] = []

    def slow(event: Ticks) -> None:
        seen.append(event.frames)
        time.sleep(0.3)

    feed.on_tick(slow)
    feed.subscribe(INFY)
    with feed:
        for number in range(1, 201):
            source.send(full(INFY, 10_000 + number, number, MORNING))
        until(lambda: getattr(feed.candles(INFY, "1m").forming, "volume", 0) == 199, 0.25)
        until(lambda: sum(seen) == 200)
        assert feed.status().connected
    account = feed.status().callbacks
    assert account.offered == 200 == account.delivered + account.dropped
    assert account.delivered == len(seen) < 20


def test_stop_does_not_wait_for_a_callback_that_hangs(source: Fake) -> None:
    feed = tl.Feed(source)
    hang, entered = threading.Event(), threading.Event()

    def on_tick(_: Ticks) -> None:
        entered.set()
        hang.wait(30)

    feed.on_tick(on_tick)
    feed.start()
    for number in range(5):
        source.send(full(volume=number, at_ns=MORNING))
    assert entered.wait(5)
    until(lambda: feed.status().queued == 4)
    began = time.monotonic()
    feed.stop(timeout=0.2)
    assert time.monotonic() - began < 1
    account = feed.status().callbacks
    assert (account.offered, account.delivered, account.dropped) == (5, 1, 4)
    hang.set()


def test_run_ends_when_another_thread_stops_it_though_a_callback_hangs(source: Fake) -> None:
    feed = tl.Feed(source)
    hang, entered = threading.Event(), threading.Event()

    def on_tick(_: Ticks) -> None:
        entered.set()
        hang.wait(30)

    def other() -> None:
        source.send(full(at_ns=MORNING))
        entered.wait(5)
        feed.stop(timeout=0.1)

    feed.on_tick(on_tick)
    thread = threading.Thread(target=other)
    thread.start()
    began = time.monotonic()
    feed.run()
    assert time.monotonic() - began < 5
    hang.set()
    thread.join()


def test_run_raises_what_ended_the_source_and_ends_with_it(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OSError, match="no such cable"):
        tl.Feed(Fake(error=OSError("no such cable"))).run()
    assert "the source fake failed" in caplog.text
    calls: list[Ticks] = []
    feed = tl.Feed(Fake(now_ns=MORNING, script=lambda sink: [sink.on_frame(full(at_ns=MORNING), MORNING, 0)] * 3))
    feed.on_tick(lambda event: [time.sleep(0.2), calls.append(event)])
    feed.run()
    assert len(calls) == 1


@pytest.mark.parametrize("inline", [False, True])
def test_a_callback_may_stop_the_feed(source: Fake, inline: bool) -> None:
    feed = tl.Feed(source, inline=inline)
    feed.on_tick(lambda _: feed.stop())
    feed.start()
    source.send(full(at_ns=MORNING))
    until(lambda: not feed.running)
    feed.stop()
    assert conserved(feed)


def test_inline_callbacks_run_on_the_readers_thread(source: Fake) -> None:
    feed = tl.Feed(source, inline=True)
    names: list[str] = []
    feed.on_tick(lambda _: names.append(threading.current_thread().name))
    with feed:
        source.send(full(at_ns=MORNING))
        until(lambda: names)
    assert names == ["tickloom-reader"]


def test_listeners_get_only_the_instruments_and_intervals_they_asked_for(source: Fake) -> None:
    feed = tl.Feed(source, ["1s", "5s"], symbols={"NSE:TCS": TCS})
    ticks: list[Ticks] = []
    bars: list[BarClosed] = []
    feed.on_tick(ticks.append, symbols="NSE:TCS")
    feed.on_bar(bars.append, interval="5s", symbols=[TCS])
    with feed:
        for number in range(12):
            at = MORNING + number * SECOND
            source.send(frame_of((INFY, 10_000, number, at), (TCS, 20_000 + number, number, at)), at)
            source.send(full(INFY, 10_000, number, at), at)
        until(lambda: len(ticks) == 12 and bars)
    assert {tick.instrument_token for event in ticks for tick in event} == {TCS}
    assert ticks[3].array["last_price"].tolist() == [200.03]
    assert {(bar.token, bar.interval) for bar in bars} == {(TCS, "5s")}


def test_updates_of_the_forming_bar_come_once_a_change(source: Fake) -> None:
    feed = tl.Feed(source, ["1m", "5m"])
    updates: list[BarUpdate] = []
    feed.on(BarUpdate, updates.append, interval="1m")
    with feed:
        for number, volume in enumerate((0, 10, 10, 10, 30), 1):
            source.send(full(INFY, 10_000 + volume, volume, MORNING))
            until(lambda number=number: len(feed.status().lags.receive_to_callback) == number)
            # Handed over, and looked at a moment later.
            time.sleep(0.02)
    assert [update.bar.volume for update in updates] == [10, 30]
    assert {update.interval for update in updates} == {"1m"}


def test_a_late_tick_revises_a_bar(source: Fake) -> None:
    feed = tl.Feed(source, ["1s"], revise=60)
    bars: list[Event] = []
    feed.on_bar(bars.append, revised=True)
    feed.engine.track(INFY)
    with feed:
        for at, price, volume in ((0, 10_000, 0), (1, 10_100, 10), (6, 10_200, 20)):
            source.send(full(INFY, price, volume, MORNING + at * SECOND), MORNING + 8 * SECOND)
        until(lambda: bars)
        # The trade of second 6 arrives again from second 1: a print that the exchange was late with.
        late = frames.full(INFY, 10_300, 35, MORNING + 1 * SECOND, MORNING + 7 * SECOND)
        source.send(frames.frame(late), MORNING + 8 * SECOND)
        until(lambda: any(isinstance(bar, BarRevised) for bar in bars))
    assert isinstance(bars[0], BarClosed)
    revised = [bar for bar in bars if isinstance(bar, BarRevised)]
    assert len(revised) == feed.engine.stats()["bars_revised"]
    assert [(bar.by, bar.bar.time, bar.bar.high, bar.bar.volume) for bar in revised] == [
        ("late tick", MORNING + SECOND, 103.0, 25)
    ]


def test_texts_go_to_their_listeners_and_unknown_ones_to_one_hook(source: Fake) -> None:
    feed = tl.Feed(source)
    heard: list[Event] = []
    feed.on((Order, BrokerError, Message), heard.append)
    with feed:
        source.text('{"type": "order", "data": {"order_id": "7"}}')
        source.text('{"type": "error", "data": "too many"}')
        source.text('{"type": "message", "data": "hello"}')
        source.text('{"type": "app_code", "timestamp": "x"}')
        source.text("\x00 no json")
        until(lambda: len(heard) == 5)
    assert [type(event) for event in heard] == [Order, BrokerError, Message, Message, Message]
    assert heard[0].data == {"order_id": "7"}
    assert [event.kind for event in heard[2:]] == ["message", "unknown", "unknown"]
    assert feed.status().texts == 5


def test_a_lost_connection_is_a_gap_for_listeners_and_for_the_bars() -> None:
    source = Fake(now_ns=MORNING + 10 * SECOND)
    feed = tl.Feed(source)
    heard: list[Event] = []
    feed.on_status(heard.append)
    with feed:
        source.send(full(INFY, 10_000, 0, MORNING), MORNING)
        source.send(full(INFY, 10_000, 10, MORNING + SECOND), MORNING + SECOND)
        until(lambda: feed.status().connected)
        source.state("disconnected", code=1006)
        source.state("waiting", retry_in=1.5, attempt=1)
        until(lambda: not feed.status().connected)
        source.state("connected")
        source.send(full(INFY, 10_100, 90, MORNING + 40 * SECOND), MORNING + 40 * SECOND)
        until(lambda: feed.status().ticks == 3)
        assert feed.engine.gaps(INFY) == [(MORNING + SECOND, MORNING + 40 * SECOND)]
        assert feed.candles(INFY, "1m").forming.flags & tl.Flags.GAP
    until(lambda: any(isinstance(event, Gap) for event in heard))
    (gap,) = [event for event in heard if isinstance(event, Gap)]
    assert gap.from_ns <= MORNING + SECOND
    lost = [event for event in heard if isinstance(event, Connection) and event.state == "disconnected"]
    assert [event.code for event in lost] == [1006]
    assert (feed.status().reconnects, feed.status().gaps) == (1, 1)


def test_a_stop_is_a_gap_too() -> None:
    source = Fake(now_ns=MORNING + 10 * SECOND)
    feed = tl.Feed(source)
    with feed:
        source.send(full(INFY, 10_000, 0, MORNING), MORNING)
        source.send(full(INFY, 10_000, 10, MORNING + SECOND), MORNING + SECOND)
        until(lambda: feed.status().ticks == 2)
    with feed:
        source.send(full(INFY, 10_100, 90, MORNING + 5 * SECOND), MORNING + 5 * SECOND)
        until(lambda: feed.status().ticks == 3)
    assert feed.engine.gaps(INFY) == [(MORNING + SECOND, MORNING + 5 * SECOND)]
    # Nothing was lost: it was asked for.
    assert (feed.status().gaps, feed.status().reconnects) == (1, 0)


def test_a_silent_connection_and_a_silent_instrument_are_flagged(source: Fake) -> None:
    feed = tl.Feed(source, stale_after=0.6)
    heard: list[Stale] = []
    feed.on(Stale, heard.append)
    feed.subscribe([INFY, TCS])
    with feed:
        source.state("stale")
        end = time.monotonic() + 2
        number = 0
        while time.monotonic() < end:
            number += 1
            source.send(full(INFY, 10_000, number, MORNING))
            time.sleep(0.05)
    assert [(event.token, event.connection) for event in heard] == [(None, 0), (TCS, None)]


def test_a_frame_that_cannot_be_read_is_counted_and_the_next_one_is_read(
    source: Fake, caplog: pytest.LogCaptureFixture
) -> None:
    feed = tl.Feed(source)
    with feed:
        for _ in range(20):
            source.send(b"\xff\xff\x00")
        source.send(b"\x00")
        source.send(full(at_ns=MORNING))
        until(lambda: feed.status().ticks == 1)
    status = feed.status()
    assert (status.bad_frames, status.frames) == (20, 22)
    assert len(caplog.records) == 1


def test_a_listener_can_be_added_and_removed_while_it_runs(source: Fake) -> None:
    feed = tl.Feed(source)
    first: list[Event] = []
    second: list[Event] = []
    listen = feed.on_tick(first.append)
    with feed:
        source.send(full(volume=1, at_ns=MORNING))
        until(lambda: len(first) == 1)
        feed.on_tick(second.append)
        feed.off(listen)
        source.send(full(volume=2, at_ns=MORNING))
        until(lambda: len(second) == 1)
    assert len(first) == 1


def test_bars_that_closed_before_anybody_listened_are_not_told(source: Fake) -> None:
    feed = tl.Feed(source, ["1s"])
    for second in range(5):
        feed.engine.push(INFY, 100.0, time_ns=MORNING + second * SECOND, quantity=1)
    bars: list[BarClosed] = []
    feed.on_bar(bars.append)
    with feed:
        time.sleep(0.4)
    assert bars == []


def test_an_async_callback_is_refused_with_what_to_use_instead(source: Fake) -> None:
    async def on_tick(event: Ticks) -> None: ...

    with pytest.raises(TypeError, match=r"feed\.events"):
        tl.Feed(source).on_tick(on_tick)


def test_wrong_arguments_are_refused_when_they_are_given(source: Fake) -> None:
    with pytest.raises(ValueError, match="policy"):
        tl.Feed(source, policy="newest")
    with pytest.raises(TypeError, match="engine of its own"):
        tl.Feed(source, ["1m"], engine=tl.Engine(["1m"]))
    with pytest.raises(ValueError, match="not kept"):
        tl.Feed(source, ["1m"]).on_bar(print, interval="3m")
    with pytest.raises(TypeError, match="not a type of event"):
        tl.Feed(source).on(int, print)
    with pytest.raises(ValueError, match="stale_after"):
        tl.Feed(source, stale_after=0)


def test_the_lags_are_measured_from_the_exchange_to_the_callback(source: Fake) -> None:
    feed = tl.Feed(source)
    feed.on_tick(lambda _: None)
    with feed:
        began = source.now() - 4 * SECOND
        for n in range(64):
            # Fifty milliseconds apart: of twenty a second, every other one is timed.
            received = began + n * SECOND // 20
            source.send(full(at_ns=received - 2 * SECOND), received)
        until(lambda: len(feed.status().lags.receive_to_callback) == 64)
    lags = feed.status().lags
    # And the first one after each beat of the timer, four a second.
    assert len(lags.exchange_to_receive) == len(lags.receive_to_engine)
    assert 32 <= len(lags.receive_to_engine) <= 48
    assert 2 <= lags.exchange_to_receive.quantile(1) <= 3.1
    assert 0 < lags.receive_to_callback.quantile(0.5) < 6


@pytest.mark.parametrize("odd", [b"INFY", 1.5, None, [None], [["NSE:INFY"]], ["NSE:INFY", 2.0]])
def test_what_is_neither_a_token_nor_a_name_is_refused(source: Fake, odd: object) -> None:
    feed = tl.Feed(source, ["1m"], symbols={"NSE:INFY": INFY})
    with pytest.raises(TypeError, match="an instrument is a token or a name: "):
        feed.subscribe(odd)
    assert (feed.subscriptions(), feed.engine.instruments) == ({}, [])


@pytest.mark.parametrize("odd", [-1, 1 << 32, [INFY, 1 << 40]])
def test_a_token_that_none_can_be_is_refused(source: Fake, odd: object) -> None:
    feed = tl.Feed(source, ["1m"])
    with pytest.raises(ValueError, match="a token must be from 0 to 4294967295: "):
        feed.subscribe(odd)
    assert (feed.subscriptions(), feed.engine.instruments) == ({}, [])


def test_a_token_of_numpys_is_a_token(source: Fake) -> None:
    feed = tl.Feed(source, ["1m"])
    feed.subscribe(np.uint32(INFY))
    feed.subscribe(np.array([TCS]))
    assert feed.subscriptions() == {INFY: "full", TCS: "full"}
    assert all(type(token) is int for token in feed.subscriptions())


@pytest.mark.parametrize("wrong", ["INFY", "NSE:INFYY", "nse:infy"])
def test_an_unknown_name_of_the_sources_has_near_ones(wrong: str) -> None:
    source = tl.sources.Polling(dict, symbols={"NSE:INFY": INFY, "NSE:TCS": TCS})
    with pytest.raises(tl.UnknownInstrument, match=f"did you mean NSE:INFY: {wrong}"):
        tl.Feed(source, ["1m"]).subscribe(wrong)
    with pytest.raises(tl.UnknownInstrument, match=r"give its token or Feed\(symbols=...\): ZZZZZZ"):
        tl.Feed(source, ["1m"]).subscribe("ZZZZZZ")
