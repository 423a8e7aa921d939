"""The state machine: transcripts in virtual time."""

from __future__ import annotations

import itertools

import pytest

from tests.unit.ticker.world import DOWN, REFUSED, World, frame
from tickloom.ticker.failures import Failure, Kind, from_close, from_status
from tickloom.ticker.protocol import Connect, Connection, Disconnect, Notify, Ping, Send
from tickloom.ticker.settings import Settings

INFY, OPTION, NIFTY = 408065, 12345602, 256265


def machine(draw: float = 0.5, **settings: float) -> Connection:
    return Connection(Settings(**settings), draw=lambda: draw)


# Transcripts.


def test_a_connection_subscribes_then_sets_the_mode() -> None:
    it = machine()
    it.subscribe([INFY], "full", 0.0)
    it.start(0.0)
    assert it.poll(0.0) == [Notify("connecting", 1), Connect()]
    it.handle_connected(0.1)
    assert it.poll(0.1) == [
        Notify("connected"),
        Send('{"a":"subscribe","v":[408065]}'),
        Send('{"a":"mode","v":["full",[408065]]}'),
    ]


def test_the_transcript_of_a_lost_connection() -> None:
    it = machine(draw=0.5)
    it.subscribe([INFY], "ltp", 0.0)
    it.start(0.0)
    it.handle_connected(0.0)
    it.poll(0.0)
    it.handle_lost(1.0, from_close(1011, "oops"))
    assert it.poll(1.0) == [
        Notify("disconnected", code=1011, reason="server error: oops"),
        Notify("waiting", 0, 1011, "server error: oops", 0.25),
    ]
    assert it.deadline() == 1.25
    it.handle_timer(1.2)
    assert it.poll(1.2) == []
    it.handle_timer(1.25)
    assert it.poll(1.25) == [Notify("connecting", 1), Connect()]
    it.handle_connected(1.3)
    assert [action.text for action in it.poll(1.3) if isinstance(action, Send)] == [
        '{"a":"subscribe","v":[408065]}',
        '{"a":"mode","v":["ltp",[408065]]}',
    ]


def test_same_events_times_and_draws_give_the_same_actions() -> None:
    def life() -> list:
        world = World(seed=3)
        world.subscribe(list(range(1, 50)), "full")
        world.start().run(5)
        world.lose()
        world.server.failure = DOWN
        world.run(60)
        return world.events

    assert life() == life()


def test_changes_on_an_open_connection_send_only_what_changed() -> None:
    world = World()
    world.subscribe([INFY, OPTION], "quote")
    world.start().run(1)
    world.server.texts.clear()
    world.subscribe([INFY], "full")
    world.subscribe([OPTION], "quote")
    world.unsubscribe([OPTION, 999])
    world.run(1)
    assert world.server.texts == [{"a": "mode", "v": ["full", [INFY]]}, {"a": "unsubscribe", "v": [OPTION]}]


def test_a_change_that_is_taken_back_sends_nothing() -> None:
    it = machine()
    it.subscribe([INFY], "full", 0.0)
    it.start(0.0)
    it.handle_connected(0.0)
    it.poll(0.0)
    it.unsubscribe([INFY])
    it.subscribe([INFY], "full", 0.1)
    it.subscribe([OPTION], "full", 0.1)
    it.unsubscribe([OPTION])
    assert it.poll(0.1) == []


def test_texts_are_chunked() -> None:
    world = World(chunk=200)
    world.subscribe(list(range(1, 3001)), "full")
    world.start().run(1)
    assert len(world.server.texts) == 30
    assert max(len(m["v"]) if m["a"] == "subscribe" else len(m["v"][1]) for m in world.server.texts) == 200
    assert world.settled()


def test_stopping_says_goodbye_and_nothing_follows() -> None:
    world = World().start().run(1)
    world.connection.stop()
    assert world.connection.poll(world.now) == [Disconnect(1000), Notify("stopped")]
    assert world.connection.deadline() is None
    world.connection.handle_timer(world.now + 100)
    world.connection.handle_lost(world.now + 100, DOWN)
    world.connection.handle_connected(world.now + 100)
    world.connection.renew(world.now + 100)
    assert world.connection.poll(world.now + 100) == []


@pytest.mark.parametrize("failure", [DOWN, REFUSED])
def test_stopping_between_two_connections_ends_the_waiting(failure: Failure) -> None:
    world = World()
    world.server.failure = failure
    world.start().run(1)
    world.connection.stop()
    world.run(1000)
    assert world.states[-1] == "stopped"
    assert world.connection.deadline() is None


