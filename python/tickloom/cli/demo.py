"""`tickloom demo`: a made-up market day over a socket, candles live in the terminal (stage cli)."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.live import Live

from tickloom.cli import demo_screen as screen
from tickloom.cli import options as shared
from tickloom.cli.demo_run import REFRESH_NS, Direct, Run, Wired
from tickloom.errors import TickloomError
from tickloom.sources.exchange import Exchange
from tickloom.sources.simulator import Market

if TYPE_CHECKING:
    from rich.console import Console

PLAIN_NS = 2_000_000_000


def follow(run: Run, console: Console, speed: float) -> None:
    """Show the run while it lasts: a live table in a terminal, a line now and then elsewhere."""
    shown = time.perf_counter_ns()
    # Closed here and not when it is forgotten: the feed has to go before its exchange does.
    with closing(run.play(speed)) as steps:
        if not console.is_terminal:
            for _ in steps:
                if time.perf_counter_ns() - shown > PLAIN_NS:
                    shown = time.perf_counter_ns()
                    console.print(screen.line(run.progress()), soft_wrap=True)
            return
        with Live(screen.table(run, console.height), console=console, auto_refresh=False, transient=False) as live:
            for _ in steps:
                if time.perf_counter_ns() - shown > REFRESH_NS:
                    shown = time.perf_counter_ns()
                    live.update(screen.table(run, console.height), refresh=True)
            live.update(screen.table(run, console.height), refresh=True)


@click.command()
@click.option("--seed", default=1, show_default=True, help="Another seed, another day.")
@click.option("--instruments", default=50, show_default=True, type=click.IntRange(1, 3_000), help="Names to trade.")
@click.option("--start", default="09:15", show_default=True, metavar="HH:MM", help="The session's first minute, IST.")
@click.option("--end", default="15:30", show_default=True, metavar="HH:MM", help="The session's end, IST.")
@click.option(
    "--speed",
    default=1_800.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Market seconds in one real second; 0 goes as fast as it can.",
)
@click.option("--faults", is_flag=True, help="Damage the feed in every way feeds are known to fail.")
@click.option(
    "--no-socket",
    is_flag=True,
    help="The frames straight into the engine; with --faults cut frames and lost connections too.",
)
def demo(**options: Any) -> None:
    """Run a made-up market session through a simulated exchange and the live feed, and watch the candles.

    A seeded market trades, an exchange on this machine shows it in the broker's protocol over a real socket, and the
    feed turns it into candles of seven intervals at once. No account and no network beyond this machine. The bars are
    checked against the trades at the end.
    """
    speed, direct = options.pop("speed"), options.pop("no_socket")
    faults: Literal["all"] | None = "all" if options.pop("faults") else None
    console = shared.terminal()
    try:
        if direct:
            play(Direct(Market(faults=faults, **options), damaged=faults is not None), console, speed)
            return
        market = {"faults": faults, "start": options["start"], "end": options["end"]}
        exchange = Exchange(
            options["instruments"], options["seed"], speed, market=market, opens="told", preopen=True
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        with exchange:
            play(Wired(exchange, damaged=faults is not None), console, speed)
    except (OSError, TickloomError) as error:
        raise click.ClickException(str(error)) from error


def play(run: Run, console: Console, speed: float) -> None:
    """The session, and what became of it; SystemExit if it was interrupted."""
    try:
        follow(run, console, speed)
    except KeyboardInterrupt:
        console.print("stopped early, the session is not over")
        raise SystemExit(130) from None
    console.print(screen.report(run))
