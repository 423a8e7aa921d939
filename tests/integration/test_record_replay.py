"""A feed over a real socket is recorded, and its journal gives the same candles again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tickloom as tl
from tests.integration.digest import digest
from tickloom.sources.journal import Journal
from tickloom.sources.replay import Replay

Exchange = pytest.importorskip("tickloom.sources.exchange").Exchange
Simulator = pytest.importorskip("tickloom.sources.simulated").Simulator
Feed = pytest.importorskip("tickloom.feed").Feed
pytest.importorskip("tickloom.cli.credentials")

INTERVALS = ["1m", "30s"]
CANARY = "canaryf00dcafe"


def test_a_recorded_feed_replays_to_the_same_candles_by_every_way(tmp_path: Path) -> None:
    path = tmp_path / "a.tlj"
    source = Simulator(instruments=8, seed=1, speed=60.0)
    feed = Feed(source, intervals=INTERVALS, record=path)
    feed.subscribe(list(source.symbols.values()), mode="full")
    feed.start()
    time.sleep(2.5)
    feed.stop()
    live = digest(feed.engine)
    assert live[1] > 0
    assert feed.status().record_errors == 0
    for _ in range(2):
        engine = tl.Engine(intervals=INTERVALS)
        Replay(path).into(engine)
        assert digest(engine) == live
    again = Feed(Replay(path, speed=None), intervals=INTERVALS)
    again.run()
    assert digest(again.engine) == live


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_record_ends_on_a_signal_within_two_seconds_with_a_whole_journal_and_no_secret(
    tmp_path: Path, number: int
) -> None:
    path = tmp_path / "a.tlj"
    environment = {**os.environ, "KITE_API_KEY": f"{CANARY}key", "KITE_ACCESS_TOKEN": f"{CANARY}token"}
    code = "from tickloom.cli.record import command; command(prog_name='record')"
    with Exchange(instruments=8, seed=1, speed=60.0) as exchange:
        tokens = [str(instrument.token) for instrument in exchange.instruments]
        arguments = [sys.executable, "-c", code, str(path), *tokens, "--url", exchange.url]
        run = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not (path.exists() and path.stat().st_size > 20_000) and time.monotonic() < deadline:
            time.sleep(0.05)
        stopped = time.monotonic()
        run.send_signal(number)
        said, _ = run.communicate(timeout=10)
        assert time.monotonic() - stopped < 2
    assert run.returncode == 128 + number
    with Journal(path) as journal:
        assert journal.indexed
        assert journal.source == "kite"
    records = list(Replay(path).records())
    assert sum(record.kind == 1 for record in records) > 50
    assert CANARY not in said
    assert CANARY.encode() not in path.read_bytes() + b"".join(record.payload for record in records)
