"""What a type checker sees of the public names. Checked by mypy, never run."""

from __future__ import annotations

from typing import assert_type

import tickloom as tl

assert_type(tl.__version__, str)
assert_type(tl.DecodeError("short_header", 1).kind, str)
assert_type(tl.DecodeError("short_header", 1).offset, int)
assert_type(tl.MissingExtra("cli", "rich").extra, str)
assert_type(tl.MarketHours().is_open(0, "NSE"), bool)
assert_type(tl.Instruments.load("instruments.csv")["NSE:INFY"], int)
assert_type(tl.Instruments.load("instruments.csv").find("NSE:INFY").tick_size, float)
assert_type(tl.watchlists.Watchlists().names(), list[str])
assert_type(tl.history.Instrument(1, "NSE:INFY").key, str)
