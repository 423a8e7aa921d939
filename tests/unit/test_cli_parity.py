"""`tickloom parity`, run as a user runs it: against a file, and against a broker's REST API over real HTTP."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

import tickloom as tl
from tests.integration.rest import Broker, rows_of
from tests.unit.test_cli_journal import command
from tickloom.cli.parity import FileHistory
from tickloom.feed.parity import WAYS, match_ways, total
from tickloom.model import ist
from tickloom.sources.recorder import Recorder
from tickloom.sources.simulator import Market

HEAD = ("token", "time", "open", "high", "low", "close", "volume")


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(3, liquid=2, middling=2, thin=0, indices=0, end="09:40")


@pytest.fixture(scope="module")
def journal(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parity") / "day.tlj"
    with Recorder(path, source="simulator") as recorder:
        for kind, at, frame in market.events():
            if kind == "frame":
                recorder.write_frame(frame, at)
    return path


def write(path: Path, rows: dict[int, list]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEAD)
        for token, each in rows.items():
            writer.writerows([token, ist(row[0]).isoformat(), *row[1:6]] for row in each)
    return path


def way_of(journal: Path, **options: str) -> dict[int, list]:
    """What an engine with these options makes of the recording, as a broker's rows."""
    engine = tl.Engine(["1m"], **options)
    tl.sources.Replay(journal, speed=None).into(engine)
    engine.advance(2_000_000_000_000_000_000)
    return {
        token: [[bar.time, bar.open, bar.high, bar.low, bar.close, bar.volume]
                for bar in engine.candles(token, "1m").last(1_000)]
        for token, _ in engine.instruments
    }  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: "-".join(way.values()))
def test_the_way_by_which_history_was_made_is_found(journal: Path, tmp_path: Path, way: dict[str, str]) -> None:
    history = FileHistory(write(tmp_path / "broker.csv", way_of(journal, **way)))
    whole = {tuple(found.values()): total(matches) for found, matches in match_ways(journal, history)}
    assert len(whole) == len(WAYS) == 8
    assert whole[tuple(way.values())].rate("whole") == 1.0
    assert whole[tuple(way.values())].volume_error == 0
    other = {"ltt": "exchange", "exchange": "ltt"}[way["bucket_by"]]
    assert all(match.rate("whole") < 0.9 for found, match in whole.items() if found[0] == other)


def test_the_report_prints_each_way_and_the_best(journal: Path, market: Market, tmp_path: Path) -> None:
    rows = {name.token: rows_of(market, name.token) for name in market.instruments()}
    run = command("parity", journal, "--history", write(tmp_path / "broker.csv", rows), "--instruments")
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("separate") >= 4
    assert run.stdout.count("fold") >= 4
    assert "best: bucket_by=ltt preopen=separate open_source=first_trade" in run.stdout
    assert all(str(token) in run.stdout for token in rows)


def test_it_asks_kite_with_the_account_of_a_file(journal: Path, market: Market, tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    file.write_text("KITE_API_KEY=key\nKITE_ACCESS_TOKEN=secret-token\n")
    file.chmod(0o600)
    rows = {name.token: rows_of(market, name.token) for name in market.instruments()}
    with Broker(rows) as broker:
        run = command("parity", journal, "--history", "kite", "--root", broker.root, "--credentials", file,
                      home=str(tmp_path))  # fmt: skip
        assert run.returncode == 0, run.stderr
        assert len(broker.arrivals) == len(rows)
    assert "best: bucket_by=ltt" in run.stdout
    assert "secret-token" not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("token,time,open\n", "lacks high, low, close, volume"),
        (",".join(HEAD) + "\n1,yesterday,1,1,1,1,1\n", "line 2: "),
        (",".join(HEAD) + "\n1,2026-07-01T09:15,one,1,1,1,1\n", "line 2: could not convert"),
        (",".join(HEAD) + "\n1,2026-07-01T09:15\n", "line 2: "),
        (",".join(HEAD) + "\n", "no minute is in both"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_error(
    journal: Path, tmp_path: Path, text: str, complaint: str
) -> None:
    path = tmp_path / "broker.csv"
    path.write_text(text)
    run = command("parity", journal, "--history", path)
    assert run.returncode == 1
    assert complaint in run.stderr
    assert "Traceback" not in run.stderr
