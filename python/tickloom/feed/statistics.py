"""Statistics: what a feed counts, and how late things are (stage feed)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tickloom.feed.backfill import WarmupStatus
    from tickloom.feed.queue import Account

__all__ = ["Histogram", "Lags", "Rate", "Status"]

_BUCKETS = 48


class Histogram:
    """Durations in buckets that double: bucket n counts what took less than 2^n microseconds, and no less than half."""

    def __init__(self) -> None:
        self.counts = [0] * _BUCKETS
        self.largest_ns = 0

    def add(self, ns: int) -> None:
        """Counts one duration; one below zero (two clocks) as nothing."""
        if ns > 0:
            self.counts[min((ns // 1_000).bit_length(), _BUCKETS - 1)] += 1
            self.largest_ns = max(self.largest_ns, ns)
        else:
            self.counts[0] += 1

    def __len__(self) -> int:
        return sum(self.counts)

    def quantile(self, q: float) -> float | None:
        """Seconds that a share `q` of the durations did not exceed, rounded up to a bucket's end; None if empty."""
        wanted = q * len(self)
        seen = 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return min((1 << bucket) * 1_000, max(self.largest_ns, 1_000)) / 1e9
        return None

    def copy(self) -> Histogram:
        """The figures of this moment."""
        other = Histogram()
        other.counts, other.largest_ns = list(self.counts), self.largest_ns
        return other

    def __repr__(self) -> str:
        if not len(self):
            return "Histogram(empty)"
        shown = ", ".join(f"p{q:g} {self.quantile(q / 100):.6f} s" for q in (50, 99, 100))
        return f"Histogram({len(self)} samples, {shown})"


@dataclass(slots=True)
class Lags:
    """Where the time goes from the exchange to your code."""

    exchange_to_receive: Histogram
    """From the exchange's stamp, in whole seconds, to the frame's arrival; of ten frames a second, full mode only."""
    receive_to_engine: Histogram
    """From the frame's arrival to its bars updated; of ten frames a second."""
    receive_to_callback: Histogram
    """From the frame's arrival until its ticks were handed to the callbacks; of every batch handed over."""

    @classmethod
    def empty(cls) -> Lags:
        """Nothing measured."""
        return cls(Histogram(), Histogram(), Histogram())

    def copy(self) -> Lags:
        """The figures of this moment."""
        return Lags(self.exchange_to_receive.copy(), self.receive_to_engine.copy(), self.receive_to_callback.copy())


class Rate:
    """How fast a counter grows, over the last few seconds."""

    def __init__(self, span: float = 5.0) -> None:
        self._span = span
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now: float, count: int) -> None:
        """What the counter says now, `now` in seconds."""
        samples = self._samples
        samples.append((now, count))
        while len(samples) > 2 and samples[1][0] <= now - self._span:
            samples.popleft()

    @property
    def per_second(self) -> float:
        """Between the oldest sample that is kept and the newest."""
        samples = tuple(self._samples)
        if len(samples) < 2 or samples[-1][0] <= samples[0][0]:
            return 0.0
        return (samples[-1][1] - samples[0][1]) / (samples[-1][0] - samples[0][0])


@dataclass(frozen=True, slots=True)
class Status:
    """One moment of a feed. Counters run on over stops and starts."""

    running: bool
    connected: bool
    """Whether every connection is up; sources that say nothing about connections count as up while they run."""
    connections: Mapping[int, str]
    """The last state of each connection."""
    subscribed: int
    """How many instruments are wanted."""
    uptime: float
    """Seconds since the start, 0 if it does not run."""
    starts: int
    reconnects: int
    """How often a connection came up again after it was lost."""
    gaps: int
    frames: int
    """Binary messages, heartbeats included."""
    packets: int
    """packets == ticks + rejected."""
    ticks: int
    rejected: int
    pushed: int
    """Ticks that a source pushed instead of frames and the engine took."""
    push_rejected: int
    """Ticks that a source pushed and that could not be true: pushed + push_rejected is what it delivered."""
    bad_frames: int
    """Frames of which nothing could be read."""
    ticks_per_second: float
    """Over the last 5 seconds, pushed ones included."""
    texts: int
    last_frame_ns: int
    """When the last frame was received, ns UTC, 0 for never."""
    queued: int
    """Events that wait for callbacks; streams of `events()` not counted."""
    callbacks: Account
    """Of the dispatcher: offered == delivered + dropped + queued."""
    streams: Account
    """The same of all streams of `events()`, `wait_tick` and `wait_bar` together."""
    callback_errors: int
    record_errors: int
    lags: Lags
    warmup: WarmupStatus
    """How far the reading of history is."""
