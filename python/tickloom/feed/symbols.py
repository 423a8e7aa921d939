"""Symbols: names to tokens, from whoever knows them (stage feed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.errors import UnknownInstrument
from tickloom.history.base import Instrument
from tickloom.instruments import Instruments
from tickloom.watchlists import Watchlists

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tickloom._core import Engine
    from tickloom.sources.base import Source

__all__ = ["Symbols"]


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
        """The token of an instrument. Raises UnknownInstrument for a name that nobody knows."""
        if not isinstance(instrument, str):
            return int(instrument)
        if isinstance(self._given, Instruments) and getattr(self._source, "symbols", None) in (None, {}):
            # It knows all, and which names are near.
            known = None if instrument in self._given else self._by_engine(instrument)
            return known or self._given[instrument]
        for names in (self._given, getattr(self._source, "symbols", None)):
            if names is not None and instrument in names:
                return int(names[instrument])
        token = self._by_engine(instrument)
        if token is None:
            raise UnknownInstrument(f"no such symbol, give its token or Feed(symbols=...): {instrument}")
        return token

    def _by_engine(self, name: str) -> int | None:
        return next((token for token, symbol in self._engine.instruments if symbol == name), None)

    def tokens(self, instruments: Iterable[int | str] | int | str, *, track: bool = False) -> list[int]:
        """The tokens of one or several; with `track` the engine learns of them, so that candles can be had at once."""
        several = [instruments] if isinstance(instruments, (int, str)) else list(instruments)
        if isinstance(self._given, Instruments):
            several = [each for name in several for each in self._members(name, self._given)]
        found = [self.token(instrument) for instrument in several]
        if track:
            tracked = {token for token, _ in self._engine.instruments}
            for instrument, token in zip(several, found, strict=True):
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

    def _members(self, name: int | str, given: Instruments) -> list[int | str]:
        """What a name stands for: an instrument, or the members of a watchlist that today's instruments have."""
        if not isinstance(name, str) or name in given or self._by_engine(name) is not None:
            return [name]
        self.watchlists = self.watchlists or Watchlists()
        return [*self.watchlists.resolve(name, given).symbols] if name in self.watchlists else [name]

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
