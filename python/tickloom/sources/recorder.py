"""Recorder: what came off the wire into an append-only file, before anything reads it (stage sources).

```
reader thread ──write_frame──▶ buffer (a copy, no system call) ──▶ writer thread: pack, write, sync
```

docs/journal.md has the format, and what survives what.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import logging
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any, Literal, Self

from tickloom._core import JournalWriter
from tickloom.errors import StoreError
from tickloom.masks import masked
from tickloom.sources.journal import BLOCK, CLOCK, DISCONNECTED, EVENT, PUSHED, TEXT, Block, Journal
from tickloom.sources.keyed import speaks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tickloom._core import UpstoxDecoder
    from tickloom.sources.pushed import PushedTicks

__all__ = ["Recorder"]

_log = logging.getLogger(__name__)

# A look at the buffer costs a microsecond, and the reader thread need not wake anybody.
_POLL_S = 0.05
_SAY_AGAIN_S = 60.0
_DOWN = frozenset({"disconnected", "waiting", "stopped", "authentication_failed"})


class _Writer:
    """The file, and the thread that writes it. Knows nothing of the recorder, so that one nobody has any more ends."""

    def __init__(
        self, path: str, pending: JournalWriter, sync: str, interval: float, source: str, *, append: bool, speaks: str
    ) -> None:
        self.path = path
        self._speaks = speaks
        self.pending = pending
        self.strict = sync == "strict"
        self.interval = interval
        self.wake = threading.Event()
        self.error: OSError | None = None
        self.synced_ns = 0
        self._lock = threading.Lock()
        self._stopping = False
        self._closed = False
        self._process = os.getpid()
        self._sealed: deque[tuple[bytes, int, int, int]] = deque()
        self._blocks: list[Block] = []
        self._dirty = False
        self._synced = time.monotonic()
        self._said = -_SAY_AGAIN_S
        self._file, self.offset = self._open(source, append=append)
        self._thread = threading.Thread(target=self._run, name="tickloom-recorder", daemon=True)
        self._thread.start()

    def _open(self, source: str, *, append: bool) -> tuple[int, int]:
        # Orders and positions are private.
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | (0 if append else os.O_EXCL)
        file = os.open(self.path, flags, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                msg = f"another recorder writes this journal: {self.path}"
                raise StoreError(msg) from None
            if os.fstat(file).st_size:
                with Journal(self.path) as before:
                    if (spoke := speaks(before)) not in {None, self._speaks}:
                        raise StoreError(f"a journal of other messages ({spoke}) cannot be gone on with: {self.path}")
                    self._blocks, offset = list(before.blocks), before.end
                # The index goes, and what a crash left half written: both lie behind the last whole block.
                os.ftruncate(file, offset)
            else:
                offset = _write(file, JournalWriter.header(masked(source), time.time_ns()), 0)
            os.fsync(file)
            folder = os.open(os.path.dirname(os.path.abspath(self.path)), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except BaseException:
            os.close(file)
            raise
        return file, offset

    @property
    def blocks(self) -> int:
        return len(self._blocks)

    def _run(self) -> None:
        while not self._stopping:
            self.wake.wait(None if self.strict and self.error is None else min(_POLL_S, self.interval))
            self.wake.clear()
            with self._lock:
                if self._closed:
                    return
                due = self.strict or time.monotonic() - self._synced >= self.interval
                self.turn(everything=due, sync=due)

    def turn(self, *, everything: bool, sync: bool) -> None:
        """Writes what waits. An error is kept and said; the next turn tries again from the same place."""
        try:
            # First what an error left; only then is more taken out of the buffer, which is bounded.
            self._drain()
            self._sealed.extend(self.pending.take(everything))
            self._drain()
            if sync:
                if self._dirty:
                    os.fdatasync(self._file)
                    self._dirty = False
                    self.synced_ns = time.time_ns()
                self._synced = time.monotonic()
            self.error = None
        except OSError as error:
            self.error = error
            if time.monotonic() - self._said >= _SAY_AGAIN_S:
                self._said = time.monotonic()
                _log.error("journal cannot be written, records wait in memory (%s): %s", error, self.path)

    def _drain(self) -> None:
        while self._sealed:
            block, first, last, records = self._sealed[0]
            end = _write(self._file, block, self.offset)
            self._blocks.append(Block(self.offset, first, last, records, len(block) - BLOCK))
            self.offset = end
            self._dirty = True
            self._sealed.popleft()

    @property
    def stuck(self) -> int:
        """Records that were packed and could not be written."""
        return sum(block[3] for block in tuple(self._sealed))

    def flush(self) -> None:
        if os.getpid() != self._process:
            msg = f"a forked process cannot write its parent's journal: {self.path}"
            raise StoreError(msg)
        with self._lock:
            if not self._closed:
                self.turn(everything=True, sync=True)
        self._complain()

    def close(self) -> None:
        if os.getpid() != self._process:
            # A forked child has a copy of the file's handle, and nothing to say in it.
            return
        self._stopping = True
        self.wake.set()
        with self._lock:
            if self._closed:
                return
            self.pending.finish(time.time_ns())
            self.turn(everything=True, sync=False)
            try:
                if self.error is None:
                    _write(self._file, JournalWriter.footer(self._blocks, self.offset), self.offset)
                os.fsync(self._file)
            except OSError as error:
                self.error = error
            finally:
                self._closed = True
                os.close(self._file)
        if threading.current_thread() is not self._thread:
            self._thread.join(5)

    def finish(self) -> None:
        self.close()
        self._complain()

    def _complain(self) -> None:
        if self.error is not None:
            msg = f"journal cannot be written ({self.error}): {self.path}"
            raise StoreError(msg) from self.error


def _write(file: int, data: bytes, offset: int) -> int:
    """Writes all of it at an offset, and gives the offset behind."""
    view = memoryview(data)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
    return offset


class Recorder:
    """Records frames, texts and events as they come into a new file of mode 0600.

    `sync`: "interval" writes and syncs every `interval` seconds; "strict" as soon as something waits, all that waits
    in one go. Neither makes the caller wait: `flush` does. `append` goes on with an existing journal. What waits is
    held in at most `max_buffer` bytes; beyond, when the disk does not keep up, records are dropped, counted, and a
    record in the journal says how many. Any thread may write. Values of credentials that a text or an event names
    are masked, as in ``access_token=***``. `decoder` is that of a source whose frames are Upstox's (`Upstox.decoder`):
    the keys of its instruments go into the journal.

    Raises FileExistsError without `append` if there is a file, StoreError if another recorder writes it, it is no
    journal or has another broker's messages, ValueError for a wrong option. What is not closed is closed when the
    interpreter ends.
    """

    write_frame: Callable[..., Any]
    """`write_frame(frame, received_ns, connection=0)`: one binary message, any bytes-like; the core's own function."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        sync: Literal["interval", "strict"] = "interval",
        interval: float = 1.0,
        source: str = "",
        append: bool = False,
        max_buffer: int = 256 << 20,
        decoder: UpstoxDecoder | None = None,
    ) -> None:
        if sync not in {"interval", "strict"}:
            msg = f"sync must be one of 'interval', 'strict': {sync!r}"
            raise ValueError(msg)
        if not 0.001 <= interval <= 3600:
            msg = f"interval must lie between 0.001 and 3600 seconds: {interval}"
            raise ValueError(msg)
        self.path = os.fspath(path)
        self.decoder = decoder
        self._pending = JournalWriter(max_buffer, decoder)
        self._writer = _Writer(
            self.path, self._pending, sync, interval, source, append=append,
            speaks="kite" if decoder is None else "upstox",
        )  # fmt: skip
        # Also called when the interpreter ends, after the threads that are not daemons.
        self._end = weakref.finalize(self, self._writer.close)
        self.write_frame = self._append_and_wake if sync == "strict" else self._pending.append

    def write_ticks(self, ticks: PushedTicks, connection: int = 0) -> None:
        """Records ticks that a source pushed and an engine took."""
        self._append_and_wake(ticks.to_bytes(), ticks.received_ns, connection, PUSHED)

    def write_text(self, text: str, received_ns: int, connection: int = 0) -> None:
        """Records one text message."""
        self._append_and_wake(masked(text).encode("utf-8", "surrogatepass"), received_ns, connection, TEXT)

    def write_event(self, event: Any) -> None:
        """Records a ConnectionEvent: a dataclass with `state`, `connection` and `time_ns`."""
        fields = dataclasses.asdict(event)
        kind = DISCONNECTED if event.state in _DOWN else EVENT
        text = masked(json.dumps(fields, separators=(",", ":")))
        self._append_and_wake(text.encode(), event.time_ns, event.connection, kind)

    def write_clock(self, now_ns: int) -> None:
        """Records that the engine was told the time: a replay into an engine then closes quiet bars where it did."""
        self._append_and_wake(b"", now_ns, 0, CLOCK)

    def flush(self) -> None:
        """Returns when all that was written before is on the disk. Raises StoreError if it cannot be."""
        self._writer.flush()

    def close(self) -> None:
        """Writes what waits and the index. Later records are counted as dropped. May be called again."""
        self._end.detach()
        self._writer.finish()

    def stats(self) -> dict[str, Any]:
        """Counters: `offered` = `written` + waiting + `dropped` records; `buffered_bytes`, `file_bytes`, `blocks`;
        `synced_ns`, when it was last on the disk whole, 0 if never; `error`, a text or None."""
        offered, dropped, taken, waiting, _ = self._pending.counts()
        error = self._writer.error
        return {
            "offered": offered, "written": taken - self._writer.stuck, "dropped": dropped, "buffered_bytes": waiting,
            "file_bytes": self._writer.offset, "blocks": self._writer.blocks, "synced_ns": self._writer.synced_ns,
            "error": None if error is None else str(error),
        }  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Recorder({self.path!r})"

    def _append_and_wake(self, payload: Any, received_ns: int, connection: int = 0, kind: int = 1) -> None:
        if self._pending.append(payload, received_ns, connection, kind) and self._writer.strict:
            self._writer.wake.set()
