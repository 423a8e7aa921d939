"""Keyed: whose messages a journal has, and the keys by which they name instruments (stage sources; docs/journal.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom._core import JournalCursor
from tickloom.errors import StoreError
from tickloom.sources.journal import FRAME, KEYS, UPSTOX, Reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tickloom.sources.journal import Journal

__all__ = ["keys_at", "one_broker", "speaks"]

# So many records are looked at. A journal of Upstox's messages begins with keys, one of Kite's has a frame a second.
_LOOK = 1024


def speaks(journal: Journal) -> str | None:
    """Whose messages a journal has, "kite" or "upstox"; None if there are none at its start.

    Raises StoreError for messages of Upstox's without keys, as they were written once.
    """
    kinds = {record.kind for record in Reading([journal]).take(_LOOK)}
    if kinds & {UPSTOX, KEYS}:
        return "upstox"
    if FRAME in kinds and journal.source == "upstox":
        raise StoreError(f"messages of Upstox's without the keys of their instruments: {journal.path}")
    return "kite" if FRAME in kinds else None


def one_broker(journals: Sequence[Journal]) -> str | None:
    """Whose messages several journals have. Raises StoreError if they are of two brokers: the volume that one counts
    for a day is not the other's, so both together make no candle."""
    found = {who: journal.path for journal in journals if (who := speaks(journal)) is not None}
    if len(found) > 1:
        raise StoreError(
            f"a journal of Kite's and one of Upstox's are replayed apart: {found['kite']}, {found['upstox']}"
        )
    return next(iter(found), None)


def keys_at(journal: Journal, number: int) -> list[bytes]:
    """The records of keys that are known where a block begins: from the last that has all of them. Where the bytes are
    damaged it may be the first one behind."""
    found: list[bytes] = []
    for back in range(min(number, len(journal.blocks) - 1), -1, -1):
        here = _keys_in(journal, back)
        found = here + found
        if any(_is_whole(record) for record in here):
            return found
    for ahead in range(number + 1, len(journal.blocks)):
        here = _keys_in(journal, ahead)
        found += here
        if any(_is_whole(record) for record in here):
            break
    return found


def _is_whole(record: bytes) -> bool:
    # How many keys were said before it.
    return record[:4] == bytes(4)


def _keys_in(journal: Journal, number: int) -> list[bytes]:
    cursor = JournalCursor(1)
    try:
        cursor.load(0, journal.block(number))
    except ValueError:
        return []
    return [payload for kind, _, _, _, payload in cursor.take(journal.blocks[number].records) if kind == KEYS]
