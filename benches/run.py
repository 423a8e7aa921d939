"""`make bench`: all contenders in one run, one table, one JSON file."""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benches import table
from tickloom import _core

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "benches" / "results" / "latest.json"
UNITS = {"ps": 1e-3, "ns": 1.0, "µs": 1e3, "ms": 1e6, "s": 1e9}


def machine() -> dict[str, Any]:
    """What a reader needs to judge the figures."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    build = platform.python_implementation(), platform.python_version()
    return {
        "cpu": cpu,
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": " ".join(build),
        "interpreter": str(Path(sys.executable).resolve()),
        "load": os.getloadavg()[0],
    }


def begun(command: str) -> dict[str, Any]:
    """Where results of a command come from. Ends the program if they would mean nothing."""
    if _core.DEBUG_BUILD:
        print("the installed core is a debug build, its figures mean nothing: make wheel", file=sys.stderr)
        raise SystemExit(2)
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d")
    return {"command": command, "date": date, "machine": machine()}


def python_figures(selection: list[str]) -> table.Figures:
    """Runs the Python benchmarks in a process of their own."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [
            sys.executable, "-m", "pytest", "benches/python", "--override-ini=python_files=bench_*.py", "--quiet",
            "--benchmark-enable", "--benchmark-disable-gc", f"--benchmark-json={report}", "--benchmark-quiet",
            "--no-header", "-p", "no:cacheprovider", *selection,
        ]  # fmt: skip
        subprocess.run(command, cwd=REPOSITORY, check=True)
        return table.figures_of(json.loads(report.read_text()))


def rust_medians() -> dict[str, float]:
    """Nanoseconds a packet from divan's tree: a leaf is named after its packets an iteration."""
    command = ["cargo", "bench", "--locked", "--quiet", "--package", "tickloom-core", "--bench", "core"]
    shown = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True).stdout
    medians: dict[str, float] = {}
    group = ""
    for line in shown.splitlines():
        match = re.match(r"^(?P<indent>[│ ]*)[├╰]─ (?P<name>\S+)(?P<rest>.*)$", line)
        if match is None:
            continue
        times = re.findall(r"([\d.]+) (ps|ns|µs|ms|s)\b", match["rest"])
        if len(times) < 3:
            group = match["name"]
            continue
        value, unit = times[2]
        name = match["name"]
        packets = int(name) if name.isdigit() else 1
        medians[f"{group}, {name}" if name.isdigit() else name] = float(value) * UNITS[unit] / packets
    if not medians:
        raise RuntimeError(f"no figures found in divan's output: {shown[:200]}")
    return medians


def full_day() -> dict[str, Any]:
    """Memory after a full day, from a process that does nothing else."""
    command = [sys.executable, "-m", "benches.full_day"]
    result: dict[str, Any] = json.loads(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout)
    return result


def between_marks(path: Path, shown: str, name: str = "table") -> None:
    """Replaces what stands between the marks of that name in a document."""
    text, begin = path.read_text(), f"<!-- {name}: begin -->\n"
    before, after = text.index(begin) + len(begin), text.index(f"<!-- {name}: end -->")
    path.write_text(text[:before] + shown + text[after:])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--only", metavar="EXPRESSION", help="run the Python benchmarks whose names match, write nothing"
    )
    parser.add_argument("--no-rust", action="store_true", help="leave the Rust benchmarks out")
    options = parser.parse_args()
    results = begun("make bench")
    figures = python_figures(["-k", options.only] if options.only else [])
    results["lines"] = table.lines_of(figures)
    results["figures"] = figures
    if not options.only:
        results["memory"] = full_day()
        if not options.no_rust:
            results["rust"] = rust_medians()
    else:
        for row, contenders in figures.items():
            for name, own in contenders.items():
                print(f"{row}: {name}, best {table.number(own['best'])} ns, median {table.number(own['median'])} ns")
    print(f"\n{table.provenance(results)}\n\n{table.markdown(results)}")
    if not options.only and not options.no_rust:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        between_marks(REPOSITORY / "docs" / "performance.md", table.page(results))
        between_marks(REPOSITORY / "README.md", table.front(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
