"""Ticks of a source whose frames are not Kite's: candles, events, waits, counters and journals work as with frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tickloom as tl
from tests.oracle.sessions import SECOND, ist
from tests.unit.feed.fake import INFY, TCS, Fake, until
from tickloom.events import BarClosed, Event, Ticks
from tickloom.feed.newest import Batch
from tickloom.feed.queue import Queue
from tickloom.sources.pushed import PushedTick, PushedTicks, Quote, VolumeKind
from tickloom.sources.replay import Replay

OPEN = ist("2026-07-01 09:15:00")
KINDS: tuple[VolumeKind, ...] = ("cumulative", "delta", "none")


def ticks(second: int, *quotes: tuple[int, float, int | None], volume: VolumeKind = "cumulative") -> PushedTicks:
    """Quotes of one second: token, price, volume."""
    at = OPEN + second * SECOND
    made = [Quote(token, price, at, amount) for token, price, amount in quotes]
    return PushedTicks(made, volume=volume, received_ns=at + SECOND // 10)


def day(volume: VolumeKind) -> Iterator[PushedTicks]:
    """Five minutes of one instrument, a tick each ten seconds, seven shares each time."""
    for nth in range(31):
        amount = {"cumulative": 7 * (nth + 1), "delta": 7, "none": None}[volume]
        yield ticks(10 * nth, (INFY, 100.0 + nth / 20, amount), volume=volume)


def feed_of(batches: list[PushedTicks], **options: object) -> tl.Feed:
    """A feed of a source that delivers these and ends."""

    def script(sink: object) -> None:
        for batch in batches:
            sink.on_ticks(batch, 0)

    source = Fake(script=script, now_ns=OPEN)
    return tl.Feed(source, ["1m"], policy="block", symbols={"INFY": INFY, "TCS": TCS}, **options)


@pytest.mark.parametrize("volume", KINDS)
def test_every_kind_of_volume_makes_the_bars_that_its_trades_make(volume: VolumeKind) -> None:
    feed = feed_of(list(day(volume)))
    feed.subscribe("INFY")
    feed.run()
    expected = tl.Engine(["1m"])
    for batch in day(volume):
        (quote,) = batch.quotes
        word = "quantity" if volume == "delta" else "cumulative_volume"
        expected.push(INFY, quote.price, time_ns=quote.time_ns, received_ns=batch.received_ns, **{word: quote.volume})
    candles = feed.candles("INFY", "1m")
    assert candles.to_numpy()[:4].tobytes() == expected.candles(INFY, "1m").to_numpy()[:4].tobytes()
    assert candles.volume[1:4].tolist() == ([0] * 3 if volume == "none" else [42] * 3)
    assert bool(candles.flags[1] & tl.Flags.NO_VOLUME) == (volume == "none")
    assert set(candles.time_source.tolist()) == {tl.TimeSource.GIVEN}


def test_a_tick_without_a_time_is_placed_by_its_receipt_and_says_so() -> None:
    batches = [
        PushedTicks([Quote(INFY, 100.0, None, nth)], volume="cumulative", received_ns=OPEN + nth * SECOND)
        for nth in range(1, 130)
    ]
    feed = feed_of(batches)
    feed.run()
    candles = feed.candles(INFY, "1m")
    assert candles.time.tolist()[:2] == [OPEN, OPEN + 60 * SECOND]
    assert candles.volume[1] == 60
    assert all(flags & tl.Flags.TIME_APPROX for flags in candles.flags.tolist())


def test_a_time_of_nought_is_no_unknown_time() -> None:
    engine = tl.Engine()
    with pytest.raises(ValueError, match="time_ns must be nanoseconds between the years 2000 and 2200: 0"):
        engine.push(INFY, 100.0, time_ns=0, received_ns=OPEN)
    with pytest.raises(ValueError, match="time_ns must be nanoseconds"):
        engine.push(INFY, 100.0, time_ns=None)
    engine.push(INFY, 100.0, time_ns=None, received_ns=OPEN + SECOND)
    assert engine.stats()["pushed"] == 1


def test_listeners_streams_and_waits_get_pushed_ticks() -> None:
    source = Fake(now_ns=OPEN + SECOND)
    heard: list[Event] = []
    with tl.Feed(source, ["1m"], symbols={"INFY": INFY, "TCS": TCS}) as feed:
        feed.subscribe(["INFY", "TCS"])
        feed.on((Ticks, BarClosed), heard.append, symbols="INFY")
        stream = feed.events(Ticks, symbols="TCS")
        until(lambda: feed.status().connected)
        source.deliver(lambda sink: sink.on_ticks(ticks(1, (INFY, 100.0, 5), (TCS, 7.5, 5)), 0))
        event = stream.get(5)
        assert event is not None
        (tick,) = event
        assert (tick.instrument_token, tick.last_price, tick.volume_traded, tick.mode) == (TCS, 7.5, 5, "quote")
        assert event.array["last_price"].tolist() == [7.5]
        source.deliver(lambda sink: sink.on_ticks(ticks(5, (INFY, 100.5, 7)), 0))
        source.deliver(lambda sink: sink.on_ticks(ticks(62, (INFY, 101.0, 9)), 0))
        source.deliver(lambda sink: sink.on_ticks(ticks(70, (INFY, 102.0, 9)), 0))
        bar = feed.wait_bar("INFY", "1m", 5, after=0)
        assert (bar.close, bar.time, bar.volume) == (100.5, OPEN, 2)
        until(lambda: sum(isinstance(event, BarClosed) for event in heard) == 1)
        # The last ticks come after the bar that they did not close.
        until(lambda: sum(isinstance(event, Ticks) for event in heard) == 4)
        assert [len(event) for event in heard if isinstance(event, Ticks)] == [1, 1, 1, 1]


def test_what_cannot_be_true_is_left_out_counted_and_the_rest_is_taken(caplog: pytest.LogCaptureFixture) -> None:
    bad = [
        Quote(INFY, float("nan"), OPEN), Quote(INFY, 1.0, OPEN, -1), Quote(-1, 1.0, OPEN), Quote(INFY, 1.0, 7),
        Quote(INFY, "x", OPEN),
    ]  # fmt: skip
    good = [Quote(INFY, 100.0, OPEN + SECOND, 3)]
    feed = feed_of([PushedTicks([*bad, *good], volume="cumulative", received_ns=OPEN + SECOND)])
    stream = feed.events(Ticks)
    feed.run()
    status = feed.status()
    assert (status.pushed, status.push_rejected) == (1, 5)
    event = stream.get(1)
    assert event is not None
    assert [tick.last_price for tick in event] == [100.0]
    assert (event.batch.rejected, type(event.batch.error)) == (5, ValueError)
    assert sum("could not be true" in record.message for record in caplog.records) == 1


def test_a_recorded_day_of_pushed_ticks_replays_the_same_bars_ticks_and_times(tmp_path: Path) -> None:
    path = tmp_path / "day.tlj"
    feed = feed_of([*day("cumulative"), *day("none")], record=path)
    live = feed.events(Ticks, queue=1_000)
    feed.run()
    assert feed.status().record_errors == 0

    replay = tl.Feed(Replay(path, speed=None), ["1m"], policy="block")
    again = replay.events(Ticks, queue=1_000)
    replay.run()
    assert replay.candles(INFY, "1m").to_numpy().tobytes() == feed.candles(INFY, "1m").to_numpy().tobytes()
    heard, repeated = [], []
    for stream, into in ((live, heard), (again, repeated)):
        while (event := stream.get(1)) is not None:
            into.append((event.time_ns, event.batch.volume, event.batch.quotes))
    assert len(heard) == 62
    assert heard == repeated

    engine = tl.Engine(["1m"])
    Replay(path).into(engine)
    assert engine.stats()["pushed"] == 62
    assert engine.candles(INFY, "1m").to_numpy().tobytes() == feed.candles(INFY, "1m").to_numpy().tobytes()


@pytest.mark.parametrize("volume", KINDS)
def test_bytes_of_a_journal_are_the_quotes_again(volume: VolumeKind) -> None:
    amount = None if volume == "none" else 1 << 40
    quotes = (Quote(INFY, 1234.5678, OPEN, amount, 77), Quote(TCS, 0.05, None, None if amount is None else 0, None))
    made = PushedTicks(quotes, volume=volume, received_ns=OPEN)
    again = PushedTicks.from_bytes(made.to_bytes() + b"cut", OPEN)
    assert (again.quotes, again.volume, again.received_ns) == (quotes, volume, OPEN)
    damaged = PushedTicks.from_bytes(made.to_bytes(), 5).into(tl.Engine())
    assert (len(damaged), damaged.rejected) == (0, 2)


def test_a_volume_whose_kind_nobody_declared_is_refused() -> None:
    with pytest.raises(ValueError, match='declare their kind: volume="cumulative" or "delta"'):
        PushedTicks([Quote(INFY, 1.0, OPEN, 5)], volume="none", received_ns=OPEN)
    with pytest.raises(ValueError, match="volume must be one of cumulative, delta, none: 'total'"):
        PushedTicks([], volume="total", received_ns=OPEN)


@pytest.mark.parametrize("odd", [(INFY, 1.0, OPEN), {"token": INFY, "price": 1.0}, None])
def test_what_is_no_quote_is_refused_where_it_was_written(odd: object) -> None:
    good = Quote(INFY, 1.0, OPEN)
    for volume in KINDS:
        with pytest.raises(TypeError, match=r"quotes must be Quote\(token, price, \.\.\.\): "):
            PushedTicks([good, odd, good], volume=volume, received_ns=OPEN)


@pytest.mark.parametrize("odd", [None, float(OPEN), "now"])
def test_a_receipt_that_is_no_whole_number_is_refused(odd: object) -> None:
    with pytest.raises(TypeError, match="received_ns must be int nanoseconds UTC: "):
        PushedTicks([Quote(INFY, 1.0, OPEN)], volume="none", received_ns=odd)


@pytest.mark.parametrize("odd", [0, -1, OPEN // 1_000_000, OPEN // SECOND, 2**70])
def test_a_receipt_in_another_unit_is_refused(odd: int) -> None:
    with pytest.raises(ValueError, match="received_ns must be nanoseconds between the years 2000 and 2200: "):
        PushedTicks([Quote(INFY, 1.0, OPEN)], volume="none", received_ns=odd)


def test_a_receipt_of_numpys_reaches_the_journal(tmp_path: Path) -> None:
    batch = PushedTicks([Quote(INFY, 100.0, OPEN, 3)], volume="cumulative", received_ns=np.int64(OPEN))
    feed = feed_of([batch], record=tmp_path / "day.tlj")
    stream = feed.events(Ticks)
    feed.run()
    assert stream.get(1) is not None
    assert feed.status().record_errors == 0


def test_a_pushed_tick_has_every_attribute_of_a_tick_and_its_row_every_name() -> None:
    batch = PushedTicks([Quote(INFY, 10.05, OPEN, 1 << 33, 12)], volume="delta", received_ns=OPEN)
    (tick,) = batch
    names = {name for name in dir(tl.Tick) if not name.startswith("_")}
    assert names <= {name for name in dir(tick) if not name.startswith("_")}
    assert (tick.last_traded_quantity, tick.volume_traded, tick.oi, tick.mode) == (1 << 33, None, 12, "full")
    assert isinstance(batch[-1], PushedTick)
    surface = {name for name in dir(tl.TickBatch) if not name.startswith("_")} - {"frame", "depth20", "to_dicts"}
    assert surface <= set(dir(batch))
    engine_rows = tl.Engine().board()
    assert batch.array.dtype.names == tuple(name for name in engine_rows.dtype.names or ())
    assert batch.array["last_traded_quantity"].tolist() == [1 << 33]
    assert np.isnan(batch.array["bid_price"]).all()
    with pytest.raises(ValueError, match="read-only"):
        batch.array["oi"][0] = 1


def test_a_slow_listener_gets_the_newest_of_each_kind_and_no_quantity_is_lost() -> None:
    queue = Queue(1, "conflate")
    frame = tl.parse(b"\x00\x01\x00\x08" + INFY.to_bytes(4, "big") + (10_000).to_bytes(4, "big"), received_ns=OPEN)
    for nth in range(1, 5):
        queue.put(Batch(ticks(nth, (INFY, 100.0 + nth, 3), (TCS, 5.0, 1), volume="delta"), OPEN + nth, 0))
        queue.put(Batch(ticks(nth, (INFY, 200.0 + nth, 10 * nth)), OPEN + nth, 0))
        queue.put(Batch(frame, OPEN + nth, 0))
    taken = [queue.take_now() for _ in range(3)]
    assert queue.take_now() is None
    account = queue.account
    assert (account.offered, account.delivered, account.dropped) == (12, 3, 9)
    shown = {
        batch.ticks.volume if isinstance(batch.ticks, PushedTicks) else "frames": batch
        for batch in taken
        if isinstance(batch, Batch)
    }
    delta, cumulative = shown["delta"].ticks, shown["cumulative"].ticks
    assert isinstance(delta, PushedTicks)
    assert isinstance(cumulative, PushedTicks)
    assert [(quote.token, quote.price, quote.volume) for quote in delta.quotes] == [(INFY, 104.0, 12), (TCS, 5.0, 4)]
    assert [(quote.token, quote.price, quote.volume) for quote in cumulative.quotes] == [(INFY, 204.0, 40)]
    assert sum(batch.frames for batch in shown.values()) == 12
