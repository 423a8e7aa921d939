"""The exchange's faults: what fails by itself, how often, and in which order (stage sources).

The plan is seeded, so the same exchange fails in the same order again. The clients that a fault meets are chosen
among those there are at that moment.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["KINDS", "Faults"]

KINDS = ("silence", "half_open", "close", "reset", "cut", "refuse", "outage", "hostile")
"""The faults that have a rate."""
CLOSE_CODES = (1000, 1001, 1006, 1011)


@dataclass(frozen=True, slots=True)
class Faults:
    """How often the exchange fails: each kind in times a minute, 0 for never.

    `silence` and `outage` meet everyone, the others one client, chosen at random. Raises ValueError for a negative
    rate or time.
    """

    silence: float = 0.0
    """Nothing at all is sent for `silence_seconds`, not even a pong; connections stay."""
    half_open: float = 0.0
    """One client's line goes dead for good, without a word."""
    close: float = 0.0
    """A close frame with 1000, 1001 or 1011, or none at all (1006)."""
    reset: float = 0.0
    """A TCP reset."""
    cut: float = 0.0
    """The connection ends in the middle of a frame."""
    refuse: float = 0.0
    """The next connection is refused with 403, 429 or 503."""
    outage: float = 0.0
    """Nobody listens for `outage_seconds`, and every connection is reset."""
    hostile: float = 0.0
    """A message that breaks the protocol, of a kind of `exchange_wire.HOSTILE`."""
    silence_seconds: float = 10.0
    outage_seconds: float = 5.0
    slow: float | None = None
    """Bytes a second to each client, in slices that heed no frame; None: no limit."""
    seed: int = 1

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "seed" and value is not None and value < 0:
                raise ValueError(f"a fault is negative: {field.name}={value}")
        if self.slow == 0:
            raise ValueError("slow is a number of bytes a second: 0")

    @classmethod
    def every_kind(cls, per_minute: float = 1.0, seed: int = 1) -> Faults:
        """All kinds that have a rate, each so many times a minute."""
        rates: dict[str, Any] = dict.fromkeys(KINDS, per_minute)
        return cls(seed=seed, **rates)

    def plan(self) -> Iterator[tuple[float, str, random.Random]]:
        """(seconds to wait, what fails then, randomness for the details), without end unless every rate is 0."""
        rng = random.Random(self.seed)  # noqa: S311 - faults are to be repeated, not to be secret
        rates = [getattr(self, kind) for kind in KINDS]
        while (total := sum(rates)) > 0:
            yield rng.expovariate(total / 60), rng.choices(KINDS, rates)[0], rng
