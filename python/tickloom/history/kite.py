"""Kite: minutes from Kite's historical API, through the vendor's own client (stage history; extra `kite`)."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

from tickloom.errors import AuthenticationFailed, ConnectionFailed, MissingExtra, UnknownInstrument
from tickloom.history.base import MINUTE_NS
from tickloom.history.fetcher import Fetcher, readable
from tickloom.history.limiter import Limiter
from tickloom.history.pace import TryAgain, retry_after
from tickloom.history.plan import KITE_DAYS
from tickloom.model import ist, to_ns

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tickloom.history.base import Instrument
    from tickloom.history.cache import Cache
    from tickloom.history.pace import Retries
    from tickloom.market_hours import MarketHours

__all__ = ["KiteHistory"]

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_BAD_BODY = (KeyError, TypeError, ValueError, IndexError, AttributeError, RecursionError)
# Shorter ones are no secrets, and words would be taken for them.
_SECRET = 6


class KiteHistory(Fetcher):
    """Minutes from Kite, 60 days a request, three requests a second a key (kite-protocol §7).

    `kite` is a `kiteconnect.KiteConnect` that is logged in, or an API key, with an `access_token`. `cache` is a folder
    for days that are over, False for none. `root` and `timeout` (seconds) are for a client that is made here. All who
    use a key on this machine share its rate; `limiter` replaces that. The further arguments are those of `Fetcher`.

    Raises MissingExtra without the package `kiteconnect`.
    """

    name = "kite"
    days_a_request = KITE_DAYS["minute"]

    def __init__(
        self,
        kite: Any,
        access_token: str | None = None,
        *,
        root: str | None = None,
        timeout: float = 7.0,
        cache: Cache | str | os.PathLike[str] | bool = True,
        limiter: Limiter | None = None,
        retries: Retries | None = None,
        trading_day: Callable[[dt.date], bool] | None = None,
        expected: Callable[[Instrument, dt.date], int] | None = None,
        hours: MarketHours | None = None,
    ) -> None:
        package = _package()
        if isinstance(kite, str):
            if access_token is None:
                raise ValueError("an api key needs an access token: KiteHistory(api_key, access_token)")
            kite = _lean(package)(kite, access_token=access_token, root=root, timeout=timeout)
            # The token, and the question, are for this host.
            kite.reqsession.max_redirects = 0
        self._kite = kite
        self._errors = package.exceptions
        limiter = limiter or Limiter.of_key(f"kite:{kite.api_key}")
        super().__init__(
            limiter, cache=cache, retries=retries, trading_day=trading_day, expected=expected, hours=hours
        )  # fmt: skip
        self._answer = threading.local()
        # The client's errors leave out how long the broker wants to be left alone.
        kite.reqsession.hooks["response"].append(self._note)

    def instruments(self) -> list[dict[str, Any]]:
        """The broker's list of today, for `Instruments.today`. Raises AuthenticationFailed for a refused token,
        ConnectionFailed for any other failure."""
        self._answer.after = self._answer.code = None
        try:
            rows: list[dict[str, Any]] = self._kite.instruments()
        except self._errors.KiteException as error:
            kind = AuthenticationFailed if self._refuses(error) else ConnectionFailed
            raise kind(f"the broker gave no instruments: {self._said(error)}") from None
        except (OSError, *_BAD_BODY) as error:
            raise ConnectionFailed(f"the broker gave no instruments: {type(error).__name__}") from error
        code = self._answer.code
        if code not in {None, 200}:
            # The client takes any status for good if the body is no error.
            kind = AuthenticationFailed if code in {401, 403} else ConnectionFailed
            raise kind(f"the broker gave no instruments: status {code}")
        return rows

    def _note(self, response: Any, *_: Any, **__: Any) -> None:
        self._answer.after = retry_after(response.headers.get("Retry-After"))
        self._answer.code = response.status_code

    def _ask(self, instrument: Instrument, start_ns: int, end_ns: int) -> list[Any]:
        self._answer.after = self._answer.code = None
        first, last = (f"{ist(at):%Y-%m-%d %H:%M:%S}" for at in (start_ns, end_ns - MINUTE_NS))
        try:
            rows = self._kite.historical_data(instrument.token, first, last, "minute", continuous=False, oi=True)
            # As above: any status is good to the client.
            self._check_status()
            return readable(rows, _row)
        except self._errors.KiteException as error:
            # The client's error has the broker's words, and those may quote the request's head: not handed on.
            raise self._meaning(error, instrument) from None
        except OSError as error:
            # The transport's errors quote the URL at most, which holds no secret.
            raise TryAgain(f"{type(error).__name__}: {error}") from error
        except _BAD_BODY as error:
            self._check_status()
            raise TryAgain(f"no candles in the answer: {type(error).__name__}") from error

    def _check_status(self) -> None:
        code = self._answer.code
        if code in {401, 403}:
            raise AuthenticationFailed(f"history was refused, log in again: {code}")
        if code == 429:
            raise TryAgain("429 too many requests", throttled=True, after=self._answer.after)
        if code not in {None, 200}:
            raise TryAgain(f"status {code}", after=self._answer.after)

    def _meaning(self, error: Any, instrument: Instrument) -> Exception:
        # An answer that is no JSON has its status from the response alone.
        code = self._answer.code or error.code
        if self._refuses(error):
            return AuthenticationFailed(f"history was refused, log in again: {self._said(error)}")
        if code == 429:
            return TryAgain("429 too many requests", throttled=True, after=self._answer.after)
        if isinstance(error, self._errors.InputException):
            if "token" in str(error).lower():
                return UnknownInstrument(f"kite has no history of {instrument.key}: {instrument.token}")
            return ValueError(f"kite refused the request: {self._said(error)}")
        return TryAgain(f"{code} {type(error).__name__}", after=self._answer.after)

    def _refuses(self, error: Any) -> bool:
        refused = (self._errors.TokenException, self._errors.PermissionException)
        return isinstance(error, refused) or (self._answer.code or error.code) in {401, 403}

    def _said(self, error: Any) -> str:
        """The broker's words, without what nobody may read."""
        text = str(error)
        for secret in (self._kite.access_token, self._kite.api_key):
            if isinstance(secret, str) and len(secret) >= _SECRET:
                text = text.replace(secret, "***")
        return text


def _lean(package: Any) -> Any:
    """The vendor's client, but the rows stay as they came: its reading of their dates takes most of a request's work,
    and holds the interpreter's lock, for which the feed's reader would have to wait."""

    def rows_as_they_came(_: Any, data: Any) -> Any:
        return data["candles"]

    return type("LeanKiteConnect", (package.KiteConnect,), {"_format_historical": rows_as_they_came})


def _row(row: Any) -> tuple[Any, ...]:
    if not isinstance(row, dict):
        when, *prices, volume = row[:6]
        oi = row[6] if len(row) > 6 else None
        return (to_ns(dt.datetime.fromisoformat(when)), *prices, _count(volume), _count(oi))
    # In whole seconds, so the division is exact.
    at = int((row["date"] - _EPOCH).total_seconds()) * 1_000_000_000
    prices = (row[name] for name in ("open", "high", "low", "close"))
    return (at, *prices, _count(row["volume"]), _count(row.get("oi")))


def _count(value: Any) -> int | None:
    return None if value is None else int(value)


def _package() -> Any:
    try:
        import kiteconnect  # noqa: PLC0415 - an extra, needed by who makes one
    except ImportError as error:
        raise MissingExtra("kite", "kiteconnect") from error
    return kiteconnect
