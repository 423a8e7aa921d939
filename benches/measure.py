"""How one figure is taken, the same way for every contender."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

ROUNDS = 5
ROUND_SECONDS = 0.004

Batch = tuple[int, list[bytes]]


def describe(benchmark: Any, row: str, contender: str, packets: float, statistic: str) -> None:
    """What the table needs to know: `packets` divides the time, `statistic` is the one that stands for the turn."""
    benchmark.extra_info.update(row=row, contender=contender, packets=packets, statistic=statistic)


def repeated(
    benchmark: Any, row: str, contender: str, packets: int, loop: Callable[[list[Any]], None], subject: Any
) -> None:
    """Work without memory: `loop` gets the subject many times in a list; the median round stands for the turn.

    The loop belongs to the contender, so that nothing but a `for` lies between two calls.
    """
    count = 1
    while True:
        subjects = [subject] * count
        start = time.perf_counter()
        loop(subjects)
        spent = time.perf_counter() - start
        if spent > ROUND_SECONDS / 4:
            break
        count *= 4
    count = max(1, round(count * ROUND_SECONDS / spent))
    describe(benchmark, row, contender, packets * count, "median")
    benchmark.pedantic(loop, args=([subject] * count,), rounds=ROUNDS, iterations=1, warmup_rounds=1)


def one_by_one(batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same frames, each a batch of its own, as they come off a socket."""
    for received, frames in batches:
        for frame in frames:
            yield received, [frame]


def streamed(
    benchmark: Any,
    row: str,
    contender: str,
    packets: int,
    apply: Callable[[Batch], None],
    batches: Iterable[Batch],
    statistic: str = "mean",
) -> None:
    """Work with memory: every round takes the next batch, none twice.

    The mean round stands for the turn, because the rounds differ on purpose: one of them holds the edge of a minute.
    Each batch is copied just before its round, as a frame comes off a socket: in the cache, not from far memory.
    """
    describe(benchmark, row, contender, packets, statistic)
    ready = list(batches)
    supply = iter(ready)

    def next_batch() -> tuple[tuple[Batch], dict[str, Any]]:
        received, frames = next(supply)
        return ((received, [bytes(bytearray(frame)) for frame in frames]),), {}

    benchmark.pedantic(apply, setup=next_batch, rounds=len(ready), iterations=1)
