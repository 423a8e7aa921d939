"""The command line, run as a user runs it: in a process of its own, with no terminal."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

import tickloom

SHORT = ["--speed", "0", "--instruments", "8", "--end", "09:45"]


def command(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m tickloom`, with `before` executed first."""
    code = f"{before}\nimport runpy, sys\nsys.argv[1:] = {list(arguments)!r}\n"
    code += "runpy.run_module('tickloom', run_name='__main__', alter_sys=True)"
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo() -> subprocess.CompletedProcess[str]:
    return command("demo", *SHORT)


def test_the_demo_ends_well_and_says_what_it_did(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")
    assert re.search(r"packets +[\d,]+ in [\d,]+ frames, 0 rejected", demo.stdout)
    assert re.search(r"engine +.* ns a packet", demo.stdout)


def test_the_demo_shows_every_traded_share_in_a_bar(demo: subprocess.CompletedProcess[str]) -> None:
    arrived = re.search(r"volume +([\d,]+) shares arrived", demo.stdout)
    assert arrived is not None
    assert int(arrived[1].replace(",", "")) > 0
    assert "closes to the last share for 8 of 8 instruments" in demo.stdout
    assert "bars hold exactly what was traded for 8 of 8 instruments" in demo.stdout


def test_the_same_seed_gives_the_same_day_and_another_seed_another(demo: subprocess.CompletedProcess[str]) -> None:
    def day(run: subprocess.CompletedProcess[str]) -> list[str]:
        return re.findall(r"^ *(?:packets|bars|volume) .*$", run.stdout, flags=re.MULTILINE)

    assert len(day(demo)) == 3
    assert day(command("demo", *SHORT)) == day(demo)
    assert day(command("demo", *SHORT, "--seed", "2")) != day(demo)


def test_a_damaged_feed_loses_no_volume_either() -> None:
    damaged = command("demo", *SHORT, "--faults")
    assert damaged.returncode == 0, damaged.stderr
    assert "closes to the last share for 8 of 8 instruments" in damaged.stdout


def test_without_the_extra_the_command_line_says_what_to_install() -> None:
    run = command("demo", before="import sys\nsys.modules['rich'] = None")
    assert run.returncode == 1
    assert "tickloom[cli]" in run.stderr


@pytest.mark.parametrize(
    "arguments", [["--start", "25:00"], ["--instruments", "0"], ["--speed", "-1"], ["--end", "08:00"]]
)
def test_nonsense_is_a_usage_error_and_not_a_traceback(arguments: list[str]) -> None:
    run = command("demo", *arguments)
    assert run.returncode == 2
    assert "Usage:" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_command_line_knows_its_version() -> None:
    assert command("--version").stdout.split()[-1] == tickloom.__version__
