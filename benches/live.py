"""End to end: a server process, a client process, loopback; ours against the vendor's client with a plain builder.

`python -m benches.live` prints one table, and writes it to results/live.json and docs/performance.md. Frames carry full
packets; the engine keeps seven intervals. Latency is from just before the server's send until the candles are updated:
inside the callback, after the vendor's ticks went through the plain builder, or after the engine has applied the frame.
CPU is the client process's, all threads. Each instrument is sent once after the subscription, as a broker does, and
then twenty seconds of the market flat out, in which each opens its first bars. Ten seconds later it begins to measure,
when the client is done checking each packet's mode.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches import table
from benches.frames import NS
from benches.live_ends import FEW, INSTRUMENTS
from benches.run import begun, between_marks

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
# Seconds of the market before the measurement.
WARM_UP = 20
RESULTS = REPOSITORY / "benches" / "results" / "live.json"


def measure(kind: str, packets: int, frames: int, rate: float, seconds: float = 60) -> dict[str, float]:
    """One client against one server."""
    command = [sys.executable, "-m", "benches.live_ends"]
    # Every instrument once, as after a subscription, and some seconds of the market, in which each opens its first
    # bars; then silence until the measurement.
    first = -(-(INSTRUMENTS if packets > 1 else FEW) // packets) * (1 + WARM_UP)
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


def side_by_side(turns: int, shapes: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The best of a few turns of each kind, figure by figure: other work on the machine only ever adds.

    The kinds take turns, so that a slow moment of the machine strikes all.
    """
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in shapes}
    for _ in range(turns):
        for kind, shape in shapes.items():
            found[kind].append(measure(kind, **shape))
    return {
        kind: {name: (max if name == "ticks_s" else min)(each[name] for each in turns) for name in turns[0]}
        for kind, turns in found.items()
    }


def rows_of(turns: int, part: int) -> Iterator[dict[str, Any]]:
    """The table, line by line."""
    for packets, frames, field, what, asked in (
        (50, 4_000, "cpu_ns", "CPU a tick, 50 packets a frame, flat out", 100),
        (1, 60_000, "ticks_s", "ticks a second, 1 packet a frame, flat out", 10),
    ):
        shape = {"packets": packets, "frames": frames // part, "rate": 0}
        found = side_by_side(turns, {"vendor": {**shape, "frames": frames // 4 // part}, "ours": shape})
        ours, theirs = found["ours"][field], found["vendor"][field]
        ratio = theirs / ours if field == "cpu_ns" else ours / theirs
        unit = "ns" if field == "cpu_ns" else "1/s"
        yield {"row": what, "ours": ours, "vendor": theirs, "unit": unit, "ratio": ratio, "asked": asked}
    for packets, rate, asked, asked_busy in ((1, 2_000, 1.4, 5), (50, 60, 7, 20), (200, 45, 12, 20)):
        shape = {"packets": packets, "frames": max(int(rate * 5), 100) // part, "rate": rate}
        found = side_by_side(turns, dict.fromkeys(("vendor", "ours", "ours-busy"), shape))
        theirs = found["vendor"]["p50_us"]
        for kind, how, at_least in (("ours", "blocking", asked), ("ours-busy", "busy-polling", asked_busy)):
            ours = found[kind]["p50_us"]
            what = f"p50 send to candle, {packets} x {rate:,}/s, {how}"
            yield {"row": what, "ours": ours, "vendor": theirs, "unit": "µs", "ratio": theirs / ours, "asked": at_least}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="a few frames of each: whether it runs, no figures")
    options = parser.parse_args()
    results: dict[str, Any] = {**begun("python -m benches.live"), "lines": []}
    for line in rows_of(1 if options.quick else options.turns, 20 if options.quick else 1):
        results["lines"].append(line)
        print(" ".join(table.live_cells(line)), flush=True)
    print(f"\n{table.live_page(results)}")
    if not options.quick:
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        between_marks(REPOSITORY / "docs" / "performance.md", table.live_page(results), "live")
    return 0


if __name__ == "__main__":
    sys.exit(main())
