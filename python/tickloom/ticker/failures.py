"""Why a connection failed, and so what to do about it (stage ticker, pure).

| what | kind | what is done |
|---|---|---|
| HTTP 401, 403 | authentication | never again with this token; the token provider is asked |
| the same, of an address that was good once | server | back-off: another is asked for, with the same token |
| HTTP 429 | limited | at least 30 s, or what Retry-After says if that is longer |
| HTTP 3xx | redirect | refused, because the URL is a secret; the longest back-off |
| HTTP 400, 404 and other 4xx | refused | the longest back-off: asking again soon changes nothing |
| HTTP 408, 425, 5xx, other | server | back-off, not before Retry-After |
| no such host | dns | back-off |
| certificate, host name, TLS | tls | back-off; nothing of the request was sent |
| refused, unreachable, reset | network | back-off |
| no answer in `connect_timeout` | timeout | back-off |
| no byte in `silence_timeout` | silent | back-off |
| any close code, or none (1006) | closed | back-off |
| no tick in `tick_timeout` | stale | back-off |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

__all__ = ["Failure", "Kind", "Refused", "from_close", "from_status"]


class Kind(Enum):
    """The rows of the table."""

    AUTHENTICATION = "authentication"
    LIMITED = "limited"
    REDIRECT = "redirect"
    REFUSED = "refused"
    SERVER = "server"
    DNS = "dns"
    TLS = "tls"
    NETWORK = "network"
    TIMEOUT = "timeout"
    SILENT = "silent"
    CLOSED = "closed"
    STALE = "stale"


CLOSE_CODES = {
    1000: "closed normally",
    1001: "server going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "closed without a code",
    1006: "lost without a close",
    1007: "invalid text",
    1008: "policy violation",
    1009: "message too big",
    1011: "server error",
    1012: "server restarting",
    1013: "server asks to try later",
    1014: "bad gateway",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure. `reason` is for people and never holds a secret; `retry_after` is the server's wish, in seconds."""

    kind: Kind
    reason: str
    code: int | None = None
    retry_after: float | None = None


class Refused(Exception):
    """The broker was asked where to connect, and did not say."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


def from_status(status: int, retry_after: float | None = None) -> Failure:
    """The upgrade was answered with this HTTP status."""
    match status:
        case 401 | 403:
            kind, reason = Kind.AUTHENTICATION, "the broker refused the access token"
        case 429:
            kind, reason = Kind.LIMITED, "too many connections or requests"
        case _ if 300 <= status < 400:
            kind, reason = Kind.REDIRECT, "redirect refused, because the URL is a secret"
        case 408 | 425:
            kind, reason = Kind.SERVER, "the server asks to try again"
        case _ if 400 <= status < 500:
            kind, reason = Kind.REFUSED, "the server refused the request"
        case _ if 500 <= status < 600:
            kind, reason = Kind.SERVER, "the server failed"
        case _:
            kind, reason = Kind.SERVER, "the server did not upgrade the connection"
    return Failure(kind, f"{reason}: HTTP {status}", status, retry_after)


def from_close(code: int | None, reason: str = "") -> Failure:
    """An open connection ended with this close code, or with none."""
    number = 1006 if code is None else code
    meaning = CLOSE_CODES.get(number, "closed")
    return Failure(Kind.CLOSED, f"{meaning}: {reason}" if reason else meaning, number)
