"""Dump: the broker's list of instruments, CSV bytes to columns (stage instruments).

A dump is another party's file, so every cell is looked at. What cannot be a dump at all raises `BadDump`, which names
file and line; single rows that are broken are left out, counted and named in `rejected`.
"""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tickloom._core import read_columns
from tickloom.errors import BadDump

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["COLUMNS", "Columns", "Rejected", "parse", "to_csv"]

COLUMNS = (
    "instrument_token", "exchange_token", "tradingsymbol", "name", "last_price", "expiry", "strike", "tick_size",
    "lot_size", "instrument_type", "segment", "exchange",
)  # fmt: skip
"""The broker's columns, in its order; the second and the fifth may be missing."""
_TEXTS = ("tradingsymbol", "name", "instrument_type", "segment", "exchange")
_LONGEST = 128
_TOLERATED = 0.01
# A spreadsheet would run such a cell; no symbol and no company begins so.
_FORMULA = ("=", "+", "@", "-")
_KINDS = dict(zip(COLUMNS, "iitwfdffiwww", strict=True))
_MAKE: dict[str, Callable[[str], float]] = {
    "i": int,
    "f": lambda text: float(text or 0),
    "d": lambda text: date.fromisoformat(text).toordinal() if text else 0,
}
_CONTROL = bytes([*range(10), *range(11, 13), *range(14, 32), 127])


class Rejected(NamedTuple):
    """A row that was left out."""

    line: int
    why: str


class Columns(NamedTuple):
    """One entry a row in every column."""

    token: NDArray[np.int64]
    exchange_token: NDArray[np.int64]
    symbol: Sequence[str]
    name: Sequence[str]
    last_price: NDArray[np.float64]
    expiry: NDArray[np.int64]
    """Proleptic ordinals, 0 for none."""
    strike: NDArray[np.float64]
    tick_size: NDArray[np.float64]
    lot_size: NDArray[np.int64]
    kind: Sequence[str]
    segment: Sequence[str]
    exchange: Sequence[str]
    keys: dict[str, int]
    """`exchange:tradingsymbol` to the row."""
    rows: dict[int, int]
    """The token to the row."""
    rejected: tuple[Rejected, ...]


class _Unusual(Exception):
    """The quick way met something: the slow way finds out what, row by row."""


