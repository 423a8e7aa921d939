"""tickloom: a broker's live ticks in, exact candles out.

The stages, in the order data moves through them:

```
bytes -> packets -> ticks -> bars -> readers
         parse      TickBatch  Engine  Candles
```

Importing this package imports numpy and the compiled core and nothing else: no extra, no thread, no
event loop, no look at the environment.
"""

import importlib
import warnings
from typing import TYPE_CHECKING, Any

from tickloom._core import DEBUG_BUILD, Bar, Candles, ClosedBar, Engine, Panel, PriceScales, Tick, TickBatch, parse
from tickloom.candles import signed_volume
from tickloom.errors import (
    AuthenticationFailed,
    BadDump,
    ConnectionFailed,
    DecodeError,
    FeedStale,
    MissingExtra,
    StoreError,
    SubscriptionLimit,
    TickloomError,
    UnknownInstrument,
)
from tickloom.model import BarSource, Flags, TimeSource, ist, to_ns

if TYPE_CHECKING:
    from tickloom import events, history, sources, watchlists
    from tickloom.feed import Feed
    from tickloom.instruments import Instruments
    from tickloom.market_hours import MarketHours

if DEBUG_BUILD:
    warnings.warn("tickloom's core is a debug build and many times slower: make wheel", RuntimeWarning, stacklevel=2)

__version__ = "0.1.0"

__all__ = [
    "AuthenticationFailed",
    "BadDump",
    "Bar",
    "BarSource",
    "Candles",
    "ClosedBar",
    "ConnectionFailed",
    "DecodeError",
    "Engine",
    "Feed",
    "FeedStale",
    "Flags",
    "Instruments",
    "MarketHours",
    "MissingExtra",
    "Panel",
    "PriceScales",
    "StoreError",
    "SubscriptionLimit",
    "Tick",
    "TickBatch",
    "TickloomError",
    "TimeSource",
    "UnknownInstrument",
    "__version__",
    "events",
    "history",
    "ist",
    "parse",
    "signed_volume",
    "sources",
    "to_ns",
    "watchlists",
]


_HOMES = {"Feed": "feed", "Instruments": "instruments", "MarketHours": "market_hours"}


def __getattr__(name: str) -> Any:
    # What opens sockets, event loops and files is imported when it is asked for, not by everybody who parses a frame.
    if name in _HOMES:
        return getattr(importlib.import_module(f"tickloom.{_HOMES[name]}"), name)
    if name in {"events", "history", "sources", "watchlists"}:
        return importlib.import_module(f"tickloom.{name}")
    raise AttributeError(f"module 'tickloom' has no attribute {name!r}")
