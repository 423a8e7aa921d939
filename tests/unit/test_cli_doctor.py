"""Each check of the doctor says what it found and, where it is not well, what to do."""

from __future__ import annotations

import datetime as dt
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.scripted import ScriptedServer
from tests.unit.test_cli import command
from tickloom.cli import checks
from tickloom.cli.credentials import KEY, TOKEN, Found

NOW = dt.datetime(2026, 7, 1, 4, 0, tzinfo=dt.UTC)
"""Half past nine in India."""
FOUND = Found("key", "token-canary", "environment", None)


def written(tmp_path: Path, at: dt.datetime, mode: int = 0o600) -> Path:
    path = tmp_path / "kite.env"
    path.write_text(f"{KEY}=key\n{TOKEN}=token-canary\n")
    path.chmod(mode)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return path


def test_this_installation_is_well() -> None:
    assert [check.state for check in (checks.versions(), checks.core(), checks.limits())] == ["ok"] * 3


def test_a_debug_build_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "DEBUG_BUILD", True)
    assert checks.core()[::3] == ("fail", "install a release wheel: make wheel")


@pytest.mark.parametrize(("name", "value"), [("FILES", 2**40), ("DISK", 2**80)])
def test_limits_that_are_too_low_come_with_what_to_do(name: str, value: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, name, value)
    found = checks.limits()
    assert found.state == "warn"
    assert found.advice


def test_a_fresh_private_token_is_well(tmp_path: Path) -> None:
    check, found = checks.token(written(tmp_path, NOW - dt.timedelta(hours=1)), NOW)
    assert check.state == "ok"
    assert found is not None


@pytest.mark.parametrize(
    ("now", "age", "state"),
    [(NOW, 4, "warn"), (NOW, 3, "ok"), (NOW.replace(hour=0), 1, "ok"), (NOW.replace(hour=0), 25, "warn")],
)
def test_a_token_from_before_the_last_six_oclock_in_india_is_dead(
    tmp_path: Path, now: dt.datetime, age: int, state: str
) -> None:
    check, _ = checks.token(written(tmp_path, now - dt.timedelta(hours=age)), now)
    assert check.state == state
    assert ("log in again" in check.advice) == (state == "warn")


def test_a_token_that_others_can_read_is_a_failure(tmp_path: Path) -> None:
    check, found = checks.token(written(tmp_path, NOW, 0o644), NOW)
    assert (check.state, found) == ("fail", None)
    assert "chmod 600" in check.advice


@pytest.mark.parametrize(("skew", "state"), [(0.4, "ok"), (-1.9, "ok"), (3.0, "fail"), (-60.0, "fail")])
def test_a_clock_that_differs_from_the_servers_is_a_failure(skew: float, state: str) -> None:
    assert checks.clock(skew).state == state


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_server_that_cannot_be_reached_is_told_from_a_name_that_there_is_not(closed_port: int) -> None:
    refused, _ = checks.link(f"ws://127.0.0.1:{closed_port}")
    unknown, _ = checks.link("wss://no-such-host.invalid")
    assert (refused.state, unknown.state) == ("fail", "fail")
    assert "firewall" in refused.advice
    assert "resolver" in unknown.advice


@pytest.mark.parametrize(
    ("connection", "state", "advice"),
    [([], "ok", ""), (403, "fail", "log in again"), (429, "fail", "three"), (503, "fail", "wait a minute")],
)
def test_the_login_is_tried_once_and_its_failure_explained(connection: object, state: str, advice: str) -> None:
    with ScriptedServer([connection]) as server:
        check = checks.login(server.url, FOUND)
        assert server.attempts == 1
    assert check.state == state
    assert advice in check.advice
    assert "canary" not in str(check)


def test_the_command_ends_with_one_when_something_must_be_mended(tmp_path: Path) -> None:
    run = command("doctor", "--offline", "--credentials", str(written(tmp_path, NOW, 0o644)))
    assert run.returncode == 1
    assert "chmod 600" in run.stdout
    assert "canary" not in run.stdout + run.stderr


def test_the_command_asks_the_server_and_ends_with_zero(tmp_path: Path) -> None:
    path = written(tmp_path, dt.datetime.now(dt.UTC))
    with ScriptedServer([[], []]) as server:
        run = command("doctor", "--url", server.url, "--credentials", str(path))
    assert (run.returncode, run.stderr) == (0, "")
    assert "accepted" in run.stdout
    assert "canary" not in run.stdout


def test_no_command_takes_a_secret_as_an_argument() -> None:
    for name in ("doctor", "live"):
        text = command(name, "--help").stdout
        assert "--credentials" in text
        assert "--token" not in text
        assert "--api-key" not in text


def test_the_short_bench_measures_and_says_how_to_measure_more() -> None:
    run = command("bench", "--instruments", "5", "--minutes", "1", "--rounds", "1")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.count("ns a packet") == 3
    assert "make bench" in run.stdout
