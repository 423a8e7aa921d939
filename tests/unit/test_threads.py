"""Four threads read columns while the main thread applies frames through page turns."""

from __future__ import annotations

import threading
import time

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


def test_other_threads_run_while_whole_columns_are_pushed() -> None:
    engine = tl.Engine(intervals=["1s", "1m", "5m"])
    rows = 1_000_000
    columns = {"time_ns": OPEN + np.arange(rows) * (SECOND // 100), "quantity": np.full(rows, 3)}
    prices = 100 + np.arange(rows) % 40 / 20
    done, beats = threading.Event(), []

    def beat() -> None:
        while not done.is_set():
            beats.append(time.monotonic())
            time.sleep(0.0005)

    heart = threading.Thread(target=beat)
    heart.start()
    before = len(beats)
    engine.push_many(INFY, prices, **columns)
    during = len(beats) - before
    done.set()
    heart.join()
    assert engine.stats()["pushed"] == rows
    assert during > 10
