"""`tickloom record` and `tickloom replay`, run as a user runs them, and the recording loop on a source of our own."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tickloom.cli import record as cli_record
from tickloom.sources.journal import Journal
from tickloom.sources.recorder import Recorder
from tickloom.sources.replay import Replay
from tickloom.sources.simulator import Market
from tickloom.ticker.messages import ConnectionEvent

AT = 1_782_877_500_000_000_000


def command(name: str, *arguments: object, home: str = "/nowhere") -> subprocess.CompletedProcess[str]:
    """The command by itself, in a process of its own with no terminal."""
    code = f"from tickloom.cli.{name} import command; command(prog_name='{name}')"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("KITE_", "UPSTOX_"))} | {
        "HOME": home
    }
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False, env=clean,
    )  # fmt: skip


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty minutes of a market."""
    path = tmp_path_factory.mktemp("cli") / "day.tlj"
    with Recorder(path, source="simulator") as recorder:
        for kind, at, frame in Market(3, instruments=6, end="09:35").events():
            if kind == "frame":
                recorder.write_frame(frame, at)
    return path


def test_a_replay_shows_what_was_in_it_and_is_the_same_each_time(journal: Path) -> None:
    runs = [command("replay", journal, "--speed", 0) for _ in range(2)]
    assert [(run.returncode, run.stderr) for run in runs] == [(0, ""), (0, "")]
    assert "records of simulator, whole" in runs[0].stdout
    counted = [re.findall(r"^ *(?:packets|bars|from|journal) .*$", run.stdout, flags=re.MULTILINE) for run in runs]
    assert len(counted[0]) == 4
    assert counted[0] == counted[1]


def test_a_replay_keeps_to_its_start_its_end_and_its_speed(journal: Path) -> None:
    run = command(
        "replay", journal, "--speed", 600, "--start", "09:20", "--end", "2026-07-01T09:25", "--interval", "5m"
    )
    assert run.returncode == 0, run.stderr
    assert "2026-07-01 09:20:00+05:30 to 2026-07-01 09:25:00+05:30" in run.stdout


def test_a_replay_of_a_cut_journal_says_so(journal: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tlj"
    cut.write_bytes(journal.read_bytes()[:-5000])
    run = command("replay", cut, "--speed", 0)
    assert run.returncode == 0, run.stderr
    assert re.search(r"not closed, [\d,]+ bytes are no whole block", run.stdout)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["/etc/hostname"], "not a journal"),
        (["--start", "9x"], "not a time"),
        (["--start", "12:00"], "nothing is recorded between"),
        (["--interval", "7y"], "7y"),
        (["--speed", "-1"], "--speed"),
    ],
)
def test_nonsense_is_an_error_of_one_line(journal: Path, arguments: list[str], message: str) -> None:
    run = command("replay", *([journal] if arguments[0].startswith("--") else []), *arguments)
    assert run.returncode in {1, 2}
    assert message in run.stderr
    assert "Traceback" not in run.stderr


class Made:
    """A source that delivers what it was given, then waits, ends, is refused, or has the process sent a signal."""

    name = "made"

    def __init__(self, then: str | int) -> None:
        self.then = then

    async def run(self, sink: cli_record.Tee) -> None:
        sink.on_connection(ConnectionEvent("connected", 0, AT))
        for n in range(10):
            sink.on_frame(bytes([n]), AT + n, 0)
        sink.on_text("{}", AT + 10, 0)
        if self.then == "refused":
            sink.on_connection(ConnectionEvent("authentication_failed", 0, AT + 11, code=403))
        if isinstance(self.then, int):
            os.kill(os.getpid(), self.then)
        if self.then != "end":
            await asyncio.Event().wait()

    def subscribe(self, tokens: object, mode: str) -> None:
        """Everything comes anyhow."""


def recorded(path: Path, then: str | int, seconds: float | None = None) -> tuple[int | None, cli_record.Tee]:
    async def run(tee: cli_record.Tee) -> int | None:
        return await cli_record.record(Made(then), tee, Console(file=io.StringIO()), seconds)

    with Recorder(path) as recorder:
        tee = cli_record.Tee(recorder)
        return asyncio.run(run(tee)), tee


@pytest.mark.parametrize("then", ["end", "refused", "time"])
def test_a_recording_ends_with_its_source_a_refused_token_or_its_time(tmp_path: Path, then: str) -> None:
    number, tee = recorded(tmp_path / "a.tlj", then, 0.1 if then == "time" else None)
    assert number is None
    assert tee.refused.is_set() == (then == "refused")
    assert "10 frames   1 texts" in tee.line()
    frames = [record.payload for record in Replay(tmp_path / "a.tlj").records() if record.kind == 1]
    assert frames == [bytes([n]) for n in range(10)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_recording_with_a_whole_journal(tmp_path: Path, number: int) -> None:
    found, _ = recorded(tmp_path / "a.tlj", number)
    assert found == number
    with Journal(tmp_path / "a.tlj") as journal:
        assert (journal.records, journal.indexed) == (12, True)


def test_without_credentials_nothing_is_made(tmp_path: Path) -> None:
    pytest.importorskip("tickloom.cli.credentials")
    pytest.importorskip("tickloom.sources.kite")
    run = command("record", tmp_path / "a.tlj", 408065)
    assert run.returncode == 1
    assert "KITE_API_KEY" in run.stderr
    assert not (tmp_path / "a.tlj").exists()
