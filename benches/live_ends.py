"""The two ends of `benches.live`, each a process of its own: a server, and our client or the vendor's."""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.frames import LAG_NS, NS, SESSION_OPEN, Frames, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
INSTRUMENTS = 3_000
FEW = 500


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("server", "ours", "vendor"))
    parser.add_argument("--packets", type=int, required=True)
    parser.add_argument("--frames", type=int, required=True)
    parser.add_argument("--first", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--times")
    parser.add_argument("--url")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--settle", type=float, default=10, help="seconds between the subscription and the first frame")
    options = parser.parse_args()
    {"server": serve, "ours": run_ours, "vendor": run_vendor}[options.what](options)


if __name__ == "__main__":
    main()
