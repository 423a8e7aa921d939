"""The broker's stream (stage ticker): a state machine for one connection, and the asyncio client of an account.

```
settings  messages  failures  backoff  actions  subscriptions      words and rules, pure
         └──────────── protocol ───────────┘              one connection, pure: time and draws are arguments
shards  credentials                                       which connection, with which secret, pure
         └── client ─ link ─ account ─ dial               asyncio, sockets, TLS
```

`TickerClient` and `Sink` are imported when they are asked for: the rest needs no event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tickloom.ticker.credentials import Credentials
from tickloom.ticker.messages import MODES, ConnectionEvent, TextMessage, parse_text
from tickloom.ticker.settings import Settings

if TYPE_CHECKING:
    from tickloom.ticker.client import Sink, TickerClient

__all__ = [
    "MODES", "ConnectionEvent", "Credentials", "Settings", "Sink", "TextMessage", "TickerClient", "parse_text",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in {"Sink", "TickerClient"}:
        from tickloom.ticker import client  # noqa: PLC0415 - see above

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
