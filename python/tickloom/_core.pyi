"""The compiled core. Written by hand, checked against the module by `make types`."""

from collections.abc import Sequence
from typing import Final, Literal, Self, final

import numpy as np
from numpy.typing import NDArray

__all__ = ["DEBUG_BUILD", "Market", "MarketEvents"]

DEBUG_BUILD: Final[bool]
"""Whether debug assertions are compiled in: such a build is slow and no benchmark may use it."""

@final
class Market:
    """A seeded exchange in the core's own integers; `tickloom.sources.simulator.Market` is its face."""

    def __new__(
        cls,
        *,
        seed: int,
        counts: tuple[int, int, int, int],
        dates: tuple[int, int],
        session: tuple[int, int],
        auction: bool,
        cas: bool,
        postclose: bool,
        packets_per_frame: int,
        rate: float,
        mode: str,
        modes: Sequence[tuple[int, str]],
        faults: tuple[float, float, float, float, float, float, float, float, int, list[tuple[int, int]]] | None,
    ) -> Self: ...
    def events(self) -> MarketEvents: ...
    def instruments(self) -> list[tuple[int, str, str, str, str, int, int, int, int, int, int]]: ...
    def days(self) -> list[int]: ...
    def truth(self, token: int, interval: str) -> NDArray[np.int64] | None: ...
    def truth_days(self, token: int) -> NDArray[np.int64] | None: ...
    def trades(self, token: int) -> NDArray[np.int64] | None: ...
    def delivered(self, token: int) -> NDArray[np.int64] | None: ...

@final
class MarketEvents:
    """The events of one run of a `Market`."""

    def __iter__(self) -> Self: ...
    def __next__(self) -> tuple[Literal["frame", "disconnected", "connected"], int, bytes | None]: ...
