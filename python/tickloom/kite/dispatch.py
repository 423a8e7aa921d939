"""Calls the user's functions so that nothing they do reaches the connection, and ends on a signal (drop-in)."""

from __future__ import annotations

import logging
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType, TracebackType

__all__ = ["Callbacks", "Signals"]

log = logging.getLogger("tickloom.kite")

QUIET_S = 10.0
"""Between two tracebacks of the same callback: one that always raises would fill the disk."""


class Callbacks:
    """Runs callbacks and logs what they raise, each callback's at most once in ten seconds."""

    def __init__(self, *, exits: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.raised = 0
        self._exits = exits
        self._clock = clock
        self._logged: dict[str, tuple[float, int]] = {}
        self._dropped = 0
        self._dropped_at = -QUIET_S

    def run(self, name: str, function: Callable[..., Any] | None, *arguments: Any) -> None:
        """Call `function`, if there is one. Only an exit of a blocking run comes through."""
        if function is None:
            return
        try:
            function(*arguments)
        except Exception:  # noqa: BLE001 - a user's mistake must not cost the connection
            self._log(name)
        except BaseException:
            # In connect() of the main thread an exit means what it says; elsewhere it would only end this thread.
            if self._exits:
                raise
            self._log(name)

    def note_dropped(self, total: int) -> None:
        """Log that frames were dropped, at most once in ten seconds."""
        if total > self._dropped and (now := self._clock()) - self._dropped_at >= QUIET_S:
            log.warning("callbacks are too slow, the oldest frames were dropped: %d", total - self._dropped)
            self._dropped, self._dropped_at = total, now

    def _log(self, name: str) -> None:
        self.raised += 1
        now = self._clock()
        last, unsaid = self._logged.get(name, (-QUIET_S, 0))
        if now - last < QUIET_S:
            self._logged[name] = last, unsaid + 1
            return
        self._logged[name] = now, 0
        log.exception("%s raised, the connection goes on; not logged since the last time: %d", name, unsaid)


class Signals:
    """While a blocking connect() lasts, the first SIGINT or SIGTERM stops it, and is raised when it has ended: as
    KeyboardInterrupt, as ever in Python, or as SystemExit(143), so that `finally` blocks run. A second one does at once
    what it would do without us. Outside the main thread, and where the program has its own handlers, nothing."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._before: dict[int, Any] = {}
        self._caught: int | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
            for number, default in defaults.items():
                if signal.getsignal(number) is default:
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, self._before.pop(number))
        self._caught = number
        self._stop()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._before:
            signal.signal(*self._before.popitem())
        if error is None and self._caught is not None:
            raise KeyboardInterrupt if self._caught == signal.SIGINT else SystemExit(128 + self._caught)