def test_a_stopped_connection_can_be_started_again() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.start().run(1)
    world.connection.stop()
    world.run(1)
    world.start().run(1)
    assert world.settled()


# Clock one: any byte.


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.99])
def test_silence_is_noticed_after_the_timeout_and_not_before(phase: float) -> None:
    world = World().start().run(10 + phase)
    last_byte = world.now - (world.now - world.attempts[0] - world.latency) % 1.0
    world.server.silent = True
    world.run(8)
    (when, notice) = next((t, n) for t, n in world.events if n.state == "disconnected")
    assert 4.9 <= when - last_byte <= 6.0
    assert "no byte" in notice.reason


def test_24_quiet_hours_of_heartbeats_raise_no_alarm() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.start().run(86_400)
    assert world.states == ["connecting", "connected"]


def test_24_quiet_hours_of_a_server_that_only_answers_pings_raise_no_alarm() -> None:
    world = World(heartbeat=None).start().run(86_400)
    assert world.states == ["connecting", "connected"]
    assert {round(b - a, 6) for a, b in itertools.pairwise(world.pings)} == {2.55}


def test_a_server_that_answers_no_ping_but_sends_heartbeats_is_alive() -> None:
    it = machine()
    it.start(0.0)
    it.handle_connected(0.0)
    for second in range(1, 100):
        it.handle_frame(float(second), b"\x00")
        it.handle_timer(float(second))
    assert it.state == "connected"
    assert not any(isinstance(action, Ping) for action in it.poll(100.0))


def test_a_byte_of_the_past_does_not_turn_the_clock_back() -> None:
    it = machine()
    it.start(0.0)
    it.handle_connected(0.0)
    it.handle_frame(4.0, b"\x00")
    it.handle_byte(1.0)
    it.handle_timer(8.9)
    assert it.state == "connected"


def test_an_attempt_that_is_never_answered_ends() -> None:
    world = World(connect_timeout=10.0)
    world.server.hangs = True
    world.start().run(11)
    assert world.last("waiting").reason == "no answer in 10 s"


# Clock two: ticks while the market is open.


def test_no_ticks_in_an_open_market_are_stale_although_heartbeats_come() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.connection.handle_market(world.now, is_open=True)
    world.stream(0.5, lambda: [(INFY, "full")])
    world.start().run(60)
    assert "stale" not in world.states
    world.server.frozen = True
    frozen_at = world.now
    world.run(31)
    when = next(t for t, n in world.events if n.state == "stale")
    assert 29 <= when - frozen_at <= 31
    assert world.states[-4:] == ["disconnected", "waiting", "connecting", "connected"]
    world.server.frozen = False
    world.run(120)
    assert world.states.count("stale") == 1


def test_no_ticks_in_a_closed_market_are_no_alarm() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.connection.handle_market(world.now, is_open=False)
    world.start().run(3600)
    assert "stale" not in world.states


def test_the_clock_starts_when_the_market_opens() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.start().run(3600)
    world.connection.handle_market(world.now, is_open=True)
    world.run(29)
    assert "stale" not in world.states
    world.run(2)
    assert "stale" in world.states


def test_nothing_is_expected_when_nothing_is_subscribed() -> None:
    world = World()
    world.connection.handle_market(world.now, is_open=True)
    world.start().run(3600)
    assert "stale" not in world.states


def test_a_holiday_that_nobody_told_us_of_costs_few_connections() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.connection.handle_market(world.now, is_open=True)
    world.start().run(6.25 * 3600)
    assert 5 < len(world.attempts) <= 35


# Clock three: each token.


def test_a_token_that_stopped_is_flagged_and_nothing_else_happens() -> None:
    world = World(token_timeout=120.0)
    world.subscribe([INFY, OPTION], "full")
    alive = [(INFY, "full"), (OPTION, "full")]
    world.stream(0.2, lambda: alive)
    world.start().run(300)
    assert world.connection.stale_tokens(world.now) == []
    alive.pop()
    world.run(130)
    assert world.connection.stale_tokens(world.now) == [OPTION]
    assert world.states == ["connecting", "connected"]
    alive.append((OPTION, "full"))
    world.run(10)
    assert world.connection.stale_tokens(world.now) == []


def test_no_token_is_flagged_while_there_is_no_connection() -> None:
    world = World()
    world.server.failure = DOWN
    world.subscribe([INFY], "full")
    world.start().run(600)
    assert world.connection.stale_tokens(world.now) == []


# Failures.


