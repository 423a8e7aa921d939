"""Candles for other libraries: numpy records, pandas, polars, Arrow (after the engine, before any store).

Each function takes the columns of one moment and needs no more than the package it converts to, which is
imported when it is called: `import tickloom` imports none of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tickloom.errors import MissingExtra
from tickloom.model import IST

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from numpy.typing import NDArray

    from tickloom._core import Candles

__all__ = ["to_arrow", "to_numpy", "to_pandas", "to_polars"]

# Arrow and polars know no unnamed offsets; the instants inside are UTC, the name only says how to show them.
ZONE = "Asia/Kolkata"


def _extra(package: str, extra: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # Of a package that is there but broken the user must see its own error.
        if error.name != package:
            raise
        raise MissingExtra(extra, package) from None


def to_numpy(candles: Candles) -> NDArray[np.void]:
    """A structured array, one row a bar, oldest first: a copy with the names and dtypes of `columns()`."""
    columns = candles.columns()
    made = np.empty(len(columns["time"]), dtype=[(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        made[name] = values
    return made


def to_pandas(candles: Candles) -> pd.DataFrame:
    """A DataFrame, one row a bar, oldest first; the index `time` and the column `end` are in Indian time.

    The frame has its own memory. Raises MissingExtra without pandas.
    """
    pandas = _extra("pandas", "pandas")
    columns = candles.columns()
    instants = {name: pandas.DatetimeIndex(columns.pop(name).view("M8[ns]"), tz="UTC") for name in ("time", "end")}
    frame: pd.DataFrame = pandas.DataFrame({name: values.copy() for name, values in columns.items()})
    frame.index = instants["time"].tz_convert(IST).rename("time")
    frame["end"] = instants["end"].tz_convert(IST)
    return frame


def to_polars(candles: Candles) -> pl.DataFrame:
    """A DataFrame, one row a bar, oldest first; `time` and `end` are datetimes in Asia/Kolkata.

    The frame has its own memory; NaN stays NaN. Raises MissingExtra without polars.
    """
    polars = _extra("polars", "polars")
    made: pl.DataFrame = polars.DataFrame(
        {name: np.ascontiguousarray(values) for name, values in candles.columns().items()}
    )
    instant = polars.from_epoch(polars.col("time", "end"), time_unit="ns").dt.replace_time_zone("UTC")
    return made.with_columns(instant.dt.convert_time_zone(ZONE))


def to_arrow(candles: Candles) -> pa.Table:
    """A Table, one row a bar, oldest first; `time` and `end` are timestamps in Asia/Kolkata.

    Columns of eight bytes are the engine's own memory, which the table keeps alive; narrower ones, which are
    not contiguous there, are copied. NaN stays NaN, nothing is null. Raises MissingExtra without pyarrow.
    """
    arrow = _extra("pyarrow", "arrow")
    instant = arrow.timestamp("ns", tz=ZONE)
    arrays = {name: arrow.array(np.ascontiguousarray(values)) for name, values in candles.columns().items()}
    # A cast from int64 to timestamp is a view; a zone has no part in it.
    return arrow.table(
        {name: array.view(instant) if name in {"time", "end"} else array for name, array in arrays.items()}
    )
