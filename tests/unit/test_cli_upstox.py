"""`tickloom replay` and `tickloom parity` on a journal of Upstox's messages, run as a user runs them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

import tickloom as tl
from tests.integration.rest import Broker
from tests.unit.test_cli_journal import command
from tests.unit.test_cli_parity import write
from tests.upstox_feed import NS, OPEN, message
from tickloom._core import UpstoxDecoder
from tickloom.cli.replay import Run
from tickloom.sources import Recorder, Replay

KEY, TOKEN = "NSE_EQ|65793", 65793


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes of one instrument."""
    path = tmp_path_factory.mktemp("cli") / "day.tlj"
    decoder = UpstoxDecoder()
    decoder.track(KEY, TOKEN)
    with Recorder(path, source="upstox", decoder=decoder) as recorder:
        first = message("initial_feed", OPEN - 60, {KEY: {"ltp": 99.0, "ltt": OPEN - 63_000, "cp": 98.0}})
        recorder.write_frame(first, (OPEN - 60) * NS)
        for second in range(3, 1_200, 3):
            tick = {"ltp": 100 + second % 7 / 20, "ltt": OPEN + second, "vtt": 10 * second}
            recorder.write_frame(message("live_feed", OPEN + second + 0.1, {KEY: tick}), (OPEN + second + 1) * NS)
    return path


def rows(journal: Path) -> list[list]:
    engine = tl.Engine(["1m"])
    Replay(journal).into(engine)
    engine.advance((OPEN + 3_600) * NS)
    bars = engine.candles(TOKEN, "1m").last(100)
    return [[bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume, 0] for bar in bars]


def test_a_replay_names_the_instruments_by_their_keys(journal: Path) -> None:
    run = command("replay", journal, "--speed", 0, "--start", "09:20")
    assert (run.returncode, run.stderr) == (0, "")
    assert "records of upstox, whole" in run.stdout
    assert "300 ticks + 0 rejected" in run.stdout
    watched = Run(Replay(journal), "1m", (OPEN * NS, (OPEN + 1_200) * NS))
    watched.to(None)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(watched.table(20))
    assert KEY in console.export_text()


def test_parity_finds_the_brokers_minutes_by_key(journal: Path, tmp_path: Path) -> None:
    assert len(rows(journal)) == 20
    run = command("parity", journal, "--history", write(tmp_path / "broker.csv", {KEY: rows(journal)}))
    assert run.returncode == 0, run.stderr
    assert "best: bucket_by=ltt" in run.stdout
    assert "100.00 %" in run.stdout


def test_parity_asks_upstox_with_its_token_and_shows_it_nowhere(journal: Path, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("UPSTOX_ACCESS_TOKEN=secret-token\n")
    file.chmod(0o600)
    with Broker({TOKEN: rows(journal)}) as broker:
        run = command("parity", journal, "--history", "upstox", "--root", broker.root, "--credentials", file,
                      "--instruments", home=str(tmp_path))  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert [headers["Authorization"] for headers in broker.headers] == ["Bearer secret-token"]
    assert "100.00 %" in run.stdout
    assert "secret-token" not in run.stdout + run.stderr
    run = command("parity", journal, "--history", "upstox", home=str(tmp_path))
    assert (run.returncode, "set UPSTOX_ACCESS_TOKEN in the environment" in run.stderr) == (1, True)
