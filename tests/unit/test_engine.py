"""The engine's face: frames and columns in, bars, events and counters out, and what it says to bad input."""

from __future__ import annotations

import contextlib
import math
import random
import struct
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

import tickloom as tl
from tests import random_frames, shared_data
from tests.machines import INFY, NIFTY, Machine
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist

OPEN = ist("2026-07-01 09:15:00")
MINUTE = 60 * SECOND


def full(price: int, volume: int, second: int, token: int = INFY) -> bytes:
    """A frame of one full packet, price in paise, traded and stamped `second` seconds after the open."""
    stamp = OPEN + second * SECOND
    return frames.frame(frames.full(token, price, volume, stamp, stamp))


def fed(engine: tl.Engine, minutes: int, token: int = INFY) -> tl.Engine:
    """An engine that has seen a trade of ten every thirty seconds."""
    engine.apply(full(10_000, 0, 0, token), OPEN + SECOND)
    for step in range(1, 2 * minutes + 1):
        engine.apply(full(10_000 + step % 7, 10 * step, 30 * step - 15, token), OPEN + (30 * step - 14) * SECOND)
    return engine


def state(
    engine: tl.Engine, token: int = INFY
) -> tuple[bytes, list[tl.Bar], dict[str, int], list[tuple[int, str | None]]]:
    """Everything that bad input must leave alone."""
    candles = engine.candles(token, "1m")
    return candles.to_numpy().tobytes(), candles.unsealed, engine.account(token), engine.instruments


def test_frames_become_candles_in_ten_lines() -> None:
    engine = tl.Engine(intervals=["1m", "5m"], capacity=500)
    fed(engine, minutes=6)
    engine.advance(OPEN + 20 * MINUTE)
    candles = engine.candles(INFY, "1m")
    assert candles.time.tolist() == [OPEN + k * MINUTE for k in range(6)]
    assert candles.close.tolist() == [100.02, 100.04, 100.06, 100.01, 100.03, 100.05]
    assert candles.volume.tolist() == [20] * 6
    assert engine.candles(INFY, timedelta(minutes=5)).volume.tolist() == [100, 20]


def test_apply_gives_the_ticks_of_the_frame() -> None:
    batch = tl.Engine().apply(full(10_000, 5, 1), OPEN)
    assert (len(batch), batch.array["last_price"][0], batch.received_ns) == (1, 100.0, OPEN)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview, np.frombuffer])
def test_a_frame_may_be_anything_bytes_like(wrap: Any) -> None:
    frame = full(10_000, 5, 1)
    given = np.frombuffer(frame, np.uint8) if wrap is np.frombuffer else wrap(frame)
    engine = tl.Engine()
    assert engine.apply(given, OPEN).array.tobytes() == engine.apply(frame, OPEN).array.tobytes()


def test_a_frame_of_every_mode_is_taken_and_what_a_mode_lacks_is_flagged() -> None:
    engine = tl.Engine()
    bodies = {
        "full": lambda step, stamp: frames.full(INFY, 10_000, 10 * step, stamp, stamp),
        "quote": lambda step, _: frames.quote(INFY + 256, 10_000, 10 * step),
        "ltp": lambda step, _: frames.ltp(INFY + 512, 10_000 + step),
        "index": lambda step, stamp: frames.index(NIFTY, 2_500_000 + step, stamp),
    }
    for step in range(5):
        stamp = OPEN + 10 * step * SECOND
        packets = [body(step, stamp) for body in bodies.values()]
        engine.apply(frames.frame(*packets), stamp + SECOND)
    engine.advance(OPEN + 5 * MINUTE)
    seen = {
        mode: tl.Flags(engine.candles(token, "1m").last()[0].flags) & ~tl.Flags.PARTIAL
        for mode, token in zip(bodies, (INFY, INFY + 256, INFY + 512, NIFTY), strict=True)
    }
    assert seen == {
        "full": tl.Flags(0),
        "quote": tl.Flags.TIME_APPROX | tl.Flags.NO_OI,
        "ltp": tl.Flags.TIME_APPROX | tl.Flags.NO_OI | tl.Flags.NO_VOLUME,
        "index": tl.Flags.NO_OI | tl.Flags.NO_VOLUME,
    }
    index = engine.candles(NIFTY, "1m")
    assert index.close.tolist() == [25_000.04]
    assert index.volume.tolist() == [0]
    assert np.isnan(index.vwap).all()


def test_a_change_of_mode_keeps_the_bars_and_counts_no_volume_twice() -> None:
    engine = tl.Engine()
    for step in range(4):
        engine.apply(frames.frame(frames.ltp(INFY, 10_000 + step)), OPEN + (10 + step) * SECOND)
    engine.apply(full(10_010, 5_000, 20), OPEN + 21 * SECOND)
    engine.apply(full(10_011, 5_007, 25), OPEN + 26 * SECOND)
    engine.advance(OPEN + 5 * MINUTE)
    (bar,) = engine.candles(INFY, "1m").last(9)
    assert (bar.volume, bar.high, bar.close) == (7, 100.11, 100.11)


