"""The state machine in Upstox's dialect, in virtual time: no heartbeats, a market that says when it is open."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from tests.unit.ticker.world import DOWN, REFUSED, Server, World
from tickloom.sources import Upstox
from tickloom.sources import exchange_upstox_wire as wire
from tickloom.sources.upstox_wire import STATUSES, Requests
from tickloom.ticker.failures import from_close, from_status

DAY = 86_400
OPENS, CLOSES = 9.25 * 3600, 15.5 * 3600
KEYS = ["NSE_EQ|INE009A01021", "NSE_FO|54452", "NSE_INDEX|Nifty 50"]


class UpstoxServer(Server):
    """The broker's end; a bare `sub` is in mode ltpc."""

    def __init__(self, source: Upstox) -> None:
        super().__init__()
        self.keys = source.keys

    def handle(self, text: str) -> list[tuple[int, str]]:
        request = json.loads(text)
        self.texts.append(request)
        data = request["data"]
        tokens = [self.keys[key] for key in data["instrumentKeys"]]
        match request["method"]:
            case "sub":
                self.table |= dict.fromkeys(tokens, data["mode"])
            case "change_mode":
                self.table |= {token: data["mode"] for token in tokens if token in self.table}
            case "unsub":
                for token in tokens:
                    self.table.pop(token, None)
                return []
        return [(token, self.table[token]) for token in tokens if token in self.table]

    def frame(self, *packets: tuple[int, str]) -> bytes:
        feeds = {}
        for token, mode in packets:
            parts = wire.Shapes.parts(token, bytes(32 if token & 0xFF == 9 else 184), mode, 100, [])
            feeds[self.keys.key(token).encode()] = wire.Shapes.feed(token, mode, parts, None)
        return wire.message(wire.LIVE_FEED, 1_782_877_500_000, feeds)


class UpstoxWorld(World):
    """A connection of the source, whose market is as the broker's messages say."""

    def __init__(self, seed: int = 0, **settings: Any) -> None:
        self.source = Upstox("token")
        self.word = "normal_close"
        super().__init__(
            seed, heartbeat=None, dialect=Requests(self.source.keys), server=UpstoxServer(self.source),
            max_tokens=5_000, **settings,
        )  # fmt: skip

    def want(self, keys: list[str], mode: str = "full") -> list[int]:
        tokens = [self.source.keys[key] for key in keys]
        self.subscribe(tokens, mode)
        return tokens

    def greet(self) -> None:
        self.tell(self.word)

    def tell(self, word: str) -> None:
        """The market's status is this from now on."""
        self.word = word
        if self.server.open and not self.server.silent:
            frame = wire.message(wire.MARKET_INFO, 1, {}, {"NSE_EQ": STATUSES.index(word)})
            self.source.note(frame)
            self.deliver(frame)
            self.connection.handle_market(self.now, is_open=self.source._is_open(0))


def test_24_quiet_hours_of_a_server_that_only_answers_pings_raise_no_alarm() -> None:
    world = UpstoxWorld()
    world.want(KEYS)
    world.start().run(DAY)
    assert world.states == ["connecting", "connected"]
    assert {round(later - earlier, 6) for earlier, later in itertools.pairwise(world.pings)} == {2.55}


def test_a_whole_day_with_its_session_and_its_night_raises_no_alarm() -> None:
    world = UpstoxWorld()
    tokens = world.want(KEYS)
    ticking = False

    def trade() -> None:
        if ticking:
            world.deliver(world.server.frame(*((token, "full") for token in tokens)))
        world.at(20.0, trade)

    world.at(20.0, trade)
    world.start().run(OPENS)
    world.tell("normal_open")
    ticking = True
    world.run(CLOSES - OPENS)
    ticking = False
    world.tell("closing_start")
    world.run(600)
    world.tell("normal_close")
    world.run(DAY - CLOSES - 600)
    assert world.states == ["connecting", "connected"]


def test_an_open_market_without_ticks_is_stale_although_pings_are_answered_and_its_status_is_told() -> None:
    world = UpstoxWorld()
    world.want(KEYS)
    world.start().run(60)
    world.tell("normal_open")
    began = world.now
    for _ in range(6):
        world.run(5.5)
        # The status of the market is a sign of life, not of trade.
        world.tell("normal_open")
    stale = [when for when, notice in world.events if notice.state == "stale"]
    assert 29 <= stale[0] - began <= 33.5


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.99, 2.4])
def test_silence_is_noticed_within_six_seconds(phase: float) -> None:
    world = UpstoxWorld().start().run(10 + phase)
    world.server.silent = True
    began = world.now
    world.run(8)
    (when, notice) = next((t, n) for t, n in world.events if n.state == "disconnected")
    assert when - began <= 6.0
    assert "no byte" in notice.reason


@pytest.mark.parametrize("failure", [DOWN, from_status(503), from_status(502, 1.0)])
@pytest.mark.parametrize("seed", range(20))
def test_an_outage_of_ten_minutes_costs_at_most_25_attempts(seed: int, failure: Any) -> None:
    world = UpstoxWorld(seed)
    world.want(KEYS)
    world.start().run(20)
    before = len(world.attempts)
    world.server.failure = failure
    world.lose()
    world.run(600)
    assert 10 <= len(world.attempts) - before <= 25
    world.server.failure = None
    world.run(65)
    assert world.settled()


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011])
def test_after_a_close_every_key_and_mode_is_back_within_two_seconds(code: int, seed: int) -> None:
    world = UpstoxWorld(seed)
    for at, mode in enumerate(("ltpc", "option_greeks", "full", "full_d30")):
        world.want([f"NSE_FO|{number}" for number in range(1 + 400 * at, 401 + 400 * at)], mode)
    world.start().run(3)
    for _ in range(5):
        world.lose(from_close(code))
        world.run(2)
        assert world.settled()


def test_a_refused_token_costs_one_attempt_in_a_day() -> None:
    world = UpstoxWorld()
    world.server.failure = REFUSED
    world.start().run(DAY)
    assert len(world.attempts) == 1
