"""What a journal costs and gives: the reader with and without a recorder on a real socket, and replays flat out.

`python -m benches.journal` prints two tables, and ends with 1 if recording 10,000 frames a second takes more than a
fifth of the reader's throughput. The server is a process of its own on the loopback. The reader is the transport,
`Engine.apply` with seven intervals, and nothing else; or a whole `Feed`. With and without take turns, the best counts.

The cost is told twice. Frames a second tell whether the reader keeps up, and flat out what is left if everything else
is as fast as it: its share of a core says whether it was what the others waited for. The CPU time of the reader's
thread a frame, whose inverse is its throughput, does not depend on them; it is what is judged. Flat out is shown, not
judged: it is far above the rate that was asked about. The thread that writes the file is in the process's CPU time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import sys
import tempfile
import threading
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import picows

import tickloom as tl
from tickloom.sources.recorder import Recorder
from tickloom.sources.replay import Replay
from tickloom.sources.simulator import Market

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
RATE = 10_000
BURST_S = 0.005
# The part of its throughput that recording may cost the reader, and the part of the rate that it has to keep up with.
MOST, KEPT = 0.20, 0.98


def frames_of(packets: int, end: str) -> list[tuple[int, bytes]]:
    """A market's frames of at most so many packets, with their receive times."""
    market = Market(1, instruments=500, end=end, packets_per_frame=packets)
    return [(at, frame) for kind, at, frame in market.events() if kind == "frame" and frame is not None]


def serve(ready: Connection, packets: int, count: int, rate: float) -> None:
    """Sends frames to whoever connects: `rate` a second, 0 as fast as they are taken."""
    frames = [frame for _, frame in frames_of(packets, "09:20")][:count]

    class Sender(picows.WSListener):
        def on_ws_connected(self, transport: picows.WSTransport) -> None:
            self.task = asyncio.get_running_loop().create_task(self.send(transport))

        async def send(self, transport: picows.WSTransport) -> None:
            began, size = time.monotonic(), int(rate * BURST_S) or 64
            for first in range(0, len(frames), size):
                for frame in frames[first : first + size]:
                    transport.send(picows.WSMsgType.BINARY, frame)
                if rate:
                    await asyncio.sleep(max(began + (first + size) / rate - time.monotonic(), 0))
                else:
                    # The kernel's buffer is the pace: nothing is sent while more than a little waits.
                    while transport.underlying_transport.get_write_buffer_size() > 1 << 16:
                        await asyncio.sleep(0.0002)
                    await asyncio.sleep(0)
            transport.send_close(picows.WSCloseCode.OK)

    async def run() -> None:
        server = await picows.ws_create_server(lambda _: Sender(), "127.0.0.1", 0)
        ready.send((server.sockets[0].getsockname()[1], len(frames)))
        await server.serve_forever()

    logging.disable()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run())


class Reader(picows.WSListener):
    """Bytes to the engine, and to the recorder before it if there is one."""

    def __init__(self, recorder: Recorder | None) -> None:
        self.apply = tl.Engine(intervals=INTERVALS).apply
        self.write = None if recorder is None else recorder.write_frame
        self.frames = 0
        self.first = self.last = 0.0

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        if frame.msg_type != picows.WSMsgType.BINARY:
            transport.disconnect()
            return
        now = time.time_ns()
        payload = frame.get_payload_as_bytes()
        if self.write is not None:
            self.write(payload, now, 0)
        self.apply(payload, now)
        self.frames += 1
        if self.frames == 1:
            self.first = time.perf_counter()
        self.last = time.perf_counter()


class Turn(NamedTuple):
    """One reading: frames a second, microseconds of CPU a frame of the reader's thread and of the whole process."""

    rate: float
    cpu: float
    process: float


def read(port: int, recorder: Recorder | None, _: int) -> Turn:
    """The bare reader, on this thread."""

    async def run() -> Reader:
        transport, listener = await picows.ws_connect(lambda: Reader(recorder), f"ws://127.0.0.1:{port}")
        await transport.wait_disconnected()
        assert isinstance(listener, Reader)
        return listener

    thread, process = time.thread_time(), time.process_time()
    reader = asyncio.run(run())
    thread, process = time.thread_time() - thread, time.process_time() - process
    return Turn(
        reader.frames / (reader.last - reader.first), thread / reader.frames * 1e6, process / reader.frames * 1e6
    )


