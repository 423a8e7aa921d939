"""What the demo shows: a table of candles, a line for logs, the report at the end (stage cli)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.table import Table
from rich.text import Text

from tickloom.cli.screen import clock, figures, newest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

    from tickloom.cli.demo_run import Run
    from tickloom.sources.simulator import MarketInstrument

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
BLOCKS = "▁▂▃▄▅▆▇█"
TREND = 24
# Title, head, rules and the caption take this many lines of the terminal.
FRAME_LINES = 8


class Progress(NamedTuple):
    """Where a run stands."""

    now_ns: int
    packets: int
    frames: int
    rejected: int
    sealed: int
    ns_a_packet: float


class Conservation(NamedTuple):
    """One instrument's volume: what the feed announced, what the engine made of it, what was truly traded in bars."""

    symbol: str
    arrived: int
    elsewhere: int
    bars: int
    truth: int

    @property
    def closes(self) -> bool:
        """Whether every share that arrived is in a bar, in an auction, or booked by name elsewhere (rule R11)."""
        return self.bars + self.elsewhere == self.arrived


def trend(closes: Sequence[float]) -> str:
    """Closing prices as a row of blocks."""
    low, high = min(closes), max(closes)
    if high == low:
        return BLOCKS[0] * len(closes)
    return "".join(BLOCKS[int((close - low) / (high - low) * (len(BLOCKS) - 1))] for close in closes)


def state(progress: Progress) -> str:
    """Where the market is, in a few words."""
    return (
        f"{clock(progress.now_ns)} IST   {progress.packets:,} packets in {progress.frames:,} frames   "
        f"{progress.ns_a_packet:.0f} ns a packet"
    )


def line(progress: Progress) -> str:
    """One line for a log, where there is no terminal to redraw."""
    return f"{state(progress)}   {progress.sealed:,} bars sealed"


def row(run: Run, instrument: MarketInstrument) -> list[RenderableType]:
    """One instrument: its newest minute, formed or forming, and the trend of the closed ones."""
    candles = run.engine.candles(instrument.token, "1m")
    bar = newest(candles)
    if bar is None:
        return [instrument.symbol]
    change = (bar.close / instrument.base_price - 1) * 100
    shown = Text(f"{change:+.2f}%", style="green" if change > 0 else "red" if change < 0 else "")
    closes = candles.close[-TREND:].tolist()
    *prices, volume, vwap = figures(bar)
    return [
        instrument.symbol,
        f"{bar.close:,.2f}",
        shown,
        *prices[:3],
        "" if instrument.kind == "index" else volume,
        vwap,
        f"{len(candles):,}",
        Text(trend(closes) if closes else "", style="cyan"),
    ]


def table(run: Run, height: int) -> RenderableType:
    """The newest one-minute candles of as many instruments as the terminal has lines for."""
    grid = Table(title=f"tickloom demo   {state(run.progress())}", title_justify="left", expand=False)
    grid.add_column("instrument", no_wrap=True)
    for name in ("last", "change", "open", "high", "low", "volume", "vwap", "bars"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column(f"last {TREND} minutes", no_wrap=True, min_width=TREND)
    fits = max(height - FRAME_LINES, 3)
    # A selection from the most to the least traded: the thin ones are the interesting half.
    every = max(len(run.instruments) / fits, 1)
    shown = [run.instruments[int(nth * every)] for nth in range(min(fits, len(run.instruments)))]
    for instrument in shown:
        grid.add_row(*row(run, instrument))
    if len(shown) < len(run.instruments):
        grid.caption = f"{len(shown)} of {len(run.instruments)} instruments"
        grid.caption_justify = "left"
    return grid


def report(run: Run) -> RenderableType:
    """What was done, how fast, and where every share went."""
    progress = run.progress()
    checks = run.conserved()
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", style="bold")
    grid.add_column()
    if path := run.path():
        grid.add_row("socket", path)
    grid.add_row("packets", f"{progress.packets:,} in {progress.frames:,} frames, {progress.rejected:,} rejected")
    grid.add_row(
        "bars", f"{progress.sealed:,} sealed, of {len(run.instruments)} instruments and {len(INTERVALS)} intervals"
    )
    grid.add_row("engine", f"{run.engine_ns / 1e6:,.0f} ms in all, {progress.ns_a_packet:.0f} ns a packet: {run.timed}")
    grid.add_row("clock", f"{run.elapsed:.1f} s for a session that ended at {clock(run.market.session_close_ns)} IST")
    arrived, bars = sum(check.arrived for check in checks), sum(check.bars for check in checks)
    closing = sum(check.closes for check in checks)
    grid.add_row("volume", f"{arrived:,} shares arrived, {bars:,} of them in bars, the rest booked by name")
    grid.add_row("account", f"closes to the last share for {closing} of {len(checks)} instruments")
    if not run.damaged:
        exact = sum(check.bars == check.truth for check in checks)
        grid.add_row("truth", f"bars hold exactly what was traded for {exact} of {len(checks)} instruments")
    for check in checks:
        if not check.closes or (not run.damaged and check.bars != check.truth):
            counts = f"{check.arrived:,} arrived, {check.bars:,} in bars, {check.truth:,} traded"
            grid.add_row("", f"{check.symbol}: {counts}")
    return grid
