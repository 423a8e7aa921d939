"""How processes end: each in the midst of recording a feed at full pace, with its code, its time and its journal.

`python -m tests.integration.endings` prints the table; the tests run the same. A child notes each frame's checksum in a
shared file before its feed sees the frame, which survives whatever end it comes to: the journal is compared with that.
"""

from __future__ import annotations

import argparse
import logging
import mmap
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

from tickloom.sources.exchange import Exchange
from tickloom.sources.journal import FRAME, Journal, Reading

AT_MOST = 2.0
NOTES = 1 << 22
COUNT = struct.Struct("<Q")


@dataclass(frozen=True)
class Case:
    """A program of a user's and its end. `codes`: the exit codes that are right."""

    name: str
    body: str
    number: int | None
    codes: tuple[int, ...]
    half_open: bool = False
    """Whether the server has fallen silent and answers no close."""
    killed: bool = False
    """Whether nobody handles the signal: then what was not yet written is lost, and nothing else (docs/journal.md)."""


RUN = "    feed.run()"
START = "    feed.start(); feed.wait_tick(timeout=9); time.sleep(0.3)"
INT, TERM = (-signal.SIGINT, 130), (-signal.SIGTERM, 143)
STUCK = "    feed.on_tick(lambda event: time.sleep(60));"
CASES = [
    Case("SIGINT in run", RUN, signal.SIGINT, INT),
    Case("SIGTERM in run", RUN, signal.SIGTERM, TERM),
    Case("SIGINT, started, main sleeps", f"{START}; time.sleep(60)", signal.SIGINT, INT),
    Case("uncaught exception in main", f"{START}; raise ValueError('mine')", None, (1,)),
    Case("exception in a callback, SIGINT", f"    feed.on_tick(lambda event: 1 / 0);{RUN}", signal.SIGINT, INT),
    Case(
        "KeyboardInterrupt in a callback", "    feed.on_tick(lambda event: soon(KeyboardInterrupt()));" + RUN, None, INT
    ),
    Case("sys.exit(7) in a callback", "    feed.on_tick(lambda event: soon(SystemExit(7)));" + RUN, None, (7,)),
    Case("sys.exit(5) in main", f"{START}; sys.exit(5)", None, (5,)),
    Case("the end of main", START, None, (0,)),
    Case("SIGINT, a callback hangs", STUCK + RUN, signal.SIGINT, INT),
    Case("SIGTERM, a callback hangs", STUCK + RUN, signal.SIGTERM, TERM),
    Case("sys.exit(4) in main, a callback hangs", f"{STUCK}{START}; sys.exit(4)", None, (4,)),
    Case("SIGTERM that nobody handles", f"{START}; time.sleep(60)", signal.SIGTERM, (-signal.SIGTERM,), killed=True),
    Case("SIGINT, the server is gone", RUN, signal.SIGINT, INT, half_open=True),
    Case("SIGTERM, the server is gone", RUN, signal.SIGTERM, TERM, half_open=True),
    Case("SIGTERM, it is gone and a callback hangs", STUCK + RUN, signal.SIGTERM, TERM, half_open=True),
]

PROGRAM = """
import mmap, signal, struct, sys, threading, time, zlib
import tickloom as tl
url, tokens, path, notes = sys.argv[1], [int(token) for token in sys.argv[2].split(",")], sys.argv[3], sys.argv[4]

class Noting:
    name, live = "kite", True
    def __init__(self):
        self.inner = tl.sources.Kite("key", "token", url=url)
        self.subscribe, self.unsubscribe = self.inner.subscribe, self.inner.unsubscribe
        self.subscriptions = self.inner.subscriptions
    async def run(self, sink):
        self.sink, self.on_text, self.on_connection = sink, sink.on_text, sink.on_connection
        await self.inner.run(self)
    def on_frame(self, frame, received_ns, connection):
        global received
        if 12 + 4 * received < len(page):
            struct.pack_into("<I", page, 8 + 4 * received, zlib.crc32(frame))
            received += 1
            struct.pack_into("<Q", page, 0, received)
        self.sink.on_frame(frame, received_ns, connection)

received, said = 0, []
def soon(error):
    if time.monotonic() > began + 0.3:
        raise error
def ready(event):
    if not said:
        said.append(sys.stdout.write("ready\\n")); sys.stdout.flush()
if __name__ == "__main__":
    with open(notes, "r+b") as file:
        page = mmap.mmap(file.fileno(), 0)
    feed = tl.Feed(Noting(), record=path)
    feed.subscribe(tokens)
    feed.on_tick(ready)
    began = time.monotonic()
"""


