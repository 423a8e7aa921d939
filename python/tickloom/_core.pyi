"""The compiled core. Written by hand, checked against the module by `make types`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, Literal, Self, TypeAlias, final

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Buffer

from tickloom.candles import Resampled
from tickloom.errors import DecodeError

__all__ = [
    "DEBUG_BUILD", "Bar", "Candles", "ClosedBar", "Engine", "JournalCursor", "JournalWriter", "Market", "MarketEvents",
    "Panel", "PriceScales", "Sessions", "Tick", "TickBatch", "UpstoxDecoder", "UpstoxMessage", "parse", "parse_upstox",
    "read_columns",
]  # fmt: skip

DEBUG_BUILD: Final[bool]
"""Whether debug assertions are compiled in: such a build is slow and no benchmark may use it."""

@final
class JournalWriter:
    """Records that wait to be written: `append` copies, `take` packs blocks (docs/journal.md)."""

    def __new__(cls, max_buffer: int = 268_435_456, decoder: UpstoxDecoder | None = None) -> Self: ...
    def append(self, payload: Buffer, received_ns: int, connection: int = 0, kind: int = 1) -> bool: ...
    def take(self, everything: bool) -> list[tuple[bytes, int, int, int]]: ...
    def counts(self) -> tuple[int, int, int, int, bool]: ...
    def finish(self, time_ns: int) -> None: ...
    @staticmethod
    def header(source: str, created_ns: int) -> bytes: ...
    @staticmethod
    def footer(entries: Sequence[tuple[int, int, int, int, int]], offset: int) -> bytes: ...

@final
class JournalCursor:
    """Several journals as one, by receive time: blocks in, records out."""

    def __new__(cls, journals: int, start_ns: int | None = None, decoder: UpstoxDecoder | None = None) -> Self: ...
    def next(self) -> tuple[int | None, int | None]: ...
    def load(self, journal: int, block: bytes | None) -> None: ...
    def take(self, limit: int, until_ns: int | None = None) -> list[tuple[int, int, int, int, bytes]]: ...
    damaged: Final[int]
    @staticmethod
    def read_header(head: bytes) -> tuple[int, str, int]: ...
    @staticmethod
    def read_block_header(head: bytes) -> tuple[bool, int, int, int, int]: ...
    @staticmethod
    def read_trailer(head: bytes) -> int | None: ...
    @staticmethod
    def read_index(head: bytes) -> list[tuple[int, int, int, int, int]]: ...

@final
class Market:
    """A seeded exchange in the core's own integers; `tickloom.sources.simulator.Market` is its face."""

    def __new__(
        cls, *, seed: int, counts: tuple[int, int, int, int, int, int], dates: tuple[int, int],
        session: tuple[int, int], auction: bool, cas: bool, postclose: bool, packets_per_frame: int, rate: float,
        mode: str, modes: Sequence[tuple[int, str]],
        faults: tuple[float, float, float, float, float, float, float, float, int, list[tuple[int, int]]] | None,
    ) -> Self: ...  # fmt: skip
    def events(self) -> MarketEvents: ...
    def instruments(self) -> list[tuple[int, str, str, str, str, int, int, int, int, int, int]]: ...
    def days(self) -> list[int]: ...
    def truth(self, token: int, interval: str) -> NDArray[np.int64] | None: ...
    def truth_days(self, token: int) -> NDArray[np.int64] | None: ...
    def trades(self, token: int) -> NDArray[np.int64] | None: ...
    def delivered(self, token: int) -> NDArray[np.int64] | None: ...

