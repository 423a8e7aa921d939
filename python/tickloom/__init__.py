"""tickloom: a broker's live ticks in, exact candles out.

The stages, in the order data moves through them:

```
bytes -> packets -> ticks -> bars -> readers
         parse      TickBatch  Engine  Candles
```

Importing this package imports numpy and the compiled core and nothing else: no extra, no thread, no
event loop, no look at the environment.
"""

import warnings

from tickloom._core import DEBUG_BUILD, Bar, Candles, ClosedBar, Engine, Panel, PriceScales, Tick, TickBatch, parse
from tickloom.candles import signed_volume
from tickloom.errors import (
    AuthenticationFailed,
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

if DEBUG_BUILD:
    warnings.warn("tickloom's core is a debug build and many times slower: make wheel", RuntimeWarning, stacklevel=2)

__version__ = "0.1.0"

__all__ = [
    "AuthenticationFailed",
    "Bar",
    "BarSource",
    "Candles",
    "ClosedBar",
    "ConnectionFailed",
    "DecodeError",
    "Engine",
    "FeedStale",
    "Flags",
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
    "ist",
    "parse",
    "signed_volume",
    "to_ns",
]
