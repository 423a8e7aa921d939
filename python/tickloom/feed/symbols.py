"""Symbols: names to tokens, from whoever knows them (stage feed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.errors import UnknownInstrument
from tickloom.instruments import Instruments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tickloom._core import Engine
    from tickloom.sources.base import Source

__all__ = ["Symbols"]


class Symbols:
    """Asks, in this order, what the feed was given, what the source knows, what the engine tracks."""

    def __init__(self, engine: Engine, source: Source, given: Mapping[str, int] | None) -> None:
        self._engine = engine
        self._source = source
        self._given = given

    def token(self, instrument: int | str) -> int:
        """The token of an instrument. Raises UnknownInstrument for a name that nobody knows."""
        if not isinstance(instrument, str):
            return int(instrument)
        if isinstance(self._given, Instruments) and getattr(self._source, "symbols", None) in (None, {}):
            # It knows all, and which names are near.
            return self._by_engine(instrument) or self._given[instrument]
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
        found = [self.token(instrument) for instrument in several]
        if track:
            for instrument, token in zip(several, found, strict=True):
                self._track(token, instrument if isinstance(instrument, str) else None)
        return found

    def _track(self, token: int, symbol: str | None) -> None:
        """Names an instrument; if the feed was given a list of instruments, with its tick size and its hours."""
        if not isinstance(self._given, Instruments) or self._tracked(token):
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

    def _tracked(self, token: int) -> bool:
        return any(each == token for each, _ in self._engine.instruments)
