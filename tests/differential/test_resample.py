"""Bars made of finer ones when they are read equal the engine's own, column by column (R6-R9, R27)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tickloom as tl
from tests.machines import INFY
from tests.oracle.sessions import SECOND, ist
from tickloom.sources.simulator import Market

COARSE = ("5m", "10m", "15m", "45m", "75m", "125m")
INTERVALS = ("1m", *COARSE)
EXACT = (
    "time", "end", "open", "high", "low", "close", "volume", "oi", "ticks", "flags", "time_source", "src",
)  # fmt: skip


def same(engine: tl.Engine, token: int, fine: str, coarse: str) -> int:
    """Compares all columns but `rev`; gives the number of bars."""
    own, made = engine.candles(token, coarse).columns(), engine.candles(token, fine).resample(coarse)
    columns = made.columns()
    assert list(columns) == list(own)
    for name in EXACT:
        assert columns[name].dtype == own[name].dtype
        assert columns[name].tolist() == own[name].tolist(), (token, fine, coarse, name)
    if fine == "1m":
        # The share of the minutes that have bars (R39), which a longer bar does not tell apart any more.
        assert columns["coverage"].tolist() == own["coverage"].tolist()
    # A row holds its vwap to 53 bits and the error's bound to 24.
    np.testing.assert_allclose(columns["vwap"], own["vwap"], rtol=1e-14)
    np.testing.assert_allclose(columns["vwap_err"], own["vwap_err"], rtol=1e-5)
    return len(made)


def all_same(engine: tl.Engine) -> int:
    """Every coarser interval of every one that it is a multiple of."""
    minutes = {name: int(name[:-1]) for name in INTERVALS}
    pairs = [(a, b) for a in INTERVALS for b in COARSE if b != a and minutes[b] % minutes[a] == 0]
    assert ("15m", "75m") in pairs
    return sum(same(engine, token, *pair) for token, _ in engine.instruments for pair in pairs)


def played(market: Market, every: int, **options: Any) -> tl.Engine:
    """The engine after the market; every so many events it is compared in the middle of the day."""
    engine = tl.Engine(intervals=INTERVALS, **options)
    for nth, (kind, at_ns, frame) in enumerate(market.events(), 1):
        if kind == "frame" and frame is not None:
            # What a cut frame still has is applied before it is complained about.
            try:
                engine.apply(frame, at_ns)
            except tl.DecodeError:
                continue
        elif kind == "disconnected":
            engine.disconnected(at_ns)
        if nth % every == 0:
            all_same(engine)
    engine.advance(at_ns + 60 * SECOND)
    return engine


@pytest.mark.parametrize("seed", range(3))
def test_a_day_with_every_fault_and_two_gaps(seed: int) -> None:
    market = Market(
        seed, instruments=8, indices=1, rate=0.3, postclose=True, packets_per_frame=20,
        faults={"drop": 0.02, "reorder": 0.02, "rollback": 0.01, "cancellation": 0.5, "stale_first": 1.0,
                "disconnections": [("10:40:20", "10:43:10"), ("12:02:05", "13:31:00")]},
    )  # fmt: skip
    assert all_same(played(market, 5_000)) > 200


@pytest.mark.parametrize(
    "options",
    [
        {"anchor": "midnight", "tail": "merge", "preopen": "bar", "postclose": "bar", "vwap": "atp"},
        {"anchor": "day", "preopen": "fold", "vwap": "hlc3", "gap_volume": "spread", "extremes": "skip"},
        {"anchor": "epoch", "tail": "merge", "vwap": "ltp", "bucket_by": "receive", "open_source": "day_open"},
        {"close_on": "next_tick"},
    ],
    ids=["midnight", "day", "epoch", "next_tick"],
)
def test_every_rule_that_an_option_changes(options: dict[str, Any]) -> None:
    market = Market(
        5, instruments=6, indices=1, rate=0.3, postclose=True, faults={"disconnections": [("11:00", "11:20")]}
    )
    assert all_same(played(market, 10_000, **options)) > 50


def test_several_dates_with_a_closing_auction_and_other_hours() -> None:
    market = Market(
        3, date="2026-07-31", days=3, cas=True, instruments=5, indices=1, commodities=1, rate=0.3, start="14:00"
    )  # fmt: skip
    engine = tl.Engine(intervals=INTERVALS)
    for name in market.instruments():
        if name.kind == "equity" and name.liquidity == "liquid":
            engine.track(name.token, session="cash_cas")
    for kind, at_ns, frame in market.events():
        if kind == "frame" and frame is not None:
            engine.apply(frame, at_ns)
    engine.advance(at_ns + 60 * SECOND)
    assert all_same(engine) > 100


def test_the_legs_of_a_saturday_and_a_muhurat_hour_have_their_own_stubs() -> None:
    engine = tl.Engine(intervals=INTERVALS)
    legs = [("2024-03-02 09:15", 45), ("2024-03-02 11:30", 60), ("2024-11-01 18:00", 60)]
    for start, minutes in legs:
        times = ist(f"{start}:00") + np.arange(0, minutes * 60, 20) * SECOND
        engine.push_many(INFY, 100.0 + times // SECOND % 37, time_ns=times, quantity=times // SECOND % 11)
    engine.push(INFY, 100.0, time_ns=ist("2024-11-04 09:15:00"))
    assert all_same(engine) > 30
    made = engine.candles(INFY, "5m").resample("75m")
    starts = [ist(f"{start}:00") for start, _ in legs]
    assert made.time.tolist() == starts
    assert (made.end - made.time).tolist() == [minutes * 60 * SECOND for _, minutes in legs]


def test_bars_that_history_made_are_parts_like_others() -> None:
    market = Market(7, instruments=5, indices=0, rate=0.3, end="12:00")
    engine = tl.Engine(intervals=INTERVALS)
    late = ist("2026-07-01 10:02:30")
    for kind, at_ns, frame in market.events():
        if kind == "frame" and frame is not None and at_ns >= late:
            engine.apply(frame, at_ns)
    engine.advance(at_ns + 60 * SECOND)
    for name in market.instruments():
        truth = market.truth(name.token, "1m")
        known = {word: truth[word] for word in ("time", "open", "high", "low", "close", "volume")}
        engine.join_history(name.token, **known, now_ns=at_ns + 3600 * SECOND)
    for token, _ in engine.instruments:
        for coarse in COARSE:
            own, made = engine.candles(token, coarse).columns(), engine.candles(token, "1m").resample(coarse).columns()
            for word in ("time", "end", "open", "high", "low", "close", "volume"):
                assert made[word].tolist() == own[word].tolist(), (token, coarse, word)


def test_seconds_make_minutes_of_the_same_trades() -> None:
    market = Market(2, instruments=5, indices=0, rate=0.5, end="09:45")
    engine = tl.Engine(intervals=["15s", "1m", "75m"])
    for kind, at_ns, frame in market.events():
        if kind == "frame" and frame is not None:
            engine.apply(frame, at_ns)
    engine.advance(at_ns + 60 * SECOND)
    for name in market.instruments():
        own, made = engine.candles(name.token, "1m"), engine.candles(name.token, "15s").resample("1m")
        for word in ("time", "end", "open", "close", "volume", "ticks"):
            assert getattr(made, word).tolist() == getattr(own, word).tolist()
    # It is over only at 10:30.
    assert len(engine.candles(name.token, "15s").resample("75m")) == 0


def test_a_bar_of_which_some_parts_are_no_longer_kept_is_left_out() -> None:
    engine = tl.Engine(intervals=["1m"], capacity=16)
    times = ist("2026-07-01 09:15:00") + np.arange(0, 375 * 60, 30) * SECOND
    engine.push_many(INFY, np.full(len(times), 100.0), time_ns=times, quantity=np.ones(len(times), dtype=np.int64))
    candles = engine.candles(INFY, "1m")
    made = candles.resample("15m")
    assert len(made) > 0
    assert set(made.volume.tolist()) == {30}


@pytest.mark.parametrize(
    ("own", "wanted", "says"),
    [
        ("5m", "1m", "only a multiple of 5m can be made of its bars: 1m"),
        ("5m", "12m", "only a multiple of 5m can be made of its bars: 12m"),
        ("5m", "1d", r"only bars shorter than a day are resampled, name it in Engine\(intervals=...\): 5m to 1d"),
        ("1d", "1w", r"only bars shorter than a day .*: 1d to 1w"),
        ("volume:100", "5m", r"only bars shorter than a day .*: volume:100 to 5m"),
    ],
)
def test_what_bars_cannot_be_made_of_others_is_said(own: str, wanted: str, says: str) -> None:
    engine = tl.Engine(intervals=[own])
    engine.track(INFY)
    with pytest.raises(ValueError, match=says):
        engine.candles(INFY, own).resample(wanted)
