"""What a broker's feed says and how, for the state machine and its shell (stage ticker, pure).

The state machine knows connections, subscriptions and time. What a request looks like, what a frame shows, and where to
connect is the broker's: `Dialect` is all that is asked of it, and `KiteDialect` is the one that is spoken by default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from tickloom.ticker import messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tickloom.ticker.credentials import Credentials

__all__ = ["KITE", "Dialect", "KiteDialect"]


class Dialect(Protocol):
    """One broker's way of speaking."""

    @property
    def modes(self) -> Sequence[str]:
        """The modes that there are."""

    @property
    def binary(self) -> bool:
        """Whether requests go as binary messages."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Further headers of the upgrade."""

    @property
    def single_use(self) -> bool:
        """Whether an address is good for one attempt: one that is refused says nothing of the token."""

    def subscribe(self, tokens: Sequence[int], mode: str) -> list[str]:
        """The requests that subscribe tokens in a mode."""

    def set_mode(self, tokens: Sequence[int], mode: str) -> list[str]:
        """The requests that change the mode of subscribed tokens."""

    def unsubscribe(self, tokens: Sequence[int]) -> list[str]:
        """The requests that unsubscribe tokens."""

    def is_tick(self, frame: bytes) -> bool:
        """Whether a binary message shows that the market reaches us, not only the server."""

    def observe(self, frame: bytes) -> Iterable[tuple[str | None, int]]:
        """The mode and the token of whatever a message holds; None for a mode that it does not tell. Never raises."""

    async def address(self, base: str, credentials: Credentials, tls: Any, patience: float) -> str:
        """Where to connect, which is a secret, for one attempt. May ask the broker, for `patience` seconds, with `tls`,
        the connection's SSLContext or None.

        Raises `Refused`, or OSError.
        """


class KiteDialect:
    """Kite's (kite-protocol §1 to §4)."""

    modes = messages.MODES
    binary = False
    single_use = False
    headers: Mapping[str, str] = {"X-Kite-Version": "3"}

    def subscribe(self, tokens: Sequence[int], mode: str) -> list[str]:
        """See `Dialect`."""
        # A bare subscribe streams in quote mode, so the mode follows each chunk at once, quote included: the server may
        # remember the token in another one.
        return [messages.subscribe(tokens), messages.set_mode(mode, tokens)]

    def set_mode(self, tokens: Sequence[int], mode: str) -> list[str]:
        """See `Dialect`."""
        return [messages.set_mode(mode, tokens)]

    def unsubscribe(self, tokens: Sequence[int]) -> list[str]:
        """See `Dialect`."""
        return [messages.unsubscribe(tokens)]

    def is_tick(self, frame: bytes) -> bool:
        """See `Dialect`: a single byte is a heartbeat."""
        return len(frame) > 1

    def observe(self, frame: bytes) -> Iterable[tuple[str | None, int]]:
        """See `Dialect`: a packet's length tells its mode; one of another length says nothing."""
        for length, token in messages.packets(frame):
            mode = messages.MODE_OF_LENGTH.get(length)
            if mode is not None:
                yield mode, token

    async def address(self, base: str, credentials: Credentials, tls: Any, patience: float) -> str:  # noqa: ARG002 - others need them
        """See `Dialect`: the base with the key and the token in its query."""
        return credentials.url(base)


KITE: Dialect = KiteDialect()