@final
class MarketEvents:
    """The events of one run of a `Market`."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[Literal["frame", "disconnected", "connected"], int, bytes | None]: ...

@final
class PriceScales:
    """Which integer of the wire is one rupee, segment by segment, and where it is `signed` (kite-protocol §5)."""

    def __new__(cls, divisors: Mapping[int, int] | None = None, *, signed: Sequence[int] | None = None) -> Self: ...
    def is_signed(self, segment: int) -> bool: ...
    def divisor(self, segment: int) -> int: ...
    def price(self, instrument_token: int, raw: int) -> float: ...

@final
class TickBatch:
    """The ticks of one frame, in the order of the wire."""

    array: Final[NDArray[np.void]]
    depth20: Final[NDArray[np.void]]
    rejected: Final[int]
    error: Final[DecodeError | None]
    received_ns: Final[int]
    is_heartbeat: Final[bool]
    frame: Final[bytes]
    def to_dicts(self, tz: str = "local") -> list[dict[str, Any]]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Tick: ...
    def __iter__(self) -> Iterator[Tick]: ...

@final
class Tick:
    """One tick of a batch; what its mode does not carry is None (R31)."""

    instrument_token: Final[int]
    mode: Final[Literal["ltp", "ltpc", "quote", "full", "depth20"]]
    tradable: Final[bool]
    last_price: Final[float]
    last_traded_quantity: Final[int | None]
    average_traded_price: Final[float | None]
    volume_traded: Final[int | None]
    total_buy_quantity: Final[int | None]
    total_sell_quantity: Final[int | None]
    day_open: Final[float | None]
    day_high: Final[float | None]
    day_low: Final[float | None]
    prev_close: Final[float | None]
    change: Final[float | None]
    net_change: Final[float | None]
    last_trade_time: Final[int | None]
    exchange_timestamp: Final[int | None]
    oi: Final[int | None]
    oi_day_high: Final[int | None]
    oi_day_low: Final[int | None]
    bids: Final[list[tuple[float, int, int]] | None]
    asks: Final[list[tuple[float, int, int]] | None]
    batch: Final[TickBatch]

def parse(frame: Buffer, *, scales: PriceScales | None = None, received_ns: int = 0) -> TickBatch: ...
def read_columns(text: str, kinds: str) -> list[Any] | None: ...

_Span: TypeAlias = tuple[int, int]
_Fill: TypeAlias = Literal["nan", "ffill"] | None
_Field: TypeAlias = Literal[
    "open", "high", "low", "close", "volume", "vwap", "oi", "ticks", "flags", "vwap_err", "coverage", "rev"
]  # fmt: skip

@final
class Engine:
    """Ticks in, candles of every interval out: frames by `apply`, ticks from elsewhere by `push`.

    `intervals` takes "1m", "5minute", "1h", "30s", "1d" and their like, timedeltas of whole seconds, and bars that
    close by what was traded, "volume:1000", "value:1e6", "updates:100", "range:2.5", "renko:1" (R38). At least the
    last `capacity` bars of each are kept. `grace`, `revise` and `gap_s` are in seconds; they and the words down to
    `week_start` are options of the rules (docs/bars.md §1). `sessions` is an override text (docs/sessions.md).
    Tokens beyond `max_instruments` are counted as `untracked`; of more than `max_events` closed bars that nobody
    drained the oldest are dropped and counted.

    Any thread may call any method; calls take turns. The engine has no clock: the same calls give the same bytes
    (R26). Raises TypeError or ValueError naming the argument, and then nothing that was aggregated is touched.
    """

    def __new__(
        cls, intervals: Iterable[str | timedelta] | None = None, capacity: int = 500, *, grace: float = 2.0,
        revise: float = 5.0, gap_s: float = 10.0, bucket_by: Literal["ltt", "exchange", "receive"] = "ltt",
        edge_split: Literal["last", "prorata"] = "last", anchor: Literal["leg", "day", "midnight", "epoch"] = "leg",
        tail: Literal["stub", "merge"] = "stub", preopen: Literal["separate", "fold", "bar", "drop"] = "separate",
        open_source: Literal["first_trade", "day_open"] = "first_trade",
        postclose: Literal["day_only", "bar", "drop"] = "day_only",
        gap_volume: Literal["last", "spread", "exclude"] = "last", extremes: Literal["apply", "skip", "off"] = "apply",
        vwap: Literal["hybrid", "atp", "ltp", "hlc3"] = "hybrid", atp_rounding: Literal["round", "truncate"] = "round",
        close_on: Literal["watermark", "next_tick"] = "watermark",
        volume: Literal["cumulative", "none"] = "cumulative", week_start: Literal["monday", "sunday"] = "monday",
        signed_volume: Literal["tick", "quote"] | None = None, sessions: str | None = None,
        scales: PriceScales | None = None, max_instruments: int = 20_000, max_events: int = 131_072,
    ) -> Self: ...  # fmt: skip
    @property
    def intervals(self) -> list[str]:
        """Canonical names of what is kept, those without time last."""
    def apply(self, frame: Buffer, received_ns: int = 0) -> TickBatch:
        """Parses one binary frame, aggregates it, and gives its ticks (kite-protocol §4). `received_ns`: nanoseconds
        UTC, 0 if unknown. Raises DecodeError if not one packet could be read."""
    def apply_upstox(self, decoder: UpstoxDecoder, message: Buffer, received_ns: int = 0) -> TickBatch:
        """The same for a message of Upstox's feed; the ticks are shown in Kite's layout (docs/upstox.md)."""
    def track(
        self, token: int, symbol: str | None = None, session: str | None = None, *, tick_size: float | None = None,
        divisor: int | None = None, baseline_volume: int | None = None,
    ) -> None:  # fmt: skip
        """Names an instrument, or says what would else be taken from its segment: `session` is a class of
        docs/sessions.md, `tick_size` is in money (R21), `divisor` units are one rupee, `baseline_volume` is the
        day's volume before its first tick (R12). Only the symbol can change later."""
    def push(
        self, token: int, price: float, *, time_ns: int | None, quantity: int | None = None,
        cumulative_volume: int | None = None, oi: int | None = None, received_ns: int | None = None,
    ) -> None:  # fmt: skip
        """Takes one tick: a price with a trade's `quantity`, or the day's `cumulative_volume`, or alone (R29).
        `time_ns`: nanoseconds UTC at the exchange. Without `received_ns` it is history and moves no clock but its
        instrument's own; with it, it is live, and without `time_ns` placed by its receipt (R2). A price of 0 or less is
        counted in `price_rejected` (R21)."""
    def push_many(
        self, token: int | ArrayLike, price: ArrayLike, *, time_ns: ArrayLike, quantity: ArrayLike | None = None,
        cumulative_volume: ArrayLike | None = None, oi: ArrayLike | None = None,
    ) -> int:  # fmt: skip
        """Pushes whole 1-D columns as history, oldest first, and gives the number of rows: all of them, or none.
        A bad row is named by a ValueError before any is taken, a bad dtype by a TypeError."""
    def advance(self, now_ns: int) -> int:
        """Tells the time on the clock of `received_ns`, so that bars close though nothing arrives (R25). Gives the
        number of bars that it sealed; a time before an earlier one does nothing."""
    def disconnected(self, at_ns: int) -> None:
        """The feed is gone since `at_ns`: what trades until an instrument's next tick is in a gap (R13)."""
    def connected(self, at_ns: int) -> None: ...
    def replay(self, cursor: JournalCursor, until_ns: int | None = None) -> int:
        """Applies records of journals before `until_ns`, until a block is needed; gives how many (docs/journal.md)."""
    def join_history(
        self, token: int, *, time: ArrayLike, open: ArrayLike, high: ArrayLike, low: ArrayLike,  # noqa: A002
        close: ArrayLike, volume: ArrayLike | None, oi: ArrayLike | None = None, now_ns: int,
        authority: Literal["live", "broker", "newest"] = "live",
    ) -> int:  # fmt: skip
        """Joins a broker's minutes, oldest first; gives how many bars it made or changed (R12, R13, R32-R34)."""
    def differences(self, instrument: int | str) -> list[tuple[Bar, Bar]]: ...
    def drain_closed(self) -> list[ClosedBar]:
        """Takes the bars closed, revised and reconciled since the last call, oldest event first (R25)."""
    def candles(self, instrument: int | str, interval: str | timedelta) -> Candles:
        """Live columns of one instrument, by token or symbol, and one interval in any spelling.

        Raises UnknownInstrument (a KeyError), and ValueError for an interval that is not kept or below the tick.
        """
    def board(self) -> NDArray[np.void]:
        """The last packet of every instrument, those only pushed last: read-only, of `TickBatch.array`'s dtype."""
    def panel(self, interval: str | timedelta, field: _Field, fill: _Fill = None) -> Panel:
        """One field of all instruments' sealed bars on one time axis (R24); `fill` as in `Candles.filled`."""
    def account(self, instrument: int | str, *, all_days: bool = False) -> dict[str, int]:
        """Where the date's volume went, or all dates' (R11, docs/bars.md §9): bars + auction_open + auction_close +
        post + unattributed + dropped == last - baseline; its minutes have `bars` and `history`."""
    def auctions(self, instrument: int | str) -> dict[str, dict[str, Any] | None]:
        """The date's `open` and `close` auction: price (float), volume, time (ns UTC), or None (R8, R9)."""
    def gaps(self, instrument: int | str) -> list[tuple[int, int]]:
        """Gaps of the feed, (from, to) in nanoseconds UTC, oldest first (R13)."""
    @property
    def instruments(self) -> list[tuple[int, str | None]]:
        """Token and symbol of every instrument, in the order of the rows of `panel`."""
    def stats(self) -> dict[str, int]:
        """Counters since the engine was made; packets == ticks + rejected, always."""

