"""`tickloom replay`: a recorded day again, at its own pace, faster, or flat out (stage cli)."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING

import click
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

import tickloom as tl
from tickloom.cli import options, screen
from tickloom.sources.replay import Replay

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

__all__ = ["command"]

REFRESH_S, PLAIN_S = 0.1, 2.0
SLICES = 200
AFTER_END_NS = 60_000_000_000


def instant(_: click.Context, __: click.Parameter, value: str | None) -> dt.time | dt.datetime | None:
    """`09:30`, `09:30:15`, or `2026-07-01T09:30`: Indian time; without a date that of the first record."""
    if value is None:
        return None
    try:
        if "T" not in value and "-" not in value:
            return dt.time.fromisoformat(value)
        when = dt.datetime.fromisoformat(value)
    except ValueError:
        msg = f"not a time such as 09:30 or 2026-07-01T09:30: {value!r}"
        raise click.BadParameter(msg) from None
    return when if when.tzinfo is not None else when.replace(tzinfo=screen.IST)


def on_day(when: dt.time | dt.datetime | None, first_ns: int) -> int | None:
    """Nanoseconds UTC of a time on the day of an instant."""
    if isinstance(when, dt.time):
        day = dt.datetime.fromtimestamp(first_ns / 1e9, screen.IST)
        when = dt.datetime.combine(day.date(), when, screen.IST)
    return None if when is None else tl.to_ns(when)


class Run:
    """A replay into an engine, and the stopwatch around it."""

    def __init__(self, replay: Replay, interval: str, span: tuple[int, int]) -> None:
        self.replay = replay
        self.interval = interval
        self.first_ns, self.last_ns = span
        self.engine = tl.Engine(intervals=[interval])
        self.now_ns = self.first_ns
        self.records = 0
        self.busy_s = 0.0

    def to(self, until_ns: int | None) -> None:
        """Applies what came before a time, or all that is left."""
        began = time.perf_counter()
        self.records += self.replay.into(self.engine, until=until_ns)
        self.busy_s += time.perf_counter() - began
        self.now_ns = self.last_ns if until_ns is None else min(until_ns, self.last_ns)

    def play(self, speed: float) -> Iterator[None]:
        """Applies everything, `speed` recorded seconds a real one; 0 goes flat out. Yields now and then."""
        began = time.perf_counter()
        slice_ns = max((self.last_ns - self.first_ns) // SLICES, 1)
        while self.now_ns < self.last_ns:
            if speed:
                time.sleep(REFRESH_S)
                self.to(self.first_ns + int((time.perf_counter() - began) * speed * 1e9))
            else:
                self.to(self.now_ns + slice_ns)
            yield
        self.to(None)
        # As when a day is over: what is complete is closed.
        self.engine.advance(self.last_ns + AFTER_END_NS)

    def line(self) -> str:
        """Where it stands."""
        stats = self.engine.stats()
        return (
            f"{screen.clock(self.now_ns)} IST   {self.records:,} records   {stats['ticks']:,} ticks   "
            f"{stats['rejected']:,} rejected   {stats['bars_closed']:,} bars sealed"
        )

    def table(self, height: int) -> RenderableType:
        """The newest bar of as many instruments as the terminal has lines for."""
        named = {token: name for name, token in self.replay.symbols.items()}
        shown = {token: symbol or named.get(token, str(token)) for token, symbol in self.engine.instruments}
        return screen.table(f"tickloom replay   {self.line()}", self.engine, shown, self.interval, height)

    def report(self) -> RenderableType:
        """What was in the journals, and what the engine made of it."""
        stats = self.engine.stats()
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="bold")
        grid.add_column()
        for journal in self.replay.journals:
            state = "whole" if journal.indexed else f"not closed, {journal.lost_bytes:,} bytes are no whole block"
            grid.add_row("journal", journal.path)
            grid.add_row("", f"{journal.records:,} records of {journal.source or '?'}, {state}")
        if self.replay.damaged:
            grid.add_row("damaged", f"{self.replay.damaged:,} blocks could not be read and were stepped over")
        grid.add_row("from", f"{tl.ist(self.first_ns)} to {tl.ist(self.last_ns)}")
        grid.add_row("packets", f"{stats['packets']:,} = {stats['ticks']:,} ticks + {stats['rejected']:,} rejected")
        grid.add_row("bars", f"{stats['bars_closed']:,} of {len(self.engine.instruments):,} instruments")
        if stats["ticks"]:
            grid.add_row("speed", f"{stats['ticks'] / self.busy_s:,.0f} ticks/s while it worked")
        return grid


def follow(run: Run, speed: float, console: Console) -> None:
    """A live table in a terminal, a bar of progress when it goes flat out, a line now and then in a log."""
    shown = time.monotonic()
    if not console.is_terminal:
        for _ in run.play(speed):
            if time.monotonic() - shown > PLAIN_S:
                shown = time.monotonic()
                console.print(run.line(), soft_wrap=True)
    elif not speed:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            task = progress.add_task("replaying", total=run.last_ns - run.first_ns + 1)
            for _ in run.play(speed):
                progress.update(task, completed=run.now_ns - run.first_ns)
        console.print(run.table(console.height))
    else:
        with Live(run.table(console.height), console=console, auto_refresh=False) as live:
            for _ in run.play(speed):
                live.update(run.table(console.height), refresh=True)


@click.command()
@click.argument("journals", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0, 1e9),
              help="Recorded seconds in one real second; 0 goes as fast as it can.")  # fmt: skip
@click.option("--start", callback=instant, metavar="HH:MM", help="Leave out what is earlier (IST, or an ISO time).")
@click.option("--end", callback=instant, metavar="HH:MM", help="Leave out this and what is later.")
@click.option("--interval", default="1m", show_default=True, help="The candles to make.")
def command(
    journals: tuple[str, ...],
    speed: float,
    start: dt.time | dt.datetime | None,
    end: dt.time | dt.datetime | None,
    interval: str,
) -> None:
    """Replay JOURNALS, merged by receive time, and watch their candles. Needs no account and no network."""
    try:
        replay = Replay(journals)
        spans = [journal.span for journal in replay.journals if journal.span is not None]
        if not spans:
            raise click.ClickException("nothing is recorded in it")
        span = min(first for first, _ in spans), max(last for _, last in spans)
        start_ns, end_ns = on_day(start, span[0]), on_day(end, span[0])
        first, last = max(span[0], start_ns or 0), min(span[1], span[1] if end_ns is None else end_ns)
        if first > last:
            raise click.ClickException("nothing is recorded between start and end")
        replay.close()
        run = Run(Replay(journals, start=start_ns, end=end_ns), interval, (first, last))
    except (tl.StoreError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    console = options.terminal()
    try:
        follow(run, speed, console)
    except KeyboardInterrupt:
        console.print("stopped early")
        raise SystemExit(130) from None
    console.print(run.report())
    if why := screen.why_no_bars(run.engine):
        console.print(why, soft_wrap=True, highlight=False)
