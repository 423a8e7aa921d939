"""How live minutes agree with a broker's, and a feed that asks for its own."""

from __future__ import annotations

import math

import pytest

import tickloom as tl
from tests.oracle.sessions import ist
from tests.unit.feed.fake import INFY, Fake
from tests.unit.feed.test_warming import Past
from tickloom.feed.parity import Match, compare, total
from tickloom.history import Instrument, Minutes
from tickloom.history.base import MINUTE_NS

START = ist("2026-07-01 09:15:00")


def pushed(feed_engine: tl.Engine, minutes: int, volume: int = 100) -> None:
    """Minutes like those of `Past`: 100, 101, 99, 100.5."""
    for nth in range(minutes):
        at = START + nth * MINUTE_NS
        for second, price, part in ((1, 100.0, 25), (2, 101.0, 25), (3, 99.0, 25), (4, 100.5, volume - 75)):
            feed_engine.push(INFY, price, time_ns=at + second * 1_000_000_000, quantity=part)
    feed_engine.push(INFY, 100.0, time_ns=START + minutes * MINUTE_NS + 30_000_000_000, quantity=1)


def theirs(count: int, **changed: dict[int, float]) -> Minutes:
    rows = [
        [START + nth * MINUTE_NS, *(changed.get(name, {}).get(nth, price) for name, price in
                                    zip(("open", "high", "low", "close"), (100.0, 101.0, 99.0, 100.5), strict=True)),
         int(changed.get("volume", {}).get(nth, 100)), 0]
        for nth in range(count)
    ]  # fmt: skip
    return Minutes.of_rows(rows, Instrument(INFY))[0]


def test_each_column_is_counted_by_itself():
    engine = tl.Engine(["1m"])
    pushed(engine, 10)
    match = compare(engine.candles(INFY, "1m").columns(), theirs(10, high={1: 102.0}, volume={1: 90, 2: 130}))
    assert (match.minutes, match.open, match.high, match.low, match.close, match.volume, match.whole) == (
        10, 10, 9, 10, 10, 8, 8,
    )  # fmt: skip
    assert (match.volume_error, match.volume_sum, match.rate("high")) == (40, 1_020, 0.9)
    assert match.volume_off == pytest.approx(40 / 1_020)


def test_minutes_of_one_side_only_are_counted_apart():
    engine = tl.Engine(["1m"])
    pushed(engine, 10)
    columns = engine.candles(INFY, "1m").columns()
    assert compare(columns, theirs(12)).theirs == 0
    assert compare(columns, theirs(7)).ours == 3
    assert compare(columns, Minutes.empty()) == Match(ours=10)
    assert math.isnan(compare(columns, Minutes.empty()).rate("open"))


def test_several_instruments_add_up():
    one = Match(minutes=2, open=1, volume_error=3, volume_sum=10)
    assert total({1: one, 2: one}) == Match(minutes=4, open=2, volume_error=6, volume_sum=20)
    assert total({}) == Match()


def test_a_feed_tells_how_its_minutes_agree_and_keeps_them_unless_it_is_told_otherwise():
    feed = tl.Feed(Fake(now_ns=ist("2026-07-01 09:40:00")), ["1m"], history=Past())
    feed.subscribe([INFY])
    pushed(feed.engine, 10, volume=120)
    with feed:
        match = feed.reconcile()[INFY]
        # The eleventh has a single trade of 1, and was sealed by the clock.
        assert (match.minutes, match.close, match.volume, match.volume_error) == (11, 10, 0, 200 + 99)
        assert set(feed.candles(INFY, "1m").volume[:10].tolist()) == {120}
        # It was only pushed, so its last minute can still change.
        assert len(feed.engine.differences(INFY)) == 10
        feed.reconcile(INFY, authority="broker")
        assert set(feed.candles(INFY, "1m").volume[:10].tolist()) == {100}
        # What is history's own says nothing about live minutes.
        assert feed.reconcile()[INFY].minutes == 1


def test_without_a_history_or_without_minutes_there_is_nothing_to_reconcile():
    with pytest.raises(ValueError, match="needs a history"):
        tl.Feed(Fake(), ["1m"]).reconcile()
    feed = tl.Feed(Fake(), ["5m"], history=Past())
    feed.subscribe([INFY])
    with pytest.raises(ValueError, match="interval"):
        feed.reconcile()


def test_an_unknown_authority_is_refused_before_anything_is_asked():
    feed = tl.Feed(Fake(), ["1m"], history=Past())
    with pytest.raises(ValueError, match="authority is one of live, broker, newest: 'mine'"):
        feed.reconcile(authority="mine")
