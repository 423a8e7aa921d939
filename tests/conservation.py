"""Conservation: packets received = ticks + rejected, pushed ticks too, of every engine and feed that a test makes.

The fixture is shared by the folders whose tests bring a market through an engine; each has it in its `conftest`.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import tickloom
from tests.oracle import wire
from tickloom.feed import facade
from tickloom.feed.facade import Feed
from tickloom.feed.reader import Reader
from tickloom.sources.pushed import PushedTicks

__all__ = ["Ledger", "conservation"]

ENGINE = tickloom.Engine


def wire_size(packets: list[bytes]) -> int:
    """The bytes of a frame of these."""
    return 2 + sum(2 + len(packet) for packet in packets)


def announced(frame: bytes) -> int:
    """How many packets a frame says it has; a heartbeat has none."""
    return int.from_bytes(frame[:2], "big") if len(frame) > 1 else 0


class Ledger:
    """The engines and feeds of one test, and what was given to them."""

    def __init__(self) -> None:
        self.engines: list[tickloom.Engine] = []
        self.feeds: list[Feed] = []
        self.shared: list[Reader] = []
        self.received: Counter[int] = Counter()
        self.pushed: Counter[int] = Counter()
        self.unclear: set[int] = set()

    def engine(self, *arguments: Any, **options: Any) -> tickloom.Engine:
        """An engine that is looked at in the end."""
        made = ENGINE(*arguments, **options)
        self.engines.append(made)
        return made

    def note(self, reader: Reader, frame: bytes) -> None:
        """Counts the packets of a frame in the slow and obvious way."""
        whole = wire.packets(bytes(frame))
        self.received[id(reader)] += len(whole)
        if len(whole) != announced(frame) or (len(frame) > 1 and wire_size(whole) != len(frame)):
            # What a damaged frame holds is a matter of opinion; its engine's own account still has to close.
            self.unclear.add(id(reader))

    def check(self) -> None:
        """Raises AssertionError for an account that does not close."""
        for engine in self.engines:
            stats = engine.stats()
            assert stats["packets"] == stats["ticks"] + stats["rejected"], stats
        for feed in self.feeds:
            if feed.running or (feed._session is not None and feed._session.active):
                # In the middle of a frame no account closes.
                continue
            callbacks = feed._dispatched if feed._dispatcher is None else feed._dispatcher.account
            assert callbacks.offered == callbacks.delivered + callbacks.dropped, callbacks
            reader = feed._reader
            if id(reader) in self.received and id(reader) not in self.unclear and reader not in self.shared:
                stats = reader.engine.stats()
                assert self.received[id(reader)] == stats["ticks"] + stats["rejected"], stats
            if id(reader) in self.pushed and reader not in self.shared:
                stats = reader.engine.stats()
                assert self.pushed[id(reader)] == stats["pushed"] + reader.push_rejected, stats


@pytest.fixture(autouse=True)
def conservation(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """Every engine and feed of the test is looked at when it is over."""
    ledger = Ledger()
    on_frame, on_ticks, made = Reader.on_frame, Reader.on_ticks, Feed.__init__

    def noting(self: Reader, frame: bytes, received_ns: int, connection: int) -> None:
        ledger.note(self, frame)
        on_frame(self, frame, received_ns, connection)

    def counting(self: Reader, ticks: PushedTicks, connection: int) -> None:
        ledger.pushed[id(self)] += len(ticks)
        on_ticks(self, ticks, connection)

    def making(self: Feed, *arguments: Any, **options: Any) -> None:
        made(self, *arguments, **options)
        ledger.feeds.append(self)
        if options.get("engine") is not None:
            # Others may feed it too, of which its reader knows nothing.
            ledger.shared.append(self._reader)

    monkeypatch.setattr(Reader, "on_frame", noting)
    monkeypatch.setattr(Reader, "on_ticks", counting)
    monkeypatch.setattr(Feed, "__init__", making)
    monkeypatch.setattr(facade, "Engine", ledger.engine)
    monkeypatch.setattr(tickloom, "Engine", ledger.engine)
    for name, module in list(sys.modules.items()):
        if name.startswith("tests.") and getattr(module, "Engine", None) is ENGINE:
            monkeypatch.setattr(module, "Engine", ledger.engine)
    yield ledger
    ledger.check()
