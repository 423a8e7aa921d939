"""Pushed: ticks of a source whose frames are not Kite's (stage sources; docs/sources.md).

```
the user's broker ──▶ PushedTicks([Quote, ...]) ──▶ sink.on_ticks ──▶ engine.push ──▶ bars, events, journal
```

What a listener gets has the surface of a `TickBatch`, so a strategy cannot tell one broker from another.
"""

from __future__ import annotations

import functools
import operator
import struct
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

import numpy as np

from tickloom._core import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from tickloom._core import Engine

__all__ = ["PushedTick", "PushedTicks", "Quote", "VolumeKind"]

VolumeKind = Literal["cumulative", "delta", "none"]
KINDS: tuple[str, ...] = get_args(VolumeKind)

# One tick in a journal (docs/journal.md): token, what was told, price, time, volume, open interest.
_ROW = struct.Struct("<IIdqqq")
_CUMULATIVE, _QUANTITY, _OI = 1, 2, 4
# The wire has 32 bits for these; other brokers' numbers may be larger.
_WIDE = frozenset({"last_traded_quantity", "volume_traded", "oi"})
_LTP, _QUOTE, _FULL = 1, 3, 4
_MODES: dict[int, Literal["ltp", "quote", "full"]] = {_LTP: "ltp", _QUOTE: "quote", _FULL: "full"}
_INDICES = 9
# What the engine takes for a time.
_OLDEST, _NEWEST = 946_684_800_000_000_000, 7_258_118_400_000_000_000


class Quote(NamedTuple):
    """What a broker says of one instrument; what it does not say is None."""

    token: int
    price: float
    """Of the last trade, in money."""
    time_ns: int | None = None
    """When that was at the exchange, nanoseconds UTC; None: unknown, the tick is placed by its receipt and flagged."""
    volume: int | None = None
    """By the batch's kind: the day's so far, or what was traded since the quote before."""
    oi: int | None = None


class PushedTick:
    """One tick as a listener sees it: the attributes of `Tick`, those that the source does not know are None."""

    last_traded_quantity: int | None
    volume_traded: int | None
    average_traded_price: Final = None
    total_buy_quantity: Final = None
    total_sell_quantity: Final = None
    day_open: Final = None
    day_high: Final = None
    day_low: Final = None
    prev_close: Final = None
    change: Final = None
    net_change: Final = None
    oi_day_high: Final = None
    oi_day_low: Final = None
    bids: Final = None
    asks: Final = None

    def __init__(self, batch: PushedTicks, quote: Quote) -> None:
        self.batch = batch
        self.instrument_token = quote.token
        self.last_price = quote.price
        self.volume_traded = quote.volume if batch.volume == "cumulative" else None
        self.last_traded_quantity = quote.volume if batch.volume == "delta" else None
        self.last_trade_time = self.exchange_timestamp = quote.time_ns
        self.oi = quote.oi
        self.mode = _MODES[_mode(quote)]
        """That of a packet which would say as much."""
        self.tradable = quote.token & 0xFF != _INDICES

    def __repr__(self) -> str:
        return f"PushedTick(instrument_token={self.instrument_token}, last_price={self.last_price}, mode={self.mode!r})"


