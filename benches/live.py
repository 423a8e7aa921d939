"""End to end: a server process, a client process, loopback; ours against the vendor's client with a plain builder.

`python -m benches.live` prints one table. Frames carry full packets; the engine keeps seven intervals. Latency is from
just before the server's send until the candles are updated: inside the callback, after the vendor's ticks went through
the plain builder, or after the engine has applied the frame. CPU is the client process's, all threads. Each
instrument is sent once after the subscription, as a broker does; the measurement begins ten seconds later, when the
client is done checking each packet's mode.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.frames import LAG_NS, NS, SESSION_OPEN, Frames, tokens_of

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
INSTRUMENTS = 3_000
FEW = 500
if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent


def frames_of(packets: int, count: int) -> list[bytes]:
    """`count` frames of a stream in which no frame is a repetition."""
    stream = Frames(INSTRUMENTS if packets > 1 else FEW, packets, seed=3)
    made: list[bytes] = []
    while len(made) < count:
        made += stream.second()
    return made[:count]


def market_times(instruments: int, options: argparse.Namespace) -> list[int]:
    """When each frame would have been received from its market, in UTC nanoseconds."""
    a_second = -(-instruments // options.packets)
    opens = (SESSION_OPEN - 1) * NS + LAG_NS
    return [opens + n // a_second * NS + n % a_second * (NS // 100) // a_second for n in range(options.frames)]


# The server's process.


def serve(options: argparse.Namespace) -> None:
    import picows  # noqa: PLC0415 - the clients' processes do not need it here

    frames = frames_of(options.packets, options.frames)
    with Path(options.times).open("r+b") as file:
        times = memoryview(mmap.mmap(file.fileno(), 8 * options.frames)).cast("q")
    loop = asyncio.new_event_loop()

    class Server(picows.WSListener):
        def on_ws_connected(self, transport: Any) -> None:
            self.transport = transport
            self.writable = asyncio.Event()
            self.writable.set()
            self.sending: asyncio.Task[None] | None = None
            transport.underlying_transport.set_write_buffer_limits(high=1 << 20)

        def pause_writing(self) -> None:
            self.writable.clear()

        def resume_writing(self) -> None:
            self.writable.set()

        def on_ws_frame(self, transport: Any, frame: Any) -> None:
            if frame.msg_type == picows.WSMsgType.TEXT and self.sending is None:
                self.sending = loop.create_task(self.send())
            elif frame.msg_type == picows.WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type == picows.WSMsgType.CLOSE:
                transport.disconnect()

        async def send(self) -> None:
            await asyncio.sleep(0.3)
            send, binary, now = self.transport.send, picows.WSMsgType.BINARY, time.monotonic_ns
            step = int(NS / options.rate) if options.rate else 0
            due = now()
            for n, frame in enumerate(frames):
                if n == options.first:
                    await asyncio.sleep(options.settle)
                    due = now()
                if step and n >= options.first:
                    due += step
                    # Give the loop the longer waits, and wait out the rest: a timer is too coarse.
                    while due - now() > 300_000:
                        await asyncio.sleep(0)
                    while now() < due:
                        pass
                elif not self.writable.is_set():
                    await self.writable.wait()
                times[n] = now()
                send(binary, frame)
                if n & 15 == 0:
                    await asyncio.sleep(0)

    async def run() -> None:
        server = await picows.ws_create_server(lambda _: Server(), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.sleep(600)

    loop.run_until_complete(run())


# The clients' processes.


class Tally:
    """What a client measures: when each frame had become candles."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.at: list[int] = []
        self.cpu = 0.0
        self.done = threading.Event()
        # Called once a frame. A generator's next step is the least that a client can be charged for being measured.
        self.mark = self._marks(options.first, options.frames).__next__

    def _marks(self, first: int, frames: int) -> Iterator[None]:
        append, now = self.at.append, time.monotonic_ns
        for _ in range(first):
            append(now())
            yield
        self.cpu = time.process_time()
        for _ in range(first, frames - 1):
            append(now())
            yield
        append(now())
        self.cpu = time.process_time() - self.cpu
        self.done.set()
        yield

    def report(self) -> None:
        print(json.dumps({"at": self.at, "cpu": self.cpu}), flush=True)


