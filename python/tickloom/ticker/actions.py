"""What the state machine asks of its shell (stage ticker, pure)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickloom.ticker.messages import State

__all__ = ["Action", "Connect", "Disconnect", "Notify", "Ping", "Renew", "Send"]


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection; then call `handle_connected` or `handle_lost`."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Give up the connection, or the attempt. With a code, say goodbye first; without, the link is dead."""

    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a text."""

    text: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Send a WebSocket ping."""


@dataclass(frozen=True, slots=True)
class Renew:
    """Ask the token provider for another token; call `renew` if it has one."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell the user: the fields of a `ConnectionEvent`."""

    state: State
    attempt: int = 0
    code: int | None = None
    reason: str = ""
    retry_in: float | None = None


Action = Connect | Disconnect | Send | Ping | Renew | Notify