@final
class Candles:
    """The live candles of one instrument and interval.

    Columns are read-only 1-D arrays of shape (len,), oldest bar first, at most `capacity` long: the engine's own
    memory, which under a reader never changes or moves; take the attribute again to see newer bars. float64 and
    int64 columns are contiguous and aligned; `ticks`, `flags`, `vwap_err` and `rev` lie in steps of eight bytes;
    `coverage`, `time_source`, `src` and `end` are copies. When other threads apply, two attributes can differ by a
    bar: `columns()` is all of one moment.

    `time`, `end`: nanoseconds UTC of the bar's start and end, [time, end) (R3, R7; R38: when it closed).
    `open`, `high`, `low`, `close`: prices (R17, R18, R19). `volume`: quantity traded (R11), 0 with NO_VOLUME where
    none is told (R29). `vwap`: NaN without volume; `vwap_err`: its bound, NaN if none (R22). `oi`: at the bar's end,
    0 with NO_OI where none is told (R30). `ticks`: snapshots that counted. `flags`: bits of `Flags`, `time_source` and
    `src`: values of `TimeSource` and `BarSource`, `coverage`: share of the bar with a feed, 0 to 1 (R39).
    `rev`: revisions after sealing (R25). `delta`, `cvd`: signed volume of bars without time and its sum over all so
    far, an estimate (R38); ValueError for others, or without `signed_volume`."""

    time: Final[NDArray[np.int64]]
    open: Final[NDArray[np.float64]]
    high: Final[NDArray[np.float64]]
    low: Final[NDArray[np.float64]]
    close: Final[NDArray[np.float64]]
    volume: Final[NDArray[np.int64]]
    vwap: Final[NDArray[np.float64]]
    oi: Final[NDArray[np.int64]]
    ticks: Final[NDArray[np.uint32]]
    flags: Final[NDArray[np.uint32]]
    vwap_err: Final[NDArray[np.float32]]
    rev: Final[NDArray[np.uint8]]
    coverage: Final[NDArray[np.float32]]
    time_source: Final[NDArray[np.uint8]]
    src: Final[NDArray[np.uint8]]
    end: Final[NDArray[np.int64]]
    delta: Final[NDArray[np.int64]]
    cvd: Final[NDArray[np.int64]]
    def columns(self) -> dict[str, NDArray[Any]]:
        """All columns of one moment by name, equally long whatever other threads apply."""
    @property
    def forming(self) -> Bar | None:
        """The newest bar that is not sealed, a copy."""
    @property
    def unsealed(self) -> list[Bar]:
        """All bars that are not sealed, oldest first: two during the grace time (R25)."""
    def last(self, n: int = 1) -> list[Bar]:
        """The last `n` sealed bars, oldest first, or as many as there are. ValueError if n < 1."""
    def filled(self, fill: _Fill = None) -> dict[str, NDArray[Any]]:
        """The bars on the calendar between the first and the last, copies, with a mask `valid` (R24): NaN or 0 without
        a bar; "ffill" repeats the close before, FILLED, where the market was open, the feed there and no trade."""
    def resample(self, interval: str | timedelta) -> Resampled:
        """Bars of a multiple of this interval, shorter than a day, by the engine's own rules (R6, R7, R27): those that
        are over. A copy. ValueError for any other interval."""
    def heikin_ashi(self) -> dict[str, NDArray[Any]]:
        """time, open, high, low, close of the Heikin-Ashi bars; never stored (R38). Copies."""
    def to_numpy(self) -> NDArray[np.void]:
        """A structured array, one row a bar, with the names of `columns()`. A copy."""
    def to_pandas(self, tz: Literal["IST", "UTC"] = "IST") -> pd.DataFrame:
        """A DataFrame indexed by `time` in Indian time (fixed +05:30), or UTC. A copy. MissingExtra without pandas."""
    def to_polars(self) -> pl.DataFrame:
        """A DataFrame, `time` and `end` in Asia/Kolkata. A copy. MissingExtra without polars."""
    def to_arrow(self) -> pa.Table:
        """A Table; the columns of eight bytes are not copied. MissingExtra without pyarrow."""
    token: Final[int]
    symbol: Final[str | None]
    interval: Final[str]
    def __len__(self) -> int: ...

