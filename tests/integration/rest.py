"""A broker's history over real HTTP on the loopback: the truth of a seeded market, served as Kite and Upstox do.

It minds its own limit as the vendor does, and does to its answers what `fault` says.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tickloom.history import Minutes
from tickloom.model import IST, ist, to_ns
from tickloom.sources.simulator import Market

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
FAULTS = ("429", "403", "500", "503", "slow", "truncated", "cut", "html")


def rows_of(market: Market, token: int) -> list[list[Any]]:
    """The market's true minutes as rows of numbers: time, open, high, low, close, volume, oi."""
    truth = market.truth(token, "1m")
    columns = [truth[name].tolist() for name in ("time", "open", "high", "low", "close", "volume")]
    return [[*row, 0] for row in zip(*columns, strict=True)]


class Broker:
    """Serves `rows` by token. `fault(nth, token)` names one of FAULTS for the nth request, or None.

    With a `clock` (ns) it knows nothing of later, and its newest minutes are not final: the forming one, and for 15 s
    the one before, have half of their volume.
    """

    def __init__(
        self,
        rows: dict[int, list[list[Any]]],
        *,
        limit: int | None = None,
        fault: Callable[[int, int], str | None] = lambda *_: None,
        clock: Callable[[], int] | None = None,
        retry_after: str = "0.2",
        slow: float = 0.3,
    ) -> None:
        self.rows = rows
        self.limit = limit
        self.fault = fault
        self.clock = clock
        self.retry_after = retry_after
        self.slow = slow
        self.arrivals: list[float] = []
        self.asked: Counter[int] = Counter()
        self.refused = 0
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"broker": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Broker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def most_in(self, seconds: float = 1.0) -> int:
        """The most requests that arrived within any span of so many seconds."""
        times = sorted(self.arrivals)
        return max((sum(at <= other < at + seconds for other in times[n:]) for n, at in enumerate(times)), default=0)

    def arrived(self, token: int, path: str, headers: dict[str, str]) -> str | None:
        """Notes a request; what is to go wrong with it."""
        with self._lock:
            now = time.monotonic()
            nth = len(self.arrivals)
            over = self.limit is not None and sum(at > now - 1 for at in self.arrivals[-self.limit :]) >= self.limit
            self.arrivals.append(now)
            self.asked[token] += 1
            self.paths.append(path)
            self.headers.append(headers)
            if over:
                self.refused += 1
                return "429"
            return self.fault(nth, token)

    def candles(self, token: int, start_ns: int, last_ns: int) -> list[list[Any]]:
        """Rows as they are sent: minutes that start in [start, last]."""
        now = self.clock() if self.clock is not None else None
        sent = []
        for at, *prices, volume, oi in self.rows[token]:
            if not start_ns <= at <= last_ns or (now is not None and at > now):
                continue
            unsettled = now is not None and now < at + MINUTE + 15 * SECOND
            stamp = ist(at).strftime("%Y-%m-%dT%H:%M:%S%z")
            sent.append([stamp, *prices, volume // 2 if unsettled else volume, oi])
        return sent


class _Handler(BaseHTTPRequestHandler):
    broker: Broker
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        steps = [unquote(step) for step in parts.path.strip("/").split("/")]
        if steps[:2] == ["instruments", "historical"]:
            self._kite(int(steps[2]), steps[3], parse_qs(parts.query))
        else:
            self._upstox(steps)

    def _kite(self, token: int, interval: str, query: dict[str, list[str]]) -> None:
        fault = self.broker.arrived(token, self.path, dict(self.headers.items()))
        if self._failed(fault):
            return
        if token not in self.broker.rows or interval != "minute":
            self._send(400, {"status": "error", "error_type": "InputException", "message": "invalid token"})
            return
        start, last = (_instant(query[name][0]) for name in ("from", "to"))
        if last - start > 61 * 86_400 * SECOND:
            body = {"status": "error", "error_type": "InputException", "message": "interval exceeds max limit"}
            self._send(400, body)
            return
        candles = self.broker.candles(token, start, last)
        self._send(200, {"status": "success", "data": {"candles": candles}}, fault=fault)

    def _upstox(self, steps: list[str]) -> None:
        today = "intraday" in steps
        key = steps[3] if today else steps[2]
        token = int(key.partition("|")[2])
        fault = self.broker.arrived(token, self.path, dict(self.headers.items()))
        if self._failed(fault):
            return
        if token not in self.broker.rows:
            self._send(404, {"status": "error", "errors": [{"message": "no such instrument"}]})
            return
        if today:
            now = self.broker.clock() if self.broker.clock is not None else self.broker.rows[token][-1][0]
            start = to_ns(ist(now).replace(hour=0, minute=0, second=0, microsecond=0))
            last = now
        else:
            last = _instant(f"{steps[5]} 23:59:59")
            start = _instant(f"{steps[6]} 00:00:00")
        candles = self.broker.candles(token, start, last)[::-1]
        stamped = [[f"{row[0][:-2]}:{row[0][-2:]}", *row[1:]] for row in candles]
        self._send(200, {"status": "success", "data": {"candles": stamped}}, fault=fault)

    def _failed(self, fault: str | None) -> bool:
        if fault == "429":
            body = {"status": "error", "error_type": "NetworkException", "message": "Too many requests"}
            self._send(429, body, headers={"Retry-After": self.broker.retry_after})
        elif fault == "403":
            body = {"status": "error", "error_type": "TokenException", "message": "Incorrect `access_token`."}
            self._send(403, body)
        elif fault in {"500", "503"}:
            self._send(int(fault), {"status": "error", "error_type": "GeneralException", "message": "went wrong"})
        elif fault == "html":
            self._send(502, b"<html>bad gateway</html>", kind="text/html")
        else:
            if fault == "slow":
                time.sleep(self.broker.slow)
            return False
        return True

    def _send(
        self,
        status: int,
        body: Any,
        *,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        fault: str | None = None,
    ) -> None:
        whole = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = whole[: len(whole) // 2] if fault in {"truncated", "cut"} else whole
        self.send_response(status)
        self.send_header("Content-Type", kind)
        # A body that ends early, or one that is shorter than its reader was told.
        self.send_header("Content-Length", str(len(whole) if fault == "cut" else len(sent)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(sent)
        if fault == "cut":
            self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing: the tests read what arrived."""


def _instant(text: str) -> int:
    return to_ns(dt.datetime.fromisoformat(text).replace(tzinfo=IST))


def same(minutes: Minutes, rows: list[list[Any]]) -> bool:
    """Whether minutes are these rows, to the last bit."""
    columns = (minutes.time, minutes.open, minutes.high, minutes.low, minutes.close, minutes.volume)
    return all(column is not None and column.tolist() == [row[at] for row in rows] for at, column in enumerate(columns))
