"""The bounded queue between the socket's thread and the callbacks (drop-in).

The reader never waits for a callback: when the queue is full, the oldest frame is dropped and counted. What happens to
a connection and what comes as text (orders) is never dropped.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, NamedTuple

__all__ = ["Call", "Inbox"]

FRAMES = 65_536
"""Frames that may wait. A callback that is this far behind shows prices of minutes ago."""
BYTES = 64 * 1024 * 1024
"""Bytes of frames that may wait."""

ENDING = frozenset({"on_error", "on_close", "end"})


class Call(NamedTuple):
    """One thing to deliver: `kind` is ``"frame"``, ``"text"``, ``"end"`` or a callback's name."""

    kind: str
    arguments: tuple[Any, ...] = ()
    size: int = 0

    @classmethod
    def of_frame(cls, payload: bytes) -> Call:
        """A binary message, the only kind that a full queue drops."""
        return cls("frame", (payload,), len(payload))


class Inbox:
    """First in, first out; any thread puts, one thread gets."""

    def __init__(self, frames: int = FRAMES, size: int = BYTES) -> None:
        self.offered = 0
        self.dropped = 0
        self.hurry = False
        """Set by a stop: nothing but the end, and what leads to it, is worth delivering."""
        self._limits = frames, size
        self._frames = self._bytes = 0
        self._calls: deque[Call] = deque()
        self._ready = threading.Condition()

    def __len__(self) -> int:
        return len(self._calls)

    def put(self, call: Call) -> None:
        """Add one. Never waits for room."""
        with self._ready:
            self._calls.append(call)
            if call.kind == "frame":
                self.offered += 1
                self._frames += 1
                self._bytes += call.size
                # The newest frame stays whatever its size.
                while self._frames > 1 and (self._frames > self._limits[0] or self._bytes > self._limits[1]):
                    self._drop_oldest()
            self._ready.notify()

    def get(self) -> Call:
        """The oldest; waits for one."""
        with self._ready:
            while True:
                while not self._calls:
                    self._ready.wait()
                call = self._calls.popleft()
                if call.kind == "frame":
                    self._frames -= 1
                    self._bytes -= call.size
                if not self.hurry or call.kind in ENDING:
                    return call
                self.dropped += call.kind == "frame"

    def _drop_oldest(self) -> None:
        kept: list[Call] = []
        while (call := self._calls.popleft()).kind != "frame":
            kept.append(call)
        self._calls.extendleft(reversed(kept))
        self._frames -= 1
        self._bytes -= call.size
        self.dropped += 1
