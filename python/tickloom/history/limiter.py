"""Limiter: so many requests a second with one key, however many threads and processes use it (stage history).

A request holds one of `per_second` slots until a second after its answer. So the broker, whenever the request
reached it, never counts more than `per_second` in any second; a rate kept by sending times would let requests that
the network delayed catch up with later ones. An answer that takes long holds its slot for `arrival` seconds at most.

The slots are in a file that is locked while it is read and written. Its times are those of the machine's monotonic
clock, which all processes share.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections import deque
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from tickloom.errors import ConnectionFailed
from tickloom.history.base import plain_wait
from tickloom.instruments.cache import directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tickloom.history.base import Wait

__all__ = ["Limiter"]

_LOOK, _TURN = 0.05, 0.01
_LONGEST = 600.0
_SLOWEST = 8.0
_STEP = 2.0
# So many good answers halve what a 429 doubled.
_CALM = 20


class _State(TypedDict):
    free: list[float]
    """When each slot is free again."""
    hold: float
    """Nobody sends before this."""
    factor: float
    """By how much the broker wants it slower."""
    calm: int


class Limiter:
    """One key's rate, kept in the file `path`, which is made.

    After a 429 everybody waits as long as the broker said (Retry-After), and the rate is halved, down to an eighth; it
    comes back as answers go well. `clock` gives seconds and must be common to all who share the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        per_second: int = 3,
        *,
        window: float = 1.0,
        arrival: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if per_second < 1 or window <= 0:
            raise ValueError(f"a limiter needs at least one request in a window above 0 s: {per_second}, {window}")
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._slots = per_second
        self._window = window
        self._arrival = arrival
        self._clock = clock
        self._line: deque[object] = deque()

    @classmethod
    def of_key(cls, key: str, per_second: int = 3) -> Limiter:
        """The limiter that all users of a key on this machine share. The file's name does not tell the key."""
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        return cls(directory() / "limits" / f"{digest}.json", per_second)

    @contextmanager
    def slot(self, wait: Wait = plain_wait) -> Iterator[None]:
        """Waits for a slot and has it until a second after the block. ConnectionFailed if `wait` says to give up."""
        until = self._take(wait)
        try:
            yield
        finally:
            with self._state() as state:
                # By its time: other processes may have put the slots in another order.
                if until in state["free"]:
                    free = self._clock() + self._window * state["factor"]
                    state["free"][state["free"].index(until)] = free

    def throttled(self, retry_after: float | None) -> float:
        """The broker said 429: everybody waits. Gives for how many seconds."""
        with self._state() as state:
            state["factor"] = min(state["factor"] * _STEP, _SLOWEST)
            state["calm"] = 0
            pause = self._window * state["factor"] if retry_after is None else retry_after
            pause = min(max(pause, 0.0), _LONGEST)
            state["hold"] = max(state["hold"], self._clock() + pause)
        return pause

    def went_well(self) -> None:
        """An answer came: after some of them the rate rises again."""
        with self._state() as state:
            if state["factor"] == 1.0:
                return
            state["calm"] += 1
            if state["calm"] >= _CALM:
                state["factor"], state["calm"] = max(state["factor"] / _STEP, 1.0), 0

    @property
    def factor(self) -> float:
        """1 as long as the broker does not complain, up to 8."""
        with self._state() as state:
            return state["factor"]

    def _take(self, wait: Wait) -> float:
        # Who came first goes first; between processes it is chance.
        mine = object()
        self._line.append(mine)
        try:
            while True:
                pause = _TURN
                if self._line[0] is mine:
                    until, pause = self._try()
                    if until is not None:
                        return until
                if wait(pause):
                    raise ConnectionFailed("told to give up while waiting for the rate limit")
        finally:
            self._line.remove(mine)

    def _try(self) -> tuple[float | None, float]:
        """Takes a slot if there is one: until when at most it is held, or else for how long to wait."""
        with self._state() as state:
            now = self._clock()
            first = min(range(self._slots), key=state["free"].__getitem__)
            due = max(state["free"][first], state["hold"])
            if due > now:
                # A slot that is in use may come free earlier than its time.
                return None, min(due - now, _LOOK)
            until = now + self._arrival + self._window * state["factor"]
            state["free"][first] = until
            return until, 0.0

    @contextmanager
    def _state(self) -> Iterator[_State]:
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+", errors="replace") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            state = self._read(file.read())
            yield state
            file.seek(0)
            file.write(json.dumps(state))
            file.truncate()

    def _read(self, text: str) -> _State:
        now = self._clock()
        try:
            known: _State = json.loads(text) if text else {"free": [], "hold": 0.0, "factor": 1.0, "calm": 0}
            free, hold = [float(at) for at in known["free"]], float(known["hold"])
            # In this order a factor that is no number is 1.
            factor, calm = min(max(1.0, float(known["factor"])), _SLOWEST), int(known["calm"])
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
            # Whoever wrote it was interrupted: what was sent is not known, so a whole window has to pass.
            free, hold, factor, calm = [now + self._window] * self._slots, 0.0, 1.0, 0
        # Of before the machine was started, when its clock began again: nothing can be as far ahead.
        free = [at if at <= now + _LONGEST else 0.0 for at in free]
        hold = hold if hold <= now + _LONGEST else 0.0
        # The busiest count, if another process was given another rate.
        free = sorted(free, reverse=True)[: self._slots]
        return {"free": free + [0.0] * (self._slots - len(free)), "hold": hold, "factor": factor, "calm": calm}