def run_vendor(options: argparse.Namespace) -> None:
    from kiteconnect import KiteTicker  # noqa: PLC0415 - one client a process

    from benches.contenders import PlainCandles  # noqa: PLC0415 - as above

    candles, tally = PlainCandles(), Tally(options)

    def on_ticks(ws: Any, ticks: list[dict[str, Any]]) -> None:
        candles.on_ticks(ticks)
        tally.mark()

    def on_connect(ws: Any, response: Any) -> None:
        ws.subscribe([1])

    ticker = KiteTicker("key", "token", root=options.url)
    ticker.on_ticks, ticker.on_connect = on_ticks, on_connect
    ticker.connect(threaded=True)
    tally.done.wait(options.seconds)
    tally.report()
    os._exit(0)


def run_ours(options: argparse.Namespace) -> None:
    import tickloom as tl  # noqa: PLC0415 - one client a process
    from tickloom.ticker import Credentials, TickerClient  # noqa: PLC0415 - as above

    tally = Tally(options)
    instruments = INSTRUMENTS if options.packets > 1 else FEW
    # The frames are of another day, and here they may come faster than their market ticked. They are received at their
    # market's own time: by any other their stamps would lie in the past or the future.
    received = market_times(instruments, options)

    class Market:
        """The Kite source, with the frames' market for a clock."""

        name = "kite"

        def __init__(self) -> None:
            self.client = TickerClient(options.url, credentials=Credentials("key", "token"), clock=self.clock)
            self.subscribe, self.unsubscribe = self.client.subscribe, self.client.unsubscribe
            self.subscriptions = self.client.subscriptions

        def clock(self) -> int:
            return received[min(len(tally.at), options.frames - 1)]

        async def run(self, sink: Any) -> None:
            mark, handle = tally.mark, sink.on_frame

            class Marked:
                on_text, on_connection = sink.on_text, sink.on_connection

                @staticmethod
                def on_frame(frame: bytes, received_ns: int, connection: int) -> None:
                    handle(frame, received_ns, connection)
                    mark()

            await self.client.run(Marked())

    feed = tl.Feed(Market(), intervals=INTERVALS, busy=options.busy)
    feed.subscribe([int(token) for token in tokens_of(instruments)], mode="full")
    feed.start()
    tally.done.wait(options.seconds)
    stats = feed.engine.stats()
    assert stats["ticks"] == options.frames * options.packets, f"the engine has not seen every packet: {stats}"
    assert stats["bad_stamps"] == stats["stale"] == 0, f"the market's clock is not that of the frames: {stats}"
    feed.stop()
    tally.report()


# The measurement.


