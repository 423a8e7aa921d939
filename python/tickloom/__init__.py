"""tickloom: a broker's live ticks in, exact candles out.

The stages, in the order data moves through them:

```
bytes -> packets -> ticks -> bars -> readers
         parse      TickBatch  Engine  Candles
```

Importing this package imports numpy and the compiled core and nothing else: no extra, no thread, no
event loop, no look at the environment.
"""

from tickloom._core import Bar, Candles, ClosedBar, Engine, PriceScales, Tick, TickBatch, parse
from tickloom.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    DecodeError,
    FeedStale,
    MissingExtra,
    StoreError,
    TickloomError,
    UnknownInstrument,
)

__version__ = "0.1.0"

__all__ = [
    "AuthenticationFailed",
    "Bar",
    "Candles",
    "ClosedBar",
    "ConnectionFailed",
    "DecodeError",
    "Engine",
    "FeedStale",
    "MissingExtra",
    "PriceScales",
    "StoreError",
    "Tick",
    "TickBatch",
    "TickloomError",
    "UnknownInstrument",
    "__version__",
    "parse",
]
