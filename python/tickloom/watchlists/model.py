"""Model: what a watchlist is made of, and what can be wrong with one (stage watchlists)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datetime import date

__all__ = ["Member", "Resolved", "StaleWatchlist", "UnresolvedSymbols", "Watchlist"]


class StaleWatchlist(UserWarning):
    """A list may not be the one in force on the day asked for: the indices were changed after it was made, or it is
    the oldest that is known."""


class UnresolvedSymbols(UserWarning):
    """Members of a list that today's instruments do not have: renamed, merged or suspended."""


class Member(NamedTuple):
    """One of a list. `isin` is "" where it is not known."""

    symbol: str
    isin: str


class Watchlist(NamedTuple):
    """A list as it was at one time.

    `as_of` is the last day for which its members are known, `effective_from` the first; both are None for one of your
    own.
    """

    name: str
    category: str
    as_of: date | None
    source: str
    members: tuple[Member, ...]
    effective_from: date | None = None


class Resolved(NamedTuple):
    """What of a list can be subscribed today, as `NSE:INFY`, and what cannot."""

    symbols: list[str]
    missing: list[str]
