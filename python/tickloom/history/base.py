"""Base: what a history gives, minute by minute, and whose they are (stage history)."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from tickloom.model import IST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["MINUTE_NS", "SETTLED_NS", "History", "Instrument", "Minutes", "Wait", "date_of", "midnight", "plain_wait"]

MINUTE_NS = 60_000_000_000
SETTLED_NS = 15_000_000_000
"""A minute of history is final when it is over for so long (R32)."""

Wait = Callable[[float], bool]
"""Waits so many seconds; True if it was told to give up meanwhile, as `threading.Event.wait` says."""

_DAY_NS = 86_400_000_000_000
_IST_NS = 19_800_000_000_000
_EPOCH = dt.date(1970, 1, 1)
_EXCHANGES = {
    1: "NSE", 2: "NFO", 3: "CDS", 4: "BSE", 5: "BFO", 6: "BCD", 7: "MCX", 8: "MCXSX", 9: "INDICES", 12: "NCO",
}  # fmt: skip
_INDICES = 9
_WITH_OI = frozenset({2, 3, 5, 6, 7, 8, 12})
_HIGHEST = 9e8


def plain_wait(seconds: float) -> bool:
    """Waits, and nobody can end it early."""
    time.sleep(seconds)
    return False


def date_of(ns: int) -> dt.date:
    """The Indian date of an instant (R1)."""
    return _EPOCH + dt.timedelta(days=(ns + _IST_NS) // _DAY_NS)


def midnight(date: dt.date) -> int:
    """The start of a date in India, nanoseconds UTC."""
    return (date - _EPOCH).days * _DAY_NS - _IST_NS


@dataclass(frozen=True, slots=True)
class Instrument:
    """Whose minutes: the token to ask by, and the name to keep them by.

    A token is given to another contract when its own has expired, so a name is what minutes are kept by (R36). Without
    one they are kept by the token, and believed on the date of their reading only.
    """

    token: int
    symbol: str | None = None
    """The exchange's symbol, with or without the exchange: `INFY`, `NSE:INFY`."""
    expiry: dt.date | None = None
    session: str | None = None
    """The class of docs/sessions.md whose hours it has; that of its segment without it."""

    @property
    def segment(self) -> int:
        """The segment in the token (kite-protocol §5)."""
        return self.token & 0xFF

    @property
    def key(self) -> str:
        """exchange:tradingsymbol, with @expiry if there is one; `token:408065` without a symbol."""
        if self.symbol is None:
            return f"token:{self.token}"
        exchange = _EXCHANGES.get(self.segment, f"SEGMENT{self.segment}")
        name = self.symbol if ":" in self.symbol else f"{exchange}:{self.symbol}"
        end = "" if self.expiry is None else f"@{self.expiry.isoformat()}"
        return name if name.endswith(end) else name + end

    @property
    def hours(self) -> str | int:
        """What `MarketHours` is asked by."""
        return self.session or self.segment

    @property
    def durable(self) -> bool:
        """Whether the key still means the same instrument tomorrow."""
        return self.symbol is not None


