# ruff: noqa: T201 - a report is printed
"""Compares the engine with its oracle for as long as asked, on seeds that no test has.

Run: python -m tests.differential.soak [--seconds 600] [--seed 1000]
A difference names the seed; `--only SEED` runs that one again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter

from tests.differential import test_engine_feed, test_engine_market
from tests.differential.compare import Pair
from tests.properties.feeds import OPTIONS


def one(seed: int) -> str:
    """One seed: a random feed or a seeded market, with random options. Returns which."""
    if seed % 3:
        test_engine_feed.run(seed)
        return "feed"
    rng = random.Random(f"soak {seed}")
    options = {name: rng.choice(values) for name, values in OPTIONS.items() if rng.random() < 0.3}
    market = test_engine_market.market(seed, days=rng.choice((1, 1, 2)), end="09:19")
    test_engine_market.agree(Pair(**options), market, seed)
    return "market"


def main() -> None:
    """Runs seeds until the time is up and prints each difference; exits with 1 if there was one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1_000)
    parser.add_argument("--only", type=int)
    asked = parser.parse_args()
    if asked.only is not None:
        print(asked.only, one(asked.only), "equal")
        return
    seed, done, failed, until = asked.seed, Counter(), 0, time.monotonic() + asked.seconds
    while time.monotonic() < until:
        try:
            done[one(seed)] += 1
        except AssertionError as difference:
            failed += 1
            print(f"seed {seed}: {str(difference).splitlines()[0]}", flush=True)
        seed += 1
    print(f"{sum(done.values())} equal ({dict(done)}), {failed} different, seeds {asked.seed} to {seed - 1}")
    raise SystemExit(bool(failed))


if __name__ == "__main__":
    main()