def test_an_instrument_is_found_by_its_token_or_its_symbol() -> None:
    engine = fed(tl.Engine(), minutes=2)
    engine.track(INFY, "NSE:INFY")
    engine.track(INFY + 256, symbol="NSE:OTHER", session="cash_cas")
    assert engine.instruments == [(INFY, "NSE:INFY"), (INFY + 256, "NSE:OTHER")]
    assert engine.candles("NSE:INFY", "1m").close.tolist() == engine.candles(np.int64(INFY), "1m").close.tolist()
    assert engine.candles("NSE:INFY", "1m").symbol == "NSE:INFY"
    engine.track(INFY, "INFY")
    assert engine.candles("INFY", "1m").token == INFY


def test_a_symbol_names_one_instrument_only() -> None:
    engine = tl.Engine()
    engine.track(INFY, "NSE:INFY")
    engine.track(INFY, "NSE:INFY")
    with pytest.raises(ValueError, match=f"symbol belongs to instrument {INFY} already: NSE:INFY"):
        engine.track(INFY + 256, "NSE:INFY")
    assert engine.instruments == [(INFY, "NSE:INFY")]


@pytest.mark.parametrize("unknown", [1, 0, -1, 2**32, 2**80, "NSE:NONE", ""])
def test_an_unknown_instrument_is_an_error_that_names_it(unknown: int | str) -> None:
    engine = fed(tl.Engine(), minutes=1)
    for read in (lambda: engine.candles(unknown, "1m"), lambda: engine.account(unknown), lambda: engine.gaps(unknown)):
        with pytest.raises(tl.UnknownInstrument, match=f"instrument is not tracked: {unknown}$"):
            read()


@pytest.mark.parametrize("wrong", [None, 1.5, True, b"NSE:INFY", (INFY,)])
def test_what_is_neither_token_nor_symbol_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"instrument must be a token or a symbol, not {type(wrong).__name__}"):
        tl.Engine().candles(wrong, "1m")


