"""One callback script for two classes: `python -m tests.integration.dropin_script vendor|ours URL blocking|threaded`.

Prints one JSON document: the callbacks in their order, with what they were given. The server tells the script what to
do by messages `{"type": "message", "data": "do close"}`, so that both classes do it at the same place of the stream.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import warnings
from typing import Any

FULL, LTP, QUOTE = 408065, 884737, 256265
MODES = {FULL: "full", LTP: "ltp", QUOTE: "quote"}


def ticker_class(name: str) -> Any:
    if name == "ours":
        from tickloom.kite import KiteTicker  # noqa: PLC0415 - one of the two

        return KiteTicker
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from kiteconnect import KiteTicker as Vendors  # noqa: PLC0415 - one of the two
    return Vendors


class Script:
    """The callbacks, and what they saw."""

    def __init__(self, ticker: Any) -> None:
        self.ticker = ticker
        self.seen: list[list[Any]] = []
        self.threads: set[str] = set()
        for name in (
            "ticks",
            "connect",
            "close",
            "error",
            "message",
            "reconnect",
            "noreconnect",
            "order_update",
            "open",
        ):
            setattr(ticker, f"on_{name}", getattr(self, name))
        self.over = threading.Event()

    def note(self, ws: Any, name: str, *arguments: Any) -> None:
        assert ws is self.ticker
        self.threads.add("main" if threading.current_thread() is threading.main_thread() else "other")
        self.seen.append([name, *arguments])

    def connect(self, ws: Any, response: Any) -> None:
        self.note(
            ws, "on_connect", ws.is_connected(), all(hasattr(response, n) for n in ("peer", "headers", "version"))
        )
        ws.subscribe([FULL, LTP, QUOTE])
        ws.set_mode(ws.MODE_FULL, [FULL])
        ws.set_mode(ws.MODE_LTP, [LTP])

    def open(self, ws: Any) -> None:
        self.note(ws, "on_open", ws.is_connected())

    def ticks(self, ws: Any, ticks: list[dict[str, Any]]) -> None:
        self.note(ws, "on_ticks", repr(ticks))

    def message(self, ws: Any, payload: bytes, is_binary: bool) -> None:
        self.note(ws, "on_message", type(payload).__name__, bytes(payload).hex(), is_binary)
        if is_binary or b'"do ' not in payload:
            return
        order = json.loads(payload)["data"].removeprefix("do ")
        if order == "unsubscribe":
            assert ws.unsubscribe([QUOTE]) is True
        elif order == "close":
            ws.close(1000, "bye")
        elif order == "close plainly":
            ws.close()
        elif order == "stop":
            ws.stop()
        elif order == "stop_retry":
            ws.stop_retry()
        elif order == "resubscribe":
            ws.resubscribe()

    def close(self, ws: Any, code: Any, reason: Any) -> None:
        self.note(ws, "on_close", code, reason, ws.is_connected())
        if self.last:
            ws.stop()

    def error(self, ws: Any, code: Any, reason: Any) -> None:
        self.note(ws, "on_error", code, reason)

    def reconnect(self, ws: Any, attempts: int) -> None:
        self.note(ws, "on_reconnect", attempts)

    def noreconnect(self, ws: Any) -> None:
        self.note(ws, "on_noreconnect")
        ws.stop()

    def order_update(self, ws: Any, data: Any) -> None:
        self.note(ws, "on_order_update", data)

    last = False


def main() -> None:
    name, url, how, *rest = sys.argv[1:]
    options = json.loads(rest[0]) if rest else {}
    stop_on_close = options.pop("stop_on_close", False)
    minimum = options.pop("minimum_delay", None)
    ticker = ticker_class(name)("key", "canary-token", root=url, **options)
    if minimum is not None:
        ticker.reconnect_max_delay = minimum
    script = Script(ticker)
    script.last = stop_on_close
    started = time.monotonic()
    try:
        if how == "blocking":
            ticker.connect()
        else:
            ticker.connect(threaded=True)
            ticker.websocket_thread.join(25)
    finally:
        told = {
            "seen": script.seen,
            "threads": sorted(script.threads),
            "subscribed": sorted(ticker.subscribed_tokens.items()),
            "connected": ticker.is_connected(),
            "seconds": time.monotonic() - started,
        }
        sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
