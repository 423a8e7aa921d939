"""One strategy, three sources: what it does on the simulator it does on the recording of it, signal by signal."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tickloom.sources.exchange import Exchange


def run(repository: Path, *arguments: str, environment: dict[str, str] | None = None) -> list[str]:
    """The lines that the example prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        capture_output=True, text=True, cwd=repository, timeout=60, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout.splitlines()


def test_a_recorded_run_repeats_every_signal_of_the_simulator(repository: Path, tmp_path: Path) -> None:
    example, journal = "examples/ema_rsi.py", str(tmp_path / "day.tlj")
    lived = run(repository, example, "simulator", "--record", journal)
    assert len(lived) > 10
    assert {line.split()[3] for line in lived} == {"buy", "sell"}
    assert run(repository, example, "replay", journal) == lived


def test_the_same_lines_run_on_the_live_source(repository: Path) -> None:
    with Exchange(instruments=8, seed=11, speed=1200, opens="subscription") as exchange:
        tokens = [str(instrument.token) for instrument in exchange.instruments]
        given = {"KITE_API_KEY": "any", "KITE_ACCESS_TOKEN": "any", "KITE_ROOT": exchange.url}
        lines = run(repository, "examples/ema_rsi.py", "live", *tokens, "--bars", "300", environment=given)
    assert lines
    assert {line.split()[3] for line in lines} <= {"buy", "sell"}


def test_the_indicators_read_the_engines_memory(repository: Path) -> None:
    lines = run(repository, "examples/indicators.py")
    assert [line.split()[0] for line in lines] == ["SMA", "EMA", "RSI"]


@pytest.fixture
def indicators(repository: Path) -> Any:
    """The example as a module."""
    spec = importlib.util.spec_from_file_location("indicators", repository / "examples/indicators.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_indicators_are_what_their_definitions_say(indicators: Any) -> None:
    close = np.array([44.0, 44.25, 44.5, 43.75, 44.65, 45.1, 45.4, 45.85, 46.1, 45.9, 46.3, 45.6, 46.2, 46.3, 46.0])
    np.testing.assert_allclose(indicators.sma(close, 3)[2:4], [44.25, 44.166666667])
    np.testing.assert_allclose(indicators.ema(close, 3)[2:5], [44.25, 44.0, 44.325])
    # Fourteen moves: rises add up to 3.95, falls to 1.95; their shares of 14 cancel.
    assert indicators.rsi(close, 14)[14] == pytest.approx(100 * 3.95 / (3.95 + 1.95))
    assert np.isnan(indicators.rsi(close, 14)[:14]).all()
    assert np.isnan(indicators.ema(close[:2], 3)).all()
