"""The engine's day equals the oracle's on the seeded market, while it forms and after it is sealed (R28)."""

from __future__ import annotations

import random

import pytest

from tests.differential.compare import Pair
from tests.machines import EngineMachine, plain
from tests.oracle.daily import day_row
from tickloom.sources.simulator import Market


class DayPair(Pair):
    """A pair whose engine makes days besides."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.engine = EngineMachine((*self.intervals, "1d"), **options)

    def same_day(self, token: int) -> bool:
        """The day of the current date is equal but for its revision; whether there is one."""
        mine = day_row(self.oracle.instruments[token])
        theirs = [*self.engine.rows(token, "1d"), *self.engine.unsealed(token, "1d")]
        theirs = [values for values in theirs if mine is None or values["time"] >= mine["time"]]
        if mine is None:
            return False
        shown = [plain(values | {"rev": 0}) for values in theirs]
        assert shown == [plain(mine)], {k: (v, shown[0][k]) for k, v in plain(mine).items() if v != shown[0][k]}
        return True


@pytest.mark.parametrize("seed", range(12))
def test_days_of_the_seeded_market(seed):
    rng = random.Random(f"days {seed}")
    made = Market(
        seed, instruments=5, indices=1, end="09:20", auction=rng.random() < 0.7, postclose=rng.random() < 0.5,
        faults=rng.choice((None, "all")), mode=rng.choice(("full", "full", "quote", "ltp")), days=rng.choice((1, 2)),
    )  # fmt: skip
    options = {"preopen": rng.choice(("separate", "fold", "drop")), "vwap": rng.choice(("hybrid", "ltp", "hlc3"))}
    pair = DayPair(**options)
    looked = 0
    last = made.session_close_ns
    for event in made.events():
        pair.play([event])
        last = max(last, event[1])
        if rng.randrange(40) == 0 and pair.oracle.instruments:
            looked += pair.same_day(rng.choice(list(pair.oracle.instruments)))
    assert looked > 3
    # A second after the last trade, and when every day is sealed.
    for at in (last + 1_000_000_000, last + 12 * 3_600 * 1_000_000_000):
        pair.play([("advance", at, None)])
        for token in pair.oracle.instruments:
            pair.same_day(token)
