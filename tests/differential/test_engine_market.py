"""The engine equals the oracle, column by column, on the seeded market with every knob, mode and phase."""

from __future__ import annotations

import random

import pytest

from tests.differential.compare import Pair
from tests.properties.feeds import OPTIONS
from tickloom.sources.simulator import Market

MODES = ("full", "full", "full", "quote", "ltp")


def market(seed: int, **rest: object) -> Market:
    """A small market; the seed draws what is not given."""
    rng = random.Random(f"market {seed}")
    drawn = {
        "instruments": 5, "indices": 1, "end": "09:21", "auction": rng.random() < 0.7, "postclose": rng.random() < 0.5,
        "faults": rng.choice((None, "all", "all")), "packets_per_frame": rng.choice((1, 7, 200)),
        "rate": rng.choice((0.7, 1.5, 3.0)), "mode": rng.choice(MODES),
    }  # fmt: skip
    return Market(seed, **drawn | rest)


def agree(pair: Pair, made: Market, seed: int) -> None:
    """Plays the whole market, then lets every bar become final."""
    last = made.session_close_ns
    for event in made.events():
        last = max(last, event[1])
        pair.play([event])
    pair.play([("advance", last + 60_000_000_000, None)])
    pair.same()


@pytest.mark.parametrize("seed", range(30))
def test_markets_of_many_seeds(seed):
    agree(Pair(), market(seed), seed)


@pytest.mark.parametrize("seed", range(100, 130))
def test_markets_with_random_options(seed):
    rng = random.Random(f"options {seed}")
    options = {name: rng.choice(values) for name, values in OPTIONS.items() if rng.random() < 0.3}
    agree(Pair(**options), market(seed), seed)


@pytest.mark.parametrize("mode", ["full", "quote", "ltp"])
def test_every_mode_with_every_knob(mode):
    agree(Pair(), market(1, mode=mode, faults="all"), 1)


@pytest.mark.parametrize("seed", range(3))
def test_several_dates_and_a_closing_auction(seed):
    made = market(seed, date="2026-08-05", days=2, cas=True, start="15:11", end="15:30", faults="all", mode="full")
    pair = Pair()
    for name in made.instruments():
        if name.kind == "equity" and name.liquidity == "liquid":
            pair.track(name.token, "cash_cas")
    agree(pair, made, seed)
