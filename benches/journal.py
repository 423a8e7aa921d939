"""What a journal costs and gives: the reader with and without a recorder on a real socket, and replays flat out.

`python -m benches.journal` prints two tables. The server is a process of its own on the loopback; the reader is the
transport, `Engine.apply` with seven intervals, and nothing else. With and without take turns, the best turn counts.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import multiprocessing
import resource
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import picows

import tickloom as tl
from tickloom.sources.recorder import Recorder
from tickloom.sources.replay import Replay
from tickloom.sources.simulator import Market

INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
RATE = 10_000
BURST_S = 0.005


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


def read(port: int, recorder: Recorder | None) -> tuple[float, float]:
    """Frames a second, and the reader thread's own microseconds of CPU a frame."""

    async def run() -> Reader:
        transport, listener = await picows.ws_connect(lambda: Reader(recorder), f"ws://127.0.0.1:{port}")
        await transport.wait_disconnected()
        assert isinstance(listener, Reader)
        return listener

    before = resource.getrusage(resource.RUSAGE_THREAD)
    reader = asyncio.run(run())
    after = resource.getrusage(resource.RUSAGE_THREAD)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return reader.frames / (reader.last - reader.first), spent / reader.frames * 1e6


def recording(packets: int, rate: float, count: int, turns: int) -> None:
    """One line of the first table."""
    here, there = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(there, packets, count, rate), daemon=True)
    server.start()
    port, sent = here.recv()
    without, having = [], []
    try:
        for turn in range(turns):
            without.append(read(port, None))
            with tempfile.TemporaryDirectory() as folder, Recorder(Path(folder) / f"{turn}.tlj") as recorder:
                having.append(read(port, recorder))
                recorder.flush()
                stats = recorder.stats()
                assert (stats["written"], stats["dropped"]) == (sent, 0)
    finally:
        server.terminate()
        server.join()
    (rate_a, cpu_a), (rate_b, cpu_b) = (
        (max(rate for rate, _ in found), min(cpu for _, cpu in found)) for found in (without, having)
    )
    print(
        f"{packets:>4} a frame, {f'{rate:,.0f}/s' if rate else 'flat out':>9}: "
        f"{rate_a:>8,.0f} -> {rate_b:>8,.0f} frames/s, {cpu_a:.2f} -> {cpu_b:.2f} µs of the reader's CPU a frame "
        f"({cpu_b / cpu_a - 1:+.1%})"
    )


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


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--count", type=int, default=60_000)
    parser.add_argument("--end", default="09:35")
    wanted = parser.parse_args()
    if tl._core.DEBUG_BUILD:
        parser.exit(2, "this is a debug build, its figures mean nothing\n")
    print("recording: the reader without and with a recorder")
    for packets in (1, 50):
        for rate in (RATE, 0):
            recording(packets, rate, wanted.count, wanted.turns)
    print("replay into an engine of seven intervals, flat out, one thread")
    for packets in (1, 50, 200):
        replaying(packets, wanted.end, wanted.turns)


if __name__ == "__main__":
    main()
