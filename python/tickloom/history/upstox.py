"""Upstox: minutes from Upstox's Historical V3 over plain HTTPS, without another package (stage history)."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tickloom.errors import AuthenticationFailed, UnknownInstrument
from tickloom.history.base import date_of, midnight
from tickloom.history.fetcher import Fetcher, readable
from tickloom.history.limiter import Limiter
from tickloom.history.pace import TryAgain, retry_after
from tickloom.model import to_ns

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from tickloom.history.base import Instrument, Wait
    from tickloom.history.cache import Cache
    from tickloom.history.pace import Retries
    from tickloom.market_hours import MarketHours

__all__ = ["UpstoxHistory"]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# A day of minutes is some 30 kB.
_LARGEST = 32 << 20
# So many times the timeout a whole answer may take.
_PATIENCE = 6


class UpstoxHistory(Fetcher):
    """Minutes from Upstox, a month a request; today's come from another address, so with past days it takes two.

    `keys` maps a symbol or a token to Upstox's instrument key, such as ``NSE_EQ|INE009A01021``; a symbol that holds a
    `|` is one itself. `root` must be https unless it is this machine. `user` names whose rate it is, on a machine with
    several accounts. The further arguments are those of `Fetcher`.
    """

    name = "upstox"
    days_a_request = 28

    def __init__(
        self,
        access_token: str,
        keys: Mapping[str | int, str] | None = None,
        *,
        root: str = "https://api.upstox.com",
        timeout: float = 10.0,
        user: str = "default",
        cache: Cache | str | os.PathLike[str] | bool = True,
        limiter: Limiter | None = None,
        retries: Retries | None = None,
        trading_day: Callable[[dt.date], bool] | None = None,
        expected: Callable[[Instrument, dt.date], int] | None = None,
        hours: MarketHours | None = None,
    ) -> None:
        parts = urlsplit(root)
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ValueError(f"root must be an https address: {root!r}")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"the token goes over https only: {root!r}")
        limiter = limiter or Limiter.of_key(f"upstox:{user}")
        super().__init__(
            limiter, cache=cache, retries=retries, trading_day=trading_day, expected=expected, hours=hours
        )  # fmt: skip
        self._token = access_token
        self._keys = dict(keys or {})
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, parts.port
        self._timeout = timeout

    def _read(self, instrument: Instrument, begin: int, until: int, today: dt.date, wait: Wait) -> list[Any]:
        rows: list[Any] = []
        if begin < midnight(today):
            rows += super()._read(instrument, begin, min(until, midnight(today)), today, wait)
        if until > midnight(today):
            path = f"/v3/historical-candle/intraday/{self._key(instrument)}/minutes/1"
            rows += self._pacer.call(lambda: self._get(path, instrument), wait)
        return [row for row in rows if row is None or begin <= row[0] < until]

    def _ask(self, instrument: Instrument, start_ns: int, end_ns: int) -> list[Any]:
        # The last day comes before the first in the path.
        span = f"{date_of(end_ns - 1)}/{date_of(start_ns)}"
        return self._get(f"/v3/historical-candle/{self._key(instrument)}/minutes/1/{span}", instrument)

    def _key(self, instrument: Instrument) -> str:
        symbol = instrument.symbol
        names: list[str | int] = [instrument.token] if symbol is None else [symbol, instrument.token]
        key = next((self._keys[name] for name in names if name in self._keys), None)
        if key is None and symbol is not None and "|" in symbol:
            key = symbol
        if key is None:
            raise UnknownInstrument(f"no instrument key, give it in UpstoxHistory(keys=...): {instrument.key}")
        return quote(key, safe="")

    def _get(self, path: str, instrument: Instrument) -> list[Any]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        try:
            headers = {"Accept": "application/json", "Authorization": f"Bearer {self._token}"}
            # Redirects are not followed: the token is for this host.
            connection.request("GET", path, headers=headers)
            with connection.getresponse() as response:
                body = _body(response, time.monotonic() + _PATIENCE * self._timeout)
                after = retry_after(response.getheader("Retry-After"))
        except (OSError, http.client.HTTPException) as error:
            raise TryAgain(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()
        if response.status in {401, 403}:
            raise AuthenticationFailed(f"history was refused, log in again: {response.status}")
        if response.status == 429:
            raise TryAgain("429 too many requests", throttled=True, after=after)
        if response.status in {400, 404}:
            raise UnknownInstrument(f"upstox has no history of {instrument.key}: {response.status}")
        if response.status != 200:
            raise TryAgain(f"status {response.status}", after=after)
        try:
            return readable(json.loads(body)["data"]["candles"], _row)
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise TryAgain(f"no candles in the answer: {type(error).__name__}") from error


def _body(response: http.client.HTTPResponse, deadline: float) -> bytes:
    """All of it. A timeout is for each piece, and a body of single drops would never meet it."""
    parts: list[bytes] = []
    left = _LARGEST
    while left > 0 and (part := response.read1(left)):
        parts.append(part)
        left -= len(part)
        if time.monotonic() > deadline:
            raise TryAgain("the answer does not end")
    return b"".join(parts)


def _row(row: list[Any]) -> tuple[Any, ...]:
    volume, oi = row[5], row[6] if len(row) > 6 else None
    counts = (None if count is None else int(count) for count in (volume, oi))
    return (to_ns(dt.datetime.fromisoformat(row[0])), *row[1:5], *counts)
