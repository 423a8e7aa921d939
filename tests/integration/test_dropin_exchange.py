# ruff: noqa: ARG005 - callbacks get what the vendor gives, used or not
"""The same script with both classes against the simulated exchange: the same callbacks, and equal ticks."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tickloom.kite import KiteTicker
from tickloom.sources.exchange import Exchange

SECONDS = 25
SCRIPT = """
import datetime, json, sys, warnings
warnings.simplefilter("ignore")
from {module} import KiteTicker
tokens, count = json.loads(sys.argv[2]), int(sys.argv[3])
seen, ticks = [], {{}}
kws = KiteTicker("key", "canary-token", root=sys.argv[1])

def on_connect(ws, response):
    seen.append("on_connect")
    ws.subscribe([token for mode in tokens.values() for token in mode])
    for mode, chosen in tokens.items():
        ws.set_mode(mode, chosen)

def on_ticks(ws, new):
    if seen[-1] != "on_ticks":
        seen.append("on_ticks")
    for tick in new:
        mine = ticks.setdefault(tick["instrument_token"], [])
        mine.append(repr(tick))
    if sum(map(len, ticks.values())) >= count:
        ws.stop()

kws.on_connect, kws.on_ticks = on_connect, on_ticks
kws.on_open = lambda ws: seen.append("on_open")
kws.on_close = lambda ws, code, reason: seen.append("on_close")
kws.on_error = lambda ws, code, reason: seen.append("on_error")
kws.on_order_update = lambda ws, data: seen.append("on_order_update")
kws.connect()
print(json.dumps([seen, ticks]))
"""


def run(module: str, exchange: Exchange, tokens: dict[str, list[int]], count: int) -> subprocess.Popen[str]:
    code = SCRIPT.format(module=module)
    arguments = [sys.executable, "-c", code, exchange.url, json.dumps(tokens), str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def result(process: subprocess.Popen[str]) -> tuple[list[str], dict[str, list[str]]]:
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 0, err
    seen, ticks = json.loads(out)
    return seen, ticks


def in_mode(ticks: list[str], mode: str) -> list[str]:
    """Those of a mode: before it was set, each class may have been sent others."""
    return [tick for tick in ticks if f"'mode': '{mode}'" in tick]


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
def test_the_vendors_class_and_ours_are_told_the_same_by_the_exchange(mode: str) -> None:
    with Exchange(instruments=8, seed=5, speed=60, opens="told", market={"end": "10:15"}) as exchange:
        tokens: dict[str, Any] = {mode: [instrument.token for instrument in exchange.instruments]}
        both = [run(module, exchange, tokens, 400) for module in ("kiteconnect", "tickloom.kite")]
        until = time.monotonic() + 15
        while len(exchange.subscriptions()) < 2 or any(len(one) < 8 for one in exchange.subscriptions().values()):
            assert time.monotonic() < until
            time.sleep(0.02)
        time.sleep(0.3)
        exchange.open()
        (theirs, vendor), (ours, tickloom) = [result(process) for process in both]
    assert ours == theirs == ["on_connect", "on_open", "on_ticks", "on_error", "on_close"]
    compared = 0
    for token in vendor:
        pairs = list(zip(in_mode(tickloom.get(token, []), mode), in_mode(vendor[token], mode), strict=False))
        assert all(left == right for left, right in pairs), token
        compared += len(pairs)
    assert compared >= 300


def test_a_server_that_falls_silent_is_noticed_and_the_ticks_come_back() -> None:
    with Exchange(instruments=4, seed=5, speed=60) as exchange:
        one = KiteTicker("key", "canary-token", root=exchange.url)
        one.set_mode("full", [instrument.token for instrument in exchange.instruments])
        ticked, closed = threading.Event(), threading.Event()
        one.on_ticks = lambda _, ticks: ticked.set()
        one.on_close = lambda _, code, reason: closed.set()
        one.connect(threaded=True)
        assert ticked.wait(5)
        silent = time.monotonic()
        exchange.silence(None)
        assert closed.wait(8)
        assert time.monotonic() - silent <= 6
        exchange.silence(0)
        ticked.clear()
        assert ticked.wait(8)
        one.stop()
        one.websocket_thread.join(5)
