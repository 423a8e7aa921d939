"""Candles: read-only columns that never change under their reader, and what other libraries make of them."""

from __future__ import annotations

import gc
import sys
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tickloom as tl
from tests.machines import INFY
from tests.oracle.sessions import SECOND, ist

OPEN = ist("2026-07-01 09:15:00")
MINUTE = 60 * SECOND
PRICES = ("open", "high", "low", "close", "vwap")
WORDS = (*PRICES, "time", "volume", "oi")
COLUMNS = (
    "time", "open", "high", "low", "close", "volume", "vwap", "oi", "ticks", "flags", "vwap_err", "rev", "coverage",
    "time_source", "src", "end",
)  # fmt: skip


def push(engine: tl.Engine, first: int, bars: int) -> None:
    """One trade a minute from the minute `first`; the last bar stays open."""
    minutes = np.arange(first, first + bars)
    times = OPEN + minutes * MINUTE + 5 * SECOND
    engine.push_many(INFY, 100.0 + minutes / 20, time_ns=times, quantity=minutes + 1, oi=minutes)


@pytest.fixture
def candles() -> tl.Candles:
    engine = tl.Engine(capacity=50)
    engine.track(INFY, "NSE:INFY")
    push(engine, 0, 21)
    return engine.candles(INFY, "1m")


@pytest.mark.parametrize("name", WORDS)
def test_a_column_is_a_contiguous_aligned_array_as_c_libraries_want_it(candles: tl.Candles, name: str) -> None:
    column = getattr(candles, name)
    assert column.dtype == (np.float64 if name in PRICES else np.int64)
    assert (column.shape, column.strides) == ((20,), (8,))
    assert column.flags.c_contiguous
    assert column.flags.aligned


@pytest.mark.parametrize("name", COLUMNS)
def test_columns_have_one_value_a_bar(candles: tl.Candles, name: str) -> None:
    assert getattr(candles, name).shape == (len(candles),) == (20,)


@pytest.mark.parametrize("name", COLUMNS[:12])
def test_a_column_cannot_be_written_in_any_way(candles: tl.Candles, name: str) -> None:
    column = getattr(candles, name)
    assert not column.flags.writeable
    assert memoryview(column).readonly
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
        column.setflags(write=True)
    with pytest.raises(ValueError, match="read-only"):
        column[0] = 1
    view = column[2:]
    with pytest.raises(ValueError, match="cannot set WRITEABLE flag to True"):
        view.setflags(write=True)


def test_a_column_is_made_once_for_every_state(candles: tl.Candles) -> None:
    assert candles.close is candles.close
    assert np.shares_memory(candles.close, candles.columns()["close"])


def test_an_array_taken_earlier_is_unchanged_by_all_that_comes_later() -> None:
    engine = tl.Engine(capacity=16)
    push(engine, 0, 4)
    candles = engine.candles(INFY, "1m")
    taken: list[tuple[dict[str, Any], dict[str, bytes]]] = []
    for first in range(4, 300, 3):
        columns = candles.columns()
        taken.append((columns, {name: values.tobytes() for name, values in columns.items()}))
        push(engine, first, 3)
    for columns, bytes_then in taken:
        assert {name: values.tobytes() for name, values in columns.items()} == bytes_then


def test_the_last_bars_are_one_piece_through_every_turn_of_a_page() -> None:
    engine = tl.Engine(capacity=16)
    push(engine, 0, 1)
    candles = engine.candles(INFY, "1m")
    for minute in range(1, 200):
        push(engine, minute, 1)
        kept = min(minute, 16)
        assert len(candles) == kept
        assert candles.time.tolist() == [OPEN + k * MINUTE for k in range(minute - kept, minute)]
        assert candles.volume.tolist() == [k + 1 for k in range(minute - kept, minute)]
        assert candles.close.flags.c_contiguous


