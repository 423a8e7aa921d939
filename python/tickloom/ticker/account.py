"""What the connections of one API key share: its token, and what the broker said about it (stage ticker, asyncio)."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from tickloom.ticker.credentials import Credentials, secrets_of
from tickloom.ticker.dial import in_thread
from tickloom.ticker.failures import Failure, Kind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

__all__ = ["Account", "TokenProvider"]

if TYPE_CHECKING:
    Token = Credentials | str | None
    # Takes the API key, or nothing.
    TokenProvider = Callable[..., Token | Awaitable[Token]]

log = logging.getLogger("tickloom.ticker")


class Account:
    """One API key. A token that was refused is never tried again, by none of the key's connections."""

    def __init__(self, credentials: Credentials, provider: TokenProvider | None, limited_wait: float) -> None:
        self.credentials = credentials
        self._provider = provider
        self._limited_wait = limited_wait
        self._refused: set[Credentials] = set()
        self._known = {credentials}  # a token that was replaced may still be good
        # Kept as what never prints.
        self._hidden: deque[Credentials] = deque(maxlen=32)
        self._limited_until = 0.0
        self._proven = False
        self._gate = asyncio.Lock()

    @property
    def has_provider(self) -> bool:
        """Whether somebody can be asked for another token."""
        return self._provider is not None

    def reset(self) -> None:
        """A new run, perhaps on another loop. What was refused stays refused."""
        self._gate = asyncio.Lock()
        self._proven = False

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Until a token is proven its connections are made one by one, so that a bad one costs one attempt."""
        if self._proven:
            yield
            return
        async with self._gate:
            yield

    def objection(self) -> Failure | None:
        """Why the broker need not be asked now."""
        if self.credentials in self._refused:
            return Failure(Kind.AUTHENTICATION, "the broker refused this access token before", 403)
        left = self._limited_until - time.monotonic()
        if left > 0:
            return Failure(Kind.LIMITED, "another connection of the key was told to wait", 429, left)
        return None

    def accepted(self) -> None:
        """The broker took the token."""
        self._proven = True

    def failed(self, credentials: Credentials, failure: Failure) -> None:
        """An attempt with these credentials failed."""
        if failure.kind is Kind.AUTHENTICATION:
            self._refused.add(credentials)
            self._proven = False
        elif failure.kind is Kind.LIMITED:
            wait = max(self._limited_wait, failure.retry_after or 0.0)
            self._limited_until = max(self._limited_until, time.monotonic() + wait)

    def redact(self, text: str) -> str:
        """The text without any secret that this account ever had: a server may quote them."""
        for credentials in self._known:
            text = credentials.redact(text)
        for secret in self._hidden:
            text = secret.redact(text)
        return text

    def hide(self, url: str) -> None:
        """Take what the query of a URL holds for a secret from now on."""
        found = [Credentials("-", secret) for secret in secrets_of(url)]
        self._hidden.extend(secret for secret in found if secret not in self._hidden)

    def replace(self, credentials: Credentials) -> bool:
        """Take other credentials; whether they are worth an attempt."""
        if credentials in self._refused:
            return False
        self._proven = self._proven and credentials == self.credentials
        self._known.add(credentials)
        self.credentials = credentials
        return True

    async def ask(self) -> bool:
        """Ask the provider; whether there is something worth an attempt now. Never raises what the provider raises."""
        if self.objection() is None:
            return True
        if self._provider is None:
            return False
        try:
            token = await self._call(self._provider)
        except Exception as error:  # noqa: BLE001 - a user's function; its text may quote the token
            log.warning("the token provider raised: %s", type(error).__name__)
            return False
        if isinstance(token, str):
            try:
                token = self.credentials.with_token(token)
            except ValueError:
                token = None
        return isinstance(token, Credentials) and self.replace(token)

    async def _call(self, provider: TokenProvider) -> Token:
        arguments = (self.credentials.api_key,) if _takes_argument(provider) else ()

        def call() -> Token | Awaitable[Token]:
            return provider(*arguments)

        # It may ask a person to log in: that takes minutes, and the loop's other connections go on.
        result = call() if inspect.iscoroutinefunction(provider) else await in_thread(call, "tickloom-token")
        return await result if inspect.isawaitable(result) else result


def _takes_argument(function: Callable[..., object]) -> bool:
    try:
        inspect.signature(function).bind()
    except TypeError:
        return True
    except ValueError:  # a builtin without a signature
        return False
    return False
