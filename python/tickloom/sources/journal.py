"""Journal: a recorded file, opened for reading though a crash cut it (stage sources; docs/journal.md).

The format is the core's; here are the files. A journal that was closed has an index at its end. One that was not, or
that is still being written, is walked from block header to block header, up to the last whole block.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Self

from tickloom._core import JournalCursor
from tickloom.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tickloom._core import Engine, UpstoxDecoder

__all__ = [
    "CLOCK", "DISCONNECTED", "EVENT", "FRAME", "KEYS", "LOST", "PUSHED", "TEXT", "UPSTOX", "Block", "Journal",
    "Reading", "Record", "first_block",
]  # fmt: skip

FRAME, TEXT, EVENT, DISCONNECTED, CLOCK, LOST, PUSHED, UPSTOX, KEYS = range(1, 10)
"""What a record is; the meanings stand in docs/journal.md. Readers step over kinds that they do not know."""

# Lengths of the format: the longest header, a block's header, the trailer.
_HEADER = 24 + 1024 + 4
BLOCK = 48
_TRAILER = 20
_MAGIC = b"TLJB"
_CHUNK = 1 << 20
# Connections of different journals are different connections; one journal has at most 256.
CONNECTIONS = 256


class Block(NamedTuple):
    """Where a block lies and what is in it: times in nanoseconds UTC, `stored` in bytes."""

    offset: int
    first_ns: int
    last_ns: int
    records: int
    stored: int

    @property
    def end(self) -> int:
        """The offset behind it."""
        return self.offset + BLOCK + self.stored


class Record(NamedTuple):
    """One record. `connection` counts on by 256 from journal to journal."""

    kind: int
    received_ns: int
    connection: int
    payload: bytes


class Journal:
    """One journal file, open for reading. Raises StoreError for what is no journal, OSError for no file.

    `source` and `created_ns` stand in its header. `blocks` are the whole blocks in their order; `indexed` tells
    whether the file was closed; `lost_bytes` are the bytes that are no whole block, after a crash.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        self._file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._size = os.fstat(self._file).st_size
            try:
                self.created_ns, self.source, start = JournalCursor.read_header(self._read(0, _HEADER))
            except ValueError as error:
                msg = f"not a journal, its header is damaged ({error}): {self.path}"
                raise StoreError(msg) from None
            self.lost_bytes = 0
            found = self._index(start)
            self.indexed = found is not None
            self.blocks: Sequence[Block] = self._walk(start) if found is None else found
            self.end = self.blocks[-1].end if self.blocks else start
        except BaseException:
            self.close()
            raise

    @property
    def records(self) -> int:
        """The number of records in whole blocks."""
        return sum(block.records for block in self.blocks)

    @property
    def span(self) -> tuple[int, int] | None:
        """The lowest and highest receive time, nanoseconds UTC; None of an empty journal."""
        if not self.blocks:
            return None
        return min(block.first_ns for block in self.blocks), max(block.last_ns for block in self.blocks)

    def block(self, number: int) -> bytes:
        """The bytes of one block, header included."""
        block = self.blocks[number]
        return self._read(block.offset, block.end - block.offset)

    def close(self) -> None:
        """Closes the file. May be called again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_file", -1) >= 0:
            self.close()

    def __repr__(self) -> str:
        return f"Journal({self.path!r}, blocks={len(self.blocks)}, records={self.records})"

    def _read(self, offset: int, length: int) -> bytes:
        return os.pread(self._file, length, offset)

    def _index(self, start: int) -> Sequence[Block] | None:
        offset = JournalCursor.read_trailer(self._read(max(self._size - _TRAILER, 0), _TRAILER))
        if offset is None or not start <= offset < self._size:
            return None
        try:
            blocks = [Block(*entry) for entry in JournalCursor.read_index(self._read(offset, self._size - offset))]
        except ValueError:
            return None
        return blocks if (blocks[-1].end if blocks else start) == offset else None

    def _walk(self, offset: int) -> Sequence[Block]:
        """The whole blocks by their headers. What is between them, or behind the last, is lost."""
        blocks: list[Block] = []
        while offset < self._size:
            block = self._whole(offset)
            if block is None:
                following = self._next(offset + 1)
                self.lost_bytes += following - offset
                offset = following
                continue
            index, found = block
            if not index:
                blocks.append(found)
            offset = found.end
        # When the power fails, a file can be longer than what was written to it.
        while blocks and not self._is_sound(blocks[-1]):
            gone = blocks.pop()
            self.lost_bytes += gone.end - gone.offset
        return blocks

    def _whole(self, offset: int) -> tuple[bool, Block] | None:
        try:
            index, *rest = JournalCursor.read_block_header(self._read(offset, BLOCK))
        except ValueError:
            return None
        block = Block(offset, *rest)
        return (index, block) if block.end <= self._size else None

    def _next(self, offset: int) -> int:
        """Where the next block begins, at or behind an offset; the end of the file if nowhere."""
        while offset < self._size:
            chunk = self._read(offset, _CHUNK)
            at = chunk.find(_MAGIC)
            while at >= 0:
                if self._whole(offset + at) is not None:
                    return offset + at
                at = chunk.find(_MAGIC, at + 1)
            if offset + len(chunk) >= self._size:
                break
            offset += len(chunk) - len(_MAGIC) + 1
        return self._size

    def _is_sound(self, block: Block) -> bool:
        try:
            JournalCursor(1).load(0, self._read(block.offset, block.end - block.offset))
        except ValueError:
            return False
        return True


class Reading:
    """One pass over journals, merged by receive time, from the first records that are not before `start_ns`.

    `damaged` counts the blocks that were stepped over because their bytes are not what was written. `decoder` reads
    Upstox's messages for an engine.
    """

    def __init__(
        self, journals: Sequence[Journal], start_ns: int | None = None, decoder: UpstoxDecoder | None = None
    ) -> None:
        self._journals = journals
        self._cursor = JournalCursor(len(journals), start_ns, decoder)
        self._damaged = 0
        # A clock can be set back, so that times in a file need not rise: the first block that reaches the start.
        self._blocks = [iter(range(first_block(journal, start_ns), len(journal.blocks))) for journal in journals]

    @property
    def damaged(self) -> int:
        """Blocks that could not be read so far."""
        return self._damaged + self._cursor.damaged

    def next_ns(self) -> int | None:
        """The time of the next record; None at the end."""
        while True:
            journal, time = self._cursor.next()
            if journal is None:
                return time
            number = next(self._blocks[journal], None)
            block = None if number is None else self._journals[journal].block(number)
            try:
                self._cursor.load(journal, block)
            except ValueError:
                self._damaged += 1

    def take(self, limit: int, until_ns: int | None = None) -> list[Record]:
        """At most `limit` records, all before `until_ns`; none: there is no more before it."""
        self.next_ns()
        return [
            Record(kind, time, journal * CONNECTIONS + connection, payload)
            for kind, time, journal, connection, payload in self._cursor.take(limit, until_ns)
        ]

    def into(self, engine: Engine, until_ns: int | None = None) -> int:
        """Applies all records before `until_ns` to an engine, and gives how many; no object is made of any.

        Raises StoreError where two brokers' messages meet, or two instruments with one token.
        """
        records = 0
        while (time := self.next_ns()) is not None and (until_ns is None or time < until_ns):
            try:
                records += engine.replay(self._cursor, until_ns)
            except ValueError as error:
                raise StoreError(f"journals that cannot be replayed as one: {error}") from None
        return records

    def __iter__(self) -> Iterator[Record]:
        while records := self.take(1024):
            yield from records


def first_block(journal: Journal, start_ns: int | None) -> int:
    """The number of the first block that does not lie before a time as a whole."""
    if start_ns is None:
        return 0
    return next((n for n, block in enumerate(journal.blocks) if block.last_ns >= start_ns), len(journal.blocks))
