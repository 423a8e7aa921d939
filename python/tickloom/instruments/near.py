"""Near: which names are meant by a few letters, and by misspelt ones (stage instruments)."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["close", "ranked"]

_POOL = 4_000
# A kind stands at the end of a symbol, and in the midst of many a name.
_KINDS = ("FUT", "CE", "PE")


def ranked(text: str, symbols: Sequence[str], names: Sequence[str], rows: Iterable[int]) -> list[int]:
    """The rows that a text means, best first: the symbol itself, its beginning, the beginning of a word of the name,
    a part of the symbol, a part of the name, all its words in both. Shorter symbols come before longer ones, then by
    alphabet."""
    words = text.upper().split()
    wanted = " ".join(words)
    if not wanted:
        return []
    ends, parts = [word for word in words if word in _KINDS], [word for word in words if word not in _KINDS]
    found = []
    for row in rows:
        symbol = symbols[row]
        name = names[row].upper()
        if wanted in symbol:
            rank = 0 if symbol == wanted else 1 if symbol.startswith(wanted) else 3
        elif wanted in name:
            rank = 2 if name.startswith(wanted) or f" {wanted}" in name else 4
        elif (
            len(words) > 1 and all(map(symbol.endswith, ends)) and all(part in symbol or part in name for part in parts)
        ):
            rank = 5
        else:
            continue
        found.append((rank, len(symbol), symbol, row))
    return [row for *_, row in sorted(found)]


def close(text: str, pool: Iterable[str], count: int, cutoff: float = 0.6) -> list[str]:
    """The names most like a misspelt one, best first, at most `count`."""
    wanted = text.upper()
    names = list(pool)
    if len(names) > _POOL:
        # Comparing letter by letter is slow: only with those that share two letters at the front, or the length.
        names = [name for name in names if name[:2] == wanted[:2]] or [
            name for name in names if abs(len(name) - len(wanted)) <= 1
        ]
    return difflib.get_close_matches(wanted, names[: 4 * _POOL], count, cutoff)
