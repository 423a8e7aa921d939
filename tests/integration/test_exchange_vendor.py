"""The vendor's own client, unchanged and in a process of its own, against the simulated exchange."""

from __future__ import annotations

import datetime as dt
import json
import threading
import time

import pytest

import tickloom as tl
from tests.integration.vendor import named, run
from tickloom.sources.exchange import Exchange


def plain(ticks: list[dict]) -> list[dict]:
    """Ticks as they look after the trip from the other process."""
    return json.loads(json.dumps(ticks, default=str))


def later(seconds: float, *acts: object) -> threading.Thread:
    """Does these in a thread, with so many seconds before each."""

    def work() -> None:
        for act in acts:
            time.sleep(seconds)
            act()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.fixture(scope="module")
def three_modes() -> tuple[list[list], dict[int, str]]:
    """What the vendor's client saw of an exchange, with a third of the instruments in each mode."""
    with Exchange(20, speed=60) as exchange:
        tokens = [instrument.token for instrument in exchange.instruments]
        modes = {token: ("quote", "full", "ltp")[nth % 3] for nth, token in enumerate(tokens)}
        script = f"""
        modes = {modes}
        def on_open(ws):
            ws.subscribe(list(modes))
            for mode in ("full", "ltp"):
                ws.set_mode(mode, [token for token in modes if modes[token] == mode])
        ticker.on_open = on_open
        """
        calls = run(exchange.url, script, 4)
    return calls, modes


def test_it_connects_and_gets_every_instrument_in_its_mode(three_modes: tuple[list[list], dict[int, str]]) -> None:
    calls, modes = three_modes
    assert calls[0][0] == "connect"
    assert named(calls, "close") == named(calls, "error") == named(calls, "reconnect") == []
    newest = {tick["instrument_token"]: tick["mode"] for call in named(calls, "ticks") for tick in call[2]}
    assert newest == modes
    assert len(named(calls, "ticks")) > 100


def test_its_ticks_are_equal_to_ours_of_the_same_frames(three_modes: tuple[list[list], dict[int, str]]) -> None:
    calls, _ = three_modes
    frames = [bytes.fromhex(call[2]) for call in named(calls, "frame")]
    theirs = [call[2] for call in named(calls, "ticks")]
    ours = [plain(tl.parse(frame).to_dicts()) for frame in frames if len(frame) > 4]
    # The process may have ended between the last frame and its ticks.
    assert len(ours) - len(theirs) in {0, 1}
    assert ours[: len(theirs)] == theirs


def test_its_subscribe_alone_streams_in_quote_mode_and_its_unsubscribe_ends_it() -> None:
    with Exchange(10, speed=60) as exchange:
        kept, dropped = (instrument.token for instrument in exchange.instruments[2:4])
        script = f"""
        ticker.on_open = lambda ws: (ws.subscribe([{kept}, {dropped}]), ws.unsubscribe([{dropped}]))
        """
        calls = run(exchange.url, script, 2.5)
    ticks = [tick for call in named(calls, "ticks") for tick in call[2]]
    assert {tick["mode"] for tick in ticks} == {"quote"}
    assert [tick["instrument_token"] for tick in ticks].count(dropped) == 1
    assert [tick["instrument_token"] for tick in ticks].count(kept) > 10


def test_it_comes_back_after_a_reset_and_a_close_and_subscribes_anew() -> None:
    with Exchange(10, speed=60) as exchange:
        tokens = [instrument.token for instrument in exchange.instruments]
        script = f"""
        tokens = {tokens}
        ticker.on_connect = lambda ws, response: (tell("connect"), ws.subscribe(tokens), ws.set_mode("full", tokens))
        """
        worker = later(2.5, exchange.reset, lambda: exchange.close(1011, "bye"))
        calls = run(exchange.url, script, 9)
        worker.join()
        assert exchange.stats()["connections"] == 3
    closes = [call[2] for call in named(calls, "close")]
    assert closes[0] == 1006
    assert closes[1] == 1011
    last = named(calls, "connect")[-1][1]
    assert {tick["mode"] for at, ticks in ((c[1], c[2]) for c in named(calls, "ticks")) if at > last + 0.5
            for tick in ticks} == {"full"}  # fmt: skip


def test_it_hears_error_texts_orders_and_heartbeats() -> None:
    with Exchange(10, hours="closed", max_tokens=5) as exchange:
        tokens = [instrument.token for instrument in exchange.instruments]
        order = {"order_id": "1", "status": "COMPLETE"}
        worker = later(
            2, lambda: exchange.send_text(json.dumps({"type": "order", "data": order})), lambda: exchange.send_text("{")
        )
        calls = run(exchange.url, f"ticker.on_open = lambda ws: ws.subscribe({tokens})", 5.5)
        worker.join()
    assert [call[2:] for call in named(calls, "error")] == [
        [0, "limit of 5 instruments a connection reached, tokens left out: 7"]
    ]
    assert [call[2] for call in named(calls, "order")] == [order]
    assert named(calls, "close") == []
    beats = [call for call in named(calls, "frame") if call[2] == "00"]
    assert len(beats) >= 3
    assert {tick["instrument_token"] for call in named(calls, "ticks") for tick in call[2]} == set(tokens[:5])


def test_a_wrong_token_is_refused_as_by_the_vendor() -> None:
    with Exchange(5, tokens={"key": "another"}) as exchange:
        calls = run(exchange.url, "", 1.5)
    assert named(calls, "connect") == []
    assert any("403" in str(call[3]) for call in named(calls, "error") + named(calls, "close"))


def test_stamps_are_read_as_the_markets_own_time(three_modes: tuple[list[list], dict[int, str]]) -> None:
    calls, _ = three_modes
    stamps = [
        dt.datetime.fromisoformat(tick["exchange_timestamp"]).astimezone(dt.UTC)
        for call in named(calls, "ticks")[-20:] for tick in call[2] if tick.get("exchange_timestamp")
    ]  # fmt: skip
    assert {stamp.date().isoformat() for stamp in stamps} == {"2026-07-01"}
