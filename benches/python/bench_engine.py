"""Frames to bars of seven intervals, and reading them back."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import tickloom as tl
from benches.contenders import PlainCandles
from benches.frames import Frames
from benches.measure import Batch, one_by_one, repeated, streamed

TURNS = 5
INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
PACKETS = 200
WARM_STEPS = 54
SECONDS = 60


@cache
def minute(instruments: int, packets_per_frame: int) -> tuple[list[Batch], list[Batch]]:
    """The first four and a half minutes of a session in coarse steps, to warm up on, then the minute that is measured.

    It holds the edge 09:20, where the bars of one and of five minutes end: two of seven, a little more than usual.
    """
    frames = Frames(instruments, packets_per_frame, step=5)
    warm = list(frames.seconds(WARM_STEPS))
    frames.step = 1
    return warm, list(frames.seconds(SECONDS))


def into(engine: tl.Engine) -> Callable[[Batch], None]:
    def apply(batch: Batch) -> None:
        received, frames = batch
        for frame in frames:
            engine.apply(frame, received)

    return apply


def warmed(instruments: int, packets_per_frame: int) -> tuple[tl.Engine, list[Batch]]:
    warm, measured = minute(instruments, packets_per_frame)
    engine = tl.Engine(intervals=INTERVALS)
    for batch in warm:
        into(engine)(batch)
    return engine, measured


@pytest.mark.parametrize("instruments", (3_000, 9_000))
def test_apply(benchmark: Any, instruments: int, turn: int) -> None:
    engine, batches = warmed(instruments, PACKETS)
    frames = one_by_one(batches)
    streamed(benchmark, f"apply, {instruments:,} instruments", "tickloom", PACKETS, into(engine), frames)
    assert len(engine.candles(int(Frames(instruments).tokens[0]), "5m")) == 1


@pytest.mark.parametrize("instruments", (3_000, 9_000))
def test_apply_by_vendor_and_plain_builder(benchmark: Any, vendor: Any, instruments: int, turn: int) -> None:
    warm, batches = minute(instruments, PACKETS)
    candles = PlainCandles()

    def apply(batch: Batch) -> None:
        for frame in batch[1]:
            candles.on_ticks(vendor(frame))

    # Three rounds make every token known; more would only cost time.
    for batch in warm[:3]:
        apply(batch)
    streamed(benchmark, f"apply, {instruments:,} instruments", "vendor and plain builder", instruments, apply, batches)


def test_apply_of_single_packets(benchmark: Any, turn: int) -> None:
    engine, batches = warmed(3_000, 1)
    streamed(benchmark, "apply, 1 a frame", "tickloom", 3_000, into(engine), batches)


@cache
def candles_of(length: int) -> tl.Candles:
    """Five-second bars of one instrument, at least `length` of them sealed."""
    engine = tl.Engine(intervals=["5s"])
    frames = Frames(1, 1, step=5)
    engine.track(int(frames.tokens[0]))
    candles = engine.candles(int(frames.tokens[0]), "5s")
    while len(candles) < length:
        for batch in frames.seconds(1):
            into(engine)(batch)
    return candles


def read_column(candles: list[tl.Candles]) -> None:
    for each in candles:
        each.close  # noqa: B018 - reading it is what is timed


@pytest.mark.parametrize("length", (10, 500))
def test_column(benchmark: Any, length: int, turn: int) -> None:
    candles = candles_of(length)
    assert len(candles.close) >= length
    repeated(benchmark, f"a column of {length} bars", "tickloom", 1, read_column, candles)
