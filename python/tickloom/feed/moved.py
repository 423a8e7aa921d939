"""Moved: which instruments are in another mode because they were among the movers (stage feed, pure)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["Moved"]


class Moved:
    """The lists of movers that are subscribed, and the mode in which each of their members was before.

    A list that is asked for again is made anew: who is no longer among the movers goes back to where it was. What is
    subscribed or unsubscribed by its own name in between is no business of the lists any more.
    """

    def __init__(self) -> None:
        self._lists: dict[str, dict[int, str]] = {}
        self._before: dict[int, str | None] = {}

    def want(
        self, which: str, tokens: Sequence[int], mode: str, before: Mapping[int, str]
    ) -> dict[int, str | None]:  # fmt: skip
        """Notes that these are in the mode now, as the list's members. `before`: what was wanted until now. Gives the
        modes to set for those who fell out of the list, None for what was not wanted."""
        gone = self._lists.pop(which, {}).keys() - set(tokens)
        self._lists[which] = dict.fromkeys(tokens, mode)
        for token in tokens:
            self._before.setdefault(token, before.get(token))
        return self._back(gone, before)

    def drop(self, which: str, now: Mapping[int, str]) -> dict[int, str | None]:
        """The modes to set, so that the list is no more. `now`: what is wanted."""
        return self._back(self._lists.pop(which, {}), now)

    def forget(self, tokens: Iterable[int]) -> None:
        """Somebody said by name what is to be with these."""
        for token in tokens:
            self._before.pop(token, None)
            for members in self._lists.values():
                members.pop(token, None)

    def _back(self, tokens: Iterable[int], now: Mapping[int, str]) -> dict[int, str | None]:
        modes: dict[int, str | None] = {}
        for token in sorted(tokens):
            others = [members[token] for members in self._lists.values() if token in members]
            mode = others[-1] if others else self._before.pop(token, None)
            if now.get(token) != mode:
                modes[token] = mode
        return modes
