"""Sources: where frames and ticks come from (stage sources, knows only what stands left of it).

What needs a socket, a file or an event loop is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tickloom.sources.simulator import Market

if TYPE_CHECKING:
    from tickloom.sources.base import Sink, Source
    from tickloom.sources.kite import Kite
    from tickloom.sources.polling import Polling
    from tickloom.sources.pushed import PushedTick, PushedTicks, Quote
    from tickloom.sources.recorder import Recorder
    from tickloom.sources.replay import Replay
    from tickloom.sources.simulated import Simulator
    from tickloom.sources.upstox import Upstox

__all__ = [
    "Kite", "Market", "Polling", "PushedTick", "PushedTicks", "Quote", "Recorder", "Replay", "Simulator", "Sink",
    "Source", "Upstox",
]  # fmt: skip

_HOMES = {
    "Kite": "kite",
    "Polling": "polling",
    "PushedTick": "pushed",
    "PushedTicks": "pushed",
    "Quote": "pushed",
    "Recorder": "recorder",
    "Replay": "replay",
    "Simulator": "simulated",
    "Sink": "base",
    "Source": "base",
    "Upstox": "upstox",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"tickloom.sources.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tickloom.sources' has no attribute {name!r}")
