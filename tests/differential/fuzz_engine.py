# ruff: noqa: T201 - a fuzzer reports
"""Fuzzes the engine against its oracle: bytes become options and events, both play them, every column is compared.

Run: python -m tests.differential.fuzz_engine [--runs 10000] [--seed 1] [--atheris] [FILES...]
The bytes come from a seeded generator; with --atheris, which wants that package, the oracle's coverage guides them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import random
import shutil
import sys
from pathlib import Path
from types import FunctionType
from typing import Any

from tests.differential.compare import Pair
from tests.differential.feeds import CAS, TOKENS
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist
from tests.properties.feeds import OPTIONS

CORPUS = Path(__file__).parent / "corpus"
LEARNED = Path("build/fuzz/atheris")
ORACLE = ("tests.oracle.book", "tests.oracle.base", "tests.oracle.instrument", "tests.oracle.bars")
STARTS = tuple(ist(f"2026-08-05 {clock}") for clock in ("09:06:00", "09:14:40", "11:02:30", "15:14:30", "15:29:30"))
INTERVALS = ("1m", "3m", "30s", "7s")
# What a field of a packet becomes: mostly a small step, now and then an edge.
EDGES = (0, 1, 2**31, 2**32 - 1)


class Bytes:
    """A reader that gives zeros once the bytes are used up."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, below: int) -> int:
        """A number from one byte."""
        value = self.data[self.at] if self.at < len(self.data) else 0
        self.at += 1
        return value % below

    @property
    def left(self) -> bool:
        """Whether a byte is left."""
        return self.at < len(self.data)


def events(data: bytes) -> tuple[dict, list[tuple]]:
    """Options and events that the bytes spell: a short walk of one market day."""
    read = Bytes(data)
    options = {}
    for _ in range(read.take(4)):
        name = sorted(OPTIONS)[read.take(len(OPTIONS))]
        options[name] = OPTIONS[name][read.take(len(OPTIONS[name]))]
    now = STARTS[read.take(len(STARTS))]
    names = {token: {"price": 10_000, "volume": 0, "oi": 100, "high": 0, "low": 0, "ltt": 0} for token in TOKENS}
    made: list[tuple] = []
    while read.left:
        now += read.take(16) * SECOND // 4
        kind = read.take(16)
        if kind == 0:
            made.append(("advance", now, None))
        elif kind == 1:
            made.append(("disconnected", now, None))
        else:
            made.append(("frame", now, frames.frame(packet(read, names, now))))
    return options, [*made, ("advance", now + 3_600 * SECOND, None)]


def packet(read: Bytes, names: dict[int, dict], now: int) -> bytes:
    """The next packet of a name; one in sixteen has a field at an edge."""
    token = TOKENS[read.take(len(TOKENS))]
    name = names[token]
    name["price"] = max(1, name["price"] + read.take(21) - 10)
    ets = now - read.take(12) * SECOND // 2
    if token not in {CAS, TOKENS[0], TOKENS[1], TOKENS[3]}:
        return frames.index(token, name["price"], ets)
    traded = read.take(8)
    if traded:
        name["volume"] += traded * 25
        name["ltt"] = ets - read.take(6) * SECOND
    name["high"] = max(name["high"], name["price"])
    name["low"] = min(name["low"] or name["price"], name["price"])
    name["oi"] += read.take(3)
    shown = dict(name)
    if read.take(16) == 15:
        shown[("price", "volume", "high", "low", "ltt")[read.take(5)]] = EDGES[read.take(len(EDGES))]
    elif read.take(16) == 15:
        shown["volume"] = max(0, shown["volume"] - 25 * read.take(20))
    ltt = shown["ltt"] * SECOND if shown["ltt"] < 2**32 else shown["ltt"]
    rest = {"average": name["price"], "high": shown["high"], "low": shown["low"], "oi": shown["oi"]}
    return frames.full(token, shown["price"], shown["volume"], ltt, ets, **rest)


def one(data: bytes) -> None:
    """Plays what the bytes spell to both; raises AssertionError at a difference."""
    options, stream = events(data)
    pair = Pair(INTERVALS, **options)
    pair.track(CAS, "cash_cas")
    pair.play(stream)
    pair.same()


def drawn(seed: int) -> bytes:
    """Random bytes of a seed."""
    rng = random.Random(f"bytes {seed}")
    return rng.randbytes(rng.randrange(20, 1_500))


def guided(runs: int, seed: int) -> None:
    """Lets atheris choose the bytes; what it learns goes to build/fuzz, never into the seed corpus. Does not return."""
    if importlib.util.find_spec("atheris") is None:
        raise SystemExit("--atheris wants the package atheris: pip install atheris")
    atheris = importlib.import_module("atheris")
    LEARNED.mkdir(parents=True, exist_ok=True)
    for path in CORPUS.iterdir():
        shutil.copy(path, LEARNED)
    # The branches that matter are the oracle's; instrumented, its modules are those that `one` plays on.
    for name in ORACLE:
        for item in vars(sys.modules[name]).values():
            if isinstance(item, type) and item.__module__ == name:
                instrument(atheris, item)
    atheris.Setup(
        [sys.argv[0], f"-runs={runs}", f"-seed={seed}", "-max_len=2048", f"-artifact_prefix={LEARNED}/", str(LEARNED)],
        one,
    )
    atheris.Fuzz()


def instrument(atheris: Any, kind: type) -> None:
    """Makes every function that a class defines report its branches."""
    for name, item in list(vars(kind).items()):
        if isinstance(item, FunctionType) and item.__module__ == kind.__module__:
            setattr(kind, name, atheris.instrument_func(item))


def main() -> None:
    """Runs files, or random inputs, or atheris; exits with 1 at a difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--atheris", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    asked = parser.parse_args()
    for path in asked.files:
        one(path.read_bytes())
        print(f"{path}: equal")
    if asked.files:
        return
    if asked.atheris:
        guided(asked.runs, asked.seed)
    failed = 0
    for seed in range(asked.seed, asked.seed + asked.runs):
        try:
            one(drawn(seed))
        except AssertionError as difference:
            failed += 1
            print(f"seed {seed}: {str(difference).splitlines()[0][:300]}", flush=True)
    print(f"{asked.runs - failed} equal, {failed} different")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
