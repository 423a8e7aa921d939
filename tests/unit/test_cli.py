"""The command line, run as a user runs it: in a process of its own, with no terminal."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time

import pytest

import tickloom

SHORT = ["--speed", "0", "--instruments", "8", "--end", "09:45"]


def command(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`python -m tickloom`, with `before` executed first."""
    code = f"{before}\nimport runpy, sys\nsys.argv[1:] = {list(arguments)!r}\n"
    code += "runpy.run_module('tickloom', run_name='__main__', alter_sys=True)"
    return subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)


def day(run: subprocess.CompletedProcess[str]) -> list[str]:
    """What does not depend on the machine."""
    found = re.findall(r"^ *((?:packets|bars|volume) .*?) *$", run.stdout, flags=re.MULTILINE)
    return [re.sub(r" in [\d,]+ frames", "", line) for line in found]


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
    assert len(day(demo)) == 3
    assert day(command("demo", *SHORT, "--speed", "1800")) == day(demo)
    # So fast that the hour after the session is over before anybody looks.
    assert day(command("demo", *SHORT, "--speed", "36000")) == day(demo)
    assert day(command("demo", *SHORT, "--seed", "2")) != day(demo)


def test_the_demo_goes_over_a_socket_and_makes_the_bars_that_there_are_without_one(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert re.search(r"socket +[\d,]+ packets in [\d,]+ messages over ws://127\.0\.0\.1:\d+, 0 left out", demo.stdout)
    direct = command("demo", *SHORT, "--no-socket")
    assert "socket" not in direct.stdout
    assert day(direct) == day(demo)


@pytest.mark.parametrize("way", [[], ["--no-socket"]])
def test_a_damaged_feed_loses_no_volume_either(way: list[str]) -> None:
    damaged = command("demo", *SHORT, "--faults", *way)
    assert damaged.returncode == 0, damaged.stderr
    assert "closes to the last share for 8 of 8 instruments" in damaged.stdout


def test_an_interrupted_demo_ends_at_once_and_without_a_traceback() -> None:
    demo = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "tickloom", "demo", "--speed", "600", "--instruments", "5"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with demo:
        assert demo.stdout is not None
        assert "packets" in demo.stdout.readline()
        sent = time.monotonic()
        demo.send_signal(signal.SIGINT)
        out, err = demo.communicate(timeout=10)
    assert (demo.returncode, err) == (130, "")
    assert "stopped early" in out
    assert time.monotonic() - sent < 2


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
