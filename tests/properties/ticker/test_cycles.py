"""A thousand cycles of mixed faults with 3,000 tokens in three modes lose nothing."""

from __future__ import annotations

import random

import pytest

from tests.unit.ticker.world import DOWN, World
from tickloom.ticker.failures import Failure, Kind, from_close, from_status
from tickloom.ticker.messages import MODES

TOKENS = range(1, 3001)
FAILURES = [
    DOWN, from_status(500), from_status(503, 5), from_status(429), from_status(302),
    Failure(Kind.DNS, "no such host"), Failure(Kind.TLS, "expired"),
]  # fmt: skip


def disturb(world: World, rng: random.Random) -> None:
    """One fault, and its end."""
    server = world.server
    match rng.randrange(8):
        case 0:
            world.lose(from_close(rng.choice([1000, 1001, 1006, 1011, 4000])))
        case 1:
            server.silent = True
            world.run(rng.uniform(0, 8))
            server.silent = False
        case 2:
            server.failure = rng.choice(FAILURES)
            world.lose()
            world.run(rng.uniform(0, 20))
            server.failure = None
        case 3:
            server.hangs = True
            world.lose()
            world.run(rng.uniform(0, 15))
            server.hangs = False
        case 4:  # in the middle of subscribing
            world.lose()
            world.run(rng.uniform(0, 1))
            if server.open:
                world.lose()
        case 5:  # texts that have no effect
            share = rng.random()
            server.loses = lambda _: rng.random() < share
            world.lose()
            world.run(rng.uniform(0, 5))
            server.loses = lambda _: False
        case 6:  # the server changes its mind
            for token in rng.sample(TOKENS, 100):
                if token in server.table:
                    server.table[token] = rng.choice(MODES)
        case 7:
            mode = rng.choice(MODES)
            world.unsubscribe(rng.sample(TOKENS, 50))
            world.subscribe(rng.sample(TOKENS, 50), mode)


@pytest.mark.slow
def test_a_thousand_cycles_of_mixed_faults_lose_no_subscription_and_no_mode() -> None:
    rng = random.Random(20261121)
    world = World(seed=4)
    for number, mode in enumerate(MODES):
        world.subscribe(list(TOKENS[number * 1000 : (number + 1) * 1000]), mode)
    world.stream(1.0, lambda: rng.sample(sorted(world.server.table.items()), min(len(world.server.table), 600)))
    world.start().run(5)
    recovered = 0
    for cycle in range(1000):
        disturb(world, rng)
        # Longest takes a mode that the server forgot: it shows in a glance at a tick of that very token, and each
        # ticks once in five seconds here.
        waited = 0
        while not world.settled():
            world.run(1)
            waited += 1
            assert waited < 600, f"cycle {cycle}: not as desired after {waited} s"
        recovered += 1
    assert recovered == 1000
    assert world.server.table == dict(world.connection.subscriptions.desired)
    assert world.states.count("connected") > 400
    assert {notice.state for _, notice in world.events} == {"connecting", "connected", "disconnected", "waiting"}
