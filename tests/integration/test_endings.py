"""However a process ends that records a feed: soon, with the right code, and with a whole journal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.endings import AT_MOST, CASES, Case, run, serve
from tickloom.sources.exchange import Exchange
from tickloom.sources.journal import Journal

# The command runs these too; each takes the second that a callback which hangs is waited for, or is like another.
LONGER = {"SIGINT, a callback hangs", "SIGTERM, a callback hangs", "SIGINT, the server is gone", "the end of main"}


@pytest.mark.parametrize("case", [case for case in CASES if case.name not in LONGER], ids=lambda case: case.name)
def test_a_process_that_records_at_full_pace_ends_soon_with_its_code_and_what_it_received(
    case: Case, tmp_path: Path
) -> None:
    with serve() as exchange:
        end = run(case, exchange, tmp_path)
    assert end.holds, end
    if "hangs" not in case.name and not case.killed:
        # The reader was stopped before the journal was closed, so not even the last block is missing.
        assert end.recorded == end.received, end


@pytest.fixture
def market() -> Iterator[Exchange]:
    with Exchange(instruments=4, seed=2, speed=60) as exchange:
        yield exchange


@pytest.mark.parametrize(("number", "codes"), [(signal.SIGINT, (130, -2)), (signal.SIGTERM, (143, -15))])
def test_every_command_that_lasts_ends_soon_with_the_signals_code(
    market: Exchange, tmp_path: Path, number: int, codes: tuple[int, ...]
) -> None:
    token, day = str(market.instruments[0].token), tmp_path / "day.tlj"
    environment = {**os.environ, "KITE_API_KEY": "key", "KITE_ACCESS_TOKEN": "token", "PYTHONUNBUFFERED": "1"}

    def start(*arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tickloom", *arguments], env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def ends(name: str, process: subprocess.Popen[str]) -> None:
        began = time.monotonic()
        process.send_signal(number)
        _, errors = process.communicate(timeout=15)
        assert time.monotonic() - began < AT_MOST, name
        assert process.returncode in codes, (name, errors)
        assert "Traceback" not in errors, (name, errors)

    recording = start("record", str(day), token, "--url", market.url, "--interval", "0.1")
    others = {
        "live": start("live", token, "--url", market.url, "--record", str(tmp_path / "live.tlj")),
        "simulate": start("simulate", "--port", "0"),
        "demo": start("demo", "--speed", "60"),
    }
    try:
        # Each has begun when it says something.
        for name, process in others.items():
            assert process.stdout is not None
            assert process.stdout.readline(), (name, process.communicate())
        deadline = time.monotonic() + 10
        while not (day.exists() and day.stat().st_size > 1_000):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        ends("record", recording)
        others["replay"] = start("replay", str(day), "--speed", "0.5")
        assert others["replay"].stdout is not None
        assert others["replay"].stdout.readline()
        for name, process in others.items():
            ends(name, process)
    finally:
        for process in (recording, *others.values()):
            process.kill()
            process.communicate()
    for path in (day, tmp_path / "live.tlj"):
        with Journal(path) as journal:
            assert journal.indexed
            assert journal.records > 0
