"""Movers: who rises, falls and trades most, from the engine's board (stage watchlists)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from tickloom._core import Engine

__all__ = ["MOVERS", "Mover", "movers"]

MOVERS = ("TOP_GAINERS", "TOP_LOSERS", "MOST_ACTIVE")


class Mover(NamedTuple):
    """One instrument of the moment."""

    token: int
    symbol: str | None
    last_price: float
    change: float
    """Per cent since the previous close."""
    volume: int
    """The day's."""


def movers(engine: Engine, which: str, count: int = 10) -> list[Mover]:
    """The most extreme of what the engine sees: `TOP_GAINERS`, `TOP_LOSERS` or, by the day's volume, `MOST_ACTIVE`.

    Those without a previous close (mode ltp) are left out, and from the gainers those that fell. Of equal ones the
    lower token comes first. Raises ValueError for another word.
    """
    if which not in MOVERS:
        raise ValueError(f"movers are one of {', '.join(MOVERS)}: {which!r}")
    board = engine.board()
    price, close = board["last_price"], board["prev_close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (price / close - 1) * 100
    volume, token = board["volume_traded"], board["instrument_token"]
    fits = np.isfinite(change) & (close > 0)
    fits &= {"TOP_GAINERS": change > 0, "TOP_LOSERS": change < 0, "MOST_ACTIVE": volume > 0}[which]
    rows = np.flatnonzero(fits)
    rank = {"TOP_GAINERS": -change, "TOP_LOSERS": change, "MOST_ACTIVE": -volume.astype(np.int64)}[which]
    best = rows[np.lexsort((token[rows], rank[rows]))][:count]
    symbols = dict(engine.instruments)
    return [
        Mover(int(token[n]), symbols.get(int(token[n])), float(price[n]), float(change[n]), int(volume[n]))
        for n in best
    ]
