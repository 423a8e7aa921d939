"""The clock of a recorded day: a replay closes quiet bars where the live run did, by either way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import tickloom as tl
from tests.unit.feed.fake import SECOND, full, until
from tickloom.events import BarClosed, BarRevised
from tickloom.sources.exchange import Exchange
from tickloom.sources.journal import CLOCK, FRAME
from tickloom.sources.recorder import Recorder
from tickloom.sources.replay import Replay

INTERVALS = ["30s", "1m", "3m"]
# 2026-07-01 10:00:00 IST.
AT = 1_782_880_200 * SECOND


@pytest.fixture
def thin() -> Iterator[Exchange]:
    """A market of names that trade once in minutes: with nothing else around, the clock closes their bars."""
    market = {"liquid": 0, "middling": 0, "thin": 6, "indices": 0}
    with Exchange(seed=4, speed=120, market=market, opens="subscription") as exchange:
        yield exchange


def listen(feed: tl.Feed) -> list[tuple[str, tuple[object, ...]]]:
    """What is told of closed and revised bars."""
    told: list[tuple[str, tuple[object, ...]]] = []
    feed.on((BarClosed, BarRevised), lambda event: told.append((type(event).__name__, _row(event))))
    return told


def _row(event: BarClosed | BarRevised) -> tuple[object, ...]:
    return event.token, event.interval, event.bar


def tables(engine: tl.Engine) -> dict[tuple[int, str], tuple[bytes, object]]:
    """Every column of every bar, and the forming one, by instrument and interval."""
    found = {}
    for token, _ in engine.instruments:
        for interval in INTERVALS:
            candles = engine.candles(token, interval)
            found[token, interval] = candles.to_numpy().tobytes(), candles.forming
    return found


def test_both_ways_of_a_replay_give_the_bars_and_the_events_of_the_live_run(thin: Exchange, tmp_path: Path) -> None:
    path = tmp_path / "thin.tlj"
    live = tl.Feed(tl.sources.Simulator(exchange=thin), INTERVALS, record=path, policy="block")
    told = listen(live)
    live.subscribe(list(thin.symbols))
    with live:
        until(lambda: len(told) > 24, 25)
        # Nothing comes any more, so only the clock can close what is open.
        thin.silence(None)
        until(lambda: all(bar is None for _, bar in tables(live.engine).values()))

    engine = tl.Engine(INTERVALS)
    Replay(path).into(engine)
    assert tables(engine) == tables(live.engine)
    closed = [
        (("BarClosed" if bar.kind == "closed" else "BarRevised"), (bar.token, bar.interval, bar.bar))
        for bar in engine.drain_closed()
    ]
    assert closed == told

    again = tl.Feed(Replay(path, speed=None), INTERVALS, policy="block")
    heard = listen(again)
    again.run()
    assert tables(again.engine) == tables(live.engine)
    assert heard == told

    # The clock made the difference: without its records other bars are there.
    without = tl.Engine(INTERVALS)
    for record in Replay(path).records():
        if record.kind == FRAME:
            without.apply(record.payload, record.received_ns)
    assert tables(without) != tables(engine)


def test_a_replay_that_is_recorded_again_has_the_same_clock(tmp_path: Path) -> None:
    first, second = tmp_path / "first.tlj", tmp_path / "second.tlj"
    with Recorder(first) as recorder:
        recorder.write_clock(AT)
        recorder.write_frame(full(at_ns=AT), AT + 5)
        recorder.write_clock(AT + 250_000_000)
    tl.Feed(Replay(first, speed=None), INTERVALS, record=second).run()
    one, two = ([tuple(record) for record in Replay(path).records()] for path in (first, second))
    assert one == two
    assert [record[0] for record in one] == [CLOCK, FRAME, CLOCK]


@pytest.mark.parametrize("clocked", [False, True])
def test_a_journal_without_a_clock_closes_quiet_bars_by_its_receive_times(tmp_path: Path, clocked: bool) -> None:
    path = tmp_path / "frames.tlj"
    with Recorder(path) as recorder:
        if clocked:
            # Told once: whoever recorded it had a clock, and it said no more.
            recorder.write_clock(AT)
        recorder.write_frame(full(at_ns=AT), AT)
        recorder.write_frame(full(at_ns=AT + SECOND, volume=5), AT + SECOND)
        for second in range(2, 100):
            recorder.write_frame(b"\0", AT + second * SECOND)
    feed = tl.Feed(Replay(path, speed=None), INTERVALS, policy="block")
    told = listen(feed)
    feed.run()
    without = tl.Engine(INTERVALS)
    Replay(path).into(without)
    assert without.drain_closed() == []
    assert [row[1][1] for row in told] == ([] if clocked else ["30s", "1m"])
