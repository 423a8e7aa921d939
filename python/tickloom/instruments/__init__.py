"""Instruments: the broker's list of what can be traded: symbols to tokens and back, search, option chains.

```
dump.py   CSV bytes to columns · cache.py    one file a day · names.py  by name and by token
near.py   search               · classes.py  hours          · table.py  Instruments
```
"""

from __future__ import annotations

from tickloom.instruments.cache import directory
from tickloom.instruments.dump import Rejected
from tickloom.instruments.names import Instrument
from tickloom.instruments.table import ChainRow, Instruments

__all__ = ["ChainRow", "Instrument", "Instruments", "Rejected", "directory"]
