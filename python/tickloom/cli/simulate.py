"""`tickloom simulate`: the simulated exchange on a port, until it is interrupted (stage cli)."""

from __future__ import annotations

import datetime as dt
import signal
import threading
import time
from typing import TYPE_CHECKING, Any

import click
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from tickloom.cli.options import terminal
from tickloom.cli.screen import IST
from tickloom.sources.exchange import Exchange, Faults
from tickloom.sources.exchange_faults import KINDS
from tickloom.sources.exchange_rules import BROKERS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

    from rich.console import Console, RenderableType

REFRESH = 0.25
PLAIN = 10.0
SHOWN = 5


def last_weekday(today: dt.date) -> dt.date:
    """The date itself, or the Friday before a weekend."""
    return today - dt.timedelta(days=max(today.weekday() - 4, 0))


def parse_faults(given: Sequence[str], slow: float | None, seed: int) -> Faults:
    """The faults of options such as ``reset=2``. Raises BadParameter."""
    rates: dict[str, Any] = {}
    for text in given:
        name, sign, rate = text.partition("=")
        try:
            value = float(rate) if sign else 1.0
        except ValueError:
            raise click.BadParameter(f"not a number of times a minute: {rate!r}", param_hint="--fault") from None
        if name != "all" and name not in KINDS:
            raise click.BadParameter(
                f"no such fault: {name!r}; there are all, {', '.join(KINDS)}", param_hint="--fault"
            )
        rates |= dict.fromkeys(KINDS, value) if name == "all" else {name: value}
    try:
        return Faults(**rates, slow=slow, seed=seed)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--fault") from error