class PushedTicks:
    """Quotes that came together, at `received_ns` (nanoseconds UTC), with the kind of their volumes declared.

    `volume`: "cumulative" is the day's sum, from which bars take differences, so that a lost quote loses nothing;
    "delta" is what each quote adds, for brokers that send every trade; "none" is for prices alone. Raises ValueError
    for another kind, for a volume where none was declared, and for a `received_ns` in another unit; TypeError for what
    is no `Quote`, and for a `received_ns` that is no int.

    `rejected` and `error` are filled by `into`: how many quotes could not be true, and why the first of them.
    """

    def __init__(
        self,
        quotes: Iterable[Quote],
        *,
        volume: VolumeKind,
        received_ns: int,
        rejected: int = 0,
        error: Exception | None = None,
    ) -> None:
        told: tuple[Any, ...] = tuple(quotes)
        self.quotes: tuple[Quote, ...] = told
        self.volume: VolumeKind = volume
        # A mistake here would be one of every message: it is said where it was made, before anything is taken.
        self.received_ns = _receipt(received_ns)
        for quote in told:
            if not isinstance(quote, Quote):
                msg = f"quotes must be Quote(token, price, ...): {quote!r}"
                raise TypeError(msg)
        self.rejected = rejected
        self.error = error
        if volume not in KINDS:
            msg = f"volume must be one of {', '.join(KINDS)}: {volume!r}"
            raise ValueError(msg)
        if volume == "none" and any(quote.volume is not None for quote in self.quotes):
            msg = 'quotes have volumes, declare their kind: volume="cumulative" or "delta"'
            raise ValueError(msg)

    def into(self, engine: Engine) -> PushedTicks:
        """Pushes all to an engine, as live ticks; gives those that it took."""
        word = "quantity" if self.volume == "delta" else "cumulative_volume"
        push, received_ns = engine.push, self.received_ns
        taken: list[Quote] = []
        error: Exception | None = None
        for quote in self.quotes:
            token, price, time_ns, volume, oi = quote
            try:
                push(token, price, time_ns=time_ns, oi=oi, received_ns=received_ns, **{word: volume})
            except (ValueError, TypeError, OverflowError) as raised:
                error = error or raised
            else:
                taken.append(quote)
        rejected = len(self.quotes) - len(taken)
        return self._unchecked(taken, self.volume, received_ns, rejected, error)

    def to_bytes(self) -> bytes:
        """As a journal keeps it. Raises struct.error for what no engine takes."""
        kind = {"cumulative": _CUMULATIVE, "delta": _QUANTITY, "none": 0}[self.volume]
        rows = bytearray()
        for token, price, time_ns, volume, oi in self.quotes:
            told = (0 if volume is None else kind) | (0 if oi is None else _OI)
            rows += _ROW.pack(token, told, price, time_ns or 0, volume or 0, oi or 0)
        return bytes(rows)

    @classmethod
    def from_bytes(cls, payload: bytes, received_ns: int) -> PushedTicks:
        """The inverse of `to_bytes`."""
        quotes = []
        kind: VolumeKind = "none"
        for token, told, price, time_ns, volume, oi in _ROW.iter_unpack(
            payload[: len(payload) // _ROW.size * _ROW.size]
        ):
            if told & (_CUMULATIVE | _QUANTITY):
                kind = "cumulative" if told & _CUMULATIVE else "delta"
            else:
                volume = None  # noqa: PLW2901 - a zero stands in its place
            quotes.append(Quote(token, price, time_ns or None, volume, oi if told & _OI else None))
        # What a damaged record says is for the engine to refuse and to count, and must not end a replay.
        return cls._unchecked(quotes, kind, received_ns)

    @classmethod
    def _unchecked(
        cls, quotes: Iterable[Quote], volume: VolumeKind, received_ns: int, rejected: int = 0,
        error: Exception | None = None,
    ) -> PushedTicks:  # fmt: skip
        made = cls.__new__(cls)
        made.quotes, made.volume, made.received_ns = tuple(quotes), volume, received_ns
        made.rejected, made.error = rejected, error
        return made

    # The surface of a `TickBatch`.

    is_heartbeat: Final = False

    @functools.cached_property
    def array(self) -> NDArray[np.void]:
        """One row a tick, read-only, with the names of `TickBatch.array`; volumes and open interest are int64."""
        array = np.zeros(len(self.quotes), dtype=_dtype())
        for name in array.dtype.names or ():
            if array.dtype[name].base.kind == "f":
                array[name] = np.nan
        column = "last_traded_quantity" if self.volume == "delta" else "volume_traded"
        for row, quote in zip(array, self.quotes, strict=True):
            row["instrument_token"], row["last_price"] = quote.token, quote.price
            row[column], row["oi"] = quote.volume or 0, quote.oi or 0
            row["last_trade_time"] = row["exchange_timestamp"] = quote.time_ns or 0
            row["mode"], row["flags"] = _mode(quote), quote.token & 0xFF != _INDICES
        array.flags.writeable = False
        return array

    def __len__(self) -> int:
        return len(self.quotes)

    def __getitem__(self, index: int) -> PushedTick:
        return PushedTick(self, self.quotes[index])

    def __iter__(self) -> Iterator[PushedTick]:
        return (PushedTick(self, quote) for quote in self.quotes)

    def __repr__(self) -> str:
        return f"PushedTicks({len(self.quotes)} ticks, rejected={self.rejected})"


def _receipt(received_ns: int) -> int:
    try:
        whole = operator.index(received_ns)
    except TypeError:
        msg = f"received_ns must be int nanoseconds UTC: {received_ns!r}"
        raise TypeError(msg) from None
    if not _OLDEST <= whole <= _NEWEST:
        msg = f"received_ns must be nanoseconds between the years 2000 and 2200: {whole}"
        raise ValueError(msg)
    return whole


def _mode(quote: Quote) -> int:
    if quote.oi is not None:
        return _FULL
    return _LTP if quote.volume is None else _QUOTE


@functools.cache
def _dtype() -> np.dtype[np.void]:
    """The dtype of `TickBatch.array` with wider volumes, and without its padding."""
    fields: list[Any] = []
    for name, *what in parse(b"\x00\x00").array.dtype.descr:
        if name:
            fields.append((name, "<i8") if name in _WIDE else (name, *what))
    return np.dtype(fields)