@pytest.mark.parametrize(
    ("spelled", "canonical"),
    [
        ("1m", "1m"), ("1min", "1m"), ("minute", "1m"), ("60s", "1m"), (timedelta(minutes=1), "1m"), ("5minute", "5m"),
        ("1h", "60m"), ("hour", "60m"), ("60minute", "60m"), (timedelta(hours=1), "60m"), ("90s", "90s"),
        (timedelta(seconds=90), "90s"), ("30s", "30s"), (" 3m ", "3m"), ("volume:1000", "volume:1000"),
    ],
)  # fmt: skip
def test_an_interval_has_many_spellings_and_one_name(spelled: Any, canonical: str) -> None:
    engine = tl.Engine(intervals=[spelled, canonical])
    assert engine.intervals == [canonical]
    engine.track(INFY)
    assert engine.candles(INFY, spelled).interval == canonical


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ("7x", ValueError, r'interval needs a count and one of s, m, h, 1d, 1w, 1mo: "7x"'),
        ("", ValueError, 'interval is empty: ""'),
        ("0m", ValueError, 'interval count must be a positive number: "0m"'),
        ("25h", ValueError, 'interval must be shorter than a day, or 1d, 1w, 1mo: "25h"'),
        (timedelta(microseconds=1), ValueError, "interval must be a whole number of seconds up to a day: .*=1"),
        (timedelta(0), ValueError, "interval must be a whole number of seconds up to a day"),
        (timedelta(seconds=-60), ValueError, "interval must be a whole number of seconds up to a day"),
        (timedelta(days=2), ValueError, "interval must be a whole number of seconds up to a day"),
        (60, TypeError, "interval must be a str or a timedelta, not int"),
        (None, TypeError, "interval must be a str or a timedelta, not NoneType"),
        ("volume:", ValueError, 'the size of a bar must be a decimal number: "volume:"'),
        ("turnover:5", ValueError, 'bars must be volume, value, updates, range or renko and a size: "turnover:5"'),
        ("volume:-5", ValueError, 'the size of a bar must be .*: "volume:-5"'),
    ],
)
def test_what_is_no_interval_is_named(wrong: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tl.Engine(intervals=[wrong])
    engine = tl.Engine()
    engine.track(INFY)
    with pytest.raises(error, match=words):
        engine.candles(INFY, wrong)
    with pytest.raises(error, match=words):
        engine.panel(wrong, "close")


def test_an_interval_that_is_not_kept_is_an_error_that_lists_those_that_are() -> None:
    engine = fed(tl.Engine(intervals=["1m", "5m"]), minutes=1)
    with pytest.raises(ValueError, match="interval is not kept, only 1m, 5m: 60m"):
        engine.candles(INFY, "1h")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"intervals": "1m"}, TypeError, "intervals must be a list of intervals, not a str: 1m"),
        ({"intervals": 5}, TypeError, "'int' object is not iterable"),
        ({"intervals": []}, ValueError, "an engine keeps 1 to 64 intervals: 0"),
        ({"intervals": [f"{n}s" for n in range(1, 66)]}, ValueError, "an engine keeps 1 to 64 intervals: 65"),
        ({"capacity": 0}, ValueError, "capacity must lie between 1 and 10000000: 0"),
        ({"capacity": 10**9}, ValueError, "capacity must lie between 1 and 10000000: 1000000000"),
        ({"max_instruments": 70_000}, ValueError, "max_instruments must lie between 1 and 65000: 70000"),
        ({"max_events": 0}, ValueError, "max_events must lie between 1 and 100000000: 0"),
        ({"grace": -1}, ValueError, "grace must lie between 0 and 86400 seconds: -1"),
        ({"revise": math.nan}, ValueError, "revise must lie between 0 and 86400 seconds: NaN"),
        ({"gap_s": math.inf}, ValueError, "gap_s must lie between 0 and 86400 seconds: inf"),
        ({"sessions": "cash | never"}, ValueError, "sessions: "),
        ({"scales": {1: 100}}, TypeError, "PriceScales"),
        ({"grace_s": 2}, TypeError, "grace_s"),
    ],
)
def test_a_wrong_option_is_an_error_that_names_it_and_the_value(
    options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        tl.Engine(**options)


@pytest.mark.parametrize(
    "option",
    ["bucket_by", "edge_split", "anchor", "tail", "preopen", "open_source", "postclose", "gap_volume", "extremes",
     "vwap", "atp_rounding", "close_on", "volume", "week_start"],
)  # fmt: skip
def test_a_wrong_word_for_an_option_is_answered_with_the_right_ones(option: str) -> None:
    with pytest.raises(ValueError, match=rf'^{option} must be one of "\w+", .*: "Wrong"$'):
        tl.Engine(**{option: "Wrong"})
    with pytest.raises(TypeError, match=option):
        tl.Engine(**{option: 1})


@pytest.mark.parametrize("wrong", [1, None, "frame", 1.5, [1, 2]])
def test_a_frame_that_is_not_bytes_like_is_a_type_error(wrong: Any) -> None:
    engine = fed(tl.Engine(), minutes=3)
    before = state(engine)
    with pytest.raises(TypeError, match=f"a frame must be a bytes-like object, not {type(wrong).__name__}"):
        engine.apply(wrong)
    assert state(engine) == before


@pytest.mark.parametrize("absurd", [-1, -(2**63), 7_258_118_400_000_000_001, 2**63 - 1])
def test_an_absurd_time_of_arrival_is_refused_and_nothing_is_lost(absurd: int) -> None:
    engine = fed(tl.Engine(), minutes=3)
    before, counters = state(engine), engine.stats()
    for call, name in [
        (lambda: engine.apply(full(1, 2**31, 400), absurd), "received_ns"),
        (lambda: engine.advance(absurd), "now_ns"),
        (lambda: engine.disconnected(absurd), "at_ns"),
        (lambda: engine.connected(absurd), "at_ns"),
    ]:
        with pytest.raises(ValueError, match=f"{name} must be UTC nanoseconds between 1970 and 2200: {absurd}"):
            call()
    with pytest.raises(OverflowError):
        engine.apply(full(1, 2**31, 400), 2**64)
    assert (state(engine), engine.stats()) == (before, counters)


@pytest.mark.parametrize("frame", [b"", b"\x00\x01", b"\x00\x01\x00\xb8" + bytes(20), b"\xff\xff\xff\xff"])
def test_a_frame_that_cannot_be_read_raises_and_nothing_is_lost(frame: bytes) -> None:
    engine = fed(tl.Engine(), minutes=3)
    before, bad = state(engine), engine.stats()["bad_frames"]
    with pytest.raises(tl.DecodeError):
        engine.apply(frame, OPEN)
    assert state(engine) == before
    assert engine.stats()["bad_frames"] == bad + 1


def test_a_frame_that_lies_about_its_count_keeps_what_was_whole() -> None:
    engine = tl.Engine()
    frame = bytearray(full(10_000, 5, 1))
    frame[:2] = struct.pack(">H", 7)
    batch = engine.apply(bytes(frame), OPEN)
    assert (len(batch), batch.rejected) == (1, 6)
    stats = engine.stats()
    assert (stats["packets"], stats["ticks"], stats["rejected"]) == (7, 1, 6)


def test_packets_in_are_ticks_and_rejected_whatever_comes() -> None:
    rng = random.Random(38)
    engine = tl.Engine(intervals=["1m", "7s", "1h", "volume:1000", "range:2"], max_instruments=50)
    for number in range(3_000):
        frame = random_frames.frame(rng, rng.randrange(4), number)
        if rng.random() < 0.3:
            frame = frame[: rng.randrange(len(frame) + 1)]
        if rng.random() < 0.2 and frame:
            at = rng.randrange(len(frame))
            frame = frame[:at] + rng.randbytes(1) + frame[at + 1 :]
        with contextlib.suppress(tl.DecodeError):
            engine.apply(frame, rng.choice([0, OPEN + number * SECOND, 1, 7_258_118_400_000_000_000]))
    stats = engine.stats()
    assert stats["packets"] == stats["ticks"] + stats["rejected"]
    assert min(stats["ticks"], stats["rejected"], stats["untracked"], stats["bad_frames"]) > 50


def test_the_captured_frames_are_taken_whole() -> None:
    engine = tl.Engine(intervals=["1m", "1h"])
    taken = 0
    for name, frame in shared_data.frames().items():
        if name.endswith((".bin", ".packet")):
            taken += len(engine.apply(frame))
    assert taken == engine.stats()["ticks"] > 0


@pytest.mark.parametrize(
    ("tick", "words"),
    [
        ({"price": math.nan}, "price must be finite and below 9e8: NaN"),
        ({"price": math.inf}, "price must be finite and below 9e8: inf"),
        ({"price": -math.inf}, "price must be finite and below 9e8: -inf"),
        ({"price": 1e300}, "price must be finite and below 9e8: 1"),
        ({"time_ns": -1}, "time_ns must be nanoseconds between the years 2000 and 2200: -1"),
        ({"time_ns": 1_782_877_500}, "time_ns must be nanoseconds between the years 2000 and 2200: 1782877500"),
        ({"received_ns": -5}, "received_ns must be nanoseconds between the years 2000 and 2200: -5"),
        ({"quantity": -1}, r"quantity must lie between 0 and 2\*\*53: -1"),
        ({"quantity": 2**60}, r"quantity must lie between 0 and 2\*\*53: 1152921504606846976"),
        ({"cumulative_volume": -1}, r"cumulative_volume must lie between 0 and 2\*\*53: -1"),
        ({"quantity": 1, "cumulative_volume": 2}, "give quantity or cumulative_volume, not both"),
        ({"oi": -1}, r"oi must lie between 0 and 2\*\*53: -1"),
    ],
)
def test_a_pushed_tick_that_cannot_be_true_is_refused_and_nothing_is_lost(tick: dict[str, Any], words: str) -> None:
    engine = fed(tl.Engine(), minutes=3)
    before, pushed = state(engine), engine.stats()["pushed"]
    with pytest.raises(ValueError, match=words):
        engine.push(INFY, **({"price": 100.0, "time_ns": OPEN + 200 * SECOND} | tick))
    assert (state(engine), engine.stats()["pushed"]) == (before, pushed)


def test_a_price_below_zero_is_counted_and_its_volume_is_not_lost() -> None:
    engine = tl.Engine()
    for second, price, volume in [(1, 100.0, 0), (2, 101.0, 10), (3, -5.0, 30), (4, 102.0, 60)]:
        engine.push(INFY, price, time_ns=OPEN + second * SECOND, cumulative_volume=volume)
    engine.push(INFY, 103.0, time_ns=OPEN + 200 * SECOND, cumulative_volume=60)
    assert engine.stats()["price_rejected"] == 1
    (bar,) = engine.candles(INFY, "1m").last(9)
    assert (bar.low, bar.volume) == (101.0, 60)


def test_columns_of_trades_become_candles_in_one_call() -> None:
    rows = 1_000
    columns = {
        "price": 100 + np.arange(rows) % 5 / 20,
        "time_ns": OPEN + np.arange(rows) * SECOND,
        "quantity": np.arange(rows) % 9,
    }
    at_once, one_by_one = tl.Engine(), tl.Engine()
    assert at_once.push_many(INFY, **columns) == rows
    for price, time_ns, quantity in zip(*columns.values(), strict=True):
        one_by_one.push(INFY, price, time_ns=int(time_ns), quantity=int(quantity))
    assert state(at_once) == state(one_by_one)
    assert len(at_once.candles(INFY, "1m")) == 16
    assert sum(bar.volume for bar in at_once.candles(INFY, "1m").last(99)) == int(columns["quantity"][:960].sum())


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", ">i4", ">f8"])
def test_whole_quantities_of_any_dtype_are_the_same(dtype: str) -> None:
    engine = tl.Engine()
    prices = np.array([100, 101, 102]).astype(dtype)
    engine.push_many(INFY, prices, time_ns=[OPEN, OPEN + 1, OPEN + 2], quantity=np.array([1, 0, 100]).astype(dtype))
    forming = engine.candles(INFY, "1m").forming
    assert forming is not None
    assert (forming.volume, forming.close) == (101, 102.0)


def test_columns_need_not_be_contiguous_and_tokens_may_be_many() -> None:
    engine = tl.Engine()
    table = np.array([(OPEN, 100.0, 5, INFY), (OPEN, 200.0, 7, INFY + 256)], dtype="i8,f8,i4,u4")
    engine.push_many(table["f3"], table["f1"], time_ns=table["f0"], quantity=table["f2"][::1], oi=[1, 2])
    engine.push_many([INFY + 512], [1.0], time_ns=[OPEN])
    engine.push_many(INFY, [], time_ns=[])
    assert [token for token, _ in engine.instruments] == [INFY, INFY + 256, INFY + 512]


@pytest.mark.parametrize(
    ("column", "values", "error", "words"),
    [
        ("price", [1.0, math.nan], ValueError, "row 1: price must be finite and below 9e8: NaN"),
        ("price", [1.0], ValueError, "time_ns must be as long as price, 1: 2"),
        ("price", [[1.0, 2.0]], ValueError, "price must be an array of one dimension, not 2"),
        ("price", ["a", "b"], TypeError, "price must be real numbers, not <U1"),
        ("price", [1j, 2j], TypeError, "price must be real numbers, not complex128"),
        ("price", np.array([1, 2], np.longdouble), TypeError, "price must be real numbers, not "),
        ("price", [None, 1.0], TypeError, "price must be real numbers, not object"),
        ("time_ns", [OPEN, OPEN, OPEN], ValueError, "time_ns must be as long as price, 2: 3"),
        ("time_ns", [float(OPEN), 1.0], TypeError, "time_ns must be integers, not float64"),
        ("time_ns", np.array([0, 1], "M8[ns]"), TypeError, r"time_ns must be integers, not datetime64\[ns\]"),
        ("time_ns", [OPEN, 5], ValueError, "row 1: time_ns must be nanoseconds between the years 2000 and 2200: 5"),
        ("time_ns", np.array([OPEN, 2**63], "u8"), ValueError, "row 1: time_ns is too large: 9223372036854775808"),
        ("quantity", [1], ValueError, "quantity must be as long as price, 2: 1"),
        ("quantity", [1, 1.5], ValueError, "row 1: quantity is not a whole number: 1.5"),
        ("quantity", [1, math.nan], ValueError, "row 1: quantity is not a whole number: NaN"),
        ("quantity", [1, math.inf], ValueError, "row 1: quantity is not a whole number: inf"),
        ("quantity", [1, -1], ValueError, r"row 1: quantity must lie between 0 and 2\*\*53: -1"),
        (
            "quantity",
            np.ma.array([1, 2], mask=[False, True]),
            TypeError,
            "quantity must be a plain array, not a masked",
        ),
        ("quantity", [True, False], TypeError, "quantity must be whole numbers, not bool"),
        ("oi", [1, 2.5], ValueError, "row 1: oi is not a whole number: 2.5"),
        ("token", [INFY, -1], ValueError, "row 1: token is not an unsigned 32-bit number: -1"),
        ("token", [INFY, 2**32], ValueError, "row 1: token is not an unsigned 32-bit number: 4294967296"),
        ("token", "INFY", ValueError, "token must be an array of one dimension, not 0"),
        ("cumulative_volume", [1, 2], ValueError, "row 0: give quantity or cumulative_volume, not both"),
    ],
)
def test_a_bad_column_is_named_and_no_row_of_it_is_taken(
    column: str, values: Any, error: type[Exception], words: str
) -> None:
    engine = fed(tl.Engine(), minutes=3)
    before, pushed = state(engine), engine.stats()["pushed"]
    good = {"token": INFY, "price": [1.0, 2.0], "time_ns": [OPEN + 200 * SECOND] * 2, "quantity": [1, 2]}
    with pytest.raises(error, match=words):
        engine.push_many(**(good | {column: values}))
    assert (state(engine), engine.stats()["pushed"]) == (before, pushed)


def test_the_largest_numbers_that_are_taken_do_no_harm() -> None:
    engine = tl.Engine(intervals=["1m", "updates:3"])
    for step in range(2_000):
        price = 9e8 if step % 2 else 1e-7
        engine.push(INFY, price, time_ns=OPEN + step * SECOND, quantity=2**53, oi=2**53)
    last = engine.candles(INFY, "1m").last()[0]
    assert last.low <= last.vwap <= last.high


def test_a_jump_across_more_bars_than_one_tick_may_make_is_capped_and_flagged() -> None:
    engine = tl.Engine(intervals=["volume:1000", "value:1e6", "range:1", "renko:1"], capacity=20_000, max_events=10)
    for step, price in enumerate([1.0, 9e8]):
        engine.push(INFY, price, time_ns=OPEN + step * SECOND, quantity=2**53)
    for name in engine.intervals:
        candles = engine.candles(INFY, name)
        assert 10_000 <= len(candles) <= 20_000, name
        assert candles.flags[-1] & tl.Flags.CAPPED, name


def test_too_many_instruments_are_refused_one_by_one_and_in_columns() -> None:
    engine = tl.Engine(max_instruments=2)
    engine.track(1)
    engine.push(2, 1.0, time_ns=OPEN)
    for call in (
        lambda: engine.track(3),
        lambda: engine.push(3, 1.0, time_ns=OPEN),
        lambda: engine.push_many([1, 2, 3], [1.0] * 3, time_ns=[OPEN] * 3),
    ):
        with pytest.raises(ValueError, match="too many instruments"):
            call()
    engine.apply(full(10_000, 1, 1, token=3), OPEN)
    stats = engine.stats()
    assert ([token for token, _ in engine.instruments], stats["untracked"], stats["pushed"]) == ([1, 2], 1, 1)


def test_instruments_that_are_too_many_together_are_refused_before_the_first_row() -> None:
    engine = tl.Engine(max_instruments=2)
    with pytest.raises(ValueError, match="row 3: too many instruments"):
        engine.push_many([1, 2, 1, 3], [1.0] * 4, time_ns=[OPEN] * 4)
    assert engine.instruments == []


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"session": "mars"}, 'session must be one of cash, cash_cas, .*: "mars"'),
        ({"tick_size": 0.0}, r"tick_size must lie between 0 and 10\*\*6: 0"),
        ({"tick_size": math.nan}, r"tick_size must lie between 0 and 10\*\*6: NaN"),
        ({"divisor": 0}, r"divisor must lie between 1 and 10\*\*9: 0"),
        ({"baseline_volume": -1}, r"baseline_volume must lie between 0 and 2\*\*53: -1"),
    ],
)
def test_an_instrument_cannot_be_tracked_with_a_wrong_value(given: dict[str, Any], words: str) -> None:
    engine = tl.Engine()
    with pytest.raises(ValueError, match=words):
        engine.track(INFY, **given)
    assert engine.instruments == []
    with pytest.raises(OverflowError):
        engine.track(2**32)


