"""Errors: the tree of everything that tickloom raises on purpose (stage 0, imports nothing).

```
TickloomError
├── DecodeError(ValueError)        bytes that could not be read as a frame: kind, offset
├── ConnectionFailed               the feed could not be reached, or was lost for good
├── AuthenticationFailed           the broker refused the token; never retried with the same one
├── FeedStale                      the feed is connected but silent
├── UnknownInstrument(KeyError)    no such token or symbol
├── SubscriptionLimit(ValueError)  more tokens than the broker streams over the connections there are
├── BadDump(ValueError)            a file of instruments or a watchlist that cannot be used: names file and line
├── StoreError                     a database refused, or its contents are not what was written
└── MissingExtra(ImportError)      an optional dependency is absent: names the extra to install
```
"""

from __future__ import annotations

__all__ = [
    "AuthenticationFailed",
    "BadDump",
    "ConnectionFailed",
    "DecodeError",
    "FeedStale",
    "MissingExtra",
    "StoreError",
    "SubscriptionLimit",
    "TickloomError",
    "UnknownInstrument",
]


class TickloomError(Exception):
    """Base of every error that tickloom raises on purpose."""


class DecodeError(TickloomError, ValueError):
    """Nothing could be read from a frame (kite-protocol §4).

    `kind` is a stable word such as ``"short_header"``; `offset` is the byte at which reading stopped.
    """

    def __init__(self, kind: str, offset: int) -> None:
        super().__init__(kind, offset)
        self.kind = kind
        self.offset = offset

    def __str__(self) -> str:
        return f"{self.kind} at byte {self.offset}"


class ConnectionFailed(TickloomError):
    """The feed could not be reached, or was lost and all retries are spent."""


class AuthenticationFailed(TickloomError):
    """The broker refused the credentials. They are never tried again: get a new access token.

    Not a `ConnectionFailed`, so that code which retries on that one does not retry on this.
    """


class FeedStale(TickloomError):
    """The connection is up but nothing has arrived for longer than the allowed silence."""


class UnknownInstrument(TickloomError, KeyError):
    """No instrument has this token or symbol."""

    # KeyError shows the repr of its argument, which would put quotes around a sentence.
    __str__ = Exception.__str__


class SubscriptionLimit(TickloomError, ValueError):
    """More tokens than the connections hold. Raised before the broker is asked, and nothing was subscribed."""


class BadDump(TickloomError, ValueError):
    """A file of instruments or a watchlist that cannot be used. Its words name the file and the line."""


class StoreError(TickloomError):
    """A store could not be read or written."""


class MissingExtra(TickloomError, ImportError):
    """An optional dependency is not installed. `extra` is the name to install: ``tickloom[extra]``."""

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(f"{package} is not installed, add it with: pip install 'tickloom[{extra}]'")
        self.extra = extra
        self.package = package

    def __reduce__(self) -> tuple[type[MissingExtra], tuple[str, str]]:
        return type(self), (self.extra, self.package)
