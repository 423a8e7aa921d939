"""Whatever arrives, the engine equals its oracle, column by column."""

from __future__ import annotations

from hypothesis import given

from tests.differential.compare import Pair
from tests.oracle.sessions import SECOND
from tests.properties.feeds import OPEN, hostile_events, options, play

INTERVALS = ("1m", "3m", "60m", "30s", "7s")


@given(hostile_events, options)
def test_the_engine_equals_its_oracle_whatever_arrives(events, chosen):
    pair = Pair(INTERVALS, **chosen)
    play(Both(pair), events)
    pair.same()
    pair.play([("advance", OPEN + 90_000 * SECOND, None)])
    pair.same()


class Both:
    """A pair as one machine."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    def apply(self, frame: bytes, at: int) -> None:
        self.pair.play([("frame", at, frame)])

    def advance(self, at: int) -> None:
        self.pair.play([("advance", at, None)])

    def disconnected(self, at: int) -> None:
        self.pair.play([("disconnected", at, None)])
