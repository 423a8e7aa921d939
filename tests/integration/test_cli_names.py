"""Instruments by name at the command line: the dump over real HTTP, the candles over a real socket."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.rest import Broker, rows_of
from tickloom import AuthenticationFailed, ConnectionFailed, Engine
from tickloom.history import KiteHistory
from tickloom.instruments import dump
from tickloom.sources import Replay
from tickloom.sources.exchange import Exchange
from tickloom.sources.simulator import Market

SECRETS = {"KITE_API_KEY": "key-canary", "KITE_ACCESS_TOKEN": "token-canary"}
SEED, INSTRUMENTS = 2, 5


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange(INSTRUMENTS, SEED, speed=60, tokens={"key-canary": "token-canary"}) as running:
        yield running


def listed(exchange: Exchange) -> bytes:
    """The exchange's instruments as the broker's dump has them."""
    return dump.to_csv(
        {
            "instrument_token": token, "exchange_token": token >> 8, "tradingsymbol": name, "name": name,
            "last_price": 0, "expiry": "", "strike": 0, "tick_size": 0.05, "lot_size": 1, "instrument_type": "EQ",
            "segment": "NSE", "exchange": "NSE",
        }
        for name, token in exchange.symbols.items()
    )  # fmt: skip


class Dump:
    """The REST API's /instruments, over HTTP; what was asked of it."""

    def __init__(self, body: bytes, status: int = 200) -> None:
        asked = self.asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, self.headers["Authorization"]))
                kind, sent = ("application/json", REFUSED) if status == 403 else ("text/csv", body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Dump:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


REFUSED = b'{"status":"error","error_type":"TokenException","message":"Incorrect `api_key` or `access_token`."}'


def live(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "tickloom", "live", *arguments],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, **SECRETS, "HOME": str(home), "XDG_CACHE_HOME": str(home), **environment},
    )  # fmt: skip


def ticks(run: subprocess.CompletedProcess[str]) -> int:
    last = [line for line in run.stdout.splitlines() if " ticks, " in line][-1]
    return int(last.split(" ticks, ")[0].split()[-1].replace(",", ""))


def test_names_are_looked_up_in_todays_dump_which_is_fetched_once(exchange: Exchange, tmp_path: Path) -> None:
    first, second = list(exchange.symbols)[:2]
    with Dump(listed(exchange)) as rest:
        for seconds in ("4", "1"):
            run = live(
                tmp_path, f"NSE:{first}", second, "--url", exchange.url, "--root", rest.root, "--seconds", seconds
            )
            assert run.returncode == 0, run.stderr
            if seconds == "4":
                assert ticks(run) > 0
            assert f"NSE:{first}" in run.stdout
            assert "canary" not in run.stdout + run.stderr
    assert rest.asked == [("/instruments", "token key-canary:token-canary")]


def test_a_refused_token_and_an_unknown_name_are_one_line_each(exchange: Exchange, tmp_path: Path) -> None:
    with Dump(b"", status=403) as rest:
        run = live(tmp_path, "NSE:ANY", "--url", exchange.url, "--root", rest.root)
    assert run.returncode == 1
    assert "the broker gave no instruments" in run.stderr
    file = tmp_path / "dump.csv"
    file.write_bytes(listed(exchange))
    name = next(iter(exchange.symbols))
    unknown = live(tmp_path, f"NSE:{name}X", "--url", exchange.url, "--dump", str(file))
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (1, 1)
    assert f"did you mean NSE:{name}" in unknown.stderr
    assert "canary" not in run.stderr + unknown.stderr


def test_a_warm_up_fills_the_candles_before_the_first_live_one(exchange: Exchange, tmp_path: Path) -> None:
    yesterday = Market(SEED, instruments=INSTRUMENTS, date="2026-06-30")
    file = tmp_path / "dump.csv"
    file.write_bytes(listed(exchange))
    name, token = next(
        (name, token) for name, token in exchange.symbols.items() if len(rows_of(yesterday, token)) > 300
    )
    with Broker({token: rows_of(yesterday, token)}) as rest:
        run = live(
            tmp_path, f"NSE:{name}", "--url", exchange.url, "--root", rest.root, "--dump", str(file),
            "--warmup", "1d", "--seconds", "8",
        )  # fmt: skip
    assert run.returncode == 0, run.stderr
    row = next(line for line in run.stdout.splitlines() if f"NSE:{name}" in line)
    assert int(row.rstrip("│ ").split()[-1].replace(",", "")) >= len(rows_of(yesterday, token))
    assert " 1 of 1" in run.stdout


def test_a_simulated_market_takes_its_own_names_and_has_no_past(tmp_path: Path) -> None:
    run = live(tmp_path, "--simulated", "SIMLIQ0001", "--seconds", "3")
    assert run.returncode == 0, run.stderr
    assert "SIMLIQ0001" in run.stdout
    refused = live(tmp_path, "--simulated", "--warmup", "2d")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)
    assert "leave --warmup out" in refused.stderr


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [(403, b"", AuthenticationFailed), (401, b"no", AuthenticationFailed), (500, b"a,b\n1,2\n", ConnectionFailed)],
)
def test_a_failure_of_the_list_is_one_of_ours_and_quotes_no_secret(
    tmp_path: Path, status: int, body: bytes, error: type[Exception]
) -> None:
    with Dump(body, status) as rest:
        history = KiteHistory("key-canary", "token-canary", root=rest.root, cache=tmp_path)
        with pytest.raises(error, match="no instruments") as caught:
            history.instruments()
    assert "canary" not in str(caught.value)
    with pytest.raises(ConnectionFailed):
        # Nobody listens there any more.
        history.instruments()


@pytest.mark.parametrize("name", ["408065=INFY", "0"])
def test_a_token_needs_no_dump_and_must_be_one(exchange: Exchange, tmp_path: Path, name: str) -> None:
    run = live(tmp_path, name, "--url", exchange.url, "--seconds", "1")
    assert run.returncode == (2 if name == "0" else 0), run.stderr


def test_a_recording_takes_names_too(exchange: Exchange, tmp_path: Path) -> None:
    first, second = list(exchange.symbols.items())[:2]
    file, journal = tmp_path / "dump.csv", tmp_path / "day.tlj"
    file.write_bytes(listed(exchange))
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tickloom", "record", str(journal), f"NSE:{first[0]}", str(second[1]),
         "--url", exchange.url, "--dump", str(file), "--seconds", "4"],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, **SECRETS},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    engine = Engine(intervals=["1m"])
    Replay(journal).into(engine)
    assert {token for token, _ in engine.instruments} == {first[1], second[1]}
