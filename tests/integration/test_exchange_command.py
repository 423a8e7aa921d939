"""`tickloom simulate`, run as a user runs it: in a process of its own, with no terminal and with one."""

from __future__ import annotations

import datetime as dt
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tickloom as tl
from tests.integration.lines import connect, play, until
from tests.integration.vendor import named, run
from tickloom.sources import exchange_wire as wire
from tickloom.sources.exchange import Exchange
from tickloom.sources.exchange_rules import IST

COMMAND = [sys.executable, "-W", "error", "-c", "from tickloom.cli.simulate import command; command()"]


@contextmanager
def simulate(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the address that it printed first."""
    process = subprocess.Popen(
        [*COMMAND, "--port", "0", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            address = re.fullmatch(r"listening on ((?:ws|http)://127\.0\.0\.1:\d+\S*)\n", process.stdout.readline())
            assert address is not None
            yield process, address[1]
        finally:
            process.kill()


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=30)


def test_the_vendors_client_gets_ticks_from_another_process() -> None:
    tokens = [instrument.token for instrument in Exchange(8).instruments]
    with simulate("--instruments", "8", "--speed", "60") as (_, url):
        calls = run(url, f"ticker.on_open = lambda ws: (ws.subscribe({tokens}), ws.set_mode('full', {tokens}))", 2.5)
    assert {tick["instrument_token"] for call in named(calls, "ticks") for tick in call[2]} == set(tokens)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_exchange_tells_its_clients_and_ends_with_the_signals_code(number: signal.Signals) -> None:
    async def session(process: subprocess.Popen[str], url: str) -> None:
        line = await connect(url)
        await until(lambda: line.texts)
        began = time.monotonic()
        process.send_signal(number)
        await until(lambda: line.ended_at)
        assert line.close_code == 1001
        assert process.wait(2) == 128 + number
        assert time.monotonic() - began < 2

    with simulate() as (process, url):
        play(session(process, url))
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_another_brokers_protocol_is_spoken_when_it_is_asked_for() -> None:
    with simulate("--broker", "upstox", "--instruments", "6", "--speed", "60") as (process, url):
        assert process.stdout is not None
        assert f'tickloom.sources.Upstox("any token", url="{url}")' in process.stdout.readline()
        source = tl.sources.Upstox("any token", url=url, symbols=Exchange(6, broker="upstox").keys)
        feed = tl.Feed(source, intervals=["1m"])
        feed.subscribe("SIMLIQ0001")
        with feed:
            began = time.monotonic()
            while not len(feed.candles("SIMLIQ0001", "1m")):
                assert time.monotonic() < began + 20
                time.sleep(0.01)


def test_it_ends_by_itself_after_so_many_seconds_and_says_what_it_did() -> None:
    done = command("--port", "0", "--seconds", "1", "--fault", "all=600", "--hours", "closed")
    assert (done.returncode, done.stderr) == (0, "")
    last = done.stdout.splitlines()[-1]
    assert re.search(r"market: closed +clients: 0 connected, .* faults: [1-9]", last)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fault", "boredom"], "no such fault: 'boredom'"),
        (["--fault", "reset=often"], "not a number of times a minute: 'often'"),
        (["--fault", "reset=-1"], "a fault is negative"),
        (["--hours", "wall", "--speed", "2"], "the clock on the wall has one speed"),
        (["--hours", "night"], "is not one of"),
        (["--broker", "mine"], "is not one of"),
        (["--start", "quarter past nine"], "Error"),
        (["--end", "08:00"], "Error"),
        (["--date", "tomorrow"], "Error"),
        (["--seed", "-1"], "Error"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line_and_without_a_traceback(arguments: list[str], words: str) -> None:
    done = command("--port", "0", "--seconds", "0", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_market_sends_the_last_packets_of_the_day_before_once_and_then_heartbeats() -> None:
    async def session(url: str) -> None:
        tokens = [instrument.token for instrument in Exchange(6).instruments]
        line = await connect(url)
        line.subscribe(tokens)
        line.mode("full", tokens)
        await until(lambda: len(line.heartbeats()) >= 2)
        last = line.heartbeats()[-1]
        cached = [(at, packet) for at, frame in line.frames for packet in wire.split(frame)]
        # Once for the subscription and once for the mode, and nothing that was traded since.
        assert Counter(token for _, (token, _) in cached) == dict.fromkeys(tokens, 2)
        assert last - max(at for at, _ in cached) > 0.9
        stamps = {int.from_bytes(packet[60:64], "big") for _, (_, packet) in cached if len(packet) == 184}
        today = int(dt.datetime.now(IST).replace(hour=0, minute=0, second=0).timestamp())
        assert 0 < max(stamps) < today

    with simulate("--instruments", "6", "--hours", "closed") as (_, url):
        play(session(url))


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with Exchange(1) as exchange:
        done = command("--port", str(exchange.port), "--seconds", "0")
    assert done.returncode == 1
    assert re.fullmatch(rf"Error: cannot listen on 127\.0\.0\.1 port {exchange.port}: .*in use.*\n", done.stderr)


def test_in_a_terminal_it_shows_how_far_the_session_is() -> None:
    ours, theirs = pty.openpty()
    shown = b""
    with subprocess.Popen([*COMMAND, "--port", "0", "--seconds", "1.5", "--speed", "6000"], stdout=theirs) as process:
        os.close(theirs)
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:
                break
            shown += piece
            if not piece:
                break
        assert process.wait(10) == 0
    os.close(ours)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode())
    parts = [int(part) for part in re.findall(r"session .*?(\d+)%", text)]
    assert parts[-1] > parts[0]
    assert "Ctrl-C ends it" in text


def test_help_names_every_fault_and_leaves_no_option_without_a_word() -> None:
    done = command("--help")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    for kind in ("silence", "half_open", "close", "reset", "cut", "refuse", "outage", "hostile"):
        assert kind in told


def test_the_code_of_its_page_runs(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (repository / "docs/simulate.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})  # noqa: S102 - our own page
    assert "ws://127.0.0.1:" in capsys.readouterr().out
