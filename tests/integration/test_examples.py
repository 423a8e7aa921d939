"""The examples and the pages for users run as they stand, against the simulated exchange."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickloom.sources.exchange import Exchange

PAGES = ["migrating.md", "without-an-account.md"]


def environment(exchange: Exchange) -> dict[str, str]:
    """What an example finds: any key and token, the exchange's address, and a few of its tokens."""
    tokens = " ".join(str(instrument.token) for instrument in exchange.instruments[:5])
    given = {"KITE_API_KEY": "any", "KITE_ACCESS_TOKEN": "canary-token", "KITE_ROOT": exchange.url, "TOKENS": tokens}
    return {**os.environ, **given}


def run(code: list[str], exchange: Exchange) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *code],
        capture_output=True, text=True, timeout=60, check=False, env=environment(exchange),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "canary" not in done.stdout + done.stderr
    assert done.stdout
    return done.stdout


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A market of a few names, at sixty times the pace."""
    with Exchange(instruments=10, seed=2, speed=60, opens="subscription") as running:
        yield running


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_runs_block_after_block(repository: Path, page: str, exchange: Exchange) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (repository / "docs" / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    run(["-c", "\n".join(blocks)], exchange)


def test_the_migrated_example_runs(repository: Path, exchange: Exchange) -> None:
    tokens = environment(exchange)["TOKENS"].split()
    assert run([str(repository / "examples/migrated.py"), *tokens], exchange).count("\n") >= 100


def test_the_strategy_runs_without_an_account(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KITE_API_KEY", raising=False)
    example = str(repository / "examples/ten_lines.py")
    alone = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=60, check=False)
    assert alone.returncode == 0, alone.stderr
    assert alone.stdout.count("its mean") >= 20


def test_the_migrated_example_is_the_vendors_with_one_import_changed(repository: Path, exchange: Exchange) -> None:
    code = (repository / "examples/migrated.py").read_text()
    theirs = code.replace("from tickloom.kite import KiteTicker", "from kiteconnect import KiteTicker", 1)
    assert theirs != code
    tokens = environment(exchange)["TOKENS"].split()
    done = subprocess.run(
        [sys.executable, "-c", theirs, *tokens],
        capture_output=True, text=True, timeout=60, check=False, env=environment(exchange),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") >= 100