class Panel:
    """What the exchange does, as text: one line for a log, a table and the session's progress for a terminal."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.before = (time.monotonic(), 0)
        market = exchange.market
        self.span = (market.session_open_ns, market.session_close_ns)
        self.progress = Progress(
            TextColumn("session"), BarColumn(40), TaskProgressColumn(), TimeRemainingColumn(), auto_refresh=False
        )
        self.task = self.progress.add_task("session", total=self.span[1] - self.span[0])

    def row(self) -> dict[str, str]:
        """The figures of this moment."""
        stats, now = self.exchange.stats(), time.monotonic()
        then, sent = self.before
        rate = (stats["packets_sent"] - sent) / max(now - then, 1e-3)
        self.before = (now, stats["packets_sent"])
        shown = dt.datetime.fromtimestamp(self.exchange.market_time_ns() / 1e9, IST)
        tokens = sum(len(modes) for modes in self.exchange.subscriptions().values())
        return {
            "market": "closed" if self.exchange.is_closed else f"{shown:%Y-%m-%d %H:%M:%S} IST",
            "clients": f"{stats['clients']} connected, {stats['connections']:,} in all, {stats['refused']:,} refused",
            "subscribed": f"{tokens:,} instruments",
            "sent": f"{stats['packets_sent']:,} packets in {stats['frames_sent']:,} messages, {rate:,.0f} a second",
            "left out": f"{stats['packets_conflated']:,} packets, for clients that read too slowly",
            "faults": f"{stats['faults']:,}",
        }

    def line(self) -> str:
        """One line for a log."""
        row = self.row()
        return "   ".join(f"{name}: {row[name]}" for name in ("market", "clients", "sent", "faults"))

    def table(self) -> RenderableType:
        """The figures, one a line, and how far the session is."""
        grid = Table.grid(padding=(0, 2))
        grid.add_column(justify="right", style="bold")
        grid.add_column()
        given = "any api key, any access token" if self.exchange.broker == "kite" else "any access token"
        grid.add_row("listening on", f"{self.exchange.url}   ({given})")
        for name, value in self.row().items():
            grid.add_row(name, value)
        grid.add_row("", "Ctrl-C ends it")
        day = 86_400_000_000_000
        # The sessions of later dates are as long as the first.
        into = (self.exchange.market_time_ns() - self.span[0]) % day
        self.progress.update(self.task, completed=min(into, self.span[1] - self.span[0]))
        return grid if self.exchange.is_closed else Group(grid, self.progress)


def hint(exchange: Exchange) -> str:
    """What to do with the address."""
    traded = [one for one in exchange.instruments if one.kind != "index"][:SHOWN]
    if exchange.broker == "upstox":
        keys = [exchange.keys[one.symbol] for one in traded]
        return f'in a program: source = tickloom.sources.Upstox("any token", url="{exchange.url}") and subscribe {keys}'
    named = " ".join(f"{one.token}={one.symbol}" for one in traded)
    return f"in another terminal: KITE_API_KEY=any KITE_ACCESS_TOKEN=any tickloom live --url {exchange.url} {named}"


def watch(exchange: Exchange, console: Console, stopping: threading.Event, seconds: float | None) -> None:
    """Shows the exchange until it is told to stop or its time is over."""
    panel = Panel(exchange)
    until = time.monotonic() + (threading.TIMEOUT_MAX if seconds is None else seconds)
    # Programs read the address here; it is the first line, whatever shows it.
    console.print(f"listening on {exchange.url}", soft_wrap=True, highlight=False)
    console.print(hint(exchange), soft_wrap=True, highlight=False)

    def ended(pause: float) -> bool:
        return stopping.wait(max(min(pause, until - time.monotonic()), 0)) or time.monotonic() >= until

    if console.is_terminal:
        with Live(panel.table(), console=console, auto_refresh=False) as live:
            while not ended(REFRESH):
                live.update(panel.table(), refresh=True)
        return
    while not ended(PLAIN):
        console.print(panel.line(), soft_wrap=True, highlight=False)
    console.print(panel.line(), soft_wrap=True, highlight=False)


@click.command(name="simulate")
@click.option(
    "--broker", default="kite", show_default=True, type=click.Choice(BROKERS), help="Whose protocol is spoken."
)
@click.option("--instruments", default=50, show_default=True, type=click.IntRange(1, 9_000), help="Names to trade.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Another seed, another day.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    type=click.FloatRange(min=0),
    help="Market seconds in one real second; 0 goes as fast as the clients read.",
)
@click.option(
    "--hours",
    default="simulated",
    show_default=True,
    type=click.Choice(["simulated", "wall", "closed"]),
    help="simulated: a session begins now, at whatever hour. wall: trades 09:15 to 15:30 IST on weekdays, with the"
    " stamps of now. closed: the last packets of the day before, and heartbeats.",
)
@click.option("--date", metavar="YYYY-MM-DD", help="The first date of the market.  [default: the last weekday]")
@click.option("--start", default="09:15", show_default=True, metavar="HH:MM", help="The session's first minute, IST.")
@click.option("--end", default="15:30", show_default=True, metavar="HH:MM", help="The session's end, IST.")
@click.option("--days", default=250, show_default=True, type=click.IntRange(1), help="Sessions, one after the other.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65_535), help="0 takes a free one.")
@click.option("--max-tokens", type=click.IntRange(1), help="Of one connection.  [default: 3000, with Upstox 5000]")
@click.option(
    "--connections", default=3, show_default=True, type=click.IntRange(0), help="Of one account; 0: no limit."
)
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[=PER MINUTE]",
    help=f"What fails by itself, and how often: all, {', '.join(KINDS)}. Give it as often as you like.",
)
@click.option("--slow", type=click.FloatRange(min=1), metavar="BYTES", help="Send each client so many bytes a second.")
@click.option("--seconds", type=click.FloatRange(min=0), help="End after so long; otherwise it runs until Ctrl-C.")
def command(**options: Any) -> None:
    """Serve a made-up market in a broker's protocol, to be connected to like the real feed.

    Every client of the protocol works against it unchanged: give it the address that is printed as its root, and any
    credentials. No account and no network beyond this machine.
    """
    faults = parse_faults(options["faults"], options["slow"], options["seed"])
    date = options["date"] or last_weekday(dt.datetime.now(IST).date()).isoformat()
    market = {"date": date, "start": options["start"], "end": options["end"], "days": options["days"]}
    console = terminal()
    stopping, signals = threading.Event(), list[int]()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        signals.append(number)
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        exchange = Exchange(
            options["instruments"], options["seed"], options["speed"], market=market, hours=options["hours"],
            host=options["host"], port=options["port"], max_tokens=options["max_tokens"],
            connections_per_key=options["connections"] or None, faults=faults, broker=options["broker"],
        )  # fmt: skip
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    try:
        with exchange:
            watch(exchange, console, stopping, options["seconds"])
    except OSError as error:
        raise click.ClickException(
            f"cannot listen on {options['host']} port {options['port']}: {error.strerror or error}"
        ) from error
    if signals:
        raise SystemExit(128 + signals[0])
