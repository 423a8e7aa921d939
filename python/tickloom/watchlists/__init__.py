"""Watchlists: names for groups of instruments: indices, sectors, lists of your own, the movers of the moment.

```
data/*.json ─▶ dated.py  lists through time ─┐
your YAML   ─▶ mine.py   lists of your own  ─┴▶ lists.py  Watchlists ─▶ resolved against today's instruments
update.py    the exchange's CSV, with gates ─▶ a newer dated list      movers.py  from the board
```
"""

from __future__ import annotations

from tickloom.watchlists.lists import Watchlists
from tickloom.watchlists.model import Member, Resolved, StaleWatchlist, UnresolvedSymbols, Watchlist
from tickloom.watchlists.movers import MOVERS, Mover, mover_name, movers

__all__ = [
    "MOVERS",
    "Member",
    "Mover",
    "Resolved",
    "StaleWatchlist",
    "UnresolvedSymbols",
    "Watchlist",
    "Watchlists",
    "mover_name",
    "movers",
]
