"""One connection as a state machine (stage ticker): no socket, no clock, no randomness of its own.

Events go in by `start`, `stop`, `subscribe`, `unsubscribe`, `renew` and the `handle_*` methods, each with the time
`now` (monotonic, seconds). After each, `poll` gives the actions that the shell must carry out, and `deadline` the time
at which it must call `handle_timer`. Same events, times and draws: same actions.

```
             start                 handle_connected
   stopped ────────▶ connecting ────────────────────▶ connected
      ▲               ▲  │  ▲                             │ close, silence, no ticks
      │ stop          │  │  └────────── waiting ◀─────────┘
      │ (from any)    │  │ handle_lost     ▲ handle_timer leads back to connecting
                renew │  ├─────────────────┘
                      │  ▼ 401, 403
            authentication_failed
```

Three clocks watch an open connection: any byte (heartbeats and pongs count; a ping makes a healthy server answer),
ticks while the market is open, and each token, which only sets a flag.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tickloom.ticker.actions import Action, Connect, Disconnect, Notify, Ping, Renew, Send
from tickloom.ticker.dialect import KITE
from tickloom.ticker.failures import Failure, Kind
from tickloom.ticker.subscriptions import Subscriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tickloom.ticker.dialect import Dialect
    from tickloom.ticker.messages import State
    from tickloom.ticker.settings import Settings

__all__ = ["Action", "Connect", "Connection", "Disconnect", "Notify", "Ping", "Renew", "Send"]

CONNECTING: Final = "connecting"
CONNECTED: Final = "connected"
WAITING: Final = "waiting"
STOPPED: Final = "stopped"
REFUSED: Final = "authentication_failed"
# Seconds between the frames that a glance looks at.
GLANCE_SPACING: Final = 0.02


# So many failures that the back-off is at its cap: after these an early attempt cannot help.
HOPELESS = {Kind.REDIRECT, Kind.REFUSED}


class Connection:
    """The life of one connection, from `start` to `stop`, over as many attempts as it takes."""

    def __init__(self, settings: Settings, *, draw: Callable[[], float], dialect: Dialect = KITE) -> None:
        self.settings = settings
        self.subscriptions = Subscriptions(settings, dialect)
        self.connects = 0
        """Times that a connection was made."""
        self._draw = draw
        self._is_tick = dialect.is_tick
        self._backoff = settings.backoff
        self._state: State = STOPPED
        self._actions: list[Action] = []
        self._failures = 0  # in a row, for the back-off
        self._attempt = 0  # since the last success, for the user
        self._due = 0.0  # of the state: the attempt's end, the next attempt, the provider's next chance
        self._served = False  # whether this connection delivered anything
        self._connected_at = self._byte_at = self._ping_at = self._tick_at = 0.0
        self._tick_patience = settings.tick_timeout
        self._market_open = False
        self._repair_due: float | None = None
        self._look_until = self._look_next = 0.0
        self._look_at = 0.0
        self._glancing = False
        self._until_confirmed = False  # attention may end early
        self._repairs = 0  # when it began

    # Getters.

    @property
    def state(self) -> State:
        """One of the states of the picture, the word of a `ConnectionEvent`."""
        return self._state

    def stale_tokens(self, now: float) -> list[int]:
        """Tokens of which nothing was noticed for `token_timeout`. Empty while not connected: then all are."""
        if self._state != CONNECTED:
            return []
        return self.subscriptions.stale(now, self.settings.token_timeout)

    def is_looking(self, now: float) -> bool:
        """Whether each frame counts now, because subscriptions are being checked. In a glance some are enough."""
        return now < self._look_until and not self._glancing

    # Commands.

    def start(self, now: float) -> None:
        """Connect, and keep connected until `stop`. Does nothing when started."""
        if self._state == STOPPED:
            self._failures = self._attempt = 0
            self._connect(now)

    def stop(self, code: int = 1000, reason: str = "") -> None:
        """Close for good; code and reason are the server's to hear. May be started again."""
        if self._state in {CONNECTED, CONNECTING}:
            self._actions.append(Disconnect(code, reason) if self._state == CONNECTED else Disconnect())
        if self._state != STOPPED:
            self._state = STOPPED
            self._actions.append(Notify("stopped"))

    def subscribe(self, tokens: Iterable[int], mode: str, now: float) -> None:
        """Desire tokens in a mode."""
        self.subscriptions.want(tokens, mode, now)

    def unsubscribe(self, tokens: Iterable[int]) -> None:
        """Desire tokens no longer."""
        self.subscriptions.drop(tokens)

    def renew(self, now: float) -> None:
        """There is a new token."""
        if self._state == REFUSED:
            self._failures = 0
            self._connect(now)

    # Events.

    def handle_connected(self, now: float) -> None:
        """The upgrade was accepted."""
        if self._state != CONNECTING:
            return
        self._state = CONNECTED
        self.connects += 1
        self._attempt = 0
        self._served = False
        self._connected_at = self._byte_at = self._ping_at = self._tick_at = now
        self._repair_due = None
        self.subscriptions.forget()
        self._actions.append(Notify(CONNECTED))

    def handle_byte(self, now: float) -> None:
        """Something arrived that is no message: a ping, a pong, a part of a frame. `now` may lie in the past."""
        self._byte_at = max(self._byte_at, now)

    def handle_text(self, now: float) -> None:
        """A text arrived. What it says is the user's business."""
        self._byte_at = now
        self._served = True

    def handle_frame(self, now: float, frame: bytes) -> bool:
        """A binary message arrived; returns whether `poll` has something to say to it.

        This is on the hot path: outside the moments of attention it stores two numbers.
        """
        self._byte_at = now
        self._served = True
        if self._is_tick(frame):
            self._tick_at = now
            if now < self._look_until:
                return self._look(now, frame)
        return False

    def handle_lost(self, now: float, failure: Failure) -> None:
        """The connection, or the attempt at one, failed."""
        if self._state not in {CONNECTED, CONNECTING}:
            return
        if self._state == CONNECTED:
            if now - self._connected_at >= self.settings.stable_after:
                self._failures = 0
            elif self._served:
                # It works but does not last: try soon, yet not at the pace of a first failure for ever.
                self._failures = min(self._failures, 1)
            self._actions.append(Notify("disconnected", code=failure.code, reason=failure.reason))
        if failure.kind is Kind.AUTHENTICATION:
            self._state = REFUSED
            self._due = now + self.settings.token_poll
            self._actions += [Notify(REFUSED, self._attempt, failure.code, failure.reason), Renew()]
            return
        wait = self._wait(failure)
        self._failures += 1
        self._state = WAITING
        self._due = now + wait
        self._actions.append(Notify(WAITING, self._attempt, failure.code, failure.reason, wait))

    def handle_market(self, now: float, *, is_open: bool) -> None:
        """The market opened or closed: ticks are expected only while it is open."""
        if is_open and not self._market_open:
            self._tick_at = max(self._tick_at, now)
            self._tick_patience = self.settings.tick_timeout
        self._market_open = is_open

    def handle_timer(self, now: float) -> None:
        """Time passed. May be called at any time, as often as one likes."""
        match self._state:
            case "connecting" if now >= self._due:
                self._actions.append(Disconnect())
                self.handle_lost(now, Failure(Kind.TIMEOUT, f"no answer in {self.settings.connect_timeout:g} s"))
            case "waiting" if now >= self._due:
                self._connect(now)
            case "authentication_failed" if now >= self._due:
                self._due = now + self.settings.token_poll
                self._actions.append(Renew())
            case "connected":
                self._watch(now)

    # What the shell must do.

    def poll(self, now: float) -> list[Action]:
        """The actions since the last call, in order. Changes of subscriptions are gathered until here."""
        if self._state == CONNECTED and self.subscriptions.changed:
            self._actions += [Send(text) for text in self.subscriptions.reconcile(now)]
            # Where one claim was wrong others may be, and they show only as their tokens tick.
            repaired = self.subscriptions.repairs != self._repairs
            attention = self.settings.attention * (4 if repaired else 1)
            self._look_until = max(self._look_until, now + attention)
            self._glancing = False
            self._until_confirmed, self._repairs = not repaired, self.subscriptions.repairs
            self._repair_due = now
        actions, self._actions = self._actions, []
        return actions

    def deadline(self) -> float | None:
        """When `handle_timer` is due, or None while only an event can change anything."""
        if self._state == STOPPED:
            return None
        if self._state != CONNECTED:
            return self._due
        settings = self.settings
        # A ping that was sent and not answered moves nothing: silence comes next.
        ping = max(self._byte_at, self._ping_at) + settings.ping_interval
        due = min(ping, self._byte_at + settings.silence_timeout, max(self._look_next, self._look_until))
        if self._expects_ticks():
            due = min(due, self._tick_at + self._tick_patience)
        return due if self._repair_due is None else min(due, self._repair_due)

    # Inside.

    def _connect(self, now: float) -> None:
        self._state = CONNECTING
        self._attempt += 1
        self._due = now + self.settings.connect_timeout
        self._actions += [Notify(CONNECTING, self._attempt), Connect()]

    def _wait(self, failure: Failure) -> float:
        draw = self._draw()
        wished = min(failure.retry_after or 0.0, self.settings.retry_after_cap)
        if failure.kind is Kind.LIMITED:
            # The jitter comes on top: all clients of a key got the same Retry-After.
            return max(self.settings.limited_wait, wished) + draw * self._backoff.window(self._failures)
        if failure.kind in HOPELESS:
            return self._backoff.longest(draw)
        return max(wished, self._backoff.delay(self._failures, draw))

    def _expects_ticks(self) -> bool:
        return self._market_open and bool(self.subscriptions.desired)

    def _watch(self, now: float) -> None:
        settings = self.settings
        # Compared as `deadline` adds, or rounding could leave the timer due and this not.
        if now >= self._byte_at + settings.silence_timeout:
            self._actions.append(Disconnect())
            self.handle_lost(now, Failure(Kind.SILENT, f"no byte for {settings.silence_timeout:g} s", 1006))
            return
        # Answers to a subscription come at once and from a cache; ticks after that prove that the market reaches us.
        if self._tick_at - self._connected_at > settings.settle:
            self._tick_patience = settings.tick_timeout
        if self._expects_ticks() and now >= self._tick_at + self._tick_patience:
            reason = f"no tick for {self._tick_patience:g} s while the market is open"
            # On a day without trading another connection is no better: ask ever less often.
            self._tick_patience = min(2 * self._tick_patience, settings.tick_timeout_cap)
            self._actions += [Notify("stale", reason=reason), Disconnect(1000)]
            self.handle_lost(now, Failure(Kind.STALE, reason, 1000))
            return
        if now >= max(self._byte_at, self._ping_at) + settings.ping_interval:
            self._ping_at = now
            self._actions.append(Ping())
        if self._repair_due is not None and now >= self._repair_due:
            self._repair_due = self.subscriptions.handle_timer(now)
        if now >= self._look_until and now >= self._look_next:
            self._rest(now)
            self._look_until = now + settings.glance
            self._glancing = True

    def _look(self, now: float, frame: bytes) -> bool:
        """Check a frame against what was asked for."""
        if now < self._look_at:
            return False
        # In a glance, no more frames than a live feed has: a flood is not to be read twice.
        self._look_at = now + GLANCE_SPACING if self._glancing else now
        self.subscriptions.observe(now, frame)
        if self._until_confirmed and not self.subscriptions.unconfirmed:
            self._rest(now)
        return self.subscriptions.changed

    def _rest(self, now: float) -> None:
        """Look no more until the next glance."""
        self._until_confirmed = False
        self._look_until = now
        # At a fixed pace a stream that ticks once a second could be missed for ever.
        self._look_next = now + self.settings.glance_interval * (0.5 + self._draw())
