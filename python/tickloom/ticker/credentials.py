"""The secret that opens a connection (stage ticker, pure)."""

from __future__ import annotations

import hmac
from typing import NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

__all__ = ["Credentials", "blank", "secrets_of"]

_SHORTEST = 6


def blank(text: str, secret: str) -> str:
    """The text without a secret, should somebody have put it there, cut off at its end or not."""
    # One of a few letters is a test's, and would blank out half of every word.
    if len(secret) < _SHORTEST:
        return text
    for spelling in {secret, urlencode({"": secret})[1:]}:
        text = text.replace(spelling, "***")
        # A close has room for 123 bytes: what quotes the address there ends in the midst of it.
        for length in range(len(spelling) - 1, _SHORTEST - 1, -1):
            if text.endswith(spelling[:length]):
                text = f"{text[:-length]}***"
                break
    return text


def secrets_of(url: str) -> list[str]:
    """The values in the query of a URL."""
    return [value.strip() for _, value in parse_qsl(urlsplit(url).query) if value.strip()]


class Credentials:
    """An API key and an access token. Shown nowhere: not by repr, str or format, and it cannot be pickled.

    Raises TypeError or ValueError, without the value, for what cannot be a key or token.
    """

    __slots__ = ("__access_token", "__api_key")

    def __init__(self, api_key: str, access_token: str) -> None:
        for name, value in (("api_key", api_key), ("access_token", access_token)):
            if not isinstance(value, str):
                raise TypeError(f"{name} must be a string: {type(value).__name__}")
            if not value or value != value.strip():
                raise ValueError(f"{name} must not be empty or surrounded by spaces")
        self.__api_key = api_key
        self.__access_token = access_token

    @property
    def api_key(self) -> str:
        """The key, in clear text."""
        return self.__api_key

    @property
    def access_token(self) -> str:
        """The token, in clear text."""
        return self.__access_token

    def with_token(self, access_token: str) -> Credentials:
        """The same key with another token."""
        return Credentials(self.__api_key, access_token)

    def url(self, base: str) -> str:
        """The base URL with both as its query, as kite-protocol §1 wants it. The result is a secret."""
        parts = urlsplit(base)
        query = urlencode({"api_key": self.__api_key, "access_token": self.__access_token})
        return urlunsplit(parts._replace(query=f"{parts.query}&{query}" if parts.query else query))

    def redact(self, text: str) -> str:
        """The text without the key and the token, should somebody have put them there, cut off at its end or not."""
        for secret in (self.__access_token, self.__api_key):
            text = blank(text, secret)
        return text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Credentials):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash(self._bytes())

    def _bytes(self) -> bytes:
        return f"{self.__api_key}\0{self.__access_token}".encode()

    def __repr__(self) -> str:
        return "Credentials(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled, or they would be written in clear text")