def parse(raw: bytes, source: str) -> Columns:
    """The columns of a CSV file. `source` is its name for errors.

    Raises BadDump if columns are missing, if it is no UTF-8, or if over one row in a hundred is broken.
    """
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadDump(f"not UTF-8, fetch the dump again: {source}, line {line}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
    except csv.Error as error:
        raise BadDump(f"{error}, fetch the dump again: {source}, line 1") from None
    missing = [name for name in COLUMNS if name not in header and name not in ("exchange_token", "last_price")]
    if missing:
        raise BadDump(f"columns are missing ({', '.join(missing)}), fetch the dump again: {source}, line 1")
    places = {name: header.index(name) for name in COLUMNS if name in header}
    try:
        if len(raw) != len(raw.translate(None, _CONTROL)):
            raise _Unusual
        return _quick(text, header)
    except (_Unusual, csv.Error, ValueError, OverflowError):
        return _slow(text, source, places, len(header))


def _quick(text: str, header: Sequence[str]) -> Columns:
    """All rows at once, which takes a fraction of the time."""
    columns = read_columns(text, "".join(_KINDS.get(name, "-") for name in header))
    if columns is None:
        raise _Unusual
    cells = dict(zip(header, columns, strict=True))
    for name, kind in _KINDS.items():
        if name in cells and kind in "ifd":
            cells[name] = np.frombuffer(cells[name], np.float64 if kind == "f" else np.int64)
    found = _columns(cells)
    count = len(found.symbol)
    numbers = (found.strike, found.tick_size, found.last_price, found.lot_size)
    few = {*found.segment, *found.kind, *found.exchange, *found.name}
    symbols = "\n" + "\n".join(found.symbol)
    if (
        count == 0 or found.token.min() < 1 or found.token.max() >= 2**32 or "" in found.exchange or "" in found.symbol
        or len(found.rows) < count or len(found.keys) < count
        or not all(np.isfinite(column).all() and abs(column).max() < 2**53 for column in numbers)
        or any(column.min() < 0 for column in (found.strike, found.tick_size, found.lot_size, found.exchange_token))
        or max(map(len, found.symbol)) > _LONGEST or max(map(len, few)) > _LONGEST
        or any("\n" + sign in symbols for sign in _FORMULA) or any(word.startswith(_FORMULA) for word in few)
        or not (text.isascii() or all(word.isprintable() for word in (*found.symbol, *few)))
    ):  # fmt: skip
        raise _Unusual
    return found


def _columns(cells: Mapping[str, Any], rejected: Iterable[Rejected] = ()) -> Columns:
    tokens, symbol, exchange = cells["instrument_token"], cells["tradingsymbol"], cells["exchange"]
    count = len(symbol)
    none = np.zeros(count, np.int64)
    keys = dict(zip(map(":".join, zip(exchange, symbol, strict=True)), range(count), strict=True))
    return Columns(
        tokens, cells.get("exchange_token", none), symbol, cells["name"], cells.get("last_price", none.astype(float)),
        cells["expiry"], cells["strike"], cells["tick_size"], cells["lot_size"], cells["instrument_type"],
        cells["segment"], exchange, keys,
        dict(zip(tokens.tolist(), range(count), strict=True)), tuple(rejected),
    )  # fmt: skip


def _slow(text: str, source: str, places: Mapping[str, int], width: int) -> Columns:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    good: list[list[str]] = []
    rejected: list[Rejected] = []
    tokens: set[int] = set()
    keys: set[str] = set()
    try:
        next(reader)
        for row in reader:
            if not row:
                continue
            why = _fault(row, places, width, tokens, keys)
            if why:
                rejected.append(Rejected(reader.line_num, why))
            else:
                good.append([row[place] for place in places.values()])
    except csv.Error as error:
        raise BadDump(f"{error}, fetch the dump again: {source}, line {reader.line_num}") from None
    if not good or len(rejected) > _TOLERATED * (len(good) + len(rejected)):
        if not rejected:
            raise BadDump(f"no instruments, fetch the dump again: {source}, line 1")
        count, first = f"{len(rejected)} of {len(good) + len(rejected)} rows are broken", rejected[0]
        raise BadDump(f"{count}, the first by {first.why}, fetch the dump again: {source}, line {first.line}")
    cells: dict[str, Any] = dict(zip(places, zip(*good, strict=True), strict=True))
    for name, kind in _KINDS.items():
        if name in cells and kind in "ifd":
            cells[name] = np.array([_MAKE[kind](cell) for cell in cells[name]], np.float64 if kind == "f" else np.int64)
    return _columns(cells, rejected)


def _fault(row: list[str], places: Mapping[str, int], width: int, tokens: set[int], keys: set[str]) -> str:
    """What is wrong with a row, or nothing; then its token and its key are noted."""
    if len(row) != width:
        return f"{len(row)} cells in place of {width}"
    cells = {name: row[place] for name, place in places.items()}
    for name, cell in cells.items():
        if len(cell) > _LONGEST:
            return f"a {name} of {len(cell)} characters"
        if not cell.isprintable():
            return f"a {name} with a control character"
        if name in _TEXTS and cell.startswith(_FORMULA):
            return f"a {name} like a formula"
        # Python reads `1_000`, and digits of any script.
        if _KINDS[name] in "if" and not (cell.isascii() and "_" not in cell):
            return f"{'an' if name[0] in 'aeiou' else 'a'} {name} that is no number"
    try:
        token = int(cells["instrument_token"])
        small = (int(cells["lot_size"]), float(cells["strike"] or 0), float(cells["tick_size"] or 0))
        price = float(cells.get("last_price") or 0)
        extra = int(cells.get("exchange_token", "0"))
        _MAKE["d"](cells["expiry"])
    except (ValueError, OverflowError) as error:
        return str(error)
    if not (0 < token < 2**32 and all(0 <= number < 2**53 for number in small)):
        return f"a number out of range, token {token}"
    if not (abs(price) < 2**53 and 0 <= extra < 2**53):
        return f"a last_price or an exchange_token that is none, token {token}"
    key = f"{cells['exchange']}:{cells['tradingsymbol']}"
    if not cells["exchange"] or not cells["tradingsymbol"]:
        return "no exchange or no tradingsymbol"
    if token in tokens or key in keys:
        return f"a {'token' if token in tokens else 'symbol'} that an earlier row has, {key}"
    tokens.add(token)
    keys.add(key)
    return ""


def to_csv(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """Rows as `kiteconnect` gives them (dates as dates, numbers as numbers), in the broker's CSV.

    Raises BadDump naming the row if one lacks a column.
    """
    made = io.StringIO()
    writer = csv.writer(made, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, row in enumerate(rows):
        try:
            cells = [row.get(name, 0) if name in ("exchange_token", "last_price") else row[name] for name in COLUMNS]
        except (KeyError, AttributeError, TypeError) as error:
            raise BadDump(f"a row without {error}, fetch the dump again: rows, row {number}") from None
        writer.writerow([cell.date() if isinstance(cell, datetime) else cell for cell in cells])
    return made.getvalue().encode()
