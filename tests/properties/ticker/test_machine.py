"""Whatever happens in whatever order: what is desired is reached, time moves on, no attempt comes too often."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.ticker.world import REFUSED, World, frame
from tickloom.ticker.failures import Failure, Kind, from_close, from_status
from tickloom.ticker.messages import MODES

TOKENS = st.lists(st.sampled_from([1, 2, 3, 9, 265, 408065, 12345602, 2**32 - 1]), min_size=1, max_size=5)
FAILURES = st.one_of(
    st.builds(from_status, st.sampled_from([302, 400, 404, 429, 500, 503]), st.none() | st.floats(0, 100)),
    st.builds(Failure, st.sampled_from([Kind.DNS, Kind.TLS, Kind.NETWORK]), st.just("it failed")),
)


class TickerMachine(RuleBasedStateMachine):
    """A user, a broker and a network that each do as they please."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(seed=1)
        self.desired: dict[int, str] = {}
        self.started = False

    # The user.

    @initialize(tokens=TOKENS, mode=st.sampled_from(MODES))
    def begin(self, tokens: list[int], mode: str) -> None:
        self.subscribe(tokens, mode)
        self.start()
        self.world.run(1)

    @rule()
    def start(self) -> None:
        self.world.start()
        self.started = True

    @rule(for_good=st.booleans())
    def stop(self, for_good: bool) -> None:
        self.world.connection.stop()
        self.world.pump()
        self.started = False
        if not for_good:
            self.start()

    @rule(tokens=TOKENS, mode=st.sampled_from(MODES))
    def subscribe(self, tokens: list[int], mode: str) -> None:
        self.world.subscribe(tokens, mode)
        self.desired.update(dict.fromkeys(tokens, mode))

    @rule(tokens=TOKENS)
    def unsubscribe(self, tokens: list[int]) -> None:
        self.world.unsubscribe(tokens)
        for token in tokens:
            self.desired.pop(token, None)

    @rule(is_open=st.booleans())
    def market(self, is_open: bool) -> None:
        self.world.connection.handle_market(self.world.now, is_open=is_open)

    # The broker and the network.

    @rule(seconds=st.floats(0, 120))
    def time(self, seconds: float) -> None:
        self.world.run(seconds)

    @precondition(lambda self: self.world.server.open)
    @rule(code=st.sampled_from([None, 1000, 1001, 1006, 1011, 4999]))
    def close(self, code: int | None) -> None:
        self.world.lose(from_close(code))

    # Faults pass, or every life would end with a new connection, which heals all by itself.

    @rule(failure=FAILURES, seconds=st.floats(0, 60))
    def goes_down(self, failure: Failure, seconds: float) -> None:
        self.world.server.failure = failure
        self.world.at(seconds, self.comes_up)
        if self.world.server.open:
            self.world.lose()

    @rule(seconds=st.floats(0, 60))
    def refuses_the_token(self, seconds: float) -> None:
        self.world.server.failure = REFUSED
        self.world.new_token = True
        self.world.at(seconds, self.comes_up)

    def comes_up(self) -> None:
        server = self.world.server
        server.failure, server.silent, server.frozen, server.hangs = None, False, False, False

    @rule(silent=st.booleans(), frozen=st.booleans(), hangs=st.booleans(), seconds=st.floats(0, 20))
    def misbehaves(self, silent: bool, frozen: bool, hangs: bool, seconds: float) -> None:
        server = self.world.server
        server.silent, server.frozen, server.hangs = silent, frozen, hangs
        self.world.at(seconds, self.comes_up)

    @rule(action=st.sampled_from(["subscribe", "unsubscribe", "mode", None]))
    def loses_texts(self, action: str | None) -> None:
        self.world.server.loses = lambda message: message["a"] == action

    @precondition(lambda self: self.world.server.open)
    @rule(tokens=TOKENS, mode=st.sampled_from(MODES))
    def forgets(self, tokens: list[int], mode: str) -> None:
        for token in tokens:
            if token in self.world.server.table:
                self.world.server.table[token] = mode

    @rule(
        data=st.one_of(
            st.binary(max_size=40), st.builds(lambda t, m: frame(*((x, m) for x in t)), TOKENS, st.sampled_from(MODES))
        )
    )
    def frames(self, data: bytes) -> None:
        self.world.deliver(data)

    # What must hold.

    @invariant()
    def the_table_is_the_users(self) -> None:
        assert dict(self.world.connection.subscriptions.desired) == self.desired

    @invariant()
    def a_timer_lies_ahead_while_it_runs(self) -> None:
        due = self.world.connection.deadline()
        assert (due is None) == (not self.started)

    @invariant()
    def attempts_are_no_more_than_the_broker_bears(self) -> None:
        # Stops and starts are the user's own; without one, a minute never sees more than the back-off's first windows.
        if self.world.states.count("stopped") == 0 and self.world.states.count("connected") == 0:
            assert len([t for t in self.world.attempts if t > self.world.now - 60]) <= 12

    def teardown(self) -> None:
        """However it ended: with a broker that works and a token that is good, the desired state is reached."""
        world = self.world
        server = world.server
        self.comes_up()
        server.loses = lambda _: False
        world.new_token = True
        world.start()
        world.stream(0.2, lambda: list(server.table.items()))
        # The longest Retry-After, then the longest patience of a repair.
        world.run(140 + world.settings.repair_cap + 20)
        assert world.settled(), (server.table, self.desired, world.connection.state)


TestTickerMachine = TickerMachine.TestCase
TestTickerMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