@final
class Bar:
    """A copy of one bar: a row of `Candles`, in Python's own numbers. Equal if every bit is."""

    time: Final[int]
    end: Final[int]
    volume: Final[int]
    oi: Final[int]
    ticks: Final[int]
    flags: Final[int]
    rev: Final[int]
    time_source: Final[int]
    src: Final[int]
    open: Final[float]
    high: Final[float]
    low: Final[float]
    close: Final[float]
    vwap: Final[float]
    vwap_err: Final[float]
    coverage: Final[float]
    def to_dict(self) -> dict[str, Any]:
        """The attributes by name, in the order of `Candles.columns()`."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class ClosedBar:
    """What happened to a bar: "closed", "revised" by a late tick, or "reconciled" with history (R25)."""

    token: Final[int]
    symbol: Final[str | None]
    interval: Final[str]
    kind: Final[Literal["closed", "revised", "reconciled"]]
    rev: Final[int]
    bar: Final[Bar]

@final
class Panel:
    """One field of all instruments on one time axis (R24); row i is `tokens[i]`, column j is `time[j]`."""

    @property
    def values(self) -> NDArray[Any]:
        """(instruments, bars), float64 or int64; NaN or 0 where no bar is."""
    @property
    def valid(self) -> NDArray[np.bool_]:
        """(instruments, bars): whether a bar is there, filled ones included."""
    @property
    def time(self) -> NDArray[np.int64]:
        """(bars,): starts, nanoseconds UTC."""
    tokens: Final[list[int]]
    symbols: Final[list[str | None]]

@final
class Sessions:
    """The session table; `tickloom.market_hours` is its face. Days since 1970-01-01, instants in ns UTC."""

    HOLIDAYS: Final[str]
    def __new__(cls, rows: str | None = None, *, holidays: bool = True) -> Self: ...
    @staticmethod
    def classes() -> list[str]: ...
    @staticmethod
    def class_of_segment(segment: int) -> str: ...
    def day(self, class_: str, day: int) -> tuple[_Span | None, list[_Span], _Span | None, _Span | None, bool]: ...
    def phase(self, class_: str, day: int, at: int) -> str: ...
    def bars(self, class_: str, day: int, interval: str | timedelta, *, anchor: str = "leg",
             tail: str = "stub") -> list[_Span]: ...  # fmt: skip

@final
class UpstoxDecoder:
    """Instrument keys, the tokens that stand for them, and what was said of each last: for one engine."""

    def __new__(cls) -> Self: ...
    def track(self, key: str, token: int) -> None: ...
    def load(self, record: bytes) -> None: ...
    def forget(self) -> None: ...
    def tokens(self) -> dict[str, int]: ...
    def __len__(self) -> int: ...

@final
class UpstoxMessage:
    """One message of Upstox's feed; `current_ts` is milliseconds, `market` segment -> status, 2 is open."""

    kind: Final[str]
    current_ts: Final[int]
    rejected: Final[int]
    excess: Final[int]
    market: Final[dict[str, int]]
    def to_dicts(self) -> list[dict[str, Any]]: ...
    def __len__(self) -> int: ...

def parse_upstox(frame: Buffer) -> UpstoxMessage:
    """Decodes one message of Upstox's feed. Raises DecodeError if it is cut or broken (docs/upstox.md)."""
