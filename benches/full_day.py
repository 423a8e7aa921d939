"""Memory of 9,000 instruments and seven intervals after a full day. A process of its own, so that RSS is the engine's.

Prints JSON: the resident set before the first frame and after the last, in bytes, and the number of sealed bars.
"""

from __future__ import annotations

import json
from pathlib import Path

import tickloom as tl
from benches.frames import SESSION_OPEN, Frames

INSTRUMENTS = 9_000
INTERVALS = ["1m", "3m", "5m", "10m", "15m", "30m", "60m"]
CLOSE = SESSION_OPEN + 375 * 60


def resident() -> int:
    """Bytes of memory in RAM, as the kernel counts them."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def main() -> None:
    frames = Frames(INSTRUMENTS, 200)
    # The generator's own arrays reach their size before the first reading.
    for _, batch in frames.seconds(2):
        warm = batch
    del warm
    engine = tl.Engine(intervals=INTERVALS)
    before = resident()
    frames.traded_share = 1.0
    # Longer steps would be gaps (rule R13), which are kept.
    frames.step = 10
    while frames.now < CLOSE:
        for received, batch in frames.seconds(1):
            for frame in batch:
                engine.apply(frame, received)
    engine.advance((CLOSE + 60) * 1_000_000_000)
    after = resident()
    sealed = {interval: len(engine.candles(int(frames.tokens[0]), interval)) for interval in INTERVALS}
    print(json.dumps({"before": before, "after": after, "sealed": sealed}))


if __name__ == "__main__":
    main()
