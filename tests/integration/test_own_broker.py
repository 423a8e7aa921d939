"""The example of a broker of one's own, against a broker that speaks its protocol: the bars are what was traded."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import numpy as np
import pytest

import tickloom as tl
from tests.oracle.sessions import SECOND
from tests.unit.feed.fake import until
from tickloom.events import Connection, Gap
from tickloom.sources import Market, Replay, Source

EXAMPLE = "examples/own_broker.py"


class Broker(ThreadingTCPServer):
    """Sends lines, those that are left to whoever asks; hangs up behind some of them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, lines: list[bytes], hangs_up_after: set[int]) -> None:
        self.left = iter(enumerate(lines, 1))
        self.hangs_up_after = hangs_up_after
        self.wanted: list[list[str]] = []
        super().__init__(("127.0.0.1", 0), Serve)


class Serve(StreamRequestHandler):
    """One connection."""

    server: Broker

    def handle(self) -> None:
        self.server.wanted.append(json.loads(self.rfile.readline())["want"])
        for number, line in self.server.left:
            self.wfile.write(line + b"\n")
            if number in self.server.hangs_up_after:
                return
        self.wfile.write(b"{}\n")


@contextlib.contextmanager
def running(lines: list[bytes], hangs_up_after: set[int] = frozenset()) -> Iterator[Broker]:
    """It serves in a thread of its own."""
    with Broker(lines, hangs_up_after) as broker:
        thread = threading.Thread(target=broker.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield broker
        finally:
            broker.shutdown()
            thread.join()


@pytest.fixture
def example(repository: Path) -> Any:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("own_broker", repository / EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def traded(market: Market) -> list[dict[str, Any]]:
    """Every trade of the equities' continuous session, in its order."""
    for _ in market.events():
        pass
    trades = []
    for name in market.instruments():
        columns = market.trades(name.token)
        kept = columns["phase"] == 1
        rows = zip(*(columns[word][kept].tolist() for word in ("time", "price", "quantity")), strict=True)
        trades += [{"s": name.symbol, "p": price, "q": count, "t": at // 1_000_000} for at, price, count in rows]
    return sorted(trades, key=lambda trade: trade["t"])


def test_the_bars_are_what_was_traded_though_the_broker_hangs_up(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(example.random, "uniform", lambda *_: 0.01)
    market = Market(seed=4, instruments=5, indices=0, auction=False, start="15:00")
    trades = traded(market)
    symbols = {name.symbol: name.token for name in market.instruments()}
    now = {"ns": market.session_open_ns}

    class LongPast(example.OwnBroker):
        """A day that is long past has a clock of its own: the time of the trade that came last."""

        def ticks(self, line: bytes) -> Any:
            now["ns"] = json.loads(line)["t"] * 1_000_000
            return super().ticks(line)

    lines = [json.dumps(trade).encode() for trade in trades]
    seen: list[Connection | Gap] = []
    with running(lines, {len(lines) // 3, len(lines) // 2}) as broker:
        source = LongPast(*broker.server_address, symbols, clock=lambda: now["ns"])
        assert isinstance(source, Source)
        feed = tl.Feed(source, ["1m", "5m"], policy="block", record=tmp_path / "own.tlj")
        feed.on((Connection, Gap), seen.append)
        feed.subscribe(list(symbols))
        feed.run()
        assert broker.wanted == [list(symbols)] * 3
    status = feed.status()
    assert (status.pushed, status.push_rejected, status.gaps) == (len(trades), 0, 2)
    assert sum(isinstance(event, Gap) for event in seen) == 2
    feed.engine.advance(now["ns"] + 60 * SECOND)
    replay = tl.Feed(Replay(tmp_path / "own.tlj", speed=None), ["1m", "5m"], policy="block")
    replay.run()
    replay.engine.advance(now["ns"] + 60 * SECOND)
    for token in symbols.values():
        for interval in ("1m", "5m"):
            bars, truth = feed.candles(token, interval), market.truth(token, interval)
            for word in ("time", "end", "open", "high", "low", "close", "volume"):
                assert np.array_equal(getattr(bars, word), truth[word]), (token, interval, word)
            assert replay.candles(token, interval).to_numpy().tobytes() == bars.to_numpy().tobytes()
    assert any(flags & tl.Flags.GAP for flags in feed.candles(next(iter(symbols.values())), "1m").flags.tolist())


def test_the_example_runs_and_ends_with_its_broker(repository: Path) -> None:
    at = time.time_ns() // 1_000_000
    lines = [json.dumps({"s": "INFY", "p": 1500.0 + nth, "q": 1, "t": at + nth}).encode() for nth in range(5)]
    with running(lines) as broker:
        command = [sys.executable, "-W", "error", EXAMPLE, *map(str, broker.server_address), "INFY=408065"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=repository, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "408065 1504.0" in done.stdout
    assert "Traceback" not in done.stderr


def test_what_is_wanted_later_is_asked_for(example: Any) -> None:
    with running([]) as broker, tl.Feed(example.OwnBroker(*broker.server_address, {"INFY": 1}), ["1m"]) as feed:
        feed.subscribe("INFY")
        until(lambda: broker.wanted)
