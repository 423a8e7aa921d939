"""Pace: a request with its turn, its retries, and what each failure means (stage history)."""

from __future__ import annotations

import math
import random
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

from tickloom.errors import ConnectionFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickloom.history.base import Wait
    from tickloom.history.limiter import Limiter

__all__ = ["Pacer", "Retries", "TryAgain", "retry_after"]

T = TypeVar("T")


class TryAgain(Exception):
    """The request failed in a way that another attempt may not: within this package only.

    `throttled`: the broker said 429; `after`: in how many seconds it wants to be asked again.
    """

    def __init__(self, reason: str, *, throttled: bool = False, after: float | None = None) -> None:
        super().__init__(reason)
        self.throttled = throttled
        self.after = after


@dataclass(frozen=True, slots=True)
class Retries:
    """How often, and how far apart: before attempt n a random time up to `base` x 2^(n-1), at most `cap` seconds.

    Chance over the whole of it, so that many who failed together do not come back together. `chance` gives [0, 1).
    """

    attempts: int = 6
    base: float = 0.5
    cap: float = 20.0
    chance: Callable[[], float] = random.random

    def delay(self, attempt: int) -> float:
        """Seconds to wait after so many attempts."""
        return self.chance() * min(self.cap, self.base * 2.0 ** (attempt - 1))


class Pacer:
    """Sends requests one limiter's way, again where that helps."""

    def __init__(self, limiter: Limiter, retries: Retries) -> None:
        self._limiter = limiter
        self._retries = retries
        self._lock = threading.Lock()
        self.requests = 0
        """How many were sent."""

    def call(self, request: Callable[[], T], wait: Wait) -> T:
        """What `request` gives. Raises what it raises but `TryAgain`, and ConnectionFailed when attempts are spent."""
        for attempt in range(1, self._retries.attempts + 1):
            failure = None
            with self._limiter.slot(wait):
                with self._lock:
                    self.requests += 1
                try:
                    given = request()
                except TryAgain as error:
                    failure = error
            if failure is None:
                self._limiter.went_well()
                return given
            if failure.throttled:
                self._limiter.throttled(failure.after)
            elif attempt < self._retries.attempts and wait(self._retries.delay(attempt)):
                raise ConnectionFailed("told to give up between two attempts")
            last = failure
        raise ConnectionFailed(f"history failed {self._retries.attempts} times, try later: {last}") from last


def retry_after(header: str | None) -> float | None:
    """The seconds of a Retry-After header, of a date those until then by our clock; None for none and for neither."""
    try:
        seconds = float(header or "")
    except ValueError:
        try:
            seconds = parsedate_to_datetime(header or "").timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return None if math.isnan(seconds) else max(seconds, 0.0)
