"""Resampled bars as other libraries get them, and the index of a frame in either zone."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import polars as pl
import pytest

import tickloom as tl
from tests.machines import INFY
from tests.oracle.sessions import SECOND, ist
from tickloom.candles import Resampled

OPEN = ist("2026-07-01 09:15:00")


@pytest.fixture
def candles() -> tl.Candles:
    engine = tl.Engine(["1m"])
    engine.track(INFY, "NSE:INFY")
    times = OPEN + np.arange(0, 40 * 60, 30) * SECOND
    engine.push_many(INFY, 100.0 + np.arange(80) / 20, time_ns=times, quantity=np.ones(80, dtype=np.int64))
    return engine.candles(INFY, "1m")


def test_the_interval_may_be_written_in_any_way(candles: tl.Candles) -> None:
    made = [candles.resample(spelling) for spelling in ("15m", "15minute", timedelta(minutes=15))]
    assert [(bars.interval, len(bars), bars.token, bars.symbol) for bars in made] == [("15m", 2, INFY, "NSE:INFY")] * 3
    assert made[0].volume.tolist() == [30, 30]
    assert repr(made[0]) == "Resampled(NSE:INFY, 15m, 2 bars)"


def test_it_is_a_copy_of_its_moment_that_cannot_be_written(candles: tl.Candles) -> None:
    made = candles.resample("5m")
    assert isinstance(made, Resampled)
    assert made.close is made.columns()["close"]
    assert made.close.flags.c_contiguous
    for column in made.columns().values():
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 0
    assert not np.shares_memory(made.close, candles.resample("5m").close)


def test_it_converts_as_candles_do(candles: tl.Candles) -> None:
    made = candles.resample("5m")
    assert made.to_numpy().dtype == candles.to_numpy().dtype
    frame, table, polars = made.to_pandas(), made.to_arrow(), made.to_polars()
    assert list(frame.columns) == list(candles.to_pandas().columns)
    assert frame["close"].tolist() == table["close"].to_pylist() == polars["close"].to_list() == made.close.tolist()
    assert polars.schema["time"] == pl.Datetime("ns", "Asia/Kolkata")
    assert frame.index[1].isoformat() == "2026-07-01T09:20:00+05:30"


def test_a_frame_is_indexed_in_indian_time_without_a_database_or_in_utc(candles: tl.Candles) -> None:
    indian, universal = candles.to_pandas(), candles.to_pandas(tz="UTC")
    assert isinstance(indian.index, pd.DatetimeIndex)
    assert isinstance(universal.index, pd.DatetimeIndex)
    # A fixed offset: nothing is looked up by a name.
    assert indian.index.tz is tl.model.IST
    assert universal.index[0].isoformat() == "2026-07-01T03:45:00+00:00"
    assert universal["end"].iloc[0].isoformat() == "2026-07-01T03:46:00+00:00"
    assert (indian.index == universal.index).all()
    with pytest.raises(ValueError, match='tz must be "IST" or "UTC": \'Asia/Kolkata\''):
        candles.to_pandas(tz="Asia/Kolkata")


def test_without_a_bar_there_is_none_of_a_longer_interval() -> None:
    engine = tl.Engine(["1m"])
    engine.track(INFY)
    made = engine.candles(INFY, "1m").resample("75m")
    assert len(made) == len(made.to_pandas()) == 0