@dataclass(frozen=True, slots=True, eq=False)
class Minutes:
    """Minutes of one instrument as columns of equal length, oldest first, a start at most once.

    `time`: int64, nanoseconds UTC of the start; `open`, `high`, `low`, `close`: float64; `volume`, `oi`: int64, None
    where the instrument has none (R29, R31).
    """

    time: NDArray[np.int64]
    open: NDArray[np.float64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    close: NDArray[np.float64]
    volume: NDArray[np.int64] | None
    oi: NDArray[np.int64] | None

    @classmethod
    def of_rows(cls, rows: Sequence[Sequence[Any] | None], instrument: Instrument) -> tuple[Minutes, int]:
        """Of rows (time, open, high, low, close, volume, oi), in any order, and how many were no minute.

        Left out is None, and what no broker may say: a price that is none, a high below its low, a count below 0, a
        time that is not a minute's start. A volume may be None for an index, an open interest always: 0. Of two rows
        with the same time the later one counts.
        """
        index = instrument.segment == _INDICES
        good: dict[int, tuple[Any, ...]] = {}
        bad = 0
        for row in rows:
            if row is not None and _sane(row, index=index):
                good[row[0]] = (*row[:5], row[5] or 0, row[6] or 0)
            else:
                bad += 1
        ordered = [good[at] for at in sorted(good)]
        prices = np.array([row[1:5] for row in ordered], dtype=np.float64).reshape(-1, 4)
        counts = np.array([row[5:7] for row in ordered], dtype=np.int64).reshape(-1, 2)
        made = cls(
            np.array([row[0] for row in ordered], dtype=np.int64),
            np.ascontiguousarray(prices[:, 0]),
            np.ascontiguousarray(prices[:, 1]),
            np.ascontiguousarray(prices[:, 2]),
            np.ascontiguousarray(prices[:, 3]),
            None if index else np.ascontiguousarray(counts[:, 0]),
            np.ascontiguousarray(counts[:, 1]) if instrument.segment in _WITH_OI else None,
        )
        return made, bad

    @classmethod
    def joined(cls, parts: Sequence[Minutes]) -> Minutes:
        """One after the other; each part later than the one before it."""
        if len(parts) == 1:
            return parts[0]
        names = ("time", "open", "high", "low", "close")
        columns: list[Any] = [np.concatenate([getattr(part, name) for part in parts]) for name in names]
        for name in ("volume", "oi"):
            several = [getattr(part, name) for part in parts if len(part)]
            columns.append(None if not several or any(one is None for one in several) else np.concatenate(several))
        return cls(*columns)

    @classmethod
    def empty(cls) -> Minutes:
        """No minutes."""
        whole, price = np.empty(0, np.int64), np.empty(0)
        return cls(whole, price, price, price, price, whole, whole)

    def between(self, start_ns: int, end_ns: int) -> Minutes:
        """Those that start in [start, end)."""
        first, last = np.searchsorted(self.time, [start_ns, end_ns])
        cut = slice(int(first), int(last))
        return Minutes(
            self.time[cut], self.open[cut], self.high[cut], self.low[cut], self.close[cut],
            None if self.volume is None else self.volume[cut], None if self.oi is None else self.oi[cut],
        )  # fmt: skip

    def columns(self) -> dict[str, Any]:
        """By name, as `Engine.join_history` takes them."""
        return {name: getattr(self, name) for name in self.__slots__}

    def __len__(self) -> int:
        return len(self.time)

    def __repr__(self) -> str:
        if not len(self):
            return "Minutes(none)"
        first, last = (dt.datetime.fromtimestamp(int(self.time[at]) / 1e9, IST) for at in (0, -1))
        return f"Minutes({len(self)}, {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} IST)"


def _sane(row: Sequence[Any], *, index: bool) -> bool:
    at, *prices, volume, oi = row
    if volume is None and index:
        volume = 0
    oi = 0 if oi is None else oi
    if len(prices) != 4 or not all(isinstance(price, (int, float)) and 0 < price < _HIGHEST for price in prices):
        return False
    counts = isinstance(volume, int) and isinstance(oi, int) and 0 <= volume <= 1 << 53 and 0 <= oi <= 1 << 53
    return counts and at % MINUTE_NS == 0 and prices[1] >= prices[2]


@runtime_checkable
class History(Protocol):
    """Past minutes, from whoever has them. Any thread may call any method."""

    name: str

    @property
    def requests(self) -> int:
        """How many were sent so far, those that failed included."""

    def trading_day(self, date: dt.date) -> bool:
        """Whether there is trading on this date.

        A history that knows it of each instrument has a method `trades(instrument, date)` too, which is preferred.
        """

    def fetch(
        self, instrument: Instrument, start_ns: int, end_ns: int, *, now_ns: int | None = None, wait: Wait = plain_wait
    ) -> Minutes:
        """The minutes that start in [start, end), nanoseconds UTC.

        `now_ns` is the time at the exchange, ours without it: the minute that is forming is left out (R33). `wait` is
        how it waits for its turn. Raises AuthenticationFailed for a token that was refused, ConnectionFailed when all
        attempts are spent or `wait` said to give up, UnknownInstrument, and ValueError for a request that is none.
        """

    def forget(self, instrument: Instrument) -> None:
        """Believes nothing that was kept of this instrument: its past was adjusted (R35)."""
