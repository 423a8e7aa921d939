"""What the commands show alike: the clock, a table of candles, why there are none (stage cli)."""

from __future__ import annotations

import datetime as dt
from math import isnan
from typing import TYPE_CHECKING

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tickloom._core import Bar, Candles, Engine

__all__ = ["IST", "clock", "figures", "newest", "table", "why_no_bars"]

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
# Title, head, rules and a line below take this many lines of the terminal.
FRAME_LINES = 7


def clock(ns: int) -> str:
    """Wall clock in India."""
    return dt.datetime.fromtimestamp(ns / 1e9, IST).strftime("%H:%M:%S")


def newest(candles: Candles) -> Bar | None:
    """The bar that forms, else the last that was sealed, if there is one."""
    return candles.forming or (candles.last(1)[0] if len(candles) else None)


def figures(bar: Bar) -> list[str]:
    """Open, high, low, close, volume and vwap as they are shown; no vwap without volume."""
    prices = [f"{price:,.2f}" for price in (bar.open, bar.high, bar.low, bar.close)]
    return [*prices, f"{bar.volume:,}", "" if isnan(bar.vwap) else f"{bar.vwap:,.2f}"]


def table(title: str, engine: Engine, shown: Mapping[int, str], interval: str, height: int) -> Table:
    """The newest candle of as many instruments as the terminal has lines for; a name alone before its first tick."""
    grid = Table(title=title, title_justify="left", expand=False)
    grid.add_column("instrument", no_wrap=True)
    for name in (interval, "open", "high", "low", "close", "volume", "vwap", "bars"):
        grid.add_column(name, justify="right", no_wrap=True)
    fits = max(height - FRAME_LINES, 3)
    for token, name in list(shown.items())[:fits]:
        candles = engine.candles(token, interval)
        bar = newest(candles)
        grid.add_row(name, *([] if bar is None else [clock(bar.time), *figures(bar), f"{len(candles):,}"]))
    if len(shown) > fits:
        grid.caption, grid.caption_justify = f"{fits} of {len(shown)} instruments", "left"
    return grid


def why_no_bars(engine: Engine) -> str:
    """Why ticks came and not one bar did, and what to do; empty if there are bars, or nothing came."""
    stale = engine.stats()["stale"]
    kept = ((token, interval) for token, _ in engine.instruments for interval in engine.intervals)
    if not stale or any(newest(engine.candles(*each)) is not None for each in kept):
        return ""
    return (
        f"no candles: {stale:,} ticks came, of an earlier day than their receipt. Either the market is closed and "
        "repeats its last ticks: come back in market hours. Or it is simulated, and was closed or not asked for its "
        "time: start it without --hours, and connect to its ws:// address with tickloom or tickloom.sources.Kite"
    )