def test_arrays_outlive_the_engine_and_the_candles() -> None:
    engine = tl.Engine()
    push(engine, 0, 31)
    candles = engine.candles(INFY, "1m")
    close, ticks = candles.close, candles.ticks
    then = close.tolist()
    del engine, candles
    gc.collect()
    spoil = [np.full(10_000, 7.0) for _ in range(50)]
    assert close.tolist() == then
    assert ticks.tolist() == [1] * 30
    assert len(spoil) == 50


def test_a_column_that_nobody_holds_gives_its_page_back() -> None:
    engine = tl.Engine(capacity=8)
    push(engine, 0, 9)
    close = engine.candles(INFY, "1m").close
    pin = close.base
    count = sys.getrefcount(pin)
    del close
    gc.collect()
    assert sys.getrefcount(pin) < count


def test_candles_are_live_and_arrays_are_not() -> None:
    engine = tl.Engine()
    push(engine, 0, 3)
    candles = engine.candles(INFY, "1m")
    before = candles.close
    push(engine, 3, 3)
    assert (len(before), len(candles.close), len(candles)) == (2, 5, 5)


def test_the_forming_bar_is_a_copy(candles: tl.Candles) -> None:
    forming = candles.forming
    assert forming is not None
    assert (forming.time, forming.close, forming.volume, forming.end) == (
        OPEN + 20 * MINUTE,
        101.0,
        21,
        OPEN + 21 * MINUTE,
    )
    assert candles.unsealed == [forming]
    with pytest.raises(AttributeError):
        forming.close = 5.0


def test_the_last_bars_are_the_rows_of_the_columns(candles: tl.Candles) -> None:
    bars = candles.last(3)
    assert [bar.close for bar in bars] == candles.close[-3:].tolist()
    assert [list(bar.to_dict()) for bar in bars] == [list(COLUMNS)] * 3
    for bar, row in zip(bars, candles.to_numpy()[-3:], strict=True):
        assert [repr(value) for value in bar.to_dict().values()] == [repr(value) for value in row.tolist()]
    assert len(candles.last(10**9)) == 20
    assert candles.last() == bars[-1:]
    for n in (0, -1):
        with pytest.raises(ValueError, match=f"n must be at least 1: {n}"):
            candles.last(n)


def test_bars_are_equal_if_every_bit_is_and_cannot_be_keys(candles: tl.Candles) -> None:
    (older, newer) = candles.last(2)
    assert newer == candles.last()[0]
    assert older != newer
    assert newer != "bar"
    with pytest.raises(TypeError, match="unhashable"):
        hash(newer)


def test_objects_say_what_they_are(candles: tl.Candles) -> None:
    assert repr(candles) == "Candles(NSE:INFY, 1m, 20 bars)"
    text = "open=100.95, high=100.95, low=100.95, close=100.95, volume=20, vwap=100.95, oi=19, ticks=1, flags=0)"
    assert repr(candles.last()[0]) == f"Bar(2026-07-01 09:34:00 IST, {text}"


def test_an_instrument_without_bars_has_empty_columns() -> None:
    engine = tl.Engine()
    engine.track(INFY)
    candles = engine.candles(INFY, "1m")
    assert (len(candles), candles.forming, candles.last(), candles.unsealed) == (0, None, [], [])
    for name, column in candles.columns().items():
        assert column.shape == (0,), name
    assert (
        len(candles.to_numpy())
        == len(candles.to_pandas())
        == len(candles.to_polars())
        == candles.to_arrow().num_rows
        == 0
    )
    assert len(candles.filled("ffill")["time"]) == len(candles.heikin_ashi()["close"]) == 0


