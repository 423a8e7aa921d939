"""How long to wait before the next attempt (stage ticker, pure: randomness is an argument)."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Backoff"]

FLOOR_AT_CAP = 0.6
"""The least part of the cap that is waited once the cap is reached."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Full jitter: the wait is drawn evenly from 0 to a window that doubles with each failure.

    At the cap it is drawn from the window's last two fifths instead. So the clients of a broker that went down still
    come back spread out, and an outage of ten minutes costs at most 23 attempts however small the draws are: 7 before
    the cap, then one in 36 seconds (with the defaults).
    """

    base: float = 0.5
    """The first window, in seconds."""
    cap: float = 60.0
    """The largest window, in seconds."""

    def window(self, failures: int) -> float:
        """Seconds: the window after so many failures in a row, the first being number 0."""
        # 2.0 ** 1024 overflows; 64 doublings pass any cap.
        return float(min(self.cap, self.base * 2.0 ** min(failures, 64)))

    def delay(self, failures: int, draw: float) -> float:
        """Seconds to wait; `draw` is even in [0, 1)."""
        window = self.window(failures)
        least = FLOOR_AT_CAP * window if window >= self.cap else 0.0
        return least + draw * (window - least)

    def longest(self, draw: float) -> float:
        """Seconds to wait where trying again soon is pointless."""
        return self.delay(1_000, draw)