def read_feed(port: int, recorder: Recorder | None, count: int) -> Turn:
    """A feed with the source of the live connection, until it has had as many frames."""
    source = tl.sources.Kite("key", "token", url=f"ws://127.0.0.1:{port}")
    feed = tl.Feed(source, INTERVALS, record=recorder)
    took: dict[str, float] = {}
    on_frame = feed._reader.on_frame
    seen = itertools.count(1)

    def timed(frame: bytes, received_ns: int, connection: int) -> None:
        on_frame(frame, received_ns, connection)
        nth = next(seen)
        if nth in {1, count}:
            took[f"wall {nth}"] = time.perf_counter()
            took[f"thread {nth}"], took[f"process {nth}"] = time.thread_time(), time.process_time()
        if nth == count:
            done.set()

    done = threading.Event()
    feed._reader.on_frame = timed
    with feed:
        if not done.wait(120):
            raise TimeoutError(f"not all frames came within 120 s: {count}")
    spent = {name: took[f"{name} {count}"] - took[f"{name} 1"] for name in ("wall", "thread", "process")}
    return Turn(count / spent["wall"], spent["thread"] / count * 1e6, spent["process"] / count * 1e6)


def recording(through: str, packets: int, rate: float, count: int, turns: int) -> bool:
    """One line of the first table; whether the cost is what may be."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, packets, count, rate), daemon=True)
    server.start()
    port, sent = here.recv()
    one = {"reader": read, "feed": read_feed}[through]
    without, having = [], []
    try:
        for turn in range(turns):
            without.append(one(port, None, sent))
            with tempfile.TemporaryDirectory() as folder:
                recorder = Recorder(Path(folder) / f"{turn}.tlj")
                having.append(one(port, recorder, sent))
                recorder.close()
                stats = recorder.stats()
                assert stats["dropped"] == 0
                assert stats["written"] >= sent
    finally:
        server.terminate()
        server.join()
    a, b = (
        Turn(max(turn.rate for turn in found), min(turn.cpu for turn in found), min(turn.process for turn in found))
        for found in (without, having)
    )
    # As a share of the throughput: a reader that needs a quarter more time does four fifths of the work.
    by_cpu, by_wall, busy = 1 - a.cpu / b.cpu, 1 - b.rate / a.rate, a.cpu * a.rate / 1e6
    holds = not rate or (by_cpu <= MOST and b.rate >= KEPT * rate)
    verdict = ("holds" if holds else f"MORE THAN {MOST:.0%}") if rate else ""
    print(
        f"{through:>6} {packets:>3} a frame {f'{rate:,.0f}/s' if rate else 'flat out':>9}: "
        f"{a.rate:>8,.0f} -> {b.rate:>8,.0f} frames/s ({-by_wall:+.1%}, reader {busy:.0%} of a core), "
        f"reader's CPU {a.cpu:5.2f} -> {b.cpu:5.2f} µs a frame (throughput {-by_cpu:+.1%}), "
        f"process {a.process:5.2f} -> {b.process:5.2f}   {verdict}"
    )
    return holds


def replaying(packets: int, end: str, turns: int) -> None:
    """One line of the second table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.tlj"
        with Recorder(path, max_buffer=1 << 30) as recorder:
            for at, frame in frames_of(packets, end):
                recorder.write_frame(frame, at, 0)
        rates, busy = [], []
        for _ in range(turns):
            engine = tl.Engine(intervals=INTERVALS)
            replay = Replay(path)
            began, worked = time.perf_counter(), time.thread_time()
            records = replay.into(engine)
            busy.append((time.thread_time() - worked) / engine.stats()["ticks"])
            rates.append(engine.stats()["ticks"] / (time.perf_counter() - began))
        ticks = engine.stats()["ticks"]
        print(
            f"{packets:>4} a frame at most, {ticks / records:.1f} on average: {max(rates):>10,.0f} ticks/s, "
            f"{min(busy) * 1e9:.0f} ns of CPU a tick, {path.stat().st_size / ticks:.0f} bytes a tick on the disk"
        )


def main() -> int:
    """Both tables; 1 if recording costs too much."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--end", default="09:35")
    parser.add_argument("--recording", action="store_true", help="the first table only")
    wanted = parser.parse_args()
    if tl._core.DEBUG_BUILD:
        parser.exit(2, "this is a debug build, its figures mean nothing\n")
    logging.disable()
    print("recording: the reader without and with a recorder")
    held = True
    for through, packets, rate in itertools.product(("reader", "feed"), (1, 50), (RATE, 0)):
        held &= recording(through, packets, rate, wanted.count, wanted.turns)
    if wanted.recording:
        return 0 if held else 1
    print("replay into an engine of seven intervals, flat out, one thread")
    for packets in (1, 50, 200):
        replaying(packets, wanted.end, wanted.turns)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
