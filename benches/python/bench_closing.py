"""The closing second of an hour: all seven intervals of 9,000 instruments seal at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import tickloom as tl
from benches.frames import SESSION_OPEN, Frames
from benches.measure import Batch, streamed
from benches.python.bench_engine import INTERVALS, into

TURNS = 3
INSTRUMENTS = 9_000
HOUR = SESSION_OPEN + 3_600
# Bars seal two seconds after their end (rule R25): the seconds from the edge to just behind that.
AFTER = 4


@cache
def hour(packets_per_frame: int) -> tuple[list[Batch], list[Batch]]:
    """An hour up to its last second, in which every instrument trades, then the seconds around the seal.

    In steps of ten seconds: longer ones would be gaps (rule R13).
    """
    frames = Frames(INSTRUMENTS, packets_per_frame, step=10)
    before = list(frames.seconds(3_500 // 10))
    frames.traded_share = 1.0
    before += frames.seconds((HOUR - frames.now) // 10)
    frames.step = 1
    before += frames.seconds(HOUR - frames.now)
    frames.traded_share = 0.4
    return before, list(frames.seconds(AFTER))


def test_closing_second(benchmark: Any, turn: int) -> None:
    before, closing = hour(200)
    engine = tl.Engine(intervals=INTERVALS)
    for batch in before:
        into(engine)(batch)
    streamed(benchmark, "the closing second, per tick", "tickloom", INSTRUMENTS, into(engine), closing, "max")
    assert len(engine.candles(int(Frames(INSTRUMENTS).tokens[-1]), "60m")) == 1


def test_slowest_tick(benchmark: Any, turn: int) -> None:
    before, closing = hour(200)
    engine = tl.Engine(intervals=INTERVALS)
    for batch in before:
        into(engine)(batch)
    singles = [
        (received, [b"\0\1" + frame[at : at + 186]])
        for received, frames in closing
        for frame in frames
        for at in range(2, len(frame), 186)
    ]
    streamed(benchmark, "the closing second, slowest tick", "tickloom", 1, into(engine), singles, "max")
