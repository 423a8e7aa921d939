"""The live connections of an account (stage ticker): the asyncio shell over `protocol`, and the public face of both."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
import threading
import time
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from tickloom.errors import AuthenticationFailed
from tickloom.ticker import dial
from tickloom.ticker.account import Account
from tickloom.ticker.credentials import Credentials
from tickloom.ticker.dialect import KITE
from tickloom.ticker.link import Link
from tickloom.ticker.settings import Settings
from tickloom.ticker.shards import Shards

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tickloom.ticker.account import TokenProvider
    from tickloom.ticker.dialect import Dialect
    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Credentials", "Settings", "Sink", "TickerClient"]

log = logging.getLogger("tickloom.ticker")


class Sink(Protocol):
    """What a client delivers to, on its loop. Must not block. What it raises is logged and changes nothing."""

    def on_frame(self, frame: bytes, received_ns: int, connection: int) -> None:
        """One binary message, heartbeats included."""

    def on_text(self, text: str, received_ns: int, connection: int) -> None:
        """One text message; bytes that are no UTF-8 are replaced."""

    def on_connection(self, event: ConnectionEvent) -> None:
        """A connection changed its state."""


class TickerClient:
    """The connections of one API key, or of several: as many as the tokens need, at most three a key.

    `subscribe` and `unsubscribe` change what is desired, at any time before `run`, and while it runs on the loop's
    thread only. Every connection is brought to it when it is made and whenever what arrives says otherwise.

    `token_provider` is called when the broker refuses a token: with the API key if it takes an argument, in a thread
    unless it is a coroutine function. It returns an access token, `Credentials`, or None if it has no new one, and is
    then asked again every `Settings.token_poll` seconds. A refused token is never tried again.
    `market_open`, called with the time in UTC nanoseconds, tells whether ticks are to be expected; without it only
    silence counts, and a connection that sends nothing but heartbeats passes for a quiet market.
    `clock` gives the time, in UTC nanoseconds, of what arrives and happens: another one than the computer's for a
    market that runs at another time. Time-outs do not depend on it. `dialect` is the broker's way of speaking.
    """

    def __init__(
        self, url: str, *, credentials: Credentials | Sequence[Credentials], settings: Settings | None = None,
        token_provider: TokenProvider | None = None, ssl_context: ssl.SSLContext | None = None,
        market_open: Callable[[int], bool] | None = None, clock: Callable[[], int] = time.time_ns,
        dialect: Dialect = KITE,
    ) -> None:  # fmt: skip
        """`url` is the base, such as ``wss://ws.kite.trade``. Raises ValueError for one that cannot be used."""
        self.url = url
        self.dialect = dialect
        self.settings = settings if settings is not None else Settings()
        keys = [credentials] if isinstance(credentials, Credentials) else list(credentials)
        if not keys:
            raise ValueError("no credentials given")
        if len({key.api_key for key in keys}) != len(keys):
            raise ValueError(f"each API key may be given once: {len(keys)} given")
        self.tls = self._tls(url, ssl_context)
        self._accounts = [Account(key, token_provider, self.settings.limited_wait) for key in keys]
        self.clock = clock
        self._market_open = market_open
        self._shards = Shards(len(keys) * self.settings.max_connections, self.settings.max_tokens)
        self._links: dict[int, Link] = {}
        self._sink: Sink | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._finished: asyncio.Future[None] | None = None
        self._ended: asyncio.Event | None = None
        self._goodbye = 1000, ""
        self._pumps: set[int] = set()
        self._asking: dict[Account, asyncio.Task[None]] = {}

    def __repr__(self) -> str:
        return f"<TickerClient: {len(self._shards)} tokens, {len(self._links)} connections>"

    # Running.

    async def run(self, sink: Sink) -> None:
        """Connect and deliver until `stop` or cancellation; may be called again afterwards.

        A refused token does not end it unless `Settings.raise_authentication_failed` is set and nobody can be asked
        for another: then AuthenticationFailed is raised. Raises RuntimeError if it is running.
        """
        if self._finished is not None:
            raise RuntimeError("the ticker client is running already")
        loop = asyncio.get_running_loop()
        self._goodbye = 1000, ""
        self._sink, self._loop, self._thread = sink, loop, threading.get_ident()
        self._finished, self._ended = loop.create_future(), asyncio.Event()
        for account in self._accounts:
            account.reset()
        try:
            for number in range(self._connections):
                if number == 0 or self._shards.on(number):
                    self._open(number)
            await self._finished
        finally:
            await self._shut_down()

    async def stop(self, code: int = 1000, reason: str = "") -> None:
        """Close all connections, with this code, and let `run` return. Does nothing when it is not running."""
        if self._finished is None or self._ended is None:
            return
        if not self._finished.done():
            self._goodbye = code, reason
            self._finished.set_result(None)
        await self._ended.wait()

    def connected(self) -> bool:
        """Whether every connection that is needed is up."""
        return bool(self._links) and all(link.protocol.state == "connected" for link in self._links.values())

    # What is desired.

    def subscribe(self, tokens: Iterable[int], mode: str = "quote") -> None:
        """Desire tokens in a mode, or change the mode of those that are.

        Raises ValueError or TypeError for what is no mode or token, and SubscriptionLimit if the connections do not
        hold so many; then nothing has changed.
        """
        self._check_thread()
        if mode not in self.dialect.modes:
            raise ValueError(f"mode must be one of {', '.join(self.dialect.modes)}: {mode!r}")
        for number, placed in self._shards.add(tokens, mode).items():
            if self._finished is None:
                continue
            if number not in self._links:
                self._open(number)
            else:
                self._links[number].protocol.subscribe(placed, mode, time.monotonic())
                self._pump_soon(number)

    def unsubscribe(self, tokens: Iterable[int]) -> None:
        """Desire tokens no longer; those that were not are ignored."""
        self._check_thread()
        for number, removed in self._shards.remove(tokens).items():
            if number in self._links:
                self._links[number].protocol.unsubscribe(removed)
                self._pump_soon(number)

    def subscriptions(self) -> dict[int, str]:
        """token -> mode: what is desired."""
        return self._shards.subscriptions()

    def set_credentials(self, credentials: Credentials) -> None:
        """Take a new token of a key, as if the token provider had returned it. Raises ValueError for another key."""
        self._check_thread()
        for account in self._accounts:
            if account.credentials.api_key == credentials.api_key:
                if account.replace(credentials):
                    self._renewed(account)
                return
        raise ValueError("these credentials are of another API key")

    # How it goes.

    def stale_tokens(self) -> list[int]:
        """Tokens of which nothing was noticed for `Settings.token_timeout` on a connection that is up.

        A hint: outside the first seconds only samples of the stream are looked at, so a token that ticks less often
        than every few seconds may be listed. The engine knows each token's last tick.
        """
        now = time.monotonic()
        return [token for link in self._links.values() for token in link.protocol.stale_tokens(now)]

    def statistics(self) -> dict[str, int]:
        """Counters of this run: connections open and made, tokens, those not yet confirmed, repairs, sink errors."""
        links = list(self._links.values())
        return {
            "connections": sum(link.protocol.state == "connected" for link in links),
            "connects": sum(link.protocol.connects for link in links),
            "tokens": len(self._shards),
            "unconfirmed": sum(link.protocol.subscriptions.unconfirmed for link in links),
            "repairs": sum(link.protocol.subscriptions.repairs for link in links),
            "sink_errors": sum(link.sink_errors for link in links),
        }

    # For the links.

    def account_of(self, number: int) -> Account:
        """The account that a connection belongs to."""
        return self._accounts[number // self.settings.max_connections]

    def market_is_open(self) -> bool:
        """Whether ticks are to be expected now."""
        if self._market_open is None:
            return False
        try:
            return bool(self._market_open(self.clock()))
        except Exception:
            log.exception("market_open raised, taken as closed")
            return False

    def renew(self, account: Account) -> None:
        """A connection was refused: ask for another token, once for all connections of the key."""
        if not account.has_provider and self.settings.raise_authentication_failed and account.objection() is not None:
            if self._finished is not None and not self._finished.done():
                self._finished.set_exception(AuthenticationFailed("the broker refused the access token"))
            return
        if account not in self._asking:
            self._asking[account] = asyncio.create_task(self._ask(account), name="tickloom-token")

    async def _ask(self, account: Account) -> None:
        try:
            renewed = await account.ask()
        finally:
            del self._asking[account]
        if renewed:
            self._renewed(account)

    def _renewed(self, account: Account) -> None:
        for link in self._links.values():
            if link.account is account:
                link.renewed()

    # Inside.

    @property
    def _connections(self) -> int:
        return len(self._accounts) * self.settings.max_connections

    def _open(self, number: int) -> None:
        assert self._sink is not None  # noqa: S101 - it is running
        link = self._links[number] = Link(self, self._sink, number)
        now = time.monotonic()
        for token, mode in self._shards.on(number).items():
            link.protocol.subscribe([token], mode, now)
        link.start()

    def _pump_soon(self, number: int) -> None:
        """Later in this round of the loop, so that many small changes become few texts."""
        if number in self._pumps or self._loop is None:
            return
        self._pumps.add(number)
        self._loop.call_soon(self._pump, number)

    def _pump(self, number: int) -> None:
        self._pumps.discard(number)
        if number in self._links:
            self._links[number].pump()

    async def _shut_down(self) -> None:
        links, self._links = list(self._links.values()), {}
        for task in self._asking.values():
            task.cancel()
        try:
            await asyncio.gather(*(link.stop(*self._goodbye) for link in links))
        finally:
            self._finished = self._loop = self._sink = None
            self._pumps.clear()
            if self._ended is not None:
                self._ended.set()

    def _check_thread(self) -> None:
        if self._finished is not None and threading.get_ident() != self._thread:
            raise RuntimeError("while the client runs it may be used on its loop's thread only")

    def _tls(self, url: str, context: ssl.SSLContext | None) -> ssl.SSLContext | None:
        # The errors do not quote the URL: somebody may have put the token into it.
        parts = urlsplit(url)
        if parts.scheme not in {"ws", "wss"}:
            raise ValueError("the URL must begin with wss:// or ws://")
        if not parts.hostname or parts.fragment or parts.username is not None:
            raise ValueError("the URL must be a host, perhaps with port and path, and no user or fragment")
        if parts.scheme == "ws":
            if not _is_loopback(parts.hostname):
                log.warning("the access token goes over the network in clear text: use wss://")
            return None
        if context is None:
            return ssl.create_default_context()
        if not dial.verifies(context) and not self.settings.allow_unverified_tls:
            raise ValueError("the ssl_context does not verify the server; Settings.allow_unverified_tls accepts that")
        return context


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