def measure(kind: str, packets: int, frames: int, rate: float, seconds: float = 60) -> dict[str, float]:
    """One client against one server."""
    command = [sys.executable, "-m", "benches.live"]
    # Every instrument once, as after a subscription, and a few more; then silence until the measurement.
    first = -(-(INSTRUMENTS if packets > 1 else FEW) // packets) + frames // 20
    frames += first
    shape = [f"--packets={packets}", f"--frames={frames}", f"--first={first}", f"--rate={rate}"]
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(8 * frames)
        server = subprocess.Popen(
            [*command, "server", f"--times={file.name}", *shape], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
        )
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            client = [
                *command,
                kind.removesuffix("-busy"),
                f"--url=ws://127.0.0.1:{port}",
                f"--seconds={seconds}",
                *shape,
            ]
            if kind.endswith("-busy"):
                client.append("--busy")
            done = subprocess.run(client, capture_output=True, text=True, check=True, cwd=REPOSITORY)
        except subprocess.CalledProcessError as error:
            raise SystemExit(error.stderr) from error
        finally:
            server.terminate()
            server.wait()
        sent = memoryview(Path(file.name).read_bytes()).cast("q")
        found = json.loads(done.stdout.splitlines()[-1])
    at = found["at"]
    if len(at) < frames:
        raise SystemExit(f"{kind} got {len(at)} of {frames} frames in {seconds} s")
    # What comes first finds cold code: left out for all.
    waits = sorted(after - before for before, after in list(zip(sent, at, strict=True))[first:])
    return {
        "p50_us": statistics.median(waits) / 1e3,
        "p99_us": waits[len(waits) * 99 // 100] / 1e3,
        "cpu_ns": found["cpu"] * 1e9 / ((frames - 1 - first) * packets),
        "ticks_s": (frames - 1 - first) * packets / ((at[-1] - at[first]) / NS),
    }


def best(kind: str, turns: int, **shape: Any) -> dict[str, float]:
    """The best of a few turns, figure by figure: other work on the machine only ever adds."""
    found = [measure(kind, **shape) for _ in range(turns)]
    return {name: (max if name == "ticks_s" else min)(each[name] for each in found) for name in found[0]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", choices=("server", "ours", "vendor"))
    parser.add_argument("--packets", type=int, default=1)
    parser.add_argument("--frames", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times")
    parser.add_argument("--url")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--settle", type=float, default=10, help="seconds between the subscription and the first frame")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a few frames of each: whether it runs, no figures")
    options = parser.parse_args()
    if options.what is not None:
        {"server": serve, "ours": run_ours, "vendor": run_vendor}[options.what](options)
        return 0
    part = 20 if options.quick else 1
    turns = 1 if options.quick else options.turns
    rows = []

    def row(what: str, ours: float, theirs: float, unit: str, ratio: float, asked: float) -> None:
        rows.append({"row": what, "ours": ours, "vendor": theirs, "ratio": ratio, "asked": asked})
        holds = "yes" if ratio >= asked else "NO"
        print(
            f"| {what:48} | {ours:12,.1f} | {theirs:12,.1f} | {unit:7} | {ratio:7.1f}x | ≥ {asked:5g}x | {holds:5} |",
            flush=True,
        )

    heads = [("end to end, full packets, 7 intervals", 48), ("ours", 12), ("vendor's", 12), ("unit", 7), ("ratio", 8)]
    print("| " + " | ".join(f"{head:{width}}" for head, width in [*heads, ("asked", 8), ("holds", 5)]) + " |")
    print("|" + "|".join("-" * (width + 2) for _, width in [*heads, ("", 8), ("", 5)]) + "|")
    for packets, frames, field, what, asked in (
        (50, 4_000, "cpu_ns", "CPU a tick, 50 packets a frame, flat out", 100),
        (1, 60_000, "ticks_s", "ticks a second, 1 packet a frame, flat out", 10),
    ):
        ours = best("ours", turns, packets=packets, frames=frames // part, rate=0)[field]
        theirs = best("vendor", turns, packets=packets, frames=frames // 4 // part, rate=0)[field]
        ratio = theirs / ours if field == "cpu_ns" else ours / theirs
        row(what, ours, theirs, "ns" if field == "cpu_ns" else "1/s", ratio, asked)
    for packets, rate, asked, asked_busy in ((1, 2_000, 1.4, 5), (50, 60, 7, 20), (200, 45, 12, 20)):
        frames = max(int(rate * 5), 100) // part
        theirs = best("vendor", turns, packets=packets, frames=frames, rate=rate)["p50_us"]
        for kind, at_least in (("ours", asked), ("ours-busy", asked_busy)):
            ours = best(kind, turns, packets=packets, frames=frames, rate=rate)["p50_us"]
            how = "busy-polling" if kind.endswith("busy") else "blocking"
            row(f"p50 send to candle, {packets} x {rate}/s, {how}", ours, theirs, "µs", theirs / ours, at_least)
    return 0


if __name__ == "__main__":
    sys.exit(main())
