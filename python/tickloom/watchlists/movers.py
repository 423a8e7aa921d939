"""Movers: who rises, falls and trades most, from the engine's board (stage watchlists)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tickloom import market_hours

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tickloom._core import Engine

__all__ = ["MOVERS", "Mover", "mover_name", "movers"]

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


def mover_name(name: str) -> str | None:
    """The name of the movers that is meant, blanks, case, `-` and `_` aside; None if it is another."""
    plain = "".join(name.upper().replace("-", "").replace("_", "").split())
    return next((each for each in MOVERS if each.replace("_", "") == plain), None)


def movers(engine: Engine, which: str, count: int = 10, *, among: Iterable[int] | None = None) -> list[Mover]:
    """The most extreme of what the engine sees: `TOP_GAINERS`, `TOP_LOSERS` or, by the day's volume, `MOST_ACTIVE`.

    `among` are the tokens to look at, all without it. Indices are left out, and what has no previous close (mode ltp);
    gainers have risen, losers fallen, the active traded. Of equal ones the lower token comes first. Raises ValueError
    for another word.
    """
    known = mover_name(which)
    if known is None:
        raise ValueError(f"movers are one of {', '.join(MOVERS)}: {which!r}")
    board = engine.board()
    price, close = board["last_price"], board["prev_close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (price / close - 1) * 100
    volume, token = board["volume_traded"], board["instrument_token"]
    fits = np.isfinite(change) & (close > 0) & ~_is_index(token)
    if among is not None:
        fits &= np.isin(token, list(among))
    fits &= {"TOP_GAINERS": change > 0, "TOP_LOSERS": change < 0, "MOST_ACTIVE": volume > 0}[known]
    rows = np.flatnonzero(fits)
    rank = {"TOP_GAINERS": -change, "TOP_LOSERS": change, "MOST_ACTIVE": -volume.astype(np.int64)}[known]
    best = rows[np.lexsort((token[rows], rank[rows]))][: max(count, 0)]
    symbols = dict(engine.instruments)
    return [
        Mover(int(token[n]), symbols.get(int(token[n])), float(price[n]), float(change[n]), int(volume[n]))
        for n in best
    ]


def _is_index(token: np.ndarray) -> np.ndarray:
    """(rows,) bool: which tokens are of a segment of indices."""
    segments = token & 0xFF
    indices = [segment for segment in np.unique(segments).tolist() if market_hours.class_of(segment) == "index"]
    return np.isin(segments, indices)
