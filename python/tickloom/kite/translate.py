"""From the states of a connection to the vendor's callbacks (drop-in). Pure: no thread, clock or socket.

The vendor counts a retry when a connection is lost or an attempt fails, tells `on_reconnect` how many have failed since
the last success, and `on_noreconnect` when there are more than `max_tries`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tickloom.kite.inbox import Call
from tickloom.ticker.failures import CLOSE_CODES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tickloom.ticker.messages import ConnectionEvent

__all__ = ["Response", "Translator"]

ABNORMAL = 1006
# Codes that no peer sends in a close frame: the connection ended without one.
UNSENT = frozenset({None, 0, 1005, 1006, 1015})


@dataclass(frozen=True)
class Response:
    """What `on_connect` is told. `headers` is empty: the shell does not keep the server's."""

    peer: str
    headers: Mapping[str, str] = field(default_factory=dict)
    version: int = 13
    protocol: str | None = None
    extensions: list[str] = field(default_factory=list)


def refusal(status: int) -> str:
    """An HTTP status as the vendor's scripts look for it: ``403 - Forbidden``."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "unknown status"
    return f"the server refused the WebSocket upgrade ({status} - {phrase})"


def said(code: int, reason: str) -> str | None:
    """The server's own words: without the meaning of the code, which the ticker puts before them."""
    meaning = CLOSE_CODES.get(code, "closed")
    return reason.removeprefix(meaning).removeprefix(": ") or None


class Translator:
    """Turns connection events into calls; `over` says that nothing further is to be tried."""

    def __init__(self, peer: str, *, reconnect: bool, max_tries: int, waits_for_token: bool = False) -> None:
        self.retries = 0
        self.open = False
        self.over = False
        self._attempting = False
        self._peer = peer
        self._reconnect = reconnect
        self._max_tries = max_tries
        self._waits_for_token = waits_for_token
        self._ending: tuple[int | None, str | None] | None = None
        self._stopping = False

    def stop_retrying(self) -> None:
        """The user wants no further attempt; a connection that stands may stand."""
        self._reconnect = False
        if not self.open:
            self.over = True

    def close(self, code: int | None, reason: str | None) -> None:
        """The user closes: the end that follows is a clean one."""
        self._ending = (code, reason)
        self.stop_retrying()

    def stop(self) -> None:
        """The user stops: to the vendor an end that is not clean."""
        self._stopping = self.over = True
        self._reconnect = False

    def handle(self, event: ConnectionEvent) -> list[Call]:
        """The callbacks that an event stands for, in the vendor's order."""
        match event.state:
            case "connecting":
                self._attempting = True
            case "connected":
                self.retries = 0
                self.open = True
                return [Call("on_connect", (Response(self._peer),)), Call("on_open")]
            case "disconnected" | "waiting" | "stopped" if self.open:
                return [*self._ended(event.code, event.reason), *self._failed()]
            case "disconnected" | "waiting" if self._attempting:
                self._attempting = False
                return [*self._refused(event), *self._failed()]
            case "authentication_failed":
                return self._unauthorised(event)
        return []

    def finish(self) -> list[Call]:
        """What is left to say when the connection's task has ended."""
        return self._ended(None, "") if self.open else []

    def _ended(self, code: int | None, reason: str) -> list[Call]:
        self.open = self._attempting = False
        if self._stopping:
            return _unclean("connection was dropped by stop()")
        if self._ending is not None:
            return [Call("on_close", self._ending)]
        if code in UNSENT or code is None or code < 1000:
            return _unclean(f"connection was lost ({reason or 'no close frame'})")
        return [Call("on_close", (code, said(code, reason)))]

    def _refused(self, event: ConnectionEvent) -> list[Call]:
        """An attempt that failed. Where nobody answered there was nothing to close, and the vendor is silent too."""
        if event.code is not None and event.code < 1000:
            return _unclean(refusal(event.code))
        if "tls" in event.reason.lower() or "certificate" in event.reason.lower():
            return _unclean(event.reason)
        return []

    def _failed(self) -> list[Call]:
        if self._stopping or not self._reconnect:
            self.over = True
            return []
        calls = [Call("on_reconnect", (self.retries,))] if self.retries else []
        self.retries += 1
        if self.retries > self._max_tries:
            self.over = True
            calls.append(Call("on_noreconnect"))
        return calls

    def _unauthorised(self, event: ConnectionEvent) -> list[Call]:
        """A token that was refused is never tried again: the script hears at once that nothing will follow."""
        self.open = self._attempting = False
        calls = _unclean(refusal(event.code or 403))
        if not self._waits_for_token:
            self.over = True
            calls.append(Call("on_noreconnect"))
        return calls


def _unclean(reason: str) -> list[Call]:
    ending: tuple[Any, ...] = (ABNORMAL, reason)
    return [Call("on_error", ending), Call("on_close", ending)]
