"""`tickloom bench`: what this machine does with a made-up market, in a few seconds (stage cli).

The benches against other tools are in the source repository: `make bench`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import tickloom as tl
from tickloom.sources.simulator import Market

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["command"]

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]


def parse_all(frames: list[tuple[int, bytes]]) -> int:
    """Every frame to an array; the packets."""
    return sum(len(tl.parse(frame).array) for _, frame in frames)


def parse_dicts(frames: list[tuple[int, bytes]]) -> int:
    """Every frame to the vendor's dicts; the packets."""
    return sum(len(tl.parse(frame).to_dicts()) for _, frame in frames)


def apply_all(frames: list[tuple[int, bytes]]) -> int:
    """Every frame into a new engine; the packets."""
    engine = tl.Engine(intervals=INTERVALS)
    return sum(len(engine.apply(frame, received_ns)) for received_ns, frame in frames)


def best(work: Callable[[list[tuple[int, bytes]]], int], frames: list[tuple[int, bytes]], rounds: int) -> float:
    """Nanoseconds a packet, the best of some rounds: what else runs only ever adds."""
    found = float("inf")
    for _ in range(rounds):
        started = time.perf_counter_ns()
        packets = work(frames)
        found = min(found, (time.perf_counter_ns() - started) / max(packets, 1))
    return found


@click.command()
@click.option("--instruments", default=500, show_default=True, type=click.IntRange(1, 3_000), help="Names to trade.")
@click.option("--minutes", default=5, show_default=True, type=click.IntRange(1, 60), help="Minutes of the market.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1, 100), help="The best round counts.")
def command(instruments: int, minutes: int, rounds: int) -> None:
    """Measure decoding and candles on this machine.

    The comparison with the vendor's client and with numpy needs the source repository: make bench.
    """
    console = Console()
    end = f"{9 + (15 + minutes) // 60:02d}:{(15 + minutes) % 60:02d}"
    market = Market(seed=1, instruments=instruments, end=end)
    frames = [(at, frame) for kind, at, frame in market.events() if kind == "frame" and frame]
    rows = (
        ("parse to an array", parse_all),
        ("parse to the vendor's dicts", parse_dicts),
        (f"bytes to bars, {len(INTERVALS)} intervals", apply_all),
    )
    grid = Table.grid(padding=(0, 2))
    grid.add_column()
    grid.add_column(justify="right")
    grid.add_column(justify="right")
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for name, work in progress.track(rows, description="measuring"):
            ns = best(work, frames, rounds)
            grid.add_row(name, f"{ns:,.0f} ns a packet", f"{1e9 / ns:,.0f} packets/s")
    console.print(f"{apply_all(frames):,} packets in {len(frames):,} frames, best of {rounds}")
    console.print(grid)
    console.print("against the vendor's client and numpy: make bench, in the source repository")
