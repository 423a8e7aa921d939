"""Candles for other libraries: numpy records, pandas, polars, Arrow (after the engine, before any store).

Each conversion takes the columns of one moment and needs no more than the package it converts to, which is
imported when it is called: `import tickloom` imports none of them. Besides, bars that were made of finer ones (R27),
and the sign of volume for columns of ticks (R38).
"""

from __future__ import annotations

import importlib
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from tickloom.errors import MissingExtra
from tickloom.model import IST

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Columns", "Resampled", "signed_volume", "to_arrow", "to_numpy", "to_pandas", "to_polars"]

# Arrow and polars know no unnamed offsets; the instants inside are UTC, the name only says how to show them.
ZONE = "Asia/Kolkata"
_ZONES = {"IST": IST, "UTC": UTC}


class Columns(Protocol):
    """What can be converted: `Candles`, and `Resampled`."""

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of one moment by name."""


class Resampled:
    """Bars made of finer ones, as `Candles.resample` gives them: a copy of that moment.

    Each column of `Candles` is an attribute: a read-only array of shape (len,), with the dtype and the unit that it has
    there. `rev` is 0: a bar that was never stored was never revised.
    """

    time: NDArray[np.int64]
    end: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64]
    vwap: NDArray[np.float64]
    oi: NDArray[np.int64]
    ticks: NDArray[np.uint32]
    flags: NDArray[np.uint32]
    vwap_err: NDArray[np.float32]
    rev: NDArray[np.uint8]
    coverage: NDArray[np.float32]
    time_source: NDArray[np.uint8]
    src: NDArray[np.uint8]

    def __init__(self, columns: dict[str, NDArray[Any]], *, token: int, symbol: str | None, interval: str) -> None:
        self.token = token
        self.symbol = symbol
        self.interval = interval
        self._columns = columns
        for name, values in columns.items():
            values.flags.writeable = False
            setattr(self, name, values)

    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns by name, in the order of `Candles.columns()`."""
        return dict(self._columns)

    def to_numpy(self) -> NDArray[np.void]:
        """As `Candles.to_numpy`."""
        return to_numpy(self)

    def to_pandas(self, tz: Literal["IST", "UTC"] = "IST") -> pd.DataFrame:
        """As `Candles.to_pandas`."""
        return to_pandas(self, tz)

    def to_polars(self) -> pl.DataFrame:
        """As `Candles.to_polars`."""
        return to_polars(self)

    def to_arrow(self) -> pa.Table:
        """As `Candles.to_arrow`."""
        return to_arrow(self)

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        return f"Resampled({self.symbol or self.token}, {self.interval}, {len(self)} bars)"


def _extra(package: str, extra: str) -> Any:
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        # Of a package that is there but broken the user must see its own error.
        if error.name != package:
            raise
        raise MissingExtra(extra, package) from None


def to_numpy(candles: Columns) -> NDArray[np.void]:
    """A structured array, one row a bar, oldest first: a copy with the names and dtypes of `columns()`."""
    columns = candles.columns()
    made = np.empty(len(columns["time"]), dtype=[(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        made[name] = values
    return made


def to_pandas(candles: Columns, tz: Literal["IST", "UTC"] = "IST") -> pd.DataFrame:
    """A DataFrame, one row a bar, oldest first, indexed by `time`; the index and the column `end` are aware datetimes.

    "IST" is a fixed +05:30, which India has had without a break since 1945 and which needs no time-zone database.
    The frame has its own memory. Raises MissingExtra without pandas, ValueError for another zone.
    """
    if tz not in _ZONES:
        msg = f'tz must be "IST" or "UTC": {tz!r}'
        raise ValueError(msg)
    pandas = _extra("pandas", "pandas")
    columns = candles.columns()
    instants = {name: pandas.DatetimeIndex(columns.pop(name).view("M8[ns]"), tz="UTC") for name in ("time", "end")}
    frame: pd.DataFrame = pandas.DataFrame({name: values.copy() for name, values in columns.items()})
    frame.index = instants["time"].tz_convert(_ZONES[tz]).rename("time")
    frame["end"] = instants["end"].tz_convert(_ZONES[tz])
    return frame


def to_polars(candles: Columns) -> pl.DataFrame:
    """A DataFrame, one row a bar, oldest first; `time` and `end` are datetimes in Asia/Kolkata.

    The frame has its own memory; NaN stays NaN. Raises MissingExtra without polars.
    """
    polars = _extra("polars", "polars")
    made: pl.DataFrame = polars.DataFrame(
        {name: np.ascontiguousarray(values) for name, values in candles.columns().items()}
    )
    instant = polars.from_epoch(polars.col("time", "end"), time_unit="ns").dt.replace_time_zone("UTC")
    return made.with_columns(instant.dt.convert_time_zone(ZONE))


def to_arrow(candles: Columns) -> pa.Table:
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


def signed_volume(
    price: ArrayLike,
    volume: ArrayLike,
    bid: ArrayLike | None = None,
    ask: ArrayLike | None = None,
    *,
    rule: Literal["tick", "quote"] = "tick",
) -> NDArray[np.int64]:
    """The volume of each tick, negative where it was sold: an estimate, as snapshots hold many trades (R38).

    1-D, of one length, oldest first: `price` real, `volume` what each tick brought (not the day's sum), whole and not
    negative; a tick without volume is no trade and gives 0. By the "tick" rule a trade above the price of the one
    before is bought, below is sold, at the same price as the one before; 0 until the price has moved. By the "quote"
    rule a trade above the middle of `bid` and `ask`, those before it, is bought, below is sold; at it, or where one of
    them is NaN or 0, the tick rule holds. Gives int64. Raises ValueError that names the argument.
    """
    columns = {"price": price, "volume": volume} | ({"bid": bid, "ask": ask} if rule == "quote" else {})
    if rule not in {"tick", "quote"}:
        msg = f'rule must be "tick" or "quote": {rule!r}'
        raise ValueError(msg)
    arrays = {name: np.asarray(np.nan if column is None else column) for name, column in columns.items()}
    for name, array in arrays.items():
        if array.ndim != 1 or len(array) != len(arrays["price"]):
            msg = f"{name} must be of one dimension and as long as price: {array.shape}"
            raise ValueError(msg)
    amounts = arrays["volume"]
    if not (amounts >= 0).all() or not (np.mod(amounts, 1) == 0).all():
        msg = "volume must be whole numbers from 0 on"
        raise ValueError(msg)
    traded = np.flatnonzero(amounts)
    prices = arrays["price"][traded].astype(np.float64)
    if not np.isfinite(prices).all():
        msg = "price must be finite where there is volume"
        raise ValueError(msg)
    moves = np.sign(np.diff(prices, prepend=prices[:1])).astype(np.int64)
    # An equal price is on the side of the last move.
    side = moves[np.maximum.accumulate(np.where(moves != 0, np.arange(len(moves)), 0))]
    if rule == "quote":
        bids, asks = (arrays[name][traded].astype(np.float64) for name in ("bid", "ask"))
        # Prices have at most seven decimals; what is smaller came from rounding.
        above = np.sign(np.round(2 * prices - (bids + asks), 7))
        known = np.isfinite(above) & (bids != 0) & (asks != 0) & (above != 0)
        side = np.where(known, above, side).astype(np.int64)
    signed = np.zeros(len(amounts), dtype=np.int64)
    signed[traded] = side * amounts[traded].astype(np.int64)
    return signed
