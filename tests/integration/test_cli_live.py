"""`tickloom live`, in a process of its own, against the simulated exchange."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from tickloom.cli.live import table
from tickloom.feed import Feed
from tickloom.sources.exchange import Exchange
from tickloom.sources.simulated import Simulator

SECRETS = {"KITE_API_KEY": "key-canary", "KITE_ACCESS_TOKEN": "token-canary"}


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    """A market that lets one pair of key and token in."""
    with Exchange(instruments=5, seed=2, speed=60, tokens={"key-canary": "token-canary"}) as running:
        yield running


def live(exchange: Exchange, *options: str, **environment: str) -> subprocess.Popen[str]:
    tokens = [f"{instrument.token}={instrument.symbol}" for instrument in exchange.instruments[:3]]
    return subprocess.Popen(
        [sys.executable, "-m", "tickloom", "live", *tokens, "--url", exchange.url, *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **SECRETS, **environment},
    )  # fmt: skip


def test_it_shows_ticks_and_ends_when_it_was_told_to(exchange: Exchange) -> None:
    out, err = (process := live(exchange, "--seconds", "4")).communicate(timeout=30)
    assert process.returncode == 0, err
    last = [line for line in out.splitlines() if " ticks, " in line][-1]
    assert int(last.split(" ticks, ")[0].split()[-1].replace(",", "")) > 0
    assert "canary" not in out + err


def test_a_refused_token_ends_it_with_what_to_do(exchange: Exchange) -> None:
    out, err = (process := live(exchange, **SECRETS | {"KITE_ACCESS_TOKEN": "wrong-canary"})).communicate(timeout=30)
    assert process.returncode == 1
    assert "log in again" in err
    assert "Traceback" not in err
    assert "canary" not in out + err


def test_no_credentials_is_an_error_that_says_where_to_put_them(exchange: Exchange, tmp_path: Path) -> None:
    process = live(exchange, KITE_API_KEY="", HOME=str(tmp_path))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "KITE_API_KEY" in err


def test_without_an_account_it_follows_a_simulated_exchange() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tickloom", "live", "--simulated", "--seconds", "4"],
        capture_output=True, text=True, timeout=30, check=False,
        env={name: value for name, value in os.environ.items() if name not in SECRETS},
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")
    assert int(run.stdout.splitlines()[-1].split(" ticks, ")[0].split()[-1].replace(",", "")) > 0


def test_the_table_shows_the_newest_candle_of_each_name() -> None:
    source = Simulator(instruments=5, seed=2, speed=60)
    with Feed(source, intervals=["1m"]) as feed:
        shown = {token: name for name, token in source.symbols.items()}
        feed.subscribe(list(source.symbols))
        until = time.monotonic() + 10
        while not any(len(feed.candles(token, "1m")) for token in shown):
            assert time.monotonic() < until
            time.sleep(0.05)
        console = Console(record=True, width=140, file=io.StringIO())
        console.print(table(feed, shown, "1m", height=50))
    text = console.export_text()
    assert all(name in text for name in shown.values())
    assert "09:1" in text


def test_no_instrument_is_a_usage_error() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tickloom", "live"], capture_output=True, text=True, timeout=30, check=False
    )
    assert run.returncode == 2
    assert "name an instrument" in run.stderr


def test_what_is_no_instrument_is_a_usage_error(exchange: Exchange) -> None:
    process = live(exchange, "NSE:INFY=408065")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "TOKEN=NAME" in err


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_soon_and_with_the_right_code(exchange: Exchange, number: int, code: int) -> None:
    process = live(exchange)
    while not exchange.subscriptions():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    sent = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - sent < 2
    assert process.returncode == code
    assert "Traceback" not in err


def test_a_simulated_market_in_upstoxs_protocol_has_candles_too() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tickloom", "live", "--simulated", "--broker", "upstox", "--seconds", "5"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "SIMLIQ0001" in done.stdout
    assert "09:1" in done.stdout


@pytest.mark.parametrize("options", [["256265"], ["--simulated", "--mode", "quote"]])
def test_another_broker_is_for_a_simulated_market_in_mode_full(options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tickloom", "live", "--broker", "upstox", *options],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    assert "--broker is for --simulated, in mode full" in done.stderr


def test_the_simulator_is_kites_and_says_so() -> None:
    with pytest.raises(ValueError, match="speaks Kite's protocol"):
        Simulator(broker="upstox")
