"""Simulator: a seeded market whose true candles are known, in place of a broker (stage sources).

The market makes trades first, keeps the truth, and then shows it the way a broker does: throttled snapshots in Kite
frames, with stamps in whole seconds, late, and damaged in the ways that feeds are known to fail. The same arguments
give the same bytes, on every machine. It reads no clock.

```python
market = Market(seed=7, instruments=50, end="09:25", faults="all")
for kind, received_ns, payload in market.events():
    if kind == "frame":
        engine.apply(payload, received_ns)
truth = market.truth(market.instruments()[0].token, "1m")
```
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

import numpy as np

from tickloom import _core
from tickloom.errors import UnknownInstrument

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from numpy.typing import NDArray

__all__ = ["Delivered", "Faults", "Market", "MarketInstrument", "Print", "TruthDay"]

Mode = Literal["ltp", "quote", "full"]
EventKind = Literal["frame", "disconnected", "connected"]

_IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
_SECOND = 1_000_000_000
_EPOCH = dt.date(1970, 1, 1)

PHASES = ("opening_auction", "continuous", "closing_auction", "post_close")
"""What the codes of the column `phase` of `Market.trades` mean."""


class Faults(TypedDict, total=False):
    """What the feed does to its snapshots. Everything left out is off.

    Probabilities per snapshot: `drop`, `duplicate` (again within a second), `reorder` (up to 2 s late, overtaken),
    `rollback` (cumulative volume too low for one to four snapshots). Per frame: `truncate`. Per second:
    `delay_spike` (everything stands still for 1 to 6 s). Per instrument: `stale_first` (after a connection, the
    cached tick of the previous date comes first), and per date too: `cancellation` (the cumulative volume falls
    once and stays lower). `wrap`: so many liquid names pass a volume of 2^32. `disconnections`: spans [from, to),
    each end in ns UTC or as a time of day on the first date, in order and apart; frames received in them are lost.
    """

    drop: float
    duplicate: float
    reorder: float
    delay_spike: float
    stale_first: float
    truncate: float
    rollback: float
    cancellation: float
    wrap: int
    disconnections: Sequence[tuple[int | str, int | str]]


_KNOBS = ("drop", "duplicate", "reorder", "delay_spike", "stale_first", "truncate", "rollback", "cancellation")


@dataclass(frozen=True, slots=True)
class MarketInstrument:
    """One made-up name. Prices in rupees, times in ns UTC of the first date."""

    token: int
    symbol: str
    segment: int
    kind: Literal["equity", "future", "option", "index"]
    liquidity: Literal["liquid", "middling", "thin"]
    mode: Mode
    tick_size: float
    lot_size: int
    base_price: float
    """The close of the date before the first."""
    session_open_ns: int
    session_close_ns: int
    """The end of continuous trading; a trade exactly here belongs to the last bar (R3)."""


class Print(NamedTuple):
    """What an auction or the post-close session traded: time of the last trade (ns UTC), price, volume."""

    time: int
    price: float
    volume: int


@dataclass(frozen=True, slots=True)
class TruthDay:
    """One instrument's true trading date: the volume of its bars and of the three prints is `volume`."""

    date: dt.date
    open: float
    high: float
    low: float
    close: float
    volume: int
    value: float
    trades: int
    auction_open: Print | None
    auction_close: Print | None
    post: Print | None


@dataclass(frozen=True, slots=True)
class Delivered:
    """What of one instrument and date the frames have carried. Volumes are cumulative and not wrapped at 2^32."""

    date: dt.date
    packets: int
    """All packets, faulty ones included."""
    first_volume: int | None
    last_volume: int
    highest_volume: int
    """Packets with a rolled-back volume, and stale ones, are left out."""
    cancelled: int
    """How far the volume on the wire stays below the traded one."""


