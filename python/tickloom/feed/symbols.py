"""Symbols: names to tokens, from whoever knows them (stage feed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.errors import UnknownInstrument

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
        for names in (self._given, getattr(self._source, "symbols", None)):
            if names is not None and instrument in names:
                return int(names[instrument])
        for token, symbol in self._engine.instruments:
            if symbol == instrument:
                return token
        raise UnknownInstrument(f"no such symbol, give its token or Feed(symbols=...): {instrument}")

    def tokens(self, instruments: Iterable[int | str] | int | str, *, track: bool = False) -> list[int]:
        """The tokens of one or several; with `track` the engine learns of them, so that candles can be had at once."""
        several = [instruments] if isinstance(instruments, (int, str)) else list(instruments)
        found = [self.token(instrument) for instrument in several]
        if track:
            for instrument, token in zip(several, found, strict=True):
                self._engine.track(token, instrument if isinstance(instrument, str) else None)
        return found
