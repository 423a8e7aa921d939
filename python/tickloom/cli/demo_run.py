"""The demo's runs: a market through the feed over a real socket, or straight into an engine (stage cli)."""

from __future__ import annotations

import abc
import time
from typing import TYPE_CHECKING

import tickloom as tl
from tickloom.cli.demo_screen import INTERVALS, Conservation, Progress
from tickloom.sources.kite import Kite

if TYPE_CHECKING:
    from collections.abc import Generator

    from tickloom.feed import Feed
    from tickloom.sources.base import Sink
    from tickloom.sources.exchange import Exchange
    from tickloom.sources.simulator import Market
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Direct", "Measured", "Run", "Wired"]

REFRESH_NS = 120_000_000
# A sleep shorter than this costs more than it waits.
SLACK_NS = 5_000_000
# Long enough for every bar of the last minute to be closed (R25), too short for one of a later hour.
AFTER_CLOSE_NS = 120_000_000_000
LOOK_S = 0.02
PATIENCE_S = 10.0


class Run(abc.ABC):
    """One market, one engine, and the stopwatch around the engine alone."""

    timed = ""

    def __init__(self, market: Market, *, damaged: bool) -> None:
        self.market = market
        self.damaged = damaged
        self.engine = tl.Engine(intervals=INTERVALS)
        self.instruments = market.instruments()
        for instrument in self.instruments:
            # The demo is there before the first trade, so the day's volume starts at nothing (rule R12). A damaged
            # feed may begin with yesterday's tick, which would be taken for today's then.
            baseline = None if damaged or instrument.kind == "index" else 0
            self.engine.track(instrument.token, instrument.symbol, baseline_volume=baseline)
        self.frames = 0
        self.engine_ns = 0
        self.now_ns = market.session_open_ns
        self.ends_ns = market.session_close_ns + AFTER_CLOSE_NS
        """When the demo is over: later a bar of the hour would be closed too, or not, as fast as the machine is."""
        self.started_ns = time.perf_counter_ns()

    @abc.abstractmethod
    def play(self, speed: float) -> Generator[None]:
        """The whole session, `speed` market seconds a real second (0: unpaced). Yields when time has passed."""

    def path(self) -> str:
        """What the frames came over; empty if over nothing."""
        return ""

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return (time.perf_counter_ns() - self.started_ns) / 1e9

    def progress(self) -> Progress:
        """What the engine has counted so far, and how long it took, decoding included."""
        stats = self.engine.stats()
        packets = stats["packets"]
        return Progress(
            now_ns=self.now_ns,
            packets=packets,
            frames=self.frames,
            rejected=stats["rejected"],
            sealed=stats["bars_closed"],
            ns_a_packet=self.engine_ns / max(packets, 1),
        )

    def conserved(self) -> list[Conservation]:
        """For each instrument with volume: what arrived, where it is booked, what was truly traded in the bars."""
        found = []
        for instrument in self.instruments:
            if instrument.kind == "index":
                continue
            account = self.engine.account(instrument.token)
            elsewhere = ("auction_open", "auction_close", "post", "unattributed", "dropped")
            found.append(
                Conservation(
                    symbol=instrument.symbol,
                    arrived=account["last"] - account["baseline"],
                    elsewhere=sum(account[part] for part in elsewhere),
                    bars=int(self.engine.candles(instrument.token, "1m").volume.sum()),
                    truth=int(self.market.truth(instrument.token, "1m")["volume"].sum()),
                )
            )
        return found


class Direct(Run):
    """The market's frames straight into the engine."""

    timed = "call and decoding included"

    def play(self, speed: float) -> Generator[None]:
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
        self.engine.advance(self.ends_ns)
        self.engine_ns += clock() - before


class Measured(Kite):
    """The broker's source with a stopwatch: what the reader's thread works for frames, waits left out.

    A subscription is answered with the last packets of the day before, first in quote mode, which has no stamp: nothing
    tells them from today's. The demo knows that today's volume starts at nothing, and leaves out what came before it.
    """

    def __init__(self, url: str, begins_ns: int, ends_ns: int) -> None:
        super().__init__("demo", "demo", url=url)
        told = self.clock
        self.clock = lambda: min(told(), ends_ns)
        self._begins_ns = begins_ns
        self.frames = self.work_ns = 0

    async def run(self, sink: Sink) -> None:
        """Delivers as its base does, through the stopwatch."""
        self._sink = sink
        await super().run(self)

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """From the bytes to the bars."""
        if received_ns <= self._begins_ns:
            return
        before = time.thread_time_ns()
        self._sink.on_frame(frame, received_ns, connection)
        self.work_ns += time.thread_time_ns() - before
        self.frames += 1

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """Not measured."""
        self._sink.on_text(text, received_ns, connection)

    def on_connection(self, event: ConnectionEvent) -> None:
        """Not measured."""
        self._sink.on_connection(event)


class Wired(Run):
    """The exchange serves the market on a port, and the feed connects to it as to the broker."""

    timed = "the reader's work from bytes to bars"

    def __init__(self, exchange: Exchange, *, damaged: bool) -> None:
        super().__init__(exchange.market, damaged=damaged)
        self.exchange = exchange
        self.source = Measured(exchange.url, exchange.market_time_ns(), self.ends_ns)
        self.feed: Feed = tl.Feed(self.source, engine=self.engine)

    def play(self, speed: float) -> Generator[None]:  # noqa: ARG002 - the exchange has the speed
        """Subscribes, opens the market, and looks on until everything has arrived. Yields again and again.

        Raises ConnectionFailed if the feed does not get its instruments.
        """
        tokens = [instrument.token for instrument in self.instruments]
        self.feed.subscribe(tokens)
        with self.feed:
            until = time.monotonic() + PATIENCE_S
            while dict.fromkeys(tokens, "full") not in self.exchange.subscriptions().values():
                if time.monotonic() > until:
                    raise tl.ConnectionFailed(f"the exchange on this machine did not answer: {self.exchange.url}")
                self._look()
                yield
            self.exchange.open()
            while not self.exchange.is_finished:
                self._look()
                yield
            # All that was sent before this moment has arrived when the feed is told of it.
            last_ns = min(self.exchange.market_time_ns(), self.ends_ns)
            while self.source.clock() < last_ns:
                self._look()
                yield
        self._look(0)
        self.engine.advance(self.ends_ns)

    def path(self) -> str:
        """The address, and what went over it."""
        stats = self.exchange.stats()
        sent = f"{stats['packets_sent']:,} packets in {stats['frames_sent']:,} messages"
        return f"{sent} over {self.exchange.url}, {stats['packets_conflated']:,} left out"

    def _look(self, pause: float = LOOK_S) -> None:
        time.sleep(pause)
        self.frames, self.engine_ns = self.source.frames, self.source.work_ns
        self.now_ns = max(self.source.clock(), self.market.session_open_ns)
