"""The exchange's clock: the market's time as it passes, and as clients are told it (stage sources)."""

from __future__ import annotations

import time

SECOND_NS = 1_000_000_000


class ExchangeClock:
    """Market time that runs `speed` times as fast as ours; at speed 0 it stands until it is set.

    What is told never runs ahead of what was sent: the receive time of a frame is then the market's own, however late
    the frame left here, and the same market gives the same bars at every speed and on every machine.
    """

    def __init__(self, start_ns: int, speed: float) -> None:
        self.told_ns = start_ns
        self.due_ns: int | None = start_ns
        """When the market's next frame is due, None after the last."""
        # (market time, monotonic time, speed): replaced whole, so any thread may read it.
        self._anchor = (start_ns, time.monotonic(), speed)

    @property
    def speed(self) -> float:
        """Market seconds in one real second."""
        return self._anchor[2]

    def set(self, now_ns: int, speed: float | None = None) -> None:
        """It is this time now."""
        self._anchor = (now_ns, time.monotonic(), self.speed if speed is None else speed)

    def now_ns(self) -> int:
        """The time at the exchange, nanoseconds UTC."""
        market, anchor, speed = self._anchor
        return market + int((time.monotonic() - anchor) * speed * SECOND_NS)

    def seconds_until(self, at_ns: int) -> float:
        """Real seconds until it is this time; below 0 if it was. The clock must not stand."""
        market, anchor, speed = self._anchor
        return anchor + (at_ns - market) / SECOND_NS / speed - time.monotonic()

    def sending(self, at_ns: int) -> None:
        """What happened at this time goes out now."""
        self.told_ns = at_ns

    def look(self) -> None:
        """Nothing goes out now: tells the time that it is, as far as everything before it was sent."""
        now = self.now_ns()
        self.told_ns = max(self.told_ns, now if self.due_ns is None else min(now, self.due_ns))
