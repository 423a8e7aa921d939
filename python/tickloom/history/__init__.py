"""History: a broker's past minutes, fetched politely and kept (stage history, beside candles; knows no feed).

```
plan (days, limits) ──▶ limiter (one a key, every process) ──▶ broker ──▶ Minutes ──▶ cache (a day a file)
```

What needs a network, a file lock or another package is imported when it is first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tickloom.history.base import History, Instrument, Minutes

if TYPE_CHECKING:
    from tickloom.history.cache import Cache
    from tickloom.history.kite import KiteHistory
    from tickloom.history.limiter import Limiter
    from tickloom.history.pace import Retries
    from tickloom.history.upstox import UpstoxHistory

__all__ = ["Cache", "History", "Instrument", "KiteHistory", "Limiter", "Minutes", "Retries", "UpstoxHistory"]

_HOMES = {
    "Cache": "cache",
    "KiteHistory": "kite",
    "Limiter": "limiter",
    "Retries": "pace",
    "UpstoxHistory": "upstox",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"tickloom.history.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tickloom.history' has no attribute {name!r}")
