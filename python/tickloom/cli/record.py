"""`tickloom record`: the account's feed into a journal, as it comes off the wire (stage cli)."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from tickloom._core import Engine
from tickloom.cli import options, screen, symbols
from tickloom.errors import DecodeError, StoreError, TickloomError
from tickloom.sources.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from tickloom.sources.base import Source
    from tickloom.sources.pushed import PushedTicks
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["command"]

REFRESH_S, PLAIN_S = 0.5, 5.0
# The first frames are also made into candles, to say at the end if there were none to be had of them.
TRIED = 1_000


class Tee:
    """What a source delivers to: the recorder, and a few counters."""

    def __init__(self, recorder: Recorder, clock: Callable[[], int] = time.time_ns) -> None:
        self.recorder = recorder
        self.clock = clock
        self.frames = self.texts = 0
        self.engine = Engine(intervals=["1m"])
        self.states: dict[int, str] = {}
        self.refused = asyncio.Event()

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """Records it."""
        self.recorder.write_frame(frame, received_ns, connection)
        self.frames += 1
        if self.frames <= TRIED:
            with contextlib.suppress(DecodeError):
                self.engine.apply(frame, received_ns)

    def on_ticks(self, ticks: PushedTicks, connection: int) -> None:
        """Records what an engine takes of them."""
        self.recorder.write_ticks(ticks.into(self.engine), connection)
        self.frames += 1

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """Records it."""
        self.recorder.write_text(text, received_ns, connection)
        self.texts += 1

    def on_connection(self, event: ConnectionEvent) -> None:
        """Records it, once the time at the exchange is known."""
        if self.clock():
            self.recorder.write_event(event)
        self.states[event.connection] = event.state
        if event.state == "authentication_failed":
            self.refused.set()

    def line(self) -> str:
        """Where the recording stands."""
        stats = self.recorder.stats()
        states = ", ".join(sorted(set(self.states.values()))) or "starting"
        said = f"   NOT WRITTEN: {stats['error']}" if stats["error"] else ""
        return (
            f"{states}   {self.frames:,} frames   {self.texts:,} texts   {stats['file_bytes'] / 1e6:,.1f} MB   "
            f"{stats['dropped']:,} dropped{said}"
        )


async def record(source: Source, tee: Tee, console: Console, seconds: float | None) -> int | None:
    """Runs a source until it ends, the time is over, or a signal comes, whose number it gives."""
    loop = asyncio.get_running_loop()
    stopped: asyncio.Future[int | None] = loop.create_future()

    def stop(number: int | None) -> None:
        if not stopped.done():
            stopped.set_result(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, int(number))
    if seconds is not None:
        loop.call_later(seconds, stop, None)
    running = asyncio.ensure_future(source.run(tee))
    refused = asyncio.ensure_future(tee.refused.wait())
    showing = asyncio.ensure_future(show(tee, console))
    ends: list[asyncio.Future[Any]] = [running, refused, stopped]
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        return stopped.result() if stopped.done() else None
    finally:
        for task in (running, refused, showing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, TickloomError):
                await task


async def show(tee: Tee, console: Console) -> None:
    """A line that changes in a terminal, a line now and then elsewhere."""
    if not console.is_terminal:
        while True:
            await asyncio.sleep(PLAIN_S)
            console.print(tee.line(), soft_wrap=True)
    with console.status(tee.line()) as status:
        while True:
            await asyncio.sleep(REFRESH_S)
            status.update(tee.line())


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("instruments", nargs=-1, required=True, type=symbols.named)
@options.mode
@symbols.dump
@symbols.root
@options.url
@click.option("--sync", default="interval", show_default=True, type=click.Choice(["interval", "strict"]),
              help="When it is on the disk: every --interval seconds, or at once.")  # fmt: skip
@click.option("--interval", default=1.0, show_default=True, type=click.FloatRange(0.001, 3600), help="In seconds.")
@click.option("--append", is_flag=True, help="Go on with a journal that is there.")
@options.seconds
@options.credentials_file
def command(
    path: Path,
    instruments: tuple[symbols.Named, ...],
    mode: str,
    dump: Path | None,
    root: str | None,
    url: str,
    sync: Literal["interval", "strict"],
    interval: float,
    append: bool,
    seconds: float | None,
    file: Path | None,
) -> None:
    """Record INSTRUMENTS, tokens or names such as NSE:INFY, into the journal PATH, byte for byte, until interrupted.

    Key and token come from KITE_API_KEY and KITE_ACCESS_TOKEN, or from a file of mode 0600; neither gets into the
    journal. Watch it again with: tickloom replay PATH
    """
    source = options.account(file, url)
    source.subscribe(symbols.tokens(instruments, dump, file, root), mode)
    console = options.terminal()
    began = time.monotonic()
    try:
        with Recorder(path, sync=sync, interval=interval, source=source.name, append=append) as recorder:
            tee = Tee(recorder, source.clock)
            number = asyncio.run(record(source, tee, console, seconds))
    except FileExistsError:
        raise click.ClickException(f"there is a file already, go on with it by --append: {path}") from None
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from error
    console.print(f"{tee.line()}   {time.monotonic() - began:,.0f} s   {path}", soft_wrap=True)
    if why := screen.why_no_bars(tee.engine):
        console.print(why, soft_wrap=True, highlight=False)
    if tee.refused.is_set():
        raise click.ClickException("the broker refused the token: log in again (tickloom doctor says more)")
    if number is not None:
        raise SystemExit(128 + number)
