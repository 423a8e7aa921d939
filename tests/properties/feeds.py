"""Feeds that hypothesis draws: consistent ones, whose bars are known functions of a set, and hostile ones."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.machines import INFY, NIFTY, OPTION
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist

OPEN = ist("2026-07-01 09:15:00")
MCX = 12345607
BSE_CURRENCY = 12345606
TOKENS = (INFY, OPTION, NIFTY, MCX, BSE_CURRENCY)
EDGES_U32 = (0, 1, 2, 100, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1)


@dataclass(frozen=True)
class Snapshot:
    """What a consistent market would show: everything follows from the trades so far."""

    ltt: int
    ets: int
    price: int
    volume: int
    average: int
    high: int
    low: int
    oi: int

    def packet(self, token: int = INFY) -> bytes:
        """The full packet of this snapshot."""
        return frames.full(
            token, self.price, self.volume, self.ltt, self.ets, average=self.average, high=self.high, low=self.low,
            oi=self.oi,
        )  # fmt: skip


step = st.tuples(
    st.integers(0, 4),  # seconds to the next snapshot's stamp
    st.integers(0, 2),  # how far its last trade lies before its stamp
    st.integers(-3, 3),  # price change
    st.integers(1, 60),  # volume
    st.integers(0, 2),  # how far the day's high passes the price
)


@st.composite
def consistent(draw: st.DrawFn, *, least: int = 5, most: int = 60, start: int = OPEN + 30 * SECOND) -> list[Snapshot]:
    """Snapshots of one instrument in the order of trading, each with a new volume."""
    made: list[Snapshot] = []
    ets, ltt, price, volume, value2 = start, start, 10_000, 1_000, 2 * 1_000 * 10_000
    high, low = price + 5, price - 5
    for seconds, back, change, traded, reach in draw(st.lists(step, min_size=least, max_size=most)):
        ets += seconds * SECOND
        ltt = max(ltt, ets - back * SECOND)
        price += change
        volume += traded
        value2 += 2 * traded * price
        high, low = max(high, price + reach), min(low, price - (reach == 1))
        average = (value2 + volume) // (2 * volume)
        made.append(Snapshot(ltt, ets, price, volume, average, high, low, len(made)))
    return made


def u32(*usual: st.SearchStrategy[int]) -> st.SearchStrategy[int]:
    """Mostly the usual, sometimes an edge of the field."""
    return st.one_of(*usual, st.sampled_from(EDGES_U32))


stamps = st.one_of(
    st.integers(-10, 400).map(lambda second: OPEN // SECOND + second),
    st.sampled_from([0, 1, 946_684_799, 2**32 - 1,
                     OPEN // SECOND - 86_400, OPEN // SECOND + 86_400, OPEN // SECOND - 400,
                     OPEN // SECOND + 22_500, OPEN // SECOND + 24_300]),
)  # fmt: skip
prices = u32(st.integers(9_990, 10_010))


@st.composite
def hostile_packet(draw: st.DrawFn) -> bytes:
    """A packet of any length whose fields are plausible, extreme or absurd."""
    token, price = draw(st.sampled_from(TOKENS)), draw(prices)
    kind = draw(st.sampled_from(["full"] * 8 + ["quote", "ltp", "ltpc", "index", "index32", "depth"]))
    if kind in {"full", "quote"}:
        volume = draw(u32(st.integers(0, 400), st.integers(2**32 - 400, 2**32 - 1)))
        rest = {name: draw(prices) for name in ("average", "high", "low", "open")}
        if draw(st.booleans()):
            rest |= {"high": 0, "low": 0}
        ets = draw(stamps)
        ltt = draw(st.one_of(stamps, st.integers(0, 8).map(lambda back: max(ets - back, 0))))
        body = frames.full(token, price, volume, ltt * SECOND, ets * SECOND, oi=draw(u32()), **rest)
        return body if kind == "full" else body[:44]
    if kind == "depth":
        return frames.ltp(token, price) + draw(stamps).to_bytes(4) + bytes(480)
    if kind in {"ltp", "ltpc"}:
        return frames.ltp(token, price) + (bytes(4) if kind == "ltpc" else b"")
    ets = draw(stamps) * SECOND if kind == "index32" else None
    return frames.index(token, price, ets, high=draw(prices), low=draw(prices))


received = st.one_of(st.just(0), st.integers(-10_000, 420_000).map(lambda ms: OPEN + ms * 1_000_000))
hostile_event = st.one_of(
    st.tuples(st.just("frame"), received, st.lists(hostile_packet(), min_size=1, max_size=6)),
    st.tuples(st.just("frame"), received, st.lists(hostile_packet(), min_size=1, max_size=6)),
    st.tuples(st.just("frame"), received, st.lists(hostile_packet(), min_size=1, max_size=6)),
    st.tuples(st.just("advance"), received, st.none()),
    st.tuples(st.just("disconnected"), received, st.none()),
)
hostile_events = st.lists(hostile_event, max_size=40)

OPTIONS = {
    "grace": [2.0, 0.0, 1.5, 6.0], "revise": [5.0, 0.0, 12.0], "gap_s": [10.0, 3.0],
    "bucket_by": ["ltt", "exchange", "receive"], "edge_split": ["last", "prorata"],
    "anchor": ["leg", "day", "midnight", "epoch"], "tail": ["stub", "merge"],
    "preopen": ["separate", "fold", "bar", "drop"], "open_source": ["first_trade", "day_open"],
    "postclose": ["day_only", "bar", "drop"], "gap_volume": ["last", "spread", "exclude"],
    "extremes": ["apply", "skip", "off"], "vwap": ["hybrid", "ltp", "hlc3", "atp"],
    "atp_rounding": ["round", "truncate"], "close_on": ["watermark", "next_tick"], "volume": ["cumulative", "none"],
}  # fmt: skip
options = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in OPTIONS.items()})


def play(machine: object, events: list[tuple]) -> None:
    """Gives drawn events to a machine."""
    for kind, at, packets in events:
        if kind == "frame":
            machine.apply(frames.frame(*packets), at)
        elif kind == "advance":
            machine.advance(at)
        elif kind == "disconnected":
            machine.disconnected(at)


def pairs(values: list) -> itertools.pairwise:
    """Neighbours."""
    return itertools.pairwise(values)
