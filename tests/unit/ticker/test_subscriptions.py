"""What is desired is what the server has, or soon will: losses and wrong modes are repaired."""

from __future__ import annotations

import pytest

from tests.unit.ticker.world import World, frame

INFY, OPTION, NIFTY = 408065, 12345602, 256265


def streaming(world: World) -> None:
    """The server streams what its table says, each token five times a second."""
    world.stream(0.2, lambda: list(world.server.table.items()))


def test_a_mode_that_did_not_take_is_repaired() -> None:
    world = World()
    lost = iter([True, True])
    world.server.loses = lambda message: message["a"] == "mode" and next(lost, False)
    world.subscribe([INFY, NIFTY], "full")
    streaming(world)
    world.start().run(1)
    assert world.server.table == {INFY: "quote", NIFTY: "quote"}
    world.run(20)
    assert world.settled()
    assert world.connection.subscriptions.repairs == 4
    assert world.states == ["connecting", "connected"]


def test_a_mode_that_the_server_forgets_hours_later_is_repaired() -> None:
    world = World()
    world.subscribe([INFY], "full")
    streaming(world)
    world.start().run(7200)
    assert world.connection.subscriptions.repairs == 0
    world.server.table[INFY] = "quote"
    world.run(10)
    assert world.settled()


def test_a_subscription_that_did_not_take_is_sent_again() -> None:
    world = World()
    lost = iter([True, True])
    world.server.loses = lambda _: next(lost, False)
    world.subscribe([INFY], "full")
    world.start().run(9)
    assert world.server.table == {}
    world.run(3)
    assert world.settled()
    assert world.connection.subscriptions.unconfirmed == 0


def test_an_unsubscription_that_did_not_take_is_sent_again() -> None:
    world = World()
    world.subscribe([INFY], "full")
    streaming(world)
    world.start().run(5)
    lost = iter([True])
    world.server.loses = lambda _: next(lost, False)
    world.unsubscribe([INFY])
    world.run(1)
    assert world.server.table == {INFY: "full"}
    world.run(20)
    assert world.settled()


def test_packets_under_way_when_the_mode_changes_are_no_reason_for_a_repair() -> None:
    world = World()
    world.subscribe([INFY], "ltp")
    streaming(world)
    world.start().run(60)
    for mode in ("full", "quote", "ltp", "full"):
        world.subscribe([INFY], mode)
        world.deliver(frame((INFY, "ltp"), (INFY, "quote")))
        world.run(1)
    world.run(60)
    assert world.connection.subscriptions.repairs == 0
    assert world.settled()


def test_a_token_that_never_ticks_is_asked_for_ever_more_rarely() -> None:
    world = World()
    world.server.loses = lambda _: True
    world.subscribe([INFY], "full")
    world.start().run(3600)
    asked = sum(message["a"] == "subscribe" for message in world.server.texts)
    assert 10 <= asked <= 20


def test_an_index_that_is_never_sent_in_full_is_repaired_ever_more_rarely() -> None:
    world = World()
    world.subscribe([NIFTY], "full")
    world.server.loses = lambda message: message["a"] == "mode"
    streaming(world)
    world.start().run(3600)
    assert 10 <= sum(message["a"] == "mode" for message in world.server.texts) <= 22


def test_strangers_are_unsubscribed_ever_more_rarely() -> None:
    world = World()
    world.stream(0.1, lambda: [(999, "ltp")])
    world.start().run(3600)
    # Nobody looks at packets before something was sent, so the first glance comes from the timer.
    assert 5 <= len(world.server.texts) <= 25
    assert {str(message) for message in world.server.texts} == {"{'a': 'unsubscribe', 'v': [999]}"}


@pytest.mark.parametrize("mode", ["ltp", "quote", "full"])
@pytest.mark.parametrize("token", [INFY, NIFTY])
def test_packets_of_the_mode_confirm_it(mode: str, token: int) -> None:
    world = World()
    world.subscribe([token], mode)
    world.start().run(0.06)
    assert world.connection.subscriptions.unconfirmed == 1
    world.run(0.2)
    assert world.connection.subscriptions.unconfirmed == 0


def test_a_new_connection_is_told_everything_again() -> None:
    world = World()
    for mode, first in (("ltp", 1), ("quote", 1001), ("full", 2001)):
        world.subscribe(list(range(first, first + 1000)), mode)
    world.start().run(1)
    world.lose()
    world.server.texts.clear()
    world.run(2)
    assert world.settled()
    assert len(world.server.texts) == 30


def test_the_stream_is_looked_at_rarely_once_all_is_well() -> None:
    world = World()
    world.subscribe([INFY], "full")
    looked = []
    observe = world.connection.subscriptions.observe
    world.connection.subscriptions.observe = lambda now, data: (looked.append(now), observe(now, data))
    world.stream(0.01, lambda: [(INFY, "full")])
    world.start().run(1)
    assert len(looked) == 1  # the cached tick confirms the mode
    world.run(1000)
    assert 9_000 <= len(looked) <= 12_000  # a tenth of 100,000 frames


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.4, 0.6, 0.8])
@pytest.mark.parametrize("period", [0.5, 1.0, 2.5, 5.0])
def test_a_stream_that_keeps_step_with_the_glances_is_seen_all_the_same(period: float, phase: float) -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.start().run(20 + phase)
    world.stream(period, lambda: list(world.server.table.items()))
    world.server.table[INFY] = "quote"
    world.run(60 * period + 30)
    assert world.settled()
