"""The feed over real sockets, against the simulated exchange; recorded, replayed, and at the end of a process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import tickloom as tl
from tests.unit.feed.fake import until
from tickloom.events import Connection, Gap, Order, Ticks
from tickloom.sources.exchange import Exchange


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange(instruments=20, seed=3, speed=30, opens="subscription") as exchange:
        yield exchange


def test_a_strategy_runs_on_the_simulator_as_it_would_on_the_broker() -> None:
    feed = tl.Feed(tl.sources.Simulator(instruments=20, seed=1, speed=120), ["1m", "5m"])
    names = list(feed.source.symbols)
    closed = []
    feed.subscribe(names, mode="full")
    feed.on_bar(closed.append, interval="1m")
    with feed:
        feed.wait_connected(5)
        until(lambda: len({bar.bar.time for bar in closed}) >= 3, 15)
        status = feed.status()
        assert status.connected
        assert status.packets == status.ticks + status.rejected > 0
        liquid = max(names, key=lambda name: len(feed.candles(name, "1m")))
        candles, truth = feed.candles(liquid, "1m"), feed.source.exchange.market.truth(feed.source.symbols[liquid])
        at = np.searchsorted(truth["time"], candles.time)
        assert (truth["time"][at] == candles.time).all()
        assert (candles.high <= truth["high"][at]).all()
        assert (candles.low >= truth["low"][at]).all()
    account = feed.status().callbacks
    assert account.offered == account.delivered + account.dropped


@pytest.mark.parametrize("level", ["WARNING", "INFO", "DEBUG"])
def test_the_transports_log_is_as_loud_as_the_users_and_never_below_info(
    exchange: Exchange, caplog: pytest.LogCaptureFixture, level: str
) -> None:
    caplog.set_level(level, "tickloom")
    # The fixture would leave out itself what a logger lets through.
    caplog.handler.setLevel(1)
    kite = tl.sources.Kite("key", "token", url=exchange.url, symbols=exchange.symbols)
    with tl.Feed(kite, ["1m"]) as feed:
        feed.subscribe(list(exchange.symbols))
        feed.wait_connected(5)
    said = {record.levelname for record in caplog.records if ".transport" in record.name}
    assert said == (set() if level == "WARNING" else {"INFO"})


def test_modes_and_instruments_change_while_it_runs(exchange: Exchange) -> None:
    kite = tl.sources.Kite("key", "token", url=exchange.url, symbols=exchange.symbols)
    feed = tl.Feed(kite)
    names = list(exchange.symbols)
    with feed:
        feed.subscribe(names[:5], mode="full")
        feed.subscribe(names[5:8], mode="ltp")
        feed.unsubscribe(names[:1])
        wanted = {exchange.symbols[name]: "full" for name in names[1:5]} | {
            exchange.symbols[name]: "ltp" for name in names[5:8]
        }
        assert feed.subscriptions() == wanted
        until(lambda: list(exchange.subscriptions().values()) == [wanted])
        with pytest.raises(ValueError, match="9000"):
            feed.subscribe(range(256, 10_000 * 256, 256))
    assert repr(kite) == "<Kite: 7 instruments>"


def test_a_reset_in_mid_stream_is_a_gap_and_everything_comes_back(exchange: Exchange) -> None:
    feed = tl.Feed(tl.sources.Kite("key", "token", url=exchange.url), symbols=exchange.symbols)
    states = []
    feed.on_status(states.append)
    feed.subscribe(list(exchange.symbols))
    with feed:
        feed.wait_connected(5)
        feed.wait_tick(timeout=5)
        exchange.reset()
        until(lambda: feed.status().reconnects == 1)
        feed.wait_tick(timeout=5)
        assert feed.status().connected
        until(lambda: list(exchange.subscriptions().values()) == [feed.subscriptions()])
    seen = [event.state for event in states if isinstance(event, Connection)]
    assert seen[: seen.index("connected", seen.index("disconnected")) + 1].count("connected") == 2
    (gap,) = [event for event in states if isinstance(event, Gap)]
    assert gap.from_ns < gap.time_ns


def test_hostile_callbacks_disconnect_nobody(exchange: Exchange) -> None:
    feed = tl.Feed(tl.sources.Kite("key", "token", url=exchange.url), symbols=exchange.symbols, queue=4)

    def sleeps(_: Ticks) -> None:
        time.sleep(0.5)

    def leaves(_: Ticks) -> None:
        sys.exit(9)

    feed.on_tick(sleeps)
    feed.on_tick(leaves)
    feed.subscribe(list(exchange.symbols))
    with feed:
        feed.wait_connected(5)
        time.sleep(3)
        status = feed.status()
        assert (status.connected, status.reconnects) == (True, 0)
        assert status.callback_errors >= 2
        assert status.lags.receive_to_engine.quantile(0.99) < 0.05
    account = feed.status().callbacks
    assert account.offered == account.delivered + account.dropped
    assert account.dropped > 0


def test_async_iteration_over_a_real_socket(exchange: Exchange) -> None:
    async def main() -> set[str]:
        feed = tl.Feed(tl.sources.Kite("key", "token", url=exchange.url), symbols=exchange.symbols)
        kinds: set[str] = set()
        stream = feed.events()
        async with feed:
            feed.subscribe(list(exchange.symbols))
            while not feed.status().connected or not feed.status().ticks:
                await asyncio.sleep(0.01)
            exchange.send_text('{"type": "order", "data": {"status": "COMPLETE"}}')
            async for event in stream:
                kinds.add(type(event).__name__)
                if isinstance(event, Order):
                    break
        return kinds

    assert {"Ticks", "Connection", "Order"} <= asyncio.run(main())


@pytest.mark.parametrize("busy", [False, True])
def test_a_busy_reader_sees_the_same(exchange: Exchange, busy: bool) -> None:
    feed = tl.Feed(tl.sources.Kite("key", "token", url=exchange.url), symbols=exchange.symbols, busy=busy)
    feed.subscribe(list(exchange.symbols))
    with feed:
        until(lambda: feed.status().ticks > 20 and feed.status().ticks_per_second > 0)
        feed.wait_tick(timeout=5)
        assert feed.status().connected


def test_what_was_recorded_is_replayed_to_the_same_candles(exchange: Exchange, tmp_path: Path) -> None:
    path = tmp_path / "day.tlj"
    feed = tl.Feed(
        tl.sources.Kite("key", "token", url=exchange.url), ["1s", "1m"], symbols=exchange.symbols, record=path
    )
    feed.subscribe(list(exchange.symbols))
    for _ in range(2):
        with feed:
            until(lambda: feed.status().ticks > 300, 15)
    ticks = feed.status().ticks

    def replay() -> tl.Feed:
        again = tl.Feed(tl.sources.Replay(path, speed=None), ["1s", "1m"])
        again.run()
        return again

    first, second = replay(), replay()
    assert first.status().ticks == second.status().ticks == ticks
    for token in exchange.symbols.values():
        for interval in ("1s", "1m"):
            one, two = first.candles(token, interval), second.candles(token, interval)
            assert one.to_numpy().tobytes() == two.to_numpy().tobytes()


def test_a_journal_gives_the_very_bars_that_were_live(exchange: Exchange, tmp_path: Path) -> None:
    path = tmp_path / "day.tlj"
    feed = tl.Feed(tl.sources.Simulator(exchange=exchange), ["1s", "1m"], record=path)
    feed.subscribe(list(exchange.symbols))
    with feed:
        until(lambda: len(feed.candles(feed.engine.instruments[-1][0], "1m")) > 1 or feed.status().ticks > 3_000, 20)
    engine = tl.Engine(["1s", "1m"])
    tl.sources.Replay(path).into(engine)
    bars = 0
    for token in exchange.symbols.values():
        for interval in ("1s", "1m"):
            live, again = feed.candles(token, interval), engine.candles(token, interval)
            assert live.to_numpy().tobytes() == again.to_numpy().tobytes()
            bars += len(live)
    assert bars > 100


def script(body: str) -> list[str]:
    """A program of a user's, with a feed that gets ticks. It says `ready` on its first tick."""
    return [sys.executable, "-W", "error", "-c", f"""
import signal, sys, threading, time, os
import tickloom as tl
if __name__ == "__main__":
    source = tl.sources.Simulator(instruments=10, speed=30)
    feed = tl.Feed(source, record=sys.argv[1])
    feed.subscribe(list(source.symbols))
    said = []
    def ready(event):
        if not said:
            said.append(sys.stdout.write("ready\\n")); sys.stdout.flush()
    feed.on_tick(ready)
{body}
"""]  # fmt: skip


def test_a_feed_that_nobody_stopped_is_stopped_when_the_interpreter_ends(tmp_path: Path) -> None:
    # What was registered first is called last.
    body = "    feed.start(); feed.wait_tick(timeout=9)"
    program = script(body)
    program[4] = 'import atexit; atexit.register(lambda: print("running", feed.running))\n' + program[4]
    run = subprocess.run([*program, str(tmp_path / "end.tlj")], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout.splitlines() == ["ready", "running False"]
    assert run.stderr == ""


def test_after_a_fork_a_feed_says_that_it_belongs_to_another_process(tmp_path: Path) -> None:
    body = """
    feed.start(); feed.wait_tick(timeout=9)
    child = os.fork()
    if child == 0:
        for use in (feed.status, feed.start, feed.stop, lambda: feed.engine, lambda: feed.subscribe(1), feed.events):
            try:
                use()
            except RuntimeError as error:
                assert "belongs to process" in str(error) and "after the fork" in str(error), error
            else:
                os._exit(3)
        sys.exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    feed.stop()
"""
    command = [*script(body), str(tmp_path / "fork.tlj")]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 0, run.stderr