class Market:
    """A seeded exchange: its frames, and the truth behind them.

    `instruments` names are split into a fifth of liquid ones (about 3 trades a second), two fifths of middling ones
    (0.3) and two fifths of thin ones (options, one trade in minutes), unless `liquid`, `middling` or `thin` say how
    many. On top come `indices`, `commodities` (MCX futures, 09:00 to 23:30) and `currencies` (CDS futures, 09:00 to
    17:00); these two keep to `start` and `end` if they are not the default. `days` trading dates follow each other
    from `date` on, weekends skipped. Trading is continuous from `start` to `end` (IST), after an opening auction with
    `auction` (R8). With `cas` the day is that of 2026-08-03 and later (R5): liquid equities stop 15 minutes before
    `end` and have a closing auction within 5 minutes after it, derivatives go on for 10 minutes longer. With
    `postclose` equities also trade at the closing price until 30 minutes after `end` (R9).

    Each name whose book changes is shown about `rate` times a second, in `mode` or in that of `modes` by token, at
    most `packets_per_frame` to a frame. `faults` are off with None, all on with ``"all"``, or a mapping (`Faults`).

    Raises ValueError for arguments that make no market.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        instruments: int = 50,
        indices: int = 2,
        liquid: int | None = None,
        middling: int | None = None,
        thin: int | None = None,
        commodities: int = 0,
        currencies: int = 0,
        date: str | dt.date = "2026-07-01",
        days: int = 1,
        start: str = "09:15",
        end: str = "15:30",
        auction: bool = True,
        cas: bool = False,
        postclose: bool = False,
        packets_per_frame: int = 200,
        rate: float = 1.5,
        mode: Mode = "full",
        modes: Mapping[int, Mode] | None = None,
        faults: Faults | Literal["all"] | None = None,
    ) -> None:
        if liquid is middling is thin is None:
            liquid, middling = instruments // 5, instruments * 2 // 5
            thin = instruments - liquid - middling
        first = dt.date.fromisoformat(date) if isinstance(date, str) else date
        self._midnight_ns = int(dt.datetime.combine(first, dt.time(), _IST).timestamp()) * _SECOND
        self._core = _core.Market(
            seed=seed,
            counts=(liquid or 0, middling or 0, thin or 0, indices, commodities, currencies),
            dates=((first - _EPOCH).days, days),
            session=(_seconds(start), _seconds(end)),
            auction=auction,
            cas=cas,
            postclose=postclose,
            packets_per_frame=packets_per_frame,
            rate=rate,
            mode=mode,
            modes=list((modes or {}).items()),
            faults=self._knobs(faults),
        )
        self._instruments = [self._instrument(row) for row in self._core.instruments()]
        self._divisors = {row[0]: row[10] for row in self._core.instruments()}
        self.session_open_ns: int = self._midnight_ns + _seconds(start) * _SECOND
        """`start` on the first date, ns UTC."""
        self.session_close_ns: int = self._midnight_ns + _seconds(end) * _SECOND
        """`end` on the first date, ns UTC."""

    def instruments(self) -> list[MarketInstrument]:
        """The names: indices, liquid, middling, thin, commodities, currencies."""
        return list(self._instruments)

    def divisor(self, token: int) -> int:
        """How many units of its packets' prices make a rupee. Raises UnknownInstrument."""
        if token not in self._divisors:
            raise UnknownInstrument(f"no such instrument in the market: {token}")
        return self._divisors[token]

    def days(self) -> list[dt.date]:
        """The trading dates."""
        return [_date(day) for day in self._core.days()]

    def events(self) -> Iterator[tuple[EventKind, int, bytes | None]]:
        """All events from the first one on, in order of time: (kind, ns UTC, payload).

        A ``"frame"`` comes with the time it was received and its bytes; ``"disconnected"`` and ``"connected"`` with
        None. Events are made as they are asked for. An earlier iterator of this market raises RuntimeError from
        the next call on.
        """
        return self._core.events()

    def truth(self, token: int, interval: str | dt.timedelta = "1m") -> dict[str, NDArray[Any]]:
        """The true bars of all dates, as numpy columns of equal length, oldest first; only bars with a trade exist.

        time and end: int64, ns UTC, [time, end); open, high, low, close: float64; volume, trades: int64; value,
        vwap: float64. Bars start at the session's open (R6), the last one may be short (R7), a trade exactly at the
        session's end is in the last bar (R3), auctions and post-close are in none (R8, R9). An index's bars are made
        of its publications, which `trades` counts; its volume and value are 0 and its vwap NaN.

        Raises UnknownInstrument, or ValueError for what is no interval of up to a day.
        """
        text = f"{interval.total_seconds():g}s" if isinstance(interval, dt.timedelta) else interval
        rows, divisor = self._rows(token, self._core.truth(token, text), 9)
        volume, value = rows[:, 6], rows[:, 7] / divisor
        vwap = np.divide(value, volume, out=np.full(len(rows), np.nan), where=volume > 0)
        prices = {name: rows[:, 2 + nth] / divisor for nth, name in enumerate(("open", "high", "low", "close"))}
        whole = {"time": rows[:, 0].copy(), "end": rows[:, 1].copy()}
        return {**whole, **prices, "volume": volume.copy(), "value": value, "vwap": vwap, "trades": rows[:, 8].copy()}

    def truth_days(self, token: int) -> list[TruthDay]:
        """The true trading dates with their auctions; none for an index. Raises UnknownInstrument."""
        rows, divisor = self._rows(token, self._core.truth_days(token), 17)

        def day_of(row: list[int]) -> TruthDay:
            opens, high, low, close, value = (row[at] / divisor for at in (1, 2, 3, 4, 6))
            auctions = [
                Print(row[at], row[at + 1] / divisor, row[at + 2]) if row[at + 2] else None for at in (8, 11, 14)
            ]
            return TruthDay(_date(row[0]), opens, high, low, close, row[5], value, row[7], *auctions)

        return [day_of(row) for row in rows.tolist()]

    def trades(self, token: int) -> dict[str, NDArray[Any]]:
        """Every trade in order, as numpy columns; none for an index. Raises UnknownInstrument.

        time: int64, ns UTC; price: float64; quantity: int64; phase: int64, an index into `PHASES`.
        """
        rows, divisor = self._rows(token, self._core.trades(token), 4)
        whole = {"quantity": rows[:, 2].copy(), "phase": rows[:, 3].copy()}
        return {"time": rows[:, 0].copy(), "price": rows[:, 1] / divisor, **whole}

    def delivered(self, token: int) -> list[Delivered]:
        """What the frames so far have carried, one entry a date begun. Raises UnknownInstrument."""
        rows, _ = self._rows(token, self._core.delivered(token), 6)
        return [Delivered(_date(row[0]), row[1], None if row[2] < 0 else row[2], *row[3:6]) for row in rows.tolist()]

    def delivered_volume(self, token: int) -> int:
        """The highest cumulative volume that the frames of the current date have carried, rolled-back and stale
        packets left out, not wrapped at 2^32. Raises UnknownInstrument.
        """
        return self.delivered(token)[-1].highest_volume

    def _rows(self, token: int, flat: NDArray[np.int64] | None, width: int) -> tuple[NDArray[np.int64], int]:
        if flat is None:
            raise UnknownInstrument(f"no such instrument in the market: {token}")
        return flat.reshape(-1, width), self._divisors[token]

    def _instrument(self, row: tuple[Any, ...]) -> MarketInstrument:
        token, symbol, kind, liquidity, mode, tick_size, lot_size, base_price, opens, closes, divisor = row
        times = (self._midnight_ns + opens * _SECOND, self._midnight_ns + closes * _SECOND)
        prices = (tick_size / divisor, lot_size, base_price / divisor)
        return MarketInstrument(token, symbol, token & 0xFF, kind, liquidity, mode, *prices, *times)

    def _knobs(self, faults: Faults | Literal["all"] | None) -> tuple[Any, ...] | None:
        if faults == "all":
            return None
        if isinstance(faults, str):
            raise ValueError(f'the one preset of faults is "all": {faults!r}')
        given: dict[str, Any] = dict(faults or {})
        unknown = given.keys() - Faults.__annotations__.keys()
        if unknown:
            raise ValueError(f"no such fault: {', '.join(sorted(unknown))}")
        spans = [(self._instant(start), self._instant(end)) for start, end in given.get("disconnections", ())]
        return (*(given.get(name, 0.0) for name in _KNOBS), given.get("wrap", 0), spans)

    def _instant(self, at: int | str) -> int:
        return self._midnight_ns + _seconds(at) * _SECOND if isinstance(at, str) else at


def _seconds(clock: str) -> int:
    parsed = dt.time.fromisoformat(clock)
    if parsed.tzinfo is not None or parsed.microsecond:
        raise ValueError(f"not a time of day as 09:15 or 09:15:30: {clock!r}")
    return parsed.hour * 3_600 + parsed.minute * 60 + parsed.second


def _date(day: int) -> dt.date:
    return _EPOCH + dt.timedelta(days=day)
