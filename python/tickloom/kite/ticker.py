"""The drop-in class: the vendor's names and signatures over a session and an inbox (drop-in)."""

from __future__ import annotations

import atexit
import logging
import operator
import threading
import weakref
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeVar

from tickloom._core import parse
from tickloom.kite import wiring
from tickloom.kite.delivery import HEARTBEAT_BYTES, deliver
from tickloom.kite.dispatch import Callbacks, Signals
from tickloom.kite.session import Session
from tickloom.kite.translate import Translator
from tickloom.ticker.messages import MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Callback = Callable[..., Any] | None

__all__ = ["KiteTicker"]

log = logging.getLogger("tickloom.kite")

F = TypeVar("F", bound="Callable[..., Any]")


def bare(method: F) -> F:
    """Takes the annotations away at run time: `inspect.signature` sees the vendor's method, a type checker more."""
    method.__annotations__ = {}
    return method


_running: weakref.WeakSet[KiteTicker] = weakref.WeakSet()


class KiteTicker:
    """Kite's ticker, as the vendor's class of the same name. Nothing of it is shared: any number may run in a process.

    Callbacks are attributes; each gets this object first: `on_ticks(ws, ticks)`, `on_connect(ws, response)`,
    `on_open(ws)`, `on_close(ws, code, reason)`, `on_error(ws, code, reason)`, `on_message(ws, payload, is_binary)`,
    `on_reconnect(ws, attempts)`, `on_noreconnect(ws)`, `on_order_update(ws, data)`. They run on the thread that called
    `connect()`, or on `websocket_thread`, never on the thread that reads the socket. Ticks are made into dicts only
    while `on_ticks` is set.

    `token_provider`, the one thing added: a function that returns a new access token, asked when the broker refuses
    the old one. Without it a refused token ends the run.
    """

    EXCHANGE_MAP: ClassVar[dict[str, int]] = {
        "nse": 1, "nfo": 2, "cds": 3, "bse": 4, "bfo": 5, "bcd": 6, "mcx": 7, "mcxsx": 8, "indices": 9, "nco": 12,
        "bsecds": 6,
    }  # fmt: skip
    CONNECT_TIMEOUT: Final = 30
    RECONNECT_MAX_DELAY: Final = 60
    RECONNECT_MAX_TRIES: Final = 50
    ROOT_URI: Final = "wss://ws.kite.trade"
    MODE_FULL: Final = "full"
    MODE_QUOTE: Final = "quote"
    MODE_LTP: Final = "ltp"
    _minimum_reconnect_max_delay = 5
    _maximum_reconnect_max_tries = 300

    @bare
    def __init__(
        self,
        api_key: str,
        access_token: str | None,
        debug: bool = False,
        root: str | None = None,
        reconnect: bool = True,
        reconnect_max_tries: int = RECONNECT_MAX_TRIES,
        reconnect_max_delay: float = RECONNECT_MAX_DELAY,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        self.root: str = root or self.ROOT_URI
        self.debug: bool = debug
        self.connect_timeout: float = connect_timeout
        self.reconnect_max_tries: int = min(reconnect_max_tries, self._maximum_reconnect_max_tries)
        self.reconnect_max_delay: float = max(reconnect_max_delay, self._minimum_reconnect_max_delay)
        if self.reconnect_max_tries != reconnect_max_tries:
            log.warning("reconnect_max_tries is lowered to %d", self.reconnect_max_tries)
        if self.reconnect_max_delay != reconnect_max_delay:
            log.warning("reconnect_max_delay is raised to %d", self.reconnect_max_delay)
        self.subscribed_tokens: dict[int, str] = {}
        self.websocket_thread: threading.Thread | None = None
        self.token_provider: Callable[[], str] | None = None
        self.ws: wiring.Connection | None = None
        self.on_ticks: Callback = None
        self.on_open: Callback = None
        self.on_close: Callback = None
        self.on_error: Callback = None
        self.on_connect: Callback = None
        self.on_message: Callback = None
        self.on_reconnect: Callback = None
        self.on_noreconnect: Callback = None
        self.on_order_update: Callback = None
        self._reconnect = reconnect
        self._credentials = wiring.credentials(api_key, access_token)
        self._guard = threading.RLock()
        self._session: Session | None = None
        self._next: Session | None = None
        self._dispatcher: threading.Thread | None = None

    @property
    def socket_url(self) -> str:
        """The address with the key and the token in it: a secret. Assigning one replaces all three."""
        return self._credentials.url(self.root)

    @socket_url.setter
    def socket_url(self, url: str) -> None:
        self.root, self._credentials = wiring.split(url)

    # Running

    @bare
    def connect(
        self, threaded: bool = False, disable_ssl_verification: bool = False, proxy: dict[str, Any] | None = None
    ) -> None:
        """Connect and deliver until stopped. With `threaded` it returns at once and a thread of its own delivers.

        It returns when `stop` or `close` was called, when no retry is left, and when the broker refused the token.
        SIGINT and SIGTERM close the connection, then KeyboardInterrupt or SystemExit(143) is raised. Called while it
        runs it does nothing, unless the run is ending: then another one follows. `proxy`: {"host": ..., "port": ...}
        of an HTTP proxy. Certificates are verified unless `disable_ssl_verification`.
        """
        with self._guard:
            session = self._make_session(disable_ssl_verification, proxy)
            if self._session is not None:
                if self._session.ending:
                    self._next = session
                else:
                    log.warning("connect() was called while connected or connecting, nothing new is started")
                return
            self._session = session
            _running.add(self)
            if threaded:
                self._dispatcher = self.websocket_thread = threading.Thread(
                    target=self._deliver, args=(Callbacks(exits=False),), name="tickloom-kite", daemon=True
                )
                self.websocket_thread.start()
                return
            self._dispatcher = threading.current_thread()
        with Signals(self.stop):
            self._deliver(Callbacks(exits=True))

    @bare
    def is_connected(self) -> bool:
        """Whether the connection stands at this moment."""
        session = self._session
        return session is not None and session.connected

    @bare
    def close(self, code: int | None = None, reason: str | None = None) -> None:
        """Close the connection and do not connect again; the server and `on_close` get `code` and `reason`.

        Without a code the server gets 1000. Raises ValueError for a code other than 1000 and 3000 to 4999.
        """
        wiring.check_close(code)
        if (session := self._session) is not None:
            session.close(code, reason)

    @bare
    def stop(self) -> None:
        """End `connect()`, or the thread. May be called from anywhere, also when nothing runs."""
        with self._guard:
            self._next = None
            if self._session is not None:
                self._session.stop()

    @bare
    def stop_retry(self) -> None:
        """Do not connect again when the connection is lost; if it is lost already, give up now."""
        if (session := self._session) is not None:
            session.stop_retry()

    # Subscriptions, from any thread, before or after connect()

    @bare
    def subscribe(self, instrument_tokens: Iterable[int]) -> bool:
        """Stream these tokens, in quote mode; one that streams already keeps its mode. Returns True.

        Raises ValueError for more than 3,000 tokens in all and TypeError for tokens that are not integers.
        """
        tokens = _integers(instrument_tokens)
        with self._guard:
            new = [token for token in dict.fromkeys(tokens) if token not in self.subscribed_tokens]
            wiring.check_count(len(self.subscribed_tokens) + len(new))
            return self._change(dict.fromkeys(new, self.MODE_QUOTE))

    @bare
    def unsubscribe(self, instrument_tokens: Iterable[int]) -> bool:
        """Stop streaming these tokens; those that do not stream are ignored. Returns True."""
        tokens = _integers(instrument_tokens)
        with self._guard:
            for token in tokens:
                self.subscribed_tokens.pop(token, None)
            return self._change({})

    @bare
    def set_mode(self, mode: str, instrument_tokens: Iterable[int]) -> bool:
        """Stream these tokens in `mode`; tokens that are new are subscribed. Returns True. ValueError: no such mode."""
        if mode not in MODES:
            raise ValueError(f"no such mode, use one of {', '.join(MODES)}: {mode!r}")
        tokens = _integers(instrument_tokens)
        with self._guard:
            wiring.check_count(len(self.subscribed_tokens.keys() | set(tokens)))
            return self._change(dict.fromkeys(tokens, mode))

    @bare
    def resubscribe(self) -> None:
        """Ask for all tokens in their modes again. Not needed after a reconnect: that is done before `on_open`."""
        if (session := self._session) is not None:
            session.resend()

    def _change(self, modes: dict[int, str]) -> bool:
        self.subscribed_tokens.update(modes)
        if self._session is not None:
            self._session.refresh()
        return True

    # Counters of this run

    @property
    def frames_dropped(self) -> int:
        """Frames that were dropped in this run because the callbacks were too slow."""
        return 0 if self._session is None else self._session.inbox.dropped

    # Delivery

    def _make_session(self, unverified: bool, proxy: Any) -> Session:
        max_tries, provider = self.reconnect_max_tries, self.token_provider
        translator = Translator(
            self.root, reconnect=bool(self._reconnect), max_tries=max_tries, waits_for_token=provider is not None
        )
        make = wiring.client(
            self.root,
            self._credentials,
            max_delay=self.reconnect_max_delay,
            connect_timeout=self.connect_timeout,
            token_provider=provider,
            unverified=unverified,
            proxy=proxy,
        )
        return Session(make, translator, wants_frame=self._wants_frame, desired=self._desired)

    def _wants_frame(self, size: int) -> bool:
        return self.on_message is not None or (self.on_ticks is not None and size > HEARTBEAT_BYTES)

    def _desired(self) -> dict[int, str]:
        with self._guard:
            return dict(self.subscribed_tokens)

    def _deliver(self, callbacks: Callbacks) -> None:
        """Sessions, one after the other, until none follows."""
        while (session := self._session) is not None:
            self.ws = wiring.Connection(self, session)
            session.start()
            try:
                failure = deliver(self, session.inbox, callbacks)
            except BaseException:
                # An exit out of a callback: nothing is to be delivered after it.
                with self._guard:
                    self._session = self._next = None
                session.stop()
                session.join(1)
                raise
            session.join(1)
            with self._guard:
                self._session, self._next = self._next, None
            if failure is not None:
                raise failure

    @staticmethod
    def _parse_binary(payload: bytes) -> list[dict[str, Any]]:
        """The ticks of a frame as dicts, for scripts that read recorded frames this way."""
        return parse(payload).to_dicts() if len(payload) > 1 else []


def _integers(tokens: Iterable[Any]) -> list[int]:
    try:
        return [operator.index(token) for token in tokens]
    except TypeError:
        raise TypeError(f"instrument tokens must be a list of integers: {tokens!r}") from None


@atexit.register
def _stop_all() -> None:
    """At the interpreter's end no thread may be inside its loop."""
    for ticker in list(_running):
        if (session := ticker._session) is not None and not session.forked:
            session.stop()
            session.join(1)
