"""Four threads read columns while the main thread applies frames through page turns."""

from __future__ import annotations

import threading

import numpy as np

import tickloom as tl
from tests.machines import INFY
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist

OPEN = ist("2026-07-01 09:15:00")


def test_readers_in_threads_see_whole_bars_while_the_engine_goes_on() -> None:
    engine = tl.Engine(intervals=["5s", "1m"], capacity=32)
    engine.apply(frames.frame(frames.full(INFY, 10_000, 0, OPEN, OPEN)), OPEN)
    candles = engine.candles(INFY, "5s")
    done = threading.Event()
    reads, faults = [0] * 4, []

    def read(thread: int) -> None:
        early: tuple[dict[str, np.ndarray], bytes] | None = None
        while not done.is_set():
            columns = candles.columns()
            # Every bar is made of the one number that is its price, so a torn row or a moved column shows.
            number = np.round(columns["close"] * 100).astype(np.int64) - 10_000
            whole = (
                (columns["time"] == OPEN + number * 5 * SECOND).all()
                and (columns["volume"] == 7).all()
                and (columns["oi"] == number).all()
                and (np.diff(number) == 1).all()
                and all((columns[name] == columns["close"]).all() for name in ("open", "high", "low", "vwap"))
            )
            if not whole or len({len(column) for column in columns.values()}) != 1:
                faults.append(columns)
                return
            if early is None and len(number) == 32:
                early = (columns, b"".join(column.tobytes() for column in columns.values()))
            reads[thread] += len(columns)
        if early is not None and b"".join(column.tobytes() for column in early[0].values()) != early[1]:
            faults.append(early[0])

    readers = [threading.Thread(target=read, args=(thread,)) for thread in range(4)]
    for reader in readers:
        reader.start()
    for number in range(1, 4_000):
        stamp = OPEN + (number * 5 + 1) * SECOND
        tick = frames.full(INFY, 10_000 + number, 7 * number, stamp, stamp, average=10_000 + number, oi=number)
        engine.apply(frames.frame(tick), stamp + SECOND // 2)
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert min(reads) > 100
    assert len(candles) == 32
