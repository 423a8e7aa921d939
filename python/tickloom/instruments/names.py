"""Names: what an instrument is called, by name and by token (stage instruments)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tickloom.errors import UnknownInstrument
from tickloom.instruments import near

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from tickloom.instruments.dump import Columns

__all__ = ["Instrument", "Names"]


class Instrument(NamedTuple):
    """One row of the dump."""

    token: int
    exchange: str
    symbol: str
    name: str
    """The company's, or the underlying's for derivatives."""
    segment: str
    kind: str
    """`EQ`, `FUT`, `CE` or `PE`."""
    expiry: date | None
    strike: float
    tick_size: float
    """In money, 0 where the dump has none."""
    lot_size: int
    exchange_token: int
    last_price: float
    """As of the dump, not a live price."""

    @property
    def full_symbol(self) -> str:
        """`NSE:INFY`."""
        return f"{self.exchange}:{self.symbol}"

    @property
    def key(self) -> str:
        """A name that outlives the token, which is given to another instrument later: `NSE:INFY`,
        `NFO:NIFTY26DECFUT@2026-12-29` (R36)."""
        return self.full_symbol if self.expiry is None else f"{self.full_symbol}@{self.expiry.isoformat()}"


class Names(Mapping[str, int]):
    """The columns of a dump, and the ways to a row of them. Not made by itself: `Instruments` is one."""

    def __init__(self, columns: Columns, default_exchange: str) -> None:
        self._columns = columns
        self.default_exchange = default_exchange

    def __getitem__(self, name: str) -> int:
        return int(self._columns.token[self._row(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.keys)

    def __len__(self) -> int:
        return len(self._columns.keys)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._found(name) is not None

    def find(self, name: str | int) -> Instrument:
        """The instrument of a name or a token. Raises UnknownInstrument with the names nearest to it."""
        return self._instrument(self._row(name) if isinstance(name, str) else self._token_row(name))

    def token(self, name: str) -> int:
        """The token of a name. Raises UnknownInstrument."""
        return self[name]

    def symbol(self, token: int) -> str:
        """`"NSE:INFY"` of a token. Raises UnknownInstrument."""
        row = self._token_row(token)
        return f"{self._columns.exchange[row]}:{self._columns.symbol[row]}"

    def tick_size(self, name: str | int) -> float:
        """The smallest step of the price, in money."""
        return self.find(name).tick_size

    def lot_size(self, name: str | int) -> int:
        """How many units are traded at once."""
        return self.find(name).lot_size

    # Rows.

    def _row(self, name: str) -> int:
        row = self._found(name)
        if row is None:
            raise UnknownInstrument(self._unknown(name))
        return row

    def _found(self, name: str) -> int | None:
        keys = self._columns.keys
        plain, at, expiry = name.partition("@")
        row = keys.get(plain)
        if row is None:
            plain = plain.strip().upper()
            places = [plain] if ":" in plain else [f"{self.default_exchange}:{plain}"]
            row = keys.get(places[0])
            if row is None and ":" not in plain:
                others = [keys[place] for each in self._exchanges if (place := f"{each}:{plain}") in keys]
                row = others[0] if len(others) == 1 else None
        if row is not None and at and self._instrument(row).key.partition("@")[2] != expiry:
            return None
        return row

    def _unknown(self, name: str) -> str:
        exchange, colon, symbol = name.partition("@")[0].upper().rpartition(":")
        symbols = self._columns.symbol
        other = self._found(name.partition("@")[0])
        if other is not None:
            return f"not of that expiry, there is {self._instrument(other).key}: {name}"
        if colon and exchange not in self._exchanges:
            return f"no such exchange, there are {', '.join(self._exchanges)}: {name}"
        pool = {symbols[row]: row for row in reversed(self._listed(exchange or None))}
        close = [self.symbol(int(self._columns.token[pool[each]])) for each in near.close(symbol, pool, 5)]
        advice = f", did you mean {', '.join(close)}" if close else ", search() looks for one"
        return f"no such symbol{advice}: {name}"

    def _token_row(self, token: int) -> int:
        row = self._columns.rows.get(int(token))
        if row is None:
            raise UnknownInstrument(f"no such token in the dump: {token}")
        return row

    def _instrument(self, row: int) -> Instrument:
        columns = self._columns
        expiry = int(columns.expiry[row])
        return Instrument(
            int(columns.token[row]), columns.exchange[row], columns.symbol[row], columns.name[row],
            columns.segment[row], columns.kind[row], date.fromordinal(expiry) if expiry else None,
            float(columns.strike[row]), float(columns.tick_size[row]), int(columns.lot_size[row]),
            int(columns.exchange_token[row]), float(columns.last_price[row]),
        )  # fmt: skip

    def _is(self, column: str, wanted: str) -> NDArray[np.bool_]:
        """(rows,) bool: where a column has this value, or has it in capitals."""
        numbers, codes = self._codes(column)
        equal: NDArray[np.bool_] = codes == numbers.get(wanted, numbers.get(wanted.upper(), -1))
        return equal

    def _codes(self, column: str) -> tuple[dict[str, int], NDArray[np.int64]]:
        found = self._coded.get(column)
        if found is None:
            values: Sequence[str] = getattr(self._columns, column)
            numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
            found = numbers, np.fromiter(map(numbers.__getitem__, values), np.int64, len(values))
            self._coded[column] = found
        return found

    def _listed(self, exchange: str | None) -> list[int]:
        """The rows of an exchange; without one those of shares and indices, which are few and have names."""
        mask = np.equal(self._columns.expiry, 0) if exchange is None else self._is("exchange", exchange)
        return [int(row) for row in np.flatnonzero(mask)]

    @cached_property
    def _coded(self) -> dict[str, tuple[dict[str, int], NDArray[np.int64]]]:
        return {}

    @cached_property
    def _exchanges(self) -> list[str]:
        return list(dict.fromkeys(self._columns.exchange))
