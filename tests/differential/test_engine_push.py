"""Ticks from elsewhere: the engine's push and push_many equal the oracle's push, alone and among frames."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tests.differential.compare import Pair
from tests.differential.feeds import CAS, feed
from tests.machines import INFY, OPTION
from tests.oracle.sessions import DAY, SECOND, ist
from tests.properties.feeds import OPTIONS

STARTS = ("08:59:00", "09:06:50", "09:14:40", "11:02:30", "15:14:30", "15:29:30", "15:40:00")
NEW = (5633, 81153, 12345858)


def pushes(seed: int, *, live: bool, count: int = 250, tokens: tuple[int, ...] = NEW) -> Iterator[tuple]:
    """Pushes of one or two dates: in order, late and without a time, with a quantity, the day's volume, or neither."""
    rng, stamps = random.Random(f"pushes {seed}"), random.Random(f"stamps {seed}")
    without = stamps.choice((0, 0, 0.3, 1)) if live else 0
    now = ist(f"2026-08-05 {rng.choice(STARTS)}")
    volumes = dict.fromkeys(tokens, rng.choice((0, 0, 50_000)))
    kinds = {token: rng.choice(("quantity", "cumulative", "price", "mixed")) for token in tokens}
    for step in range(count):
        now += rng.choice((0, 1, 1, 2, 5, 30)) * SECOND // rng.choice((1, 2))
        if step == count // 2 and rng.random() < 0.4:
            now = (now + DAY) // DAY * DAY + 4 * 3_600 * SECOND
            volumes = dict.fromkeys(tokens, 0)
        token = rng.choice(tokens)
        kind = kinds[token] if kinds[token] != "mixed" else rng.choice(("quantity", "cumulative", "price"))
        back = rng.choice((0, 0, 0, 0, 1, 3, 9, 70)) * SECOND
        tick: dict = {
            "token": token,
            "price": rng.choice((100.0, 100.05, 99.95, 101.3, 0.0 if step % 40 == 7 else 100.1)),
        }
        tick["time_ns"] = now - back
        if kind == "quantity":
            tick["quantity"] = rng.choice((0, 1, 25, 75))
        elif kind == "cumulative":
            volumes[token] += rng.choice((0, 1, 25, 400))
            tick["cumulative_volume"] = max(0, volumes[token] - rng.choice((0, 0, 0, 0, 10, 300)))
        if rng.random() < 0.3:
            tick["oi"] = rng.randrange(1_000)
        if live:
            tick["received_ns"] = now + rng.randrange(3) * SECOND // 2
        if stamps.random() < without:
            tick["time_ns"] = None
        elif live and stamps.random() < 0.02:
            tick["time_ns"] = now + stamps.choice((59, 61, 63, 19_800)) * SECOND
        yield "push", now, tick
        if rng.random() < 0.05:
            yield "advance", now, None
        if rng.random() < 0.02:
            yield "disconnected", now, None
    yield "advance", now + 3_600 * SECOND, None


def options_of(seed: int) -> dict:
    """Some options off their defaults."""
    rng = random.Random(f"options {seed}")
    return {name: rng.choice(values) for name, values in OPTIONS.items() if rng.random() < 0.2}


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_random_pushes(seed, live):
    pair = Pair(**options_of(seed))
    pair.play(pushes(seed, live=live), peeks=40, seed=seed)
    pair.same()


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_pushes_among_frames_of_the_same_instruments(seed, live):
    pair = Pair(**options_of(seed))
    pair.track(CAS, "cash_cas")
    frames = list(feed(seed, date="2026-08-05", start="11:02:30", seconds=200))
    ticks = list(pushes(seed, live=live, tokens=(INFY, OPTION, NEW[0])))
    pair.play(sorted(frames + ticks, key=lambda event: event[1]), peeks=40, seed=seed)
    assert {INFY, NEW[0]} <= set(pair.oracle.instruments)
    pair.same()


def test_the_live_clock_seals_what_history_may_still_amend():
    ticks = [("09:24:56.5", 75), ("09:25:02.5", 75), ("09:24:00.5", 25)]
    made = [
        ("push", ist(f"2026-08-05 {clock}"), {"token": NEW[0], "price": 100.0, "quantity": quantity})
        for clock, quantity in ticks
    ]
    for _, at, tick in made:
        tick["time_ns"] = at
    pair = Pair()
    pair.play([*made[:2], ("advance", ist("2026-08-05 09:25:05.5"), None), made[2]])
    pair.same()
    assert [row["volume"] for row in pair.engine.rows(NEW[0], "1m")] == [100]


@pytest.mark.parametrize("seed", range(10))
def test_push_many_is_push_row_by_row(seed):
    pair = Pair()
    ticks = [tick for kind, _, tick in pushes(seed, live=False, tokens=NEW) if kind == "push" and "quantity" in tick]
    columns = {name: [tick[name] for tick in ticks] for name in ("token", "price", "time_ns", "quantity")}
    if not ticks:
        pytest.skip("this seed pushes no quantities")
    for tick in ticks:
        pair.oracle.push(**{name: tick[name] for name in columns})
    assert pair.engine.core.push_many(columns.pop("token"), columns.pop("price"), **columns) == len(ticks)
    pair.same()


@pytest.mark.parametrize("days", [0, 1])
def test_a_known_baseline_replaces_first_contact_also_after_a_stale_first_tick(days):
    pair = Pair()
    pair.track(INFY, baseline_volume=1_000)
    first = list(feed(3, date="2026-07-01", start="15:20:00", seconds=20, faults=0.0, tokens=(INFY,)))
    second = list(feed(4, date="2026-07-02", start="09:20:00", seconds=60, faults=0.0, tokens=(INFY,)))
    stale = [(kind, at + days * 64_800 * SECOND, body) for kind, at, body in first if kind == "frame"][:1]
    pair.play(stale + second)
    pair.same()
    assert pair.engine.account(INFY)["baseline"] == (1_000 if days else 0)
    assert pair.engine.stats["stale"] >= days
