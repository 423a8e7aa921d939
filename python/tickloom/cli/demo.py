"""`tickloom demo`: a made-up market day through the engine, candles live in the terminal (stage cli)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Literal

import click
from rich.console import Console
from rich.live import Live

import tickloom as tl
from tickloom.cli import screen
from tickloom.sources.simulator import Market

if TYPE_CHECKING:
    from collections.abc import Iterator


REFRESH_NS = 120_000_000
# A sleep shorter than this costs more than it waits.
SLACK_NS = 5_000_000
PLAIN_NS = 2_000_000_000
AFTER_CLOSE_NS = 60_000_000_000


class Run:
    """One market, one engine, and the stopwatch around the engine alone."""

    def __init__(self, market: Market, *, damaged: bool) -> None:
        self.market = market
        self.damaged = damaged
        self.engine = tl.Engine(intervals=screen.INTERVALS)
        self.instruments = market.instruments()
        for instrument in self.instruments:
            # The demo is there before the first trade, so the day's volume starts at nothing (rule R12). A damaged
            # feed may begin with yesterday's tick, which would be taken for today's then.
            baseline = None if damaged or instrument.kind == "index" else 0
            self.engine.track(instrument.token, instrument.symbol, baseline_volume=baseline)
        self.frames = 0
        self.engine_ns = 0
        self.now_ns = market.session_open_ns
        self.started_ns = time.perf_counter_ns()

    def play(self, speed: float) -> Iterator[None]:
        """Apply every frame, `speed` market seconds a real second (0: unpaced). Yields when time has passed."""
        opened: int | None = None
        clock = time.perf_counter_ns
        apply = self.engine.apply
        for kind, received_ns, payload in self.market.events():
            if kind == "disconnected":
                self.engine.disconnected(received_ns)
            if payload is None:
                continue
            if speed:
                opened = received_ns if opened is None else opened
                due = self.started_ns + (received_ns - opened) / speed
                while (ahead := due - clock()) > SLACK_NS:
                    time.sleep(min(ahead, REFRESH_NS) / 1e9)
                    yield
            before = clock()
            try:  # noqa: SIM105 - a context manager would be on the stopwatch
                apply(payload, received_ns)
            except tl.DecodeError:
                # The engine has counted it; the feed goes on.
                pass
            self.engine_ns += clock() - before
            self.now_ns = received_ns
            self.frames += 1
            if self.frames % 64 == 0:
                yield
        before = clock()
        self.engine.advance(self.now_ns + AFTER_CLOSE_NS)
        self.engine_ns += clock() - before

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return (time.perf_counter_ns() - self.started_ns) / 1e9

    def progress(self) -> screen.Progress:
        """What the engine has counted so far, and how long it took, decoding included."""
        stats = self.engine.stats()
        packets = stats["packets"]
        return screen.Progress(
            now_ns=self.now_ns,
            packets=packets,
            frames=self.frames,
            rejected=stats["rejected"],
            sealed=stats["bars_closed"],
            ns_a_packet=self.engine_ns / max(packets, 1),
        )

    def conserved(self) -> list[screen.Conservation]:
        """For each instrument with volume: what arrived, where it is booked, what was truly traded in the bars."""
        found = []
        for instrument in self.instruments:
            if instrument.kind == "index":
                continue
            account = self.engine.account(instrument.token)
            elsewhere = ("auction_open", "auction_close", "post", "unattributed", "dropped")
            found.append(
                screen.Conservation(
                    symbol=instrument.symbol,
                    arrived=account["last"] - account["baseline"],
                    elsewhere=sum(account[part] for part in elsewhere),
                    bars=int(self.engine.candles(instrument.token, "1m").volume.sum()),
                    truth=int(self.market.truth(instrument.token, "1m")["volume"].sum()),
                )
            )
        return found


def follow(run: Run, console: Console, speed: float) -> None:
    """Show the run while it lasts: a live table in a terminal, a line now and then elsewhere."""
    shown = time.perf_counter_ns()
    if not console.is_terminal:
        for _ in run.play(speed):
            if time.perf_counter_ns() - shown > PLAIN_NS:
                shown = time.perf_counter_ns()
                console.print(screen.line(run.progress()), soft_wrap=True)
        return
    with Live(screen.table(run, console.height), console=console, auto_refresh=False, transient=False) as live:
        for _ in run.play(speed):
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
def demo(**options: Any) -> None:
    """Run a made-up market session through the engine and watch the candles.

    A seeded market makes trades, shows them as a broker's frames, and the engine turns the frames into candles of
    seven intervals at once. No account and no network. The bars are checked against the trades at the end.
    """
    speed = options.pop("speed")
    faults: Literal["all"] | None = "all" if options.pop("faults") else None
    try:
        market = Market(faults=faults, **options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    console = Console()
    if not console.is_terminal:
        # A log has no width of its own; rich would assume a narrow terminal and break the lines.
        console.width = 120
    run = Run(market, damaged=faults is not None)
    try:
        follow(run, console, speed)
    except KeyboardInterrupt:
        console.print("stopped early, the session is not over")
        raise SystemExit(130) from None
    console.print(screen.report(run))
