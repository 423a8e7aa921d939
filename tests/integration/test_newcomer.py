"""A newcomer's first hour: two terminals, no account, at whatever hour it is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tickloom as tl
from tickloom.cli.screen import why_no_bars
from tickloom.sources.exchange import Exchange

TICKLOOM = [sys.executable, "-W", "error", "-m", "tickloom"]
ANYONE = {**os.environ, "KITE_API_KEY": "any", "KITE_ACCESS_TOKEN": "any"}


@contextmanager
def first_terminal(*options: str) -> Iterator[tuple[str, list[str]]]:
    """`tickloom simulate`: the address and the instruments that it prints."""
    process = subprocess.Popen([*TICKLOOM, "simulate", "--port", "0", *options], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        try:
            url = process.stdout.readline().split()[-1]
            hint = process.stdout.readline()
            assert f"tickloom live --url {url} " in hint
            yield url, re.findall(r"\d+=\S+", hint)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)


def second_terminal(*arguments: str) -> str:
    run = subprocess.run([*TICKLOOM, *arguments], capture_output=True, text=True, timeout=60, check=False, env=ANYONE)
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout


@pytest.mark.parametrize("date", ["2026-07-01", None])
def test_what_was_recorded_from_a_simulated_exchange_has_candles_when_replayed(
    tmp_path: Path, date: str | None
) -> None:
    path = tmp_path / "day.tlj"
    with first_terminal("--speed", "600", *([] if date is None else ["--date", date])) as (url, named):
        tokens = [name.partition("=")[0] for name in named]
        said = second_terminal("record", str(path), *tokens, "--url", url, "--seconds", "1.2")
    assert "no candles" not in said
    replayed = second_terminal("replay", str(path), "--speed", "0")
    assert "no candles" not in replayed
    bars = re.search(r"bars +([\d,]+) of 5 instruments", replayed)
    assert bars is not None
    assert int(bars[1]) > 0
    if date is not None:
        assert f"from  {date} 09:" in replayed


def test_who_records_before_the_exchange_is_there_has_a_journal_of_the_markets_time_only(tmp_path: Path) -> None:
    with Exchange(5, speed=600) as exchange:
        # Its port, with nobody there any more.
        port, tokens = exchange.port, [str(token) for token in exchange.symbols.values()]
    paths = [tmp_path / "record.tlj", tmp_path / "live.tlj"]
    ways = (["record", str(paths[0]), *tokens], ["live", *tokens, "--record", str(paths[1])])
    where = ["--url", f"ws://127.0.0.1:{port}", "--seconds", "2.5"]
    running = [
        subprocess.Popen(
            [*TICKLOOM, *way, *where], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ANYONE
        )
        for way in ways
    ]
    for process in running:
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
    with Exchange(5, speed=600, port=port) as exchange:
        for process in running:
            process.communicate(timeout=20)
            assert process.returncode == 0
    opens, closes = exchange.market.session_open_ns, exchange.market.session_close_ns
    for path in paths:
        records = list(tl.sources.Replay(path).records())
        assert len(records) > 10
        assert all(opens <= record.received_ns < closes for record in records)


def test_the_command_that_it_prints_shows_candles() -> None:
    with first_terminal("--speed", "600") as (url, named):
        said = second_terminal("live", "--url", url, *named, "--seconds", "1")
    rows = [line for line in said.splitlines() if re.search(r"│ 09:\d\d:00 │", line)]
    assert len(rows) == 5
    assert "no candles" not in said


def test_a_feed_of_ones_own_gets_candles_and_the_markets_time() -> None:
    with Exchange(instruments=10, seed=2, speed=300) as exchange:
        source = tl.sources.Kite("any", "any", url=exchange.url, symbols=exchange.symbols)
        with tl.Feed(source, ["1m"]) as feed:
            feed.subscribe(list(exchange.symbols))
            until = time.monotonic() + 20
            while feed.engine.stats()["bars_closed"] < 10:
                assert time.monotonic() < until
                time.sleep(0.02)
            assert abs(source.clock() - exchange.market_time_ns()) < 60 * 10**9
            assert feed.status().connected


def test_a_reconnect_is_a_gap_of_market_time() -> None:
    with Exchange(instruments=10, seed=2, speed=300) as exchange:
        source = tl.sources.Kite("any", "any", url=exchange.url, symbols=exchange.symbols)
        with tl.Feed(source, ["1m"]) as feed:
            feed.subscribe(list(exchange.symbols))
            feed.wait_tick(timeout=10)
            exchange.reset()
            until = time.monotonic() + 20
            while not any(feed.engine.gaps(token) for token in exchange.symbols.values()):
                assert time.monotonic() < until
                time.sleep(0.02)
            gaps = [gap for token in exchange.symbols.values() for gap in feed.engine.gaps(token)]
    # The engine counts a gap from a moment before the last tick.
    opens, closes = exchange.market.session_open_ns - 2 * 10**9, exchange.market.session_close_ns
    assert [gap for gap in gaps if not opens <= gap[0] <= gap[1] < closes] == []


def test_where_there_are_only_yesterdays_ticks_every_command_says_so_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "closed.tlj"
    with first_terminal("--hours", "closed") as (url, named):
        tokens = [name.partition("=")[0] for name in named]
        said = [
            second_terminal("live", "--url", url, *named, "--seconds", "1"),
            second_terminal("record", str(path), *tokens, "--url", url, "--seconds", "1"),
            second_terminal("replay", str(path), "--speed", "0"),
        ]
    for words in said:
        assert re.search(r"^no candles: \d+ ticks came, .* come back in market hours", words, re.MULTILINE)


def test_nothing_is_said_where_there_is_a_bar_or_no_tick() -> None:
    engine = tl.Engine(intervals=["1m"])
    assert why_no_bars(engine) == ""
    engine.push(408065, 100.0, time_ns=1_782_880_200 * 10**9)
    assert why_no_bars(engine) == ""
