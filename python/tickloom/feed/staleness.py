"""Staleness: which instruments have not been heard of for a while (stage feed). A flag, never a reason to reconnect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.events import Stale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import numpy as np
    from numpy.typing import NDArray

    from tickloom._core import Engine

__all__ = ["Staleness"]

_SECOND = 1_000_000_000


class Staleness:
    """Compares the board with what it was: costs the frames nothing, and is right to a quarter of `after` seconds.

    An instrument whose packets say the same every time counts as quiet, which it is.
    """

    def __init__(self, engine: Engine, after: float, wanted: Callable[[], Iterable[int]]) -> None:
        if not after > 0:
            raise ValueError(f"stale_after is a number of seconds above 0: {after}")
        self._engine = engine
        self._after_ns = int(after * _SECOND)
        self._wanted = wanted
        self._looked_ns = 0
        self._rows: dict[int, bytes] = {}
        self._since: dict[int, int] = {}
        self._told: set[int] = set()

    def look(self, now_ns: int) -> Iterator[Stale]:
        """Those that have just become stale; each once, until it is heard of again."""
        if now_ns - self._looked_ns < self._after_ns // 4:
            return
        self._looked_ns = now_ns
        board: NDArray[np.void] = self._engine.board()
        symbols = dict(self._engine.instruments)
        rows = {token: row.tobytes() for token, row in zip(board["instrument_token"].tolist(), board, strict=True)}
        for token in self._wanted():
            row = rows.get(token, b"")
            if token not in self._since or row != self._rows.get(token):
                self._rows[token], self._since[token] = row, now_ns
                self._told.discard(token)
            elif now_ns - self._since[token] >= self._after_ns and token not in self._told:
                self._told.add(token)
                yield Stale(now_ns, self._since[token], token, symbols.get(token))
