"""Which connection streams which token (stage ticker, pure).

A connection holds 3,000 tokens and an API key three connections (kite-protocol §1), so more tokens are spread over more
connections, and over more keys. A token stays where it is for as long as it is subscribed, and comes back to the same
place if there is still room: its ticks never change connection under the reader's feet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.errors import SubscriptionLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Shards", "check_tokens"]

LARGEST_TOKEN = 2**32 - 1


def check_tokens(tokens: Iterable[int]) -> list[int]:
    """The tokens as plain integers, each once. Raises TypeError or ValueError for what is no token."""
    checked: dict[int, None] = {}
    for token in tokens:
        # The server takes JSON numbers only, and a bool is an int to Python.
        if isinstance(token, bool) or not hasattr(token, "__index__"):
            raise TypeError(f"a token must be an integer: {token!r}")
        number = token.__index__()
        if not 0 < number <= LARGEST_TOKEN:
            raise ValueError(f"a token must be from 1 to {LARGEST_TOKEN}: {number}")
        checked[number] = None
    return list(checked)


class Shards:
    """Places tokens on connections: the first one with room, in the order of the keys."""

    def __init__(self, connections: int, capacity: int) -> None:
        """`connections` in all, `capacity` tokens on each."""
        self._capacity = capacity
        self._tokens: list[dict[int, str]] = [{} for _ in range(connections)]
        self._home: dict[int, int] = {}  # kept after a token was removed, for its return

    @property
    def capacity(self) -> int:
        """Tokens that can be subscribed in all."""
        return self._capacity * len(self._tokens)

    def __len__(self) -> int:
        return sum(map(len, self._tokens))

    def subscriptions(self) -> dict[int, str]:
        """token -> mode, of all connections."""
        return {token: mode for tokens in self._tokens for token, mode in tokens.items()}

    def on(self, connection: int) -> Mapping[int, str]:
        """token -> mode of one connection."""
        return self._tokens[connection]

    def add(self, tokens: Iterable[int], mode: str) -> dict[int, list[int]]:
        """Place tokens, or change the mode of those that are placed; the tokens by their connection.

        Raises SubscriptionLimit, and then nothing has changed, if there is no room for all of them.
        """
        checked = check_tokens(tokens)
        new = [token for token in checked if self._place(token) is None]
        if len(self) + len(new) > self.capacity:
            raise SubscriptionLimit(
                f"{len(self._tokens)} connections hold {self.capacity} tokens of which {len(self)} are in use, "
                f"no room for more: {len(new)}"
            )
        waiting = iter(self._settle(new))
        placed: dict[int, list[int]] = {}
        for token in checked:
            connection = self._place(token)
            if connection is None:
                connection = next(waiting)
                self._home[token] = connection
            self._tokens[connection][token] = mode
            placed.setdefault(connection, []).append(token)
        return placed

    def remove(self, tokens: Iterable[int]) -> dict[int, list[int]]:
        """Take tokens away; those that were there, by their connection."""
        removed: dict[int, list[int]] = {}
        for token in check_tokens(tokens):
            connection = self._place(token)
            if connection is not None:
                del self._tokens[connection][token]
                removed.setdefault(connection, []).append(token)
        return removed

    def _place(self, token: int) -> int | None:
        """Where a token is subscribed now."""
        home = self._home.get(token)
        return home if home is not None and token in self._tokens[home] else None

    def _settle(self, new: list[int]) -> list[int]:
        """A connection for each new token: its old one first, the first with room otherwise."""
        room = [self._capacity - len(tokens) for tokens in self._tokens]
        homes: list[int | None] = []
        for token in new:
            home = self._home.get(token)
            if home is not None and room[home] > 0:
                room[home] -= 1
                homes.append(home)
            else:
                homes.append(None)
        settled: list[int] = []
        first = 0
        for home in homes:
            if home is not None:
                settled.append(home)
                continue
            while room[first] == 0:
                first += 1
            room[first] -= 1
            settled.append(first)
        return settled
