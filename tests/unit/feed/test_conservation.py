"""The account that every test of the feed answers for closes, and can be seen to fail."""

from __future__ import annotations

import time

import pytest

import tickloom as tl
from tests.conservation import Ledger
from tests.unit.feed.fake import Fake, full
from tickloom.sources.base import Sink


def script(sink: Sink) -> None:
    for frame in (full(), b"\0", full()[:50], full()):
        sink.on_frame(frame, time.time_ns(), 0)


def test_every_packet_of_a_feed_is_a_tick_or_rejected(conservation: Ledger) -> None:
    feed = tl.Feed(Fake(script=lambda sink: sink.on_frame(full(), time.time_ns(), 0)))
    feed.run()
    assert [feed] == conservation.feeds
    assert sum(conservation.received.values()) == feed.status().ticks == 1
    conservation.check()
    # A packet that never reached the engine.
    conservation.note(feed._reader, full())
    with pytest.raises(AssertionError, match="'packets': 1"):
        conservation.check()
    conservation.feeds.clear()


def test_an_engine_whose_account_does_not_close_is_noticed(conservation: Ledger) -> None:
    class Leaky:
        def stats(self) -> dict[str, int]:
            return {"packets": 3, "ticks": 1, "rejected": 1}

    engine = tl.Engine(["1m"])
    assert conservation.engines == [engine]
    conservation.check()
    conservation.engines.append(Leaky())
    with pytest.raises(AssertionError, match="'packets': 3"):
        conservation.check()
    conservation.engines.pop()


def test_a_damaged_frame_leaves_the_engines_own_account(conservation: Ledger) -> None:
    feed = tl.Feed(Fake(script=script))
    feed.run()
    assert len(conservation.unclear) == 1
    assert feed.status().packets == feed.status().ticks + feed.status().rejected > 2