@pytest.mark.parametrize("seed", range(50))
def test_an_outage_of_ten_minutes_costs_at_most_25_attempts(seed: int) -> None:
    world = World(seed).start().run(20)
    before = len(world.attempts)
    world.server.failure = DOWN
    world.lose()
    world.run(600)
    assert 10 <= len(world.attempts) - before <= 25


def test_an_outage_costs_at_most_25_attempts_however_small_the_draws() -> None:
    world = World()
    world.connection = Connection(world.settings, draw=lambda: 0.0)
    world.server.failure = DOWN
    world.start().run(600)
    assert len(world.attempts) <= 25


def test_a_server_that_accepts_and_hangs_up_at_once_is_an_outage_too() -> None:
    world = World().start().run(20)
    before = len(world.attempts)
    world.lose()
    end = world.now + 600
    while world.now < end:
        world.run(0.1)
        if world.server.open:
            world.lose(from_close(1011))
    assert len(world.attempts) - before <= 25


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 4000])
def test_after_a_close_all_is_back_within_two_seconds(code: int, seed: int) -> None:
    world = World(seed)
    world.subscribe(list(range(1, 1000)), "full")
    world.start().run(3)
    for _ in range(5):
        world.lose(from_close(code))
        world.run(2)
        assert world.settled()


def test_the_backoff_starts_anew_after_a_good_connection() -> None:
    world = World(stable_after=10.0)
    world.server.failure = DOWN
    world.start().run(300)
    world.server.failure = None
    world.run(61)
    assert world.connection.state == "connected"
    world.run(11)
    world.lose()
    retry = world.last("waiting").retry_in
    assert retry is not None
    assert retry <= 0.5


def test_a_refused_token_is_tried_once_and_a_new_one_resumes() -> None:
    world = World(token_poll=30.0)
    world.subscribe([INFY], "full")
    world.server.failure = REFUSED
    world.start().run(86_400)
    assert len(world.attempts) == 1
    assert world.states == ["connecting", "authentication_failed"]
    assert world.last("authentication_failed").code == 403
    assert len(world.renewals) == 86_400 // 30
    world.server.failure = None
    world.new_token = True
    world.run(31)
    assert world.settled()


def test_429_waits_at_least_30_seconds_and_obeys_a_longer_wish() -> None:
    for wish, least in ((None, 30), (5, 30), (77, 77), (10**9, 3600)):
        world = World()
        world.server.failure = from_status(429, wish)
        world.start().run(1)
        retry = world.last("waiting").retry_in
        assert retry is not None
        assert least <= retry <= least + 1
        world.server.failure = None
        world.run(least - 2)
        assert len(world.attempts) == 1
        world.run(5)
        assert len(world.attempts) == 2


def test_503_is_not_tried_before_the_server_wishes() -> None:
    world = World()
    world.server.failure = from_status(503, 20)
    world.start().run(19)
    assert len(world.attempts) == 1
    world.run(3)
    assert len(world.attempts) == 2


@pytest.mark.parametrize("failure", [from_status(302), from_status(400), from_status(404)])
def test_what_another_attempt_cannot_change_is_tried_rarely(failure: Failure) -> None:
    world = World()
    world.server.failure = failure
    world.start().run(35)
    assert len(world.attempts) == 1


@pytest.mark.parametrize("kind", [Kind.DNS, Kind.TLS, Kind.NETWORK, Kind.SERVER])
def test_what_may_pass_is_tried_again_soon(kind: Kind) -> None:
    world = World()
    world.server.failure = Failure(kind, "it failed")
    world.start().run(0.6)
    assert len(world.attempts) >= 2


def test_the_attempt_of_an_event_counts_since_the_last_success() -> None:
    world = World()
    world.server.failure = DOWN
    world.start().run(5)
    attempts = [notice.attempt for _, notice in world.events if notice.state == "connecting"]
    assert attempts == list(range(1, len(attempts) + 1))
    world.server.failure = None
    world.run(30)
    world.lose()
    world.run(2)
    assert world.last("connecting").attempt == 1


# What arrives.


def test_frames_that_mean_nothing_do_no_harm() -> None:
    world = World()
    world.subscribe([INFY], "full")
    world.start().run(1)
    for garbage in (
        b"",
        b"\x00",
        b"\x00\x01",
        b"\xff\xff\xff\xff",
        b"\x00\x02\x00\xb8" + bytes(10),
        frame((1, "ltp"))[:-1],
    ):
        world.deliver(garbage)
    world.run(1)
    assert world.settled()
    assert world.states == ["connecting", "connected"]
