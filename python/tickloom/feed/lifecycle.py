"""Lifecycle: feeds that are still running when the interpreter ends are stopped (stage feed)."""

from __future__ import annotations

import atexit
import os
import time
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickloom.feed.facade import Feed

__all__ = ["ran", "running"]

running: weakref.WeakSet[Feed] = weakref.WeakSet()
"""The feeds to stop."""

# A process must not take longer than this to end, whatever its callbacks do.
_AT_EXIT = 1.0


def _stop_all() -> None:
    deadline = time.monotonic() + _AT_EXIT
    for feed in list(running):
        # A forked child has the objects, but not the threads.
        if feed.process == os.getpid():
            feed.stop(timeout=max(deadline - time.monotonic(), 0.05))


def ran(feed: Feed) -> None:
    """Keeps a feed to be stopped at the end, before whatever its start has opened is closed then: a journal above all.

    What was registered last is called first, and a journal is registered when it is opened.
    """
    running.add(feed)
    atexit.unregister(_stop_all)
    atexit.register(_stop_all)
