"""Symbols: names to tokens, from whoever knows them (stage feed)."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, SupportsIndex

from tickloom.errors import UnknownInstrument
from tickloom.history.base import Instrument
from tickloom.instruments import Instruments, near
from tickloom.watchlists import Watchlists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tickloom._core import Engine
    from tickloom.sources.base import Source

__all__ = ["Symbols", "several"]

_NEAR = 3
_LARGEST = (1 << 32) - 1


class Symbols:
    """Asks, in this order, what the feed was given, what the source knows, what the engine tracks."""

    def __init__(
        self, engine: Engine, source: Source, given: Mapping[str, int] | None, watchlists: Watchlists | None = None
    ) -> None:
        self._engine = engine
        self._source = source
        self._given = given
        self.watchlists = watchlists
        self._named: dict[int, str | None] = {}

    def token(self, instrument: int | str) -> int:
        """The token of an instrument. Raises UnknownInstrument for a name that nobody knows, TypeError for what is
        neither a token nor a name, ValueError for a token that has not 32 bits."""
        if not isinstance(instrument, str):
            return _token(instrument)
        if isinstance(self._given, Instruments) and getattr(self._source, "symbols", None) in (None, {}):
            # It knows all, and which names are near.
            known = None if instrument in self._given else self._by_engine(instrument)
            return known or self._given[instrument]
        for names in self._tables():
            if instrument in names:
                return int(names[instrument])
        token = self._by_engine(instrument)
        if token is None:
            close = self._near(instrument)
            advice = f"did you mean {', '.join(close)}" if close else "give its token or Feed(symbols=...)"
            raise UnknownInstrument(f"no such symbol, {advice}: {instrument}")
        return token

    def _near(self, name: str) -> list[str]:
        """Known names that may be meant: the same one with its exchange, or one that is spelt alike."""
        known = {*(self._given or ()), *(getattr(self._source, "symbols", None) or ())}
        wanted = name.upper()
        same = sorted(each for each in known if wanted in (each.upper(), each.upper().rpartition(":")[2]))
        return same[:_NEAR] or near.close(name, sorted(known), _NEAR)

    def _by_engine(self, name: str) -> int | None:
        return next((token for token, symbol in self._engine.instruments if symbol == name), None)

    def name(self, token: int) -> str | None:
        """The name of a token, None if nobody has one."""
        if isinstance(self._given, Instruments):
            try:
                return self._given.symbol(token)
            except UnknownInstrument:
                return None
        return next((name for names in self._tables() for name, each in names.items() if each == token), None)

    def is_known(self, name: str) -> bool:
        """Whether it is an instrument, or a watchlist of the user's own."""
        return self._is_instrument(name) or (self.watchlists is not None and name in self.watchlists)

    def tokens(self, instruments: Iterable[int | str] | int | str, *, track: bool = False) -> list[int]:
        """The tokens of one or several; with `track` the engine learns of them, so that candles can be had at once."""
        members = [each for name in several(instruments) for each in self._members(name)]
        found = [self.token(instrument) for instrument in members]
        if track:
            tracked = {token for token, _ in self._engine.instruments}
            for instrument, token in zip(members, found, strict=True):
                self._track(token, instrument if isinstance(instrument, str) else None, token in tracked)
                tracked.add(token)
        return found

    def instrument(self, token: int) -> Instrument:
        """Whose minutes a history is to give: with the expiry and the hours, if the feed was given instruments."""
        if self._named.get(token) is None:
            self._named = dict(self._engine.instruments)
        symbol = self._named.get(token)
        if isinstance(self._given, Instruments):
            try:
                known = self._given.find(token)
            except UnknownInstrument:
                return Instrument(token, symbol)
            hours = self._given.session_class(token)
            return Instrument(token, symbol or known.full_symbol, known.expiry, hours)
        return Instrument(token, symbol)

    def _members(self, name: int | str) -> list[int | str]:
        """What a name stands for: an instrument, or the members of a watchlist that somebody knows today."""
        if not isinstance(name, str) or self._is_instrument(name):
            return [name]
        self.watchlists = self.watchlists or Watchlists()
        if name not in self.watchlists:
            return [name]
        known = self._given if self._given is not None else getattr(self._source, "symbols", None)
        if not known:
            raise UnknownInstrument(f"a watchlist needs the instruments of today, Feed(symbols=...): {name}")
        return [*self.watchlists.resolve(name, known).symbols]

    def _is_instrument(self, name: str) -> bool:
        return any(name in names for names in self._tables()) or self._by_engine(name) is not None

    def _tables(self) -> list[Mapping[str, int]]:
        tables = (self._given, getattr(self._source, "symbols", None))
        return [names for names in tables if names is not None]

    def _track(self, token: int, symbol: str | None, tracked: bool) -> None:
        """Names an instrument; if the feed was given a list of instruments, with its tick size and its hours."""
        if not isinstance(self._given, Instruments) or tracked:
            self._engine.track(token, symbol)
            return
        try:
            known = self._given.find(token)
        except UnknownInstrument:
            self._engine.track(token, symbol)
            return
        hours = self._given.session_class(token)
        self._engine.track(token, symbol or known.full_symbol, session=hours, tick_size=known.tick_size or None)
        # A source that expects ticks by the hours is told what a token does not say.
        classes = getattr(self._source, "session_classes", None)
        if classes is not None:
            classes[token] = hours


def _token(instrument: SupportsIndex) -> int:
    try:
        token = operator.index(instrument)
    except TypeError:
        raise TypeError(f"an instrument is a token or a name: {instrument!r}") from None
    if not 0 <= token <= _LARGEST:
        raise ValueError(f"a token must be from 0 to {_LARGEST}: {token}")
    return token


def several(instruments: Any) -> list[int | str]:
    # Bytes would be read as the tokens of their letters.
    if isinstance(instruments, (str, bytes, bytearray)) or not hasattr(instruments, "__iter__"):
        return [instruments]
    return list(instruments)
