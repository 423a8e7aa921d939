"""The vendor's own client in a process of its own: a script for it, and what it saw, as JSON lines.

It runs at most once a process, so it cannot be had in the tests' own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

PROGRAM = """
import json, logging, sys, threading, time
{ticker}

logging.disable(logging.CRITICAL)
ticker = KiteTicker("key", {access!r}, root={url!r}, reconnect=True, reconnect_max_delay=5)
lock = threading.Lock()


def tell(name, *what):
    with lock:
        print(json.dumps([name, time.monotonic(), *what], default=str), flush=True)


def on_message(ws, payload, is_binary):
    tell("frame" if is_binary else "text", payload.hex() if is_binary else payload.decode())


ticker.on_ticks = lambda ws, ticks: tell("ticks", ticks)
ticker.on_connect = lambda ws, response: tell("connect")
ticker.on_close = lambda ws, code, reason: tell("close", code, reason)
ticker.on_error = lambda ws, code, reason: tell("error", code, reason)
ticker.on_message = on_message
ticker.on_reconnect = lambda ws, attempts: tell("reconnect", attempts)
ticker.on_noreconnect = lambda ws: tell("noreconnect")
ticker.on_order_update = lambda ws, data: tell("order", data)
{script}
ticker.connect(threaded=True)
time.sleep({seconds})
"""
VENDOR = "from kiteconnect import KiteTicker"


def run(url: str, script: str, seconds: float, *, access: str = "any", ticker: str = VENDOR) -> list[list]:
    """Everything that was called back in so many seconds: [name, time.monotonic, arguments…] in order."""
    program = PROGRAM.format(ticker=ticker, access=access, url=url, script=textwrap.dedent(script), seconds=seconds)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=seconds + 30, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def named(calls: list[list], name: str) -> list[list]:
    """The calls of one callback."""
    return [call for call in calls if call[0] == name]