def test_what_decides_the_bars_cannot_change_once_an_instrument_is_tracked() -> None:
    engine = fed(tl.Engine(), minutes=2)
    for given in ({"session": "index"}, {"tick_size": 0.1}, {"divisor": 10}, {"baseline_volume": 5}):
        with pytest.raises(ValueError, match=f"tracked already, so only its symbol can change: {INFY}"):
            engine.track(INFY, **given)


def test_a_baseline_makes_the_first_tick_an_ordinary_one() -> None:
    engine = tl.Engine()
    engine.track(INFY, baseline_volume=1_000)
    engine.apply(full(10_000, 1_250, 5), OPEN + 6 * SECOND)
    forming = engine.candles(INFY, "1m").forming
    assert forming is not None
    assert (forming.volume, tl.Flags(forming.flags) & tl.Flags.PARTIAL) == (250, tl.Flags(0))


def test_r25_the_clock_closes_bars_though_nothing_arrives() -> None:
    engine = fed(tl.Engine(intervals=["1m", "5m"]), minutes=2)
    assert len(engine.candles(INFY, "1m")) == 1
    assert engine.advance(OPEN + 2 * MINUTE + SECOND) == 0
    assert engine.advance(OPEN + 2 * MINUTE + 4 * SECOND) == 1
    assert engine.advance(OPEN) == 0
    assert engine.advance(OPEN + 9 * MINUTE) == 1
    assert len(engine.candles(INFY, "1m")) == 2


