"""From the drop-in's arguments to a `TickerClient` (drop-in)."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, quote

from tickloom.errors import SubscriptionLimit
from tickloom.ticker.client import TickerClient
from tickloom.ticker.credentials import Credentials
from tickloom.ticker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tickloom.kite.session import Session
    from tickloom.kite.ticker import KiteTicker

__all__ = ["Connection", "check_close", "check_count", "client", "credentials", "split"]

TOKENS = Settings().max_tokens
"""The vendor's class is one connection, so what one connection takes."""


def credentials(api_key: str | None, access_token: str | None) -> Credentials:
    """Key and token; the vendor's class takes None for the token before the login, so this one does."""
    return Credentials(str(api_key), str(access_token))


def split(url: str) -> tuple[str, Credentials]:
    """A whole address as root and credentials. Raises ValueError if one is missing; the address is in no message."""
    root, _, query = url.partition("?")
    found = parse_qs(query)
    try:
        return root, Credentials(found["api_key"][0], found["access_token"][0])
    except KeyError as missing:
        raise ValueError(f"the socket url lacks a parameter: {missing.args[0]}") from None


def check_count(count: int) -> None:
    """Refuse more tokens than a connection takes, before the server is asked."""
    if count > TOKENS:
        raise SubscriptionLimit(
            f"a connection takes {TOKENS} instruments, use another KiteTicker for the rest: {count}"
        )


def check_close(code: object) -> None:
    """Refuse a code that a client may not send (RFC 6455, 7.4); the vendor's class does so too."""
    if code is not None and (type(code) is not int or (code != 1000 and not 3000 <= code <= 4999)):
        raise ValueError(f"close with 1000 or 3000 to 4999: {code!r}")


def client(
    root: str,
    secret: Credentials,
    *,
    max_delay: float,
    connect_timeout: float,
    token_provider: Callable[[], str] | None,
    unverified: bool,
    proxy: Mapping[str, Any] | None,
) -> TickerClient:
    """The client of one run. What cannot work raises here, in the caller's thread."""
    settings = Settings(
        connect_timeout=connect_timeout,
        backoff_cap=max_delay,
        max_connections=1,
        proxy=None if proxy is None else f"http://{quote(str(proxy['host']), safe='[]:.-')}:{int(proxy['port'])}",
        allow_unverified_tls=unverified,
    )
    context = None
    if unverified and root.startswith("wss"):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE

    return TickerClient(root, credentials=secret, settings=settings, token_provider=token_provider, ssl_context=context)


class Connection:
    """What the vendor's `ws` attribute is used for in scripts: asking for the state, closing, sending a message."""

    STATE_CLOSED: ClassVar[int] = 0
    STATE_OPEN: ClassVar[int] = 3

    def __init__(self, ticker: KiteTicker, session: Session) -> None:
        self._ticker = ticker
        self._session = session

    @property
    def state(self) -> int:
        """STATE_OPEN or STATE_CLOSED."""
        return self.STATE_OPEN if self._session.connected else self.STATE_CLOSED

    def sendClose(self, code: int | None = None, reason: str | None = None) -> None:  # noqa: N802 - the vendor's name
        """Close the connection, as `KiteTicker.close`."""
        self._ticker.close(code, reason)

    def sendMessage(self, payload: bytes | str) -> None:  # noqa: N802 - the vendor's name
        """Do what a message of kite-protocol §2 asks. Raises ValueError for any other."""
        match json.loads(payload):
            case {"a": "subscribe", "v": list(tokens)}:
                self._ticker.subscribe(tokens)
            case {"a": "unsubscribe", "v": list(tokens)}:
                self._ticker.unsubscribe(tokens)
            case {"a": "mode", "v": [str(mode), list(tokens)]}:
                self._ticker.set_mode(mode, tokens)
            case message:
                raise ValueError(f"no message of the protocol: {message!r}")
