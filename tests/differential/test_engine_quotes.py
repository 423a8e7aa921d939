"""Mode quote: packets without a stamp over hours, nights and lost lines, on the engine and its oracle."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.differential.compare import Pair
from tests.differential.test_engine_push import options_of
from tests.machines import INFY, NIFTY, OPTION
from tests.oracle import frames
from tests.oracle.sessions import DAY, IST_NS, SECOND, ist

MCX = 12345607
TOKENS = (INFY, OPTION, MCX)
CLOCKS = ("08:58:30", "09:06:00", "09:14:30", "15:29:30", "23:59:20")
# From midnight: before all hours, and about the opening of each class.
MORNINGS = (0, 60, 32_390, 32_400, 33_295)


def quotes(seed: int) -> Iterator[tuple]:
    """Three dates; volumes that begin anew or stay yesterday's, that fall, and lines that are lost between."""
    rng = random.Random(f"quotes {seed}")
    now = ist(f"{rng.choice(('2026-07-01', '2026-07-31', '2026-08-05'))} {rng.choice(CLOCKS)}")
    volumes = {token: rng.choice((0, 500, 9_000_000)) for token in TOKENS}
    for step in range(200):
        now += rng.choice((0, 1, 1, 2, 5, 20)) * SECOND
        if step in {70, 140} and rng.random() < 0.6:
            now = ((now + IST_NS) // DAY + 1) * DAY - IST_NS + rng.choice(MORNINGS) * SECOND
            if rng.random() < 0.6:
                volumes = dict.fromkeys(TOKENS, 0)
        token = rng.choice(TOKENS)
        if rng.random() < 0.4:
            volumes[token] += rng.choice((1, 25, 400))
        if rng.random() < 0.03:
            volumes[token] = rng.choice((0, 5, volumes[token] // 2))
        price, volume = 10_000 + 5 * rng.randrange(50), volumes[token]
        body = rng.choices(
            (
                frames.quote(token, price, volume),
                frames.full(token, price, volume, now - rng.choice((0, 1, 3)) * SECOND, now),
                frames.full(token, price, volume, 0, 0),
                frames.ltp(token, price),
                frames.index(NIFTY, 2_500_000, now if rng.random() < 0.5 else None),
            ),
            (60, 15, 10, 5, 10),
        )[0]
        yield "frame", now + rng.choice((0, 0, 1)) * SECOND, frames.frame(body)
        if rng.random() < 0.05:
            yield "advance", now, None
        if rng.random() < 0.03:
            yield "disconnected", now, None
    yield "advance", now + 3_600 * SECOND, None


@pytest.mark.parametrize("seed", range(40))
def test_random_quotes(seed: int) -> None:
    pair = Pair(**options_of(seed))
    if seed % 3 == 0:
        pair.track(INFY, baseline_volume=random.Random(seed).choice((0, 500)))
    pair.play(quotes(seed), peeks=30, seed=seed)
    pair.same()
    assert pair.engine.stats["frames"] == 200