def test_closed_bars_come_in_order_and_once() -> None:
    engine = fed(tl.Engine(intervals=["1m", "3m"]), minutes=7)
    events = engine.drain_closed()
    assert [(event.interval, (event.bar.time - OPEN) // MINUTE) for event in events] == [
        ("1m", 0), ("1m", 1), ("1m", 2), ("3m", 0), ("1m", 3), ("1m", 4), ("1m", 5), ("3m", 3),
    ]  # fmt: skip
    assert {(event.token, event.symbol, event.kind, event.rev) for event in events} == {(INFY, None, "closed", 0)}
    assert [event.bar for event in events if event.interval == "1m"] == engine.candles(INFY, "1m").last(99)
    assert engine.drain_closed() == []


def test_a_late_tick_is_told_as_a_revision(engine: Any) -> None:
    m: Machine = engine()
    m.full("09:15:10", 100.0, 0)
    m.full("09:15:50", 100.0, 10)
    m.full("09:16:02", 101.0, 30)
    m.full("09:16:03", 101.0, 40)
    m.full("09:15:59", 99.0, 20, ets="09:16:03")
    assert [(kind, rev) for _, _, kind, rev, _ in m.it.events] == [("closed", 0), ("revised", 1)]
    assert m.bars()["09:15"]["close"] == 99.0


def test_events_that_nobody_drains_are_dropped_oldest_first_and_counted() -> None:
    engine = fed(tl.Engine(max_events=3), minutes=9)
    assert engine.stats()["events_dropped"] == 5
    assert [(event.bar.time - OPEN) // MINUTE for event in engine.drain_closed()] == [5, 6, 7]
    assert len(engine.candles(INFY, "1m")) == 8


def test_r38_volume_bars_cut_what_arrives_in_one_piece() -> None:
    engine = tl.Engine(intervals=["1m", "volume:1000"])
    engine.push_many(
        INFY, [100.0, 101.0, 102.0], time_ns=[OPEN, OPEN + SECOND, OPEN + 2 * SECOND], quantity=[600, 700, 1_900]
    )
    bars = engine.candles(INFY, "volume:1000")
    assert bars.volume.tolist() == [1000, 1000, 1000]
    assert bars.close.tolist() == [101.0, 102.0, 102.0]
    assert bars.forming is not None
    assert bars.forming.volume == 200
    assert [event.interval for event in engine.drain_closed()] == ["volume:1000"] * 3


@pytest.mark.parametrize(
    ("name", "closes"),
    [
        ("value:200", [100.0, 101.5, 103.0]),
        ("updates:2", [101.5, 98.0]),
        ("range:2", [102.0, 101.0]),
        ("renko:1", None),
    ],
)
def test_r38_bars_without_time_close_by_what_was_traded(name: str, closes: list[float] | None) -> None:
    engine = tl.Engine(intervals=[name])
    prices = [100.0, 101.5, 103.0, 98.0]
    engine.push_many(INFY, prices, time_ns=OPEN + np.arange(4) * SECOND, quantity=[2, 2, 2, 2])
    made = engine.candles(INFY, name).close.tolist()
    assert len(made) > 0
    if closes is not None:
        assert made[: len(closes)] == closes


def test_r38_a_bar_without_time_keeps_when_it_closed() -> None:
    engine = tl.Engine(intervals=["1m", "volume:10", "updates:2"], capacity=5, max_events=7)
    times = OPEN + np.array([0, 3, 7, 9, 13]) * SECOND
    engine.push_many(INFY, [100.0] * 5, time_ns=times, quantity=[4, 4, 14, 30, 3])
    candles = engine.candles(INFY, "volume:10")
    # 4 + 4 + 2 | 10 | 2 + 8 | 10 | 10 | 2 + 3 ...: the third to the fifth close with the update at 9 s.
    assert ((candles.end - OPEN) // SECOND).tolist() == [7, 7, 9, 9, 9]
    assert ((candles.time - OPEN) // SECOND).tolist() == [0, 7, 7, 9, 9]
    assert [bar.end for bar in candles.last(9)] == candles.columns()["end"].tolist() == candles.end.tolist()
    assert candles.forming is not None
    assert candles.forming.end == OPEN + 13 * SECOND
    assert ((engine.candles(INFY, "updates:2").end - OPEN) // SECOND).tolist() == [3, 9]
    closed = [(event.interval, (event.bar.end - OPEN) // SECOND) for event in engine.drain_closed()]
    assert closed == [("updates:2", 3), *[("volume:10", 7)] * 2, *[("volume:10", 9)] * 3, ("updates:2", 9)]
    # Rows and events beyond what is kept go together with their ends.
    engine.push_many(INFY, [100.0] * 4, time_ns=OPEN + np.array([20, 21, 22, 23]) * SECOND, quantity=[30] * 4)
    assert ((candles.end - OPEN) // SECOND).tolist() == [22, 22, 23, 23, 23]
    assert [(event.bar.end - OPEN) // SECOND for event in engine.drain_closed()] == [22] * 4 + [23] * 3
    assert engine.drain_closed() == []


def test_r38_a_range_below_the_tick_is_refused_where_the_tick_is_known() -> None:
    for name in ("range:0.002", "renko:0.0001"):
        with pytest.raises(ValueError, match=f"must not be smaller than the instrument's tick of 0.0025.*{name}"):
            tl.Engine(intervals=[name])
    engine = tl.Engine(intervals=["1m", "range:0.01"])
    with pytest.raises(ValueError, match=r"tick of 0\.05, .*range:0\.01"):
        engine.track(INFY)
    assert engine.instruments == []
    engine.track(INFY, tick_size=0.01)
    for token in (INFY, INFY + 256):
        engine.push_many(token, [100.0, 100.05], time_ns=OPEN + np.arange(2) * SECOND, quantity=[1, 1])
    assert len(engine.candles(INFY, "range:0.01")) == 5
    with pytest.raises(ValueError, match="smaller than the instrument's tick"):
        engine.candles(INFY + 256, "range:0.01")
    assert engine.candles(INFY + 256, "1m").forming is not None


def test_the_board_shows_what_was_only_pushed_behind_the_packets() -> None:
    engine = tl.Engine()
    engine.push(1 << 8 | 3, 87.1234567, time_ns=OPEN, cumulative_volume=5, oi=11)
    engine.push(2 << 8 | 1, 250.5, time_ns=OPEN + SECOND, quantity=7)
    engine.push(256265, 25_000.25, time_ns=OPEN + 2 * SECOND)
    engine.apply(frames.frame(frames.full(INFY, 10_050, 7, OPEN, OPEN, oi=9)), OPEN)
    board = engine.board()
    assert board.dtype == tl.parse(frames.frame(frames.ltp(INFY, 1))).array.dtype
    assert board["instrument_token"].tolist() == [INFY, 1 << 8 | 3, 2 << 8 | 1, 256265]
    assert board["last_price"].tolist()[0] == 100.5
    assert board["last_price"].tolist()[2:] == [250.5, 25_000.25]
    assert board["volume_traded"].tolist() == [7, 5, 7, 0]
    assert board["oi"].tolist() == [9, 11, 0, 0]
    assert board["mode"].tolist() == [4, 4, 3, 1]
    assert board["flags"].tolist() == [1, 1, 1, 0]
    assert ((board["exchange_timestamp"] - OPEN) // SECOND).tolist() == [0, 0, 1, 2]
    assert np.isnan(board["bid_price"][1:]).all()
    assert not board.flags.writeable


def test_the_board_has_a_row_for_every_instrument_that_had_a_packet() -> None:
    engine = tl.Engine()
    assert len(engine.board()) == 0
    engine.track(7, "NSE:SILENT")
    engine.apply(frames.frame(frames.full(INFY, 10_050, 7, OPEN, OPEN, oi=9), frames.ltp(INFY + 256, 500)), OPEN)
    engine.apply(frames.frame(frames.ltp(INFY, 10_055)), OPEN)
    board = engine.board()
    assert board["instrument_token"].tolist() == [INFY, INFY + 256]
    assert board["last_price"].tolist() == [100.55, 5.0]
    assert board["volume_traded"].tolist() == [7, 0]
    assert board["oi"].tolist() == [9, 0]
    assert not board.flags.writeable


def test_r24_a_panel_lines_instruments_up_and_fills_what_did_not_trade() -> None:
    engine = tl.Engine()
    for token, minutes in ((INFY, [0, 1, 3]), (INFY + 256, [0, 3])):
        for minute in minutes:
            engine.push(token, 100.0 + minute, time_ns=OPEN + minute * MINUTE, quantity=5)
        engine.push(token, 1.0, time_ns=OPEN + 9 * MINUTE, quantity=5)
    engine.track(7)
    panel = engine.panel("1m", "close")
    assert (panel.tokens, panel.symbols) == ([INFY, INFY + 256, 7], [None] * 3)
    assert ((panel.time - OPEN) // MINUTE).tolist() == [0, 1, 2, 3]
    assert panel.values.shape == panel.valid.shape == (3, 4)
    assert panel.valid.tolist() == [[True, True, False, True], [True, False, False, True], [False] * 4]
    assert np.array_equal(panel.values, np.where(panel.valid, 100.0 + np.arange(4), np.nan), equal_nan=True)
    filled = engine.panel(timedelta(minutes=1), "close", fill="ffill")
    assert filled.values[:2].tolist() == [[100.0, 101.0, 101.0, 103.0], [100.0, 100.0, 100.0, 103.0]]
    volume = engine.panel("1m", "volume")
    assert (volume.values.dtype, volume.values[1].tolist()) == (np.int64, [5, 0, 0, 5])
    assert repr(panel) == "Panel(3 instruments x 4 bars)"


def test_a_wrong_field_or_fill_is_named() -> None:
    engine = fed(tl.Engine(), minutes=1)
    wrong: Any = "closing"
    with pytest.raises(ValueError, match=r'field must be a column of Candles, .*: "closing"'):
        engine.panel("1m", wrong)
    with pytest.raises(ValueError, match='fill must be None, "nan" or "ffill": "closing"'):
        engine.panel("1m", "close", fill=wrong)
    with pytest.raises(ValueError, match='fill must be None, "nan" or "ffill": "closing"'):
        engine.candles(INFY, "1m").filled(wrong)


def test_an_engine_says_what_it_is_and_every_method_has_a_page_of_help() -> None:
    engine = fed(tl.Engine(intervals=["5m", "volume:10"]), minutes=1)
    assert repr(engine) == "Engine(intervals=[5m, volume:10], instruments=1)"
    for kind in (tl.Engine, tl.Candles, tl.Bar, tl.ClosedBar, tl.Panel):
        assert kind.__doc__
        for name in vars(kind):
            if not name.startswith("_") and callable(getattr(kind, name)):
                assert getattr(kind, name).__doc__, f"{kind.__name__}.{name}"
