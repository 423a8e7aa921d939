"""Table: `Instruments`, the dump of one day with its look-ups (stage instruments)."""

from __future__ import annotations

import logging
import warnings
from datetime import date, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from tickloom.errors import BadDump, UnknownInstrument
from tickloom.instruments import cache, classes, dump, near
from tickloom.instruments.names import Instrument, Names
from tickloom.masks import masked
from tickloom.model import IST

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping

__all__ = ["ChainRow", "Instruments"]

log = logging.getLogger("tickloom.instruments")
_INDICES = {
    "NIFTY 50": "NIFTY", "NIFTY BANK": "BANKNIFTY", "NIFTY FIN SERVICE": "FINNIFTY", "NIFTY MID SELECT": "MIDCPNIFTY",
    "NIFTY NEXT 50": "NIFTYNXT50",
}  # fmt: skip
"""The symbol of an index, and what its derivatives call it."""


class ChainRow(NamedTuple):
    """One strike of an option chain."""

    strike: float
    call: Instrument | None
    put: Instrument | None


class Instruments(Names):
    """The instruments of a day, made by `load`, `from_rows` or `today`. A mapping of `"NSE:INFY"` to its token.

    A name is `EXCHANGE:SYMBOL`, the `key` of an `Instrument`, or a bare symbol: that of `default_exchange`, else of
    the only exchange that has it. Unknown ones raise UnknownInstrument, which names near ones. `on` is the date of the
    dump. `rejected` has the rows that were left out. It never changes, any thread may ask.
    """

    def __init__(self, columns: dump.Columns, *, on: date, default_exchange: str = "NSE", stale: bool = False) -> None:
        super().__init__(columns, default_exchange)
        self.on = on
        self.rejected = columns.rejected
        self.stale = stale
        """Whether it is an older dump, for want of today's."""

    def __repr__(self) -> str:
        return f"<Instruments: {len(self)} of {self.on}>"

    # Make one.

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, on: date | None = None, default_exchange: str = "NSE") -> Self:
        """From a CSV file in the broker's columns. `on` is its date, the file's own without it. Raises OSError, and
        BadDump naming file and line; a few broken rows are left out with a warning."""
        path = Path(path)
        made = dump.parse(path.read_bytes(), str(path))
        if made.rejected:
            first = made.rejected[0]
            warnings.warn(
                f"{len(made.rejected)} rows left out, the first by {first.why}: {path}, line {first.line}", stacklevel=2
            )
        day = on or datetime.fromtimestamp(path.stat().st_mtime, IST).date()
        return cls(made, on=day, default_exchange=default_exchange)

    @classmethod
    def from_rows(
        cls, rows: Iterable[Mapping[str, Any]], *, on: date | None = None, default_exchange: str = "NSE"
    ) -> Self:
        """From what `KiteConnect.instruments()` gives. Raises BadDump."""
        made = dump.parse(dump.to_csv(rows), "rows")
        if made.rejected:
            log.warning("%d rows left out, the first by %s", len(made.rejected), made.rejected[0].why)
        return cls(made, on=on or _today(), default_exchange=default_exchange)

    @classmethod
    def today(
        cls,
        fetch: Callable[[], Iterable[Mapping[str, Any]]],
        *,
        folder: str | os.PathLike[str] | None = None,
        on: date | None = None,
        default_exchange: str = "NSE",
    ) -> Self:
        """Today's, fetched at most once a day: `Instruments.today(kite.instruments)`.

        The file of the day lies in `folder`, or in `directory()`. If there is none, `fetch` is called, and what it
        gives is written there, if it is a good dump with at least half the rows of the last. Otherwise the last one
        serves on with a warning, and is `stale`. Raises what was wrong if there is no earlier one either. A folder that
        cannot be written is no more than a warning.
        """
        base, day = Path(folder) if folder is not None else cache.directory(), on or _today()
        path = cache.path_of(base, day)
        options: dict[str, Any] = {"default_exchange": default_exchange}
        if path.exists():
            try:
                return cls.load(path, on=day, **options)
            except (BadDump, OSError) as error:
                log.warning("the cached file is fetched again: %s", error)
        earlier = next(cls._earlier(base, day, options), None)
        try:
            raw = dump.to_csv(fetch())
            made = dump.parse(raw, "the fetched dump")
            if earlier is not None and 2 * len(made.symbol) < len(earlier):
                raise BadDump(
                    f"{len(made.symbol)} rows where {earlier.on} had {len(earlier)}, fetch it again: the fetched dump"
                )
        except Exception as error:
            if earlier is None:
                raise
            warnings.warn(f"the instruments of {earlier.on} serve on, because {masked(str(error))}", stacklevel=2)
            return earlier
        try:
            cache.write(path, raw)
            cache.prune(base, day)
        except OSError as error:
            warnings.warn(f"the instruments are not kept, every start fetches them: {error}", stacklevel=2)
        return cls(made, on=day, **options)

    @classmethod
    def _earlier(cls, base: Path, day: date, options: dict[str, Any]) -> Iterator[Self]:
        for on, path in cache.newest(base, day):
            try:
                yield cls(dump.parse(path.read_bytes(), str(path)), on=on, stale=True, **options)
            except (BadDump, OSError) as error:
                log.warning("an older file is passed over: %s", error)

    def session_class(self, name: str | int) -> str:
        """The class of docs/sessions.md, which decides the hours: a stock with derivatives is `cash_cas` and a
        near-month future `futures_near`, as of the date of the dump."""
        return classes.class_of(self.find(name), self._with_derivatives, self._near)

    # Look for some.

    def search(self, text: str, *, limit: int = 20, exchange: str | None = None) -> list[Instrument]:
        """Those that a text means, best first: by symbol, by its beginning, by the name, by all of several words such
        as `nifty 25000 ce`; if there are none, those with a symbol or a name like it. `BSE:INFY` asks one exchange."""
        columns = self._columns
        before, colon, after = text.partition(":")
        if colon and exchange is None:
            exchange, text = before.strip(), after
        rows = range(len(self)) if exchange is None else self._listed(exchange)
        found = near.ranked(text, columns.symbol, columns.name, rows)
        if not found and text.strip():
            listed = self._listed(exchange)[::-1]
            pool = {columns.symbol[row]: row for row in listed}
            pool |= {columns.name[row].upper(): row for row in listed if columns.name[row]}
            found = list(dict.fromkeys(pool[name] for name in near.close(text, pool, limit)))
        return [self._instrument(row) for row in found[: max(limit, 0)]]

    def filter(
        self,
        *,
        exchange: str | None = None,
        segment: str | None = None,
        kind: str | None = None,
        name: str | None = None,
        expiry: date | tuple[date, date] | None = None,
        strike: float | tuple[float, float] | None = None,
    ) -> list[Instrument]:
        """All that fit every condition, in the order of the dump. `expiry` and `strike` are one value or a range that
        includes both ends; `kind` is `EQ`, `FUT`, `CE` or `PE`. Words may be in small letters."""
        mask = np.ones(len(self), bool)
        for column, wanted in (("exchange", exchange), ("segment", segment), ("kind", kind), ("name", name)):
            if wanted is not None:
                mask &= self._is(column, wanted)
        if expiry is not None:
            first, last = expiry if isinstance(expiry, tuple) else (expiry, expiry)
            mask &= (self._columns.expiry >= first.toordinal()) & (self._columns.expiry <= last.toordinal())
        if strike is not None:
            low, high = strike if isinstance(strike, tuple) else (strike, strike)
            mask &= (self._columns.strike >= low) & (self._columns.strike <= high)
        return [self._instrument(row) for row in np.flatnonzero(mask).tolist()]

    def expiries(self, name: str, *, exchange: str = "NFO", kind: str | None = None) -> list[date]:
        """The expiries of an underlying, the first one first; of its `FUT`, `CE` or `PE` alone if `kind` says so.

        It is named as the dump does it, `NIFTY`, or by its own symbol: `NSE:NIFTY 50`, `infy`."""
        mask = self._is("name", self._underlying(name, exchange)) & self._is("exchange", exchange)
        if kind is not None:
            mask &= self._is("kind", kind)
        return [date.fromordinal(n) for n in np.unique(self._columns.expiry[mask]).tolist() if n]

    def option_chain(self, name: str, expiry: date | None = None, *, exchange: str = "NFO") -> list[ChainRow]:
        """The options of an underlying and an expiry, the lowest strike first; without one that of the next expiry
        from the date of the dump on. Raises UnknownInstrument, with underlyings of such a name, if there are none."""
        name = self._underlying(name, exchange)
        coming = [day for day in self.expiries(name, exchange=exchange, kind="CE") if day >= self.on]
        if expiry is None and not coming:
            close = near.close(name, sorted(self._underlyings(exchange)), 3, cutoff=0.8)
            advice = f"did you mean {', '.join(close)}" if close else "look at expiries()"
            raise UnknownInstrument(f"no options to come, {advice}: {exchange}:{name}")
        found = self.filter(exchange=exchange, name=name, expiry=expiry or coming[0])
        sides = {kind: {each.strike: each for each in found if each.kind == kind} for kind in ("CE", "PE")}
        if not sides["CE"] and not sides["PE"]:
            raise UnknownInstrument(f"no options of {expiry}, look at expiries(): {exchange}:{name}")
        strikes = sorted({*sides["CE"], *sides["PE"]})
        return [ChainRow(strike, sides["CE"].get(strike), sides["PE"].get(strike)) for strike in strikes]

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Writes a file that `load` reads, whole or not at all."""
        cache.write(Path(path), dump.to_csv(self.rows()))

    def rows(self) -> Iterator[dict[str, Any]]:
        """The rows as `KiteConnect.instruments()` gives them."""
        for row in range(len(self)):
            one = self._instrument(row)
            yield {
                "instrument_token": one.token, "exchange_token": one.exchange_token, "tradingsymbol": one.symbol,
                "name": one.name, "last_price": one.last_price, "expiry": one.expiry or "", "strike": one.strike,
                "tick_size": one.tick_size, "lot_size": one.lot_size, "instrument_type": one.kind,
                "segment": one.segment, "exchange": one.exchange,
            }  # fmt: skip

    def _underlying(self, name: str, exchange: str) -> str:
        plain = name.rpartition(":")[2].strip().upper()
        known = self._underlyings(exchange)
        return next((each for each in (name, plain, _INDICES.get(plain)) if each in known), name)

    def _underlyings(self, exchange: str) -> frozenset[str]:
        found = self._named.get(exchange)
        if found is None:
            rows = np.flatnonzero(self._is("exchange", exchange) & (self._columns.expiry > 0))
            found = self._named[exchange] = frozenset(self._columns.name[row] for row in rows.tolist())
        return found

    @cached_property
    def _named(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _with_derivatives(self) -> frozenset[str]:
        return frozenset(self._columns.name[row] for row in self._futures)

    @cached_property
    def _near(self) -> dict[str, frozenset[date]]:
        expiries: dict[str, set[date]] = {}
        for row in self._futures:
            name = f"{self._columns.exchange[row]}:{self._columns.name[row].upper()}"
            expiries.setdefault(name, set()).add(date.fromordinal(int(self._columns.expiry[row])))
        return {name: classes.near_months(sorted(days), self.on) for name, days in expiries.items()}

    @cached_property
    def _futures(self) -> list[int]:
        """The rows of the futures on shares and indices."""
        mask = self._is("kind", "FUT") & (self._is("exchange", "NFO") | self._is("exchange", "BFO"))
        return [int(row) for row in np.flatnonzero(mask & (self._columns.expiry > 0))]


def _today() -> date:
    return datetime.now(IST).date()