def test_r24_filled_bars_lie_on_the_calendar_and_say_which_are_real() -> None:
    engine = tl.Engine()
    for minute in (5, 8, 20):
        engine.push(INFY, 100.0 + minute, time_ns=OPEN + minute * MINUTE, quantity=3)
    filled = engine.candles(INFY, "1m").filled("ffill")
    assert ((filled["time"] - OPEN) // MINUTE).tolist() == [5, 6, 7, 8]
    assert filled["close"].tolist() == [105.0, 105.0, 105.0, 108.0]
    assert filled["volume"].tolist() == [3, 0, 0, 3]
    assert (filled["flags"] & tl.Flags.FILLED != 0).tolist() == [False, True, True, False]
    plain = engine.candles(INFY, "1m").filled()
    assert plain["valid"].tolist() == [True, False, False, True]
    assert np.isnan(plain["close"]).tolist() == [False, True, True, False]


def test_r38_heikin_ashi_smooths_and_stores_nothing() -> None:
    engine = tl.Engine()
    engine.push_many(
        INFY, [10.0, 14.0, 12.0, 9.0], time_ns=OPEN + np.array([0, 10, 60, 125]) * SECOND, quantity=[1] * 4
    )
    candles = engine.candles(INFY, "1m")
    made = candles.heikin_ashi()
    assert made["close"].tolist() == [(10 + 14 + 10 + 14) / 4, 12.0]
    assert made["open"].tolist() == [12.0, 12.0]
    assert candles.close.tolist() == [14.0, 12.0]


def test_numpy_records_hold_a_copy_of_every_column(candles: tl.Candles) -> None:
    records = candles.to_numpy()
    assert records.dtype.names == COLUMNS
    assert records.flags.writeable
    for name, column in candles.columns().items():
        assert records[name].dtype == column.dtype
        assert records[name].tobytes() == column.tobytes()


def test_pandas_has_an_index_in_indian_time_and_memory_of_its_own(candles: tl.Candles) -> None:
    frame = candles.to_pandas()
    assert list(frame.columns) == [name for name in COLUMNS if name != "time"]
    assert frame.index.name == "time"
    assert isinstance(frame.index, pd.DatetimeIndex)
    assert frame.index[0].isoformat() == "2026-07-01T09:15:00+05:30"
    assert frame.index.as_unit("ns").asi8.tolist() == candles.time.tolist()
    assert (frame["end"] - frame.index.to_series() == pd.Timedelta(minutes=1)).all()
    for name in ("close", "volume", "flags", "coverage"):
        assert frame[name].to_numpy().tobytes() == getattr(candles, name).tobytes()
    frame.loc[frame.index[0], "close"] = -1.0
    assert candles.close[0] == 100.0


def test_polars_has_instants_shown_in_indian_time(candles: tl.Candles) -> None:
    frame = candles.to_polars()
    assert frame.columns == list(COLUMNS)
    assert frame.schema["time"] == frame.schema["end"] == pl.Datetime("ns", "Asia/Kolkata")
    assert frame["time"].to_physical().to_list() == candles.time.tolist()
    assert frame["time"][0] == datetime(2026, 7, 1, 3, 45, tzinfo=UTC)
    assert frame["close"].to_list() == candles.close.tolist()
    assert frame.null_count().row(0) == (0,) * len(COLUMNS)


def test_arrow_shows_the_engines_own_memory_and_keeps_it_alive() -> None:
    engine = tl.Engine()
    push(engine, 0, 31)
    candles = engine.candles(INFY, "1m")
    table = candles.to_arrow()
    assert table.column_names == list(COLUMNS)
    assert str(table.schema.field("time").type) == "timestamp[ns, tz=Asia/Kolkata]"
    for name in WORDS:
        (chunk,) = table[name].chunks
        assert chunk.buffers()[1].address == getattr(candles, name).ctypes.data, name
    then = candles.close.tolist()
    del engine, candles
    gc.collect()
    assert table["close"].to_pylist() == then
    assert table["time"].to_pylist()[0].isoformat() == "2026-07-01T09:15:00+05:30"


@pytest.mark.parametrize(
    ("method", "package", "extra"),
    [("to_pandas", "pandas", "pandas"), ("to_polars", "polars", "polars"), ("to_arrow", "pyarrow", "arrow")],
)
def test_a_library_that_is_not_installed_is_named_with_the_extra_that_brings_it(
    candles: tl.Candles, monkeypatch: pytest.MonkeyPatch, method: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(
        tl.MissingExtra, match=rf"{package} is not installed, add it with: pip install 'tickloom\[{extra}\]'"
    ):
        getattr(candles, method)()
