"""`tickloom live`: the account's own feed, candles live in the terminal (stage cli)."""

from __future__ import annotations

import contextlib
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.live import Live

from tickloom.cli import options, screen, symbols
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from tickloom.feed import Feed, Status
    from tickloom.sources.base import Source

__all__ = ["command"]

REFRESH_S, PLAIN_S = 0.25, 2.0
# Bars that are kept: without a history, and for each day of it, minutes with an evening.
KEPT, A_DAY = 500, 900


def head(status: Status) -> str:
    """The line's state in a few words."""
    states = ", ".join(sorted(set(status.connections.values()))) or "starting"
    warm = status.warmup
    history = "" if warm.state == "off" else f"   history {warm.state}, {warm.done} of {warm.wanted}"
    return (
        f"{states}   {status.ticks:,} ticks, {status.ticks_per_second:,.0f}/s   "
        f"{status.reconnects} reconnects   {status.rejected} rejected{history}"
    )


def table(feed: Feed, shown: dict[int, str], interval: str, height: int) -> RenderableType:
    """The newest candles, under the line's state."""
    return screen.table(f"tickloom live   {head(feed.status())}", feed.engine, shown, interval, height)


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


def finish(feed: Feed, shown: dict[int, str], interval: str, console: Console) -> None:
    """The last word: in a log the candles too, which a terminal shows already, and why there are none."""
    if not console.is_terminal:
        console.print(table(feed, shown, interval, len(shown) + screen.FRAME_LINES))
    if why := screen.why_no_bars(feed.engine):
        console.print(why, soft_wrap=True, highlight=False)
    console.print(head(feed.status()), soft_wrap=True)


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
@click.argument("instruments", nargs=-1, type=symbols.named)
@click.option("--simulated", is_flag=True, help="A simulated exchange instead of the account's feed; needs no account.")
@click.option(
    "--broker",
    default="kite",
    show_default=True,
    type=click.Choice(["kite", "upstox"]),
    help="Whose protocol is spoken, simulated.",
)
@click.option(
    "--speed", default=60.0, show_default=True, type=click.FloatRange(min=0), help="Market seconds a second, simulated."
)
@options.mode
@click.option("--interval", default="1m", show_default=True, help="The candles to show.")
@click.option("--warmup", metavar="DAYS", help="Fill the candles with history first: 2d is today and two days before.")
@symbols.dump
@symbols.root
@click.option("--record", type=click.Path(path_type=Path, dir_okay=False), help="Keep the raw frames in this file.")
@options.url
@options.seconds
@options.credentials_file
def command(
    instruments: tuple[symbols.Named, ...],
    simulated: bool,
    broker: str,
    speed: float,
    mode: str,
    interval: str,
    warmup: str | None,
    dump: Path | None,
    root: str | None,
    record: Path | None,
    url: str,
    seconds: float | None,
    file: Path | None,
) -> None:
    """Follow INSTRUMENTS live: names such as NSE:INFY or NIFTY50, tokens, or TOKEN=NAME such as 408065=INFY.

    With --simulated it needs no account. Else key and token come from KITE_API_KEY and KITE_ACCESS_TOKEN, or from a
    file of mode 0600.
    """
    if not instruments and not simulated:
        raise click.UsageError("name an instrument: NSE:INFY, a token, or TOKEN=NAME")
    # `tickloom --help` looks at every command, and needs no network for it.
    from tickloom.feed import Feed  # noqa: PLC0415 - `--help` needs no sockets
    from tickloom.feed.warming import days_of  # noqa: PLC0415 - `--help` needs no sockets

    if broker != "kite" and not (simulated and mode == "full"):
        raise click.UsageError("--broker is for --simulated, in mode full")
    with contextlib.ExitStack() as opened:
        try:
            source, traded = _simulated(broker, speed, opened) if simulated else (options.account(file, url), [])
            by_name = not simulated and any(token is None for token, _ in instruments)
            days = days_of(warmup)
            feed = Feed(
                source, intervals=[interval], record=record,
                symbols=symbols.opened(dump, file, root) if by_name else None,
                history=None if days is None else symbols.history(simulated, file, root),
                capacity=KEPT if days is None else A_DAY * (days + 1),
            )  # fmt: skip
            shown = _subscribed(feed, instruments or [(None, name) for name in traded], mode)
        except (TickloomError, ValueError) as error:
            raise click.ClickException(str(error)) from None
        console = options.terminal()
        # What ends the process otherwise would leave the recording without its end.
        signal.signal(signal.SIGTERM, _terminated)
        feed.start(days)
        try:
            follow(feed, shown, interval, console, seconds)
        except KeyboardInterrupt:
            raise SystemExit(128 + signal.SIGINT) from None
        finally:
            feed.stop()
            finish(feed, shown, interval, console)


def _subscribed(feed: Feed, instruments: Sequence[symbols.Named], mode: str) -> dict[int, str]:
    """Subscribes in the order given; what is shown for each token."""
    for token, name in instruments:
        if token is not None:
            feed.engine.track(token, name)
        feed.subscribe(name if token is None else token, mode=mode)
    names = dict(feed.engine.instruments)
    return {token: names.get(token) or str(token) for token in feed.subscriptions()}


def _simulated(broker: str, speed: float, opened: contextlib.ExitStack) -> tuple[Source, list[str]]:
    """The source of a made-up market, and the names that it trades."""
    if broker == "kite":
        from tickloom.sources.simulated import Simulator  # noqa: PLC0415 - `--help` needs no sockets

        simulator = Simulator(instruments=50, speed=speed)
        return simulator, list(simulator.symbols)
    from tickloom.sources.exchange import Exchange  # noqa: PLC0415 - as above
    from tickloom.sources.upstox import Upstox  # noqa: PLC0415 - as above

    exchange = opened.enter_context(Exchange(50, speed=speed, broker="upstox", opens="subscription"))
    return Upstox("any token", url=exchange.url, symbols=exchange.keys), list(exchange.keys)


def _terminated(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
