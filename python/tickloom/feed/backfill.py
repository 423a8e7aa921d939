"""Backfill: reads what is needed of a history and joins it to the live bars, in the background (stage feed).

```
engine, subscriptions ──▶ Needs ──▶ workers ──▶ History ──▶ the reader's thread: engine.join_history
```

The first worker also looks what is needed. The others only help it: one answer of the broker takes longer than its
limiter makes it wait.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tickloom.errors import AuthenticationFailed, ConnectionFailed
from tickloom.feed.dealings import Dealings
from tickloom.feed.needs import INDICES, Need, Needs, settled
from tickloom.history.base import MINUTE_NS, date_of, midnight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tickloom._core import Engine
    from tickloom.history.base import History, Instrument, Minutes

__all__ = ["Backfill", "WarmupStatus"]

_log = logging.getLogger("tickloom.feed")

_WORKERS = 4
_BEAT_S = 0.1
_LOOK_S = 1.0
_TRIES = 4
_AGAIN_NS = 5_000_000_000
# Only the newest minutes of some days can come too early.
_TAIL_NS = 10 * MINUTE_NS

WarmupState = Literal["off", "waiting", "running", "repairing", "complete", "incomplete", "refused", "stopped"]


@dataclass(frozen=True, slots=True)
class WarmupStatus:
    """How far the reading of history is. Counters are those of this start of the feed."""

    state: WarmupState = "off"
    """`waiting`: for the time or a subscription. `running`: instruments are without their days. `repairing`: only
    minutes that a gap or the joining left open. `complete`: nothing is open. `incomplete`: nothing is open, but some
    instruments `failed`. `refused`: the broker refused the token, or a source or clock
    failed, and nothing more is read. `stopped`: the feed is."""
    wanted: int = 0
    """Instruments."""
    done: int = 0
    """Instruments that have their days."""
    failed: int = 0
    open: int = 0
    """Reads that are still to come, those whose time has not come included."""
    requests: int = 0
    joins: int = 0
    """Reads that were joined: one an instrument for its days, and those for repairs."""
    bars: int = 0
    """Bars, of all intervals, that history made or changed."""
    error: str = ""
    """What went wrong last."""


class Backfill:
    """The background work of one start of a feed.

    `join` puts minutes into the engine, on the reader's thread, and gives how many bars changed and how many minutes
    came too early. `days` trading days before today are read first, None for repairs only.
    """

    def __init__(
        self,
        history: History,
        engine: Engine,
        days: int | None,
        *,
        instrument: Callable[[int], Instrument],
        wanted: Callable[[], Iterable[int]],
        clock: Callable[[], int],
        join: Callable[[int, Minutes, int, str], tuple[int, int]],
        alive: Callable[[], bool],
    ) -> None:
        self._history = history
        self._engine = engine
        self._days = days
        self._instrument = instrument
        self._dealings = Dealings(history, instrument)
        self._wanted = wanted
        self._clock = clock
        self._join = join
        self._alive = alive
        self._needs: Needs | None = None
        self._lost: deque[tuple[int, int]] = deque()
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._refused = False
        self._looked_ns = self._busy = 0
        self._next_look = 0.0
        # Days were read, and nobody has looked yet what they leave open.
        self._unseen = False
        self._requests = history.requests
        self._joins = self._bars = 0
        self._error = ""
        self._threads = [
            threading.Thread(target=self._work, args=(nth == 0,), name=f"tickloom-history-{nth}", daemon=True)
            for nth in range(_WORKERS)
        ]

    def start(self) -> None:
        """Begins."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float) -> None:
        """Ends it; what is being read just now is thrown away."""
        self._stop.set()
        with self._changed:
            self._changed.notify_all()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(deadline - time.monotonic(), 0.0))

    def lost(self, start_ns: int, end_ns: int) -> None:
        """The line was down. From the reader's thread: returns at once."""
        self._lost.append((start_ns, end_ns))

    def prefer(self, token: int) -> None:
        """Reads this one first."""
        with self._changed:
            if self._needs is not None:
                self._needs.prefer(token)

    def settled(self, token: int) -> bool:
        """Whether nothing more is to be read of an instrument, as far as is known."""
        with self._changed:
            name = None if self._needs is None else self._needs.names.get(token)
            if name is None or self._unseen:
                return False
            return name.booted and not name.open and not name.failed

    def due(self) -> bool:
        """Whether anything is to be read at this time of the source's clock; False once that is done."""
        now_ns = self._clock()
        with self._changed:
            if self._refused or self._stop.is_set():
                return False
            self._next_look = 0.0
            self._changed.notify_all()
            return self._needs is None or self._looked_ns < now_ns or self._busy > 0 or self._has_due(now_ns)

    def status(self) -> WarmupStatus:
        """The figures of this moment."""
        with self._changed:
            names = [] if self._needs is None else list(self._needs.names.values())
            left = 0 if self._needs is None else len(self._needs.waiting) + self._busy
            done = sum(name.booted for name in names)
            failed = sum(bool(name.failed) for name in names)
            return WarmupStatus(
                state=self._state(len(names), done + failed, failed, left), wanted=len(names), done=done,
                failed=failed, open=left, requests=self._history.requests - self._requests, joins=self._joins,
                bars=self._bars, error=self._error,
            )  # fmt: skip

    def _state(self, wanted: int, over: int, failed: int, left: int) -> WarmupState:
        if self._refused:
            return "refused"
        if self._stop.is_set():
            return "stopped"
        if not wanted:
            return "waiting"
        if over < wanted or self._unseen:
            return "running"
        if left:
            return "repairing"
        return "incomplete" if failed else "complete"

    # What the workers do.

    def _work(self, leads: bool) -> None:
        try:
            while not self._stop.is_set():
                with self._changed:
                    if leads and not self._alive():
                        # There is no time any more by which anything could be due.
                        self._stop.set()
                        self._changed.notify_all()
                        return
                    if leads:
                        self._look()
                    need = None if self._needs is None else self._needs.take(self._clock())
                    if need is None:
                        self._changed.wait(_BEAT_S if leads else None)
                        continue
                    self._busy += 1
                try:
                    self._read(need)
                finally:
                    with self._changed:
                        self._busy -= 1
        except BaseException as error:  # noqa: BLE001 - the feed goes on without its history, and says so
            self._refuse(error)

    def _look(self) -> None:
        now_ns = self._clock()
        if not now_ns or time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_S
        if self._needs is None:
            self._needs = Needs(self._start(self._days), self._dealings.open, self._dealings.traded)
        wanted = tuple(self._wanted())
        self._needs.drop(self._needs.names.keys() - set(wanted))
        self._needs.look(self._engine, wanted, now_ns)
        while self._lost:
            self._needs.lost(*self._lost.popleft())
        for token in self._needs.suspect:
            _log.info("what is kept of %s is not of one scale with its previous close, reading it again", token)
            self._history.forget(self._instrument(token))
        self._needs.suspect.clear()
        self._looked_ns = now_ns
        self._unseen = False
        if self._has_due(now_ns):
            self._changed.notify_all()

    def _has_due(self, now_ns: int) -> bool:
        return self._needs is not None and any(need.due <= now_ns for need in self._needs.waiting)

    def _start(self, days: int | None) -> Callable[[int], int] | None:
        return None if days is None else lambda token: self._dealings.start(token, self._clock(), days)

    def _read(self, need: Need) -> None:
        now_ns = self._clock()
        try:
            minutes = self._history.fetch(
                self._instrument(need.token), need.start, need.end, now_ns=now_ns, wait=self._stop.wait
            )
            minutes = minutes.between(need.start, min(need.end, settled(now_ns)))
            if self._stop.is_set():
                return
            # An index has no volume by which the engine could know that its bar misses something.
            authority = "broker" if need.token & 0xFF == INDICES and need.kind != "boot" else "live"
            bars, early = self._join(need.token, minutes, now_ns, authority) if len(minutes) else (0, 0)
        except AuthenticationFailed as error:
            self._refuse(error)
        except ConnectionFailed as error:
            self._missed(need, now_ns, error, again=True)
        except Exception as error:  # noqa: BLE001 - one instrument must not keep the others from their history
            self._missed(need, now_ns, error, again=False)
        else:
            self._took(need, now_ns, minutes, bars, early)

    def _took(self, need: Need, now_ns: int, minutes: Minutes, bars: int, early: int) -> None:
        with self._changed:
            self._joins += 1
            self._bars += bars
            needs = self._needs
            if needs is None or need.token not in needs.names:
                return
            if need.kind == "boot":
                before = minutes.between(0, midnight(date_of(now_ns)))
                needs.names[need.token].last_close = float(before.close[-1]) if len(before) else 0.0
                self._unseen, self._next_look = True, 0.0
            if early and need.kind != "boot" and need.tries < _TRIES:
                # The engine's clock is behind ours; what was joined stays.
                needs.again(need, now_ns + _AGAIN_NS)
                return
            needs.done(need, now_ns)
            if early and need.kind == "boot":
                needs.add(need.token, "join", max(need.start, need.end - _TAIL_NS), need.end, now_ns + _AGAIN_NS)

    def _missed(self, need: Need, now_ns: int, error: Exception, *, again: bool) -> None:
        if self._stop.is_set():
            return
        with self._changed:
            self._error = f"{need.token}: {error}"
            needs = self._needs
            if needs is None or need.token not in needs.names:
                return
            if again and need.tries < _TRIES:
                needs.again(need, now_ns + _AGAIN_NS)
                return
            needs.failed(need, str(error))
        _log.error("no history of %s: %s", need.token, error)

    def _refuse(self, error: BaseException) -> None:
        with self._changed:
            first, self._refused = not self._refused, True
            self._error = str(error) if isinstance(error, AuthenticationFailed) else f"{type(error).__name__}: {error}"
            self._stop.set()
            self._changed.notify_all()
        if first and isinstance(error, AuthenticationFailed):
            _log.error("no more history, the feed goes on: %s", error)
        elif first:
            _log.error("no more history, the feed goes on", exc_info=error)
