"""Feed: a source, an engine, and everybody who listens (stage feed, the orchestrator of the Python side).

```
source ──▶ reader ──▶ engine ──▶ candles
              └─────▶ hub ──▶ queue ──▶ dispatcher ──▶ callbacks
                        └───▶ queue ──▶ async for event in feed.events()
```
"""

from __future__ import annotations

from tickloom.feed.backfill import WarmupStatus
from tickloom.feed.facade import Feed
from tickloom.feed.outlets import Stream
from tickloom.feed.parity import Match
from tickloom.feed.queue import Account
from tickloom.feed.statistics import Histogram, Lags, Status

__all__ = ["Account", "Feed", "Histogram", "Lags", "Match", "Status", "Stream", "WarmupStatus"]
