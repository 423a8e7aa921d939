"""`tickloom live`: the account's own feed, candles live in the terminal (stage cli)."""

from __future__ import annotations

import signal
import time
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tickloom.cli import credentials, screen

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tickloom.feed import Feed, Status
    from tickloom.sources.kite import Kite
    from tickloom.sources.simulated import Simulator

__all__ = ["command"]

REFRESH_S, PLAIN_S = 0.25, 2.0
HEAD_LINES = 6


def instrument(value: str) -> tuple[int, str]:
    """`408065` or `408065=INFY`: a token, and a name to show for it. Raises BadParameter for anything else."""
    token, _, name = value.partition("=")
    if not token.isdecimal() or not 0 < int(token) < 2**32:
        raise click.BadParameter(f"an instrument is a token, or TOKEN=NAME: {value}")
    return int(token), name or token


def head(status: Status) -> str:
    """The line's state in a few words."""
    states = ", ".join(sorted(set(status.connections.values()))) or "starting"
    return (
        f"{states}   {status.ticks:,} ticks, {status.ticks_per_second:,.0f}/s   "
        f"{status.reconnects} reconnects   {status.rejected} rejected"
    )


def row(feed: Feed, token: int, name: str, interval: str) -> list[str]:
    """One instrument's newest bar; the name alone before its first tick."""
    candles = feed.engine.candles(token, interval)
    bar = candles.forming or (candles.last(1)[0] if len(candles) else None)
    if bar is None:
        return [name]
    prices = [f"{price:,.2f}" for price in (bar.open, bar.high, bar.low, bar.close)]
    vwap = "" if isnan(bar.vwap) else f"{bar.vwap:,.2f}"
    return [name, screen.clock(bar.time), *prices, f"{bar.volume:,}", vwap, f"{len(candles):,}"]


def table(feed: Feed, shown: dict[int, str], interval: str, height: int) -> RenderableType:
    """The newest candle of as many instruments as the terminal has lines for."""
    grid = Table(title=f"tickloom live   {head(feed.status())}", title_justify="left", expand=False)
    grid.add_column("instrument", no_wrap=True)
    for name in (interval, "open", "high", "low", "close", "volume", "vwap", "bars"):
        grid.add_column(name, justify="right", no_wrap=True)
    for token, name in list(shown.items())[: max(height - HEAD_LINES, 3)]:
        grid.add_row(*row(feed, token, name, interval))
    return grid


def follow(feed: Feed, shown: dict[int, str], interval: str, console: Console, seconds: float | None) -> None:
    """Show the feed while it runs: a live table in a terminal, a line now and then elsewhere."""
    until = None if seconds is None else time.monotonic() + seconds
    pause = REFRESH_S if console.is_terminal else PLAIN_S
    with Live(console=console, auto_refresh=False) if console.is_terminal else _Plain(console) as live:
        while feed.running and (until is None or time.monotonic() < until):
            if console.is_terminal:
                live.update(table(feed, shown, interval, console.height), refresh=True)
            else:
                live.update(head(feed.status()))
            refused = [state for state in feed.status().connections.values() if state == "authentication_failed"]
            if refused:
                raise click.ClickException("the broker refused the token: log in again (tickloom doctor says more)")
            time.sleep(pause if until is None else max(min(pause, until - time.monotonic()), 0.01))


class _Plain:
    """Lines for a log, where there is no terminal to redraw."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __enter__(self) -> _Plain:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, line: RenderableType, *, refresh: bool = False) -> None:
        """Print a line."""
        del refresh
        self._console.print(line, soft_wrap=True)


@click.command()
@click.argument("instruments", nargs=-1, type=instrument)
@click.option("--simulated", is_flag=True, help="A simulated exchange instead of the account's feed; needs no account.")
@click.option(
    "--speed", default=60.0, show_default=True, type=click.FloatRange(min=0), help="Market seconds a second, simulated."
)
@click.option("--mode", default="full", show_default=True, type=click.Choice(["ltp", "quote", "full"]))
@click.option("--interval", default="1m", show_default=True, help="The candles to show.")
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Keep the raw frames in this file.")
@click.option("--url", default="wss://ws.kite.trade", show_default=True, help="The server.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long.")
@click.option(
    "--credentials",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of mode 0600 with KITE_API_KEY=... and KITE_ACCESS_TOKEN=... [default: the environment]",
)
def command(
    instruments: tuple[tuple[int, str], ...],
    simulated: bool,
    speed: float,
    mode: str,
    interval: str,
    record: Path | None,
    url: str,
    seconds: float | None,
    file: Path | None,
) -> None:
    """Follow INSTRUMENTS live: tokens, or TOKEN=NAME such as 408065=INFY.

    With --simulated it needs no account. Else key and token come from KITE_API_KEY and KITE_ACCESS_TOKEN, or from a
    file of mode 0600.
    """
    # `tickloom --help` looks at every command, and needs no network for it.
    from tickloom.feed import Feed  # noqa: PLC0415

    shown = dict(instruments)
    source: Kite | Simulator
    if simulated:
        source = simulator = _simulated(speed)
        shown = shown or {token: name for name, token in simulator.symbols.items()}
    elif shown:
        source = _account(file, url)
    else:
        raise click.UsageError("name an instrument: a token, or TOKEN=NAME")
    try:
        feed = Feed(source, intervals=[interval], record=record)
        for token, name in shown.items():
            feed.engine.track(token, name)
        feed.subscribe(list(shown), mode=mode)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    console = Console()
    if not console.is_terminal:
        console.width = 120
    # What ends the process otherwise would leave the recording without its end.
    signal.signal(signal.SIGTERM, _terminated)
    with feed:
        try:
            follow(feed, shown, interval, console, seconds)
        except KeyboardInterrupt:
            raise SystemExit(128 + signal.SIGINT) from None
        finally:
            feed.stop()
            console.print(head(feed.status()), soft_wrap=True)


def _simulated(speed: float) -> Simulator:
    from tickloom.sources.simulated import Simulator  # noqa: PLC0415

    return Simulator(instruments=50, speed=speed)


def _account(file: Path | None, url: str) -> Kite:
    from tickloom.sources.kite import Kite  # noqa: PLC0415

    try:
        found = credentials.find(file)
        return Kite(found.api_key, found.access_token, url=url)
    except (credentials.CredentialsMissing, ValueError) as error:
        raise click.ClickException(str(error)) from None


def _terminated(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
