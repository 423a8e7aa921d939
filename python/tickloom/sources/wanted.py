"""Wanted: what is subscribed where no broker needs to be told (stage sources)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.ticker.messages import MODES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Wanted"]


class Wanted:
    """The subscriptions of a source that keeps them for itself. Any thread may ask for them."""

    def __init__(self) -> None:
        # Replaced, not changed: any thread may be reading it.
        self._wanted: dict[int, str] = {}

    @property
    def modes(self) -> Sequence[str]:
        """The modes that there are."""
        return MODES

    def subscribe(self, tokens: Sequence[int], mode: str) -> None:
        """Wants these in this mode. Raises ValueError for a mode that is none."""
        if mode not in self.modes:
            msg = f"mode must be one of {', '.join(self.modes)}: {mode!r}"
            raise ValueError(msg)
        self._wanted = {**self._wanted, **dict.fromkeys(tokens, mode)}

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        """Wants these no longer."""
        gone = set(tokens)
        self._wanted = {token: mode for token, mode in self._wanted.items() if token not in gone}

    def subscriptions(self) -> Mapping[int, str]:
        """Token and mode of what is wanted."""
        return self._wanted
