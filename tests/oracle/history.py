"""Oracle, stage aggregate: a broker's minutes joined to the sealed rows of one instrument (docs/bars.md 10).

For a date that is over, with complete live minutes and the one in which the feed joined; gaps are not repaired here.
"""

from __future__ import annotations

import math

from tests.oracle.book import GAP, NAN, NO_OI, NO_VOLUME, PARTIAL, f32

MISSING, REPAIRED = 4, 2048
HISTORY = 2


def joined(live: list[dict], minutes: list[dict], *, authority: str = "live") -> tuple[list[dict], set[int]]:
    """The rows of the minutes, and the starts of those that history made."""
    rows = {row["time"]: row for row in live}
    made = set()
    for minute in minutes:
        held = rows.get(minute["time"])
        whole = held is not None and not held["flags"] & (PARTIAL | GAP | MISSING)
        same = whole and all(minute[name] == held[name] for name in ("open", "high", "low", "close", "volume"))
        if whole and (same or authority == "live"):
            continue
        oi = minute["oi"]
        if oi is None and held is not None and not held["flags"] & NO_OI:
            oi = held["oi"]
        flags = (NO_OI if oi is None else 0) | (NO_VOLUME if minute["volume"] is None else 0)
        rows[minute["time"]] = {
            **{name: minute[name] for name in ("time", "end", "open", "high", "low", "close")},
            "volume": minute["volume"] or 0, "vwap": NAN, "oi": oi or 0, "ticks": 0,
            "flags": flags | (REPAIRED if held else 0), "vwap_err": NAN, "coverage": 1.0,
            "rev": held["rev"] + 1 if held else 0, "time_source": 0, "src": HISTORY,
        }  # fmt: skip
        made.add(minute["time"])
    return [rows[time] for time in sorted(rows)], made


def headless(span: tuple[int, int], minutes: list[dict], joined_at: int | None) -> bool:
    """R12 c: the feed joined inside the bar, and history does not reach from its start to the minute of the joining."""
    if joined_at is None or not span[0] <= joined_at < span[1]:
        return False
    return not minutes[0]["time"] <= span[0] <= joined_at < minutes[-1]["end"]


def folded(rows: list[dict], span: tuple[int, int], held: dict | None, *, partial: bool) -> dict:
    """A coarser bar of the rows of its minutes; `held` is the row that it had."""
    flags = PARTIAL if partial else 0
    for row in rows:
        flags |= row["flags"]
    for lacking in (NO_OI, NO_VOLUME):
        if not all(row["flags"] & lacking for row in rows):
            flags &= ~lacking
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    volume = sum(row["volume"] for row in rows)
    traded = [row for row in rows if row["volume"]]
    vwap = err = NAN
    if volume:
        vwap = sum(row["vwap"] * row["volume"] for row in traded) / volume
        vwap = vwap if math.isnan(vwap) else min(max(vwap, low), high)
        err = f32(sum(row["vwap_err"] * row["volume"] for row in traded) / volume)
    src = 0
    for row in rows:
        src |= row["src"]
    return {
        "time": span[0], "end": span[1], "open": rows[0]["open"], "high": high, "low": low, "close": rows[-1]["close"],
        "volume": volume, "vwap": vwap, "vwap_err": err,
        "oi": next((row["oi"] for row in reversed(rows) if not row["flags"] & NO_OI), 0),
        "ticks": sum(row["ticks"] for row in rows), "flags": flags | (REPAIRED if held else 0),
        "coverage": f32(sum(round(row["coverage"] * 10_000) for row in rows) // len(rows) / 10_000),
        "rev": held["rev"] + 1 if held else 0, "time_source": max(row["time_source"] for row in rows), "src": src,
    }  # fmt: skip
