"""One face for the engine and its slow oracle, so that a rule's test runs on both and a difference can be named."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import numpy as np

from tests.oracle import frames
from tests.oracle.bars import Oracle
from tests.oracle.sessions import SECOND, ist
from tickloom import DecodeError
from tickloom._core import Engine

COLUMNS = (
    "time", "end", "open", "high", "low", "close", "volume", "vwap", "oi", "ticks", "flags", "vwap_err", "coverage",
    "rev", "time_source", "src",
)  # fmt: skip
INFY = 408065
OPTION = 12345602  # an NFO token: its lowest byte is 2
NIFTY = 256265
NAMES = ("oracle", "engine")


class EngineMachine:
    """The engine, with its rows as dicts."""

    def __init__(self, intervals: tuple[str, ...], **options: object) -> None:
        options.setdefault("capacity", 4096)
        self.core = Engine(intervals=list(intervals), **options)
        self.push = self.core.push
        self.advance = self.core.advance
        self.disconnected = self.core.disconnected
        self.connected = self.core.connected
        self.account = self.core.account
        self.auctions = self.core.auctions
        self._events: list[tuple] = []

    def apply(self, frame: bytes, received_ns: int = 0) -> None:
        # A frame that is cut inside its first packet has nothing to give.
        with contextlib.suppress(DecodeError):
            self.core.apply(frame, received_ns)

    def track(self, token: int, session: str | None = None, **rest: object) -> None:
        self.core.track(token, session=session, **rest)

    def rows(self, token: int, interval: str) -> list[dict]:
        candles = self.core.candles(token, interval)
        columns = [np.asarray(getattr(candles, name)).tolist() for name in COLUMNS]
        return [dict(zip(COLUMNS, values, strict=True)) for values in zip(*columns, strict=True)]

    def unsealed(self, token: int, interval: str) -> list[dict]:
        return [as_row(bar) for bar in self.core.candles(token, interval).unsealed]

    def forming(self, token: int, interval: str) -> dict | None:
        bar = self.core.candles(token, interval).forming
        return None if bar is None else as_row(bar)

    @property
    def stats(self) -> dict[str, int]:
        return self.core.stats()

    @property
    def events(self) -> list[tuple]:
        self._events += [(e.token, e.interval, e.kind, e.rev, as_row(e.bar)) for e in self.core.drain_closed()]
        return self._events


class OracleMachine(Oracle):
    """The oracle, with the columns that the engine has."""

    def __init__(self, intervals: tuple[str, ...], **options: object) -> None:
        options.pop("capacity", None)
        super().__init__(intervals, **options)


def as_row(bar: object) -> dict:
    """A bar's columns as a dict."""
    return {name: getattr(bar, name) for name in COLUMNS}


def plain(values: dict) -> dict:
    """A row without what only one of the two shows; NaN is written so that rows can be compared."""
    return {name: "nan" if values[name] != values[name] else values[name] for name in COLUMNS}


@dataclass
class Machine:
    """A machine with a pen: ticks are written with Indian wall times of one date."""

    name: str
    intervals: tuple[str, ...] = ("1m",)
    date: str = "2026-07-01"
    options: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        made = {"oracle": OracleMachine, "engine": EngineMachine}[self.name]
        self.it = made(self.intervals, **self.options)

    def at(self, clock: str) -> int:
        """UTC nanoseconds of a wall time, on the machine's date unless it has one."""
        return ist(clock if " " in clock else f"{self.date} {clock}")

    def full(
        self, ltt: str, price: float, volume: int, ets: str | None = None, *, token: int = INFY, rx: str | None = None,
        ltt_absent: bool = False, **rest: float,
    ) -> None:  # fmt: skip
        """A full packet in a frame of its own. Prices in rupees; ets defaults to ltt, rx to 0.9 s after ets."""
        prices = {k: round(v * 100) if k in {"average", "open", "high", "low", "close"} else v for k, v in rest.items()}
        stamp = self.at(ets or ltt)
        received = self.at(rx) if rx else stamp + 900_000_000
        trade = 0 if ltt_absent else self.at(ltt)
        packet = frames.full(token, round(price * 100), volume, trade, stamp, **prices)
        self.it.apply(frames.frame(packet), received)

    def index(self, price: float, ets: str | None, *, token: int = NIFTY, rx: str | None = None) -> None:
        """An index packet, with a stamp or without."""
        stamp = None if ets is None else self.at(ets)
        received = self.at(rx) if rx else stamp + 900_000_000
        self.it.apply(frames.frame(frames.index(token, round(price * 100), stamp)), received)

    def advance(self, clock: str) -> int:
        """The receiver's clock."""
        return self.it.advance(self.at(clock))

    def bars(self, interval: str = "1m", *, token: int = INFY) -> dict[str, dict]:
        """Sealed bars by the wall time of their start."""
        return {self.label(row["time"]): row for row in self.it.rows(token, interval)}

    def forming(self, interval: str = "1m", *, token: int = INFY) -> dict | None:
        """The bar that forms."""
        return self.it.forming(token, interval)

    def label(self, time: int) -> str:
        """HH:MM, with seconds if there are any."""
        second = (time // SECOND + 19_800) % 86_400
        text = f"{second // 3600:02}:{second // 60 % 60:02}"
        return text + (f":{second % 60:02}" if second % 60 else "")

    def account(self, token: int = INFY) -> dict[str, int]:
        """R11."""
        return self.it.account(token)

    def balanced(self, token: int = INFY) -> bool:
        """R11: everything that was traded since the baseline is booked somewhere, once."""
        a = self.account(token)
        booked = ("bars", "auction_open", "auction_close", "post", "unattributed", "dropped")
        return sum(a[name] for name in booked) == a["last"] - a["baseline"]
