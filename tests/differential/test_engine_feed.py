"""The engine equals the oracle, column by column, on random feeds with every mishap and every option."""

from __future__ import annotations

import random

import pytest

from tests.differential.compare import Pair
from tests.differential.feeds import CAS, TOKENS, feed
from tests.properties.feeds import OPTIONS

DATES = ("2026-07-01", "2026-08-05")
STARTS = ("09:14:30", "09:06:00", "10:13:00", "15:13:00", "15:28:30", "15:38:30", "15:48:30")
MODES = (("full",), ("full",), ("full", "quote", "ltp"), ("quote",), ("ltp",), ("ltp", "full"))


def drawn(seed: int) -> tuple[dict, dict]:
    """Options and the stretch of a day for a seed."""
    rng = random.Random(f"options {seed}")
    options = {name: rng.choice(values) for name, values in OPTIONS.items() if rng.random() < 0.3}
    stretch = {"date": rng.choice(DATES), "start": rng.choice(STARTS), "modes": rng.choice(MODES)}
    return options, stretch | {"faults": rng.choice((0.0, 1.0, 1.0, 4.0))}


def run(seed: int, seconds: int = 240) -> None:
    """One seed; what it drew is part of the failure."""
    options, stretch = drawn(seed)
    pair = Pair(**options)
    pair.track(CAS, "cash_cas")
    pair.play(feed(seed, seconds=seconds, **stretch), peeks=40, seed=seed)
    pair.same()


@pytest.mark.parametrize("seed", range(100))
def test_random_options_on_random_feeds(seed):
    run(seed)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in OPTIONS.items() for value in values])
def test_every_value_of_every_option(name, value):
    pair = Pair(**{name: value})
    pair.track(CAS, "cash_cas")
    pair.play(feed(7, date="2026-08-05", seconds=200), peeks=40)
    pair.same()


@pytest.mark.parametrize("seed", range(3))
def test_two_dates_in_one_stream(seed):
    pair = Pair()
    for date in ("2026-07-01", "2026-07-02"):
        pair.play(feed(seed, date=date, seconds=150, tokens=TOKENS), peeks=40)
    pair.same()
