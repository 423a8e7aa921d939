"""The vendor's `KiteTicker`, drop-in (beside stage feed, stands on ticker): change one import and keep the script.

```python
from tickloom.kite import KiteTicker  # was: from kiteconnect import KiteTicker

kws = KiteTicker("your_api_key", "your_access_token")
kws.on_ticks = lambda ws, ticks: print(ticks)
kws.on_connect = lambda ws, response: ws.subscribe([408065])
kws.connect()
```

Names, signatures, callbacks and tick dicts are the vendor's (kite-protocol §8). What is better is listed in
docs/migrating.md: a callback may be slow or raise, silence is noticed, modes survive a reconnect, any thread may call,
certificates are verified, and a ticker may be started any number of times.
"""

from __future__ import annotations

from tickloom.kite.ticker import KiteTicker

__all__ = ["KiteTicker"]