@dataclass
class End:
    """What came of it."""

    case: Case
    code: int
    seconds: float
    received: int
    recorded: int
    in_last_block: int
    same: bool
    errors: str

    @property
    def holds(self) -> bool:
        """Whether the end was right: code, time, and a journal of what was received, up to at most the last block."""
        whole = self.case.killed or self.received - self.recorded <= self.in_last_block
        return self.code in self.case.codes and self.seconds <= AT_MOST and self.same and whole and self.recorded > 0


def serve() -> Exchange:
    """A market that goes as fast as its clients read."""
    return Exchange(20, seed=3, speed=0, opens="subscription", connections_per_key=None, market={"days": 250})


def run(case: Case, exchange: Exchange, folder: Path) -> End:
    """One child, from its start to its end."""
    path, notes = folder / "end.tlj", folder / "notes"
    with notes.open("wb") as file:
        file.truncate(8 + 4 * NOTES)
    tokens = ",".join(str(each.token) for each in exchange.instruments)
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM + case.body, exchange.url, tokens, str(path), str(notes)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    watch = threading.Timer(20, child.kill)
    watch.start()
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n", child.communicate()
        if case.number is not None:
            # Far enough into the stream to have blocks, and in the midst of one.
            deadline = time.monotonic() + 5
            least = 4_096 if case.killed else 0
            while (_received(notes) < 2_000 or path.stat().st_size < least) and time.monotonic() < deadline:
                time.sleep(0.01)
            if case.half_open:
                exchange.half_open()
            began = time.monotonic()
            child.send_signal(case.number)
        else:
            # What it does of its own accord it does 0.3 s after its first tick.
            began = time.monotonic() + 0.3
        _, errors = child.communicate()
        seconds = time.monotonic() - began
    finally:
        watch.cancel()
    return End(case, child.returncode, seconds, *_compare(path, notes), errors)


def _received(notes: Path) -> int:
    with notes.open("rb") as file:
        return int(COUNT.unpack(file.read(8))[0])


def _compare(path: Path, notes: Path) -> tuple[int, int, int, bool]:
    with notes.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as page:
        received = int(COUNT.unpack_from(page)[0])
        sums = memoryview(page)[8 : 8 + 4 * received].cast("I").tolist()
    with Journal(path) as journal:
        last = journal.blocks[-1].records if journal.blocks else 0
        recorded = [zlib.crc32(record.payload) for record in Reading([journal]) if record.kind == FRAME]
    return received, len(recorded), last, recorded == sums[: len(recorded)]


def main() -> int:
    logging.disable()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3, help="how often each is run")
    options = parser.parse_args()
    head = f"| {'end':40} | {'code':>5} | {'slowest':>7} | {'received':>9} | {'recorded':>9} | holds |\n"
    sys.stdout.write(head + "|" + "|".join("-" * len(part) for part in head.split("|")[1:-1]) + "|\n")
    held = True
    for case in CASES:
        ends = []
        for _ in range(options.times):
            with serve() as exchange, tempfile.TemporaryDirectory() as folder:
                ends.append(run(case, exchange, Path(folder)))
        worst = max(ends, key=lambda end: (not end.holds, end.seconds))
        held &= all(end.holds for end in ends)
        holds = "yes" if worst.holds else f"NO {worst.errors[-300:]}"
        sys.stdout.write(
            f"| {case.name:40} | {worst.code:>5} | {worst.seconds:5.2f} s | {worst.received:>9,} | "
            f"{worst.recorded:>9,} | {holds:5} |\n"
        )
        sys.stdout.flush()
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
