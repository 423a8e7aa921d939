"""`tickloom instruments`, run as a user runs it, on a dump in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from benches.dump import rows
from tickloom.instruments import dump

UNDERLYING = "NIFTY"
HIDDEN = {"KITE_API_KEY", "KITE_ACCESS_TOKEN"}


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in HIDDEN}
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tickloom", "instruments", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
        env={**kept, "HOME": str(home), "XDG_CACHE_HOME": str(home)},
    )  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    few = [row for row in rows() if row["name"] in {"INFOSYS", "INFY", UNDERLYING}]
    (folder / "dump.csv").write_bytes(dump.to_csv(few))
    return folder


def asked(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run("--dump", str(home / "dump.csv"), *arguments, home=home)


def test_a_search_shows_names_tokens_ticks_and_hours(home: Path) -> None:
    found = asked(home, "search", "infosys")
    assert (found.returncode, found.stderr) == (0, "")
    line = next(line for line in found.stdout.splitlines() if line.startswith("NSE:INFY "))
    assert line.split()[:3] == ["NSE:INFY", "408065", "EQ"]
    assert " cash_cas " in line


def test_a_name_and_a_token_show_the_same(home: Path) -> None:
    assert asked(home, "show", "INFY").stdout == asked(home, "show", "408065").stdout
    assert "408065" in asked(home, "show", "INFY").stdout


def test_a_chain_has_both_sides_of_each_strike(home: Path) -> None:
    found = asked(home, "chain", UNDERLYING)
    assert (found.returncode, found.stderr) == (0, "")
    strikes = [float(line.split()[2]) for line in found.stdout.splitlines()[2:] if line.strip()]
    assert strikes == sorted(strikes)
    assert len(strikes) > 1
    days = asked(home, "expiries", UNDERLYING).stdout.splitlines()
    assert found.stdout.split()[1] in days[0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "NSE:INFYY"], "did you mean NSE:INFY"),
        (["search", "zzzzqqqq"], "nothing is called so: zzzzqqqq"),
        (["chain", "NOSUCH"], "look at expiries()"),
        (["expiries", "NOSUCH"], "no contracts on it, try search: NFO:NOSUCH"),
    ],
)
def test_what_is_not_there_is_one_line(home: Path, arguments: list[str], words: str) -> None:
    found = asked(home, *arguments)
    assert found.returncode == 1
    assert words in found.stderr
    assert len(found.stderr.splitlines()) == 1


def test_a_bad_dump_names_file_and_line(home: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("instrument_token,tradingsymbol\n1,A\n")
    found = run("--dump", str(bad), "show", "A", home=home)
    assert found.returncode == 1
    assert str(bad) in found.stderr
    assert "Traceback" not in found.stderr


def test_without_a_dump_and_an_account_it_says_how_to_get_either(home: Path) -> None:
    found = run("show", "INFY", home=home)
    assert found.returncode == 1
    assert "--dump FILE" in found.stderr
    assert "KITE_API_KEY" in found.stderr


def test_help_needs_neither(home: Path) -> None:
    found = run("search", "--help", home=home)
    assert (found.returncode, found.stderr) == (0, "")
    assert "best first" in found.stdout
