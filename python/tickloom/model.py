"""Words for what bars carry, and instants as people read them (beside every stage, imports nothing).

```
Flags        bits of the `flags` column: what is missing or doubtful about a bar
TimeSource   values of the `time_source` column: the clock that placed a bar's ticks
BarSource    values of the `src` column: where a bar's numbers came from
ist, to_ns   nanoseconds UTC to Indian time and back
```
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, IntFlag

__all__ = ["IST", "BarSource", "Flags", "TimeSource", "ist", "to_ns"]

IST = timezone(timedelta(hours=5, minutes=30), "IST")
"""India's time zone, a constant offset: no time-zone database is asked (R1)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Flags(IntFlag):
    """What is missing or doubtful about a bar (R39): `if bar.flags & Flags.PARTIAL`, or on a whole column."""

    PARTIAL = 1
    """The feed joined after the bar's start: its head is missing (R12)."""
    GAP = 2
    """A gap in the feed touches the bar (R13)."""
    MISSING = 4
    """The bar lies wholly inside a gap; its prices are unknown (R13)."""
    TIME_APPROX = 8
    """A tick was placed by the time of its arrival, for want of exchange stamps (R2)."""
    NO_VOLUME = 16
    """The instrument or the mode has no volume: volume is 0 and vwap NaN (R29, R31)."""
    NO_OI = 32
    """No open interest was told: oi is 0 (R31)."""
    H_AMBIG = 64
    """The high is a day high that may have been traded before the bar's start (R18)."""
    L_AMBIG = 128
    """The low is a day low that may have been traded before the bar's start (R18)."""
    VOL_REBASED = 256
    """The exchange took volume back (R14)."""
    FILLED = 512
    """Nothing traded: the row was filled on read (R24), or the price passed through a brick (R38)."""
    AUCTION = 1024
    """The bar is, or starts with, an auction or the post-close session (R8, R9)."""
    REPAIRED = 2048
    """History replaced or corrected the bar (R12, R13, R34)."""
    AMBIG = 4096
    """High and low came in one update, their order is unknown (R38)."""
    CAPPED = 8192
    """One update would have made too many bars, the last carries the rest (R38)."""
    DELTA_EST = 16384
    """The bar has a signed volume, which is an estimate (R38)."""


class TimeSource(IntEnum):
    """The clock that placed a bar's ticks, of several the least exact (R2)."""

    GIVEN = 0
    """The caller of `push` said so."""
    LTT = 1
    """The last trade time, the only one that puts volume on the right side of a bar's edge."""
    EXCHANGE = 2
    """The exchange's stamp of the snapshot."""
    RECEIVE = 3
    """The time of arrival less the typical delay."""


class BarSource(IntEnum):
    """Where a bar's numbers came from (R39)."""

    LIVE = 1
    HISTORY = 2
    MIXED = 3


def ist(ns: int) -> datetime:
    """The instant `ns`, nanoseconds UTC since 1970, as an aware datetime in Indian time (R1).

    A datetime holds microseconds: what is finer is cut off. Raises OverflowError beyond the year 9999.
    """
    return (_EPOCH + timedelta(microseconds=int(ns) // 1000)).astimezone(IST)


def to_ns(when: datetime) -> int:
    """Nanoseconds UTC since 1970 of an aware datetime of any zone; the inverse of `ist`.

    Raises ValueError for a naive one, which could mean any zone's time.
    """
    if when.utcoffset() is None:
        msg = f"a datetime needs a time zone, such as tickloom.model.IST: {when}"
        raise ValueError(msg)
    past = when - _EPOCH
    return ((past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds) * 1000
