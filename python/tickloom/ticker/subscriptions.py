"""What is desired, what was sent, what arrives: the subscriptions of one connection (stage ticker, pure).

The table of what is desired is the truth. A new connection knows nothing, so all of it is sent again; after that each
change is. What was sent is a claim until a packet of the right length proves it: a token in the wrong mode, one from
which nothing comes and one that comes although nobody wants it are sent again, ever more patiently.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.ticker import messages
from tickloom.ticker.dialect import KITE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tickloom.ticker.dialect import Dialect
    from tickloom.ticker.settings import Settings

__all__ = ["Subscriptions"]


class _Claim:
    """What the server was told about one token on this connection, and what it made of it."""

    __slots__ = ("at", "confirmed", "mode", "tries")

    def __init__(self, mode: str, at: float, tries: int) -> None:
        self.mode: str | None = mode  # None: to be sent as if it were new
        self.at = at
        self.tries = tries  # repairs in a row that did not help
        self.confirmed = False


class Subscriptions:
    """Tokens and their modes on one connection. Tells what to send; the caller sends it."""

    def __init__(self, settings: Settings, dialect: Dialect = KITE) -> None:
        self._settings = settings
        self._dialect = dialect
        self._desired: dict[int, str] = {}
        self._claims: dict[int, _Claim] = {}
        self._changed: dict[int, None] = {}  # a set that keeps its order
        self._unconfirmed: set[int] = set()
        self._dropped: dict[int, tuple[float, int]] = {}  # token -> when it was unsubscribed, how often
        self._seen: dict[int, float] = {}
        self.repairs = 0
        """Tokens that were sent again because what arrived was not what was asked for."""

    @property
    def desired(self) -> Mapping[int, str]:
        """token -> mode."""
        return self._desired

    @property
    def unconfirmed(self) -> int:
        """Tokens of which no packet in the right mode was seen on this connection."""
        return len(self._unconfirmed)

    @property
    def changed(self) -> bool:
        """Whether `reconcile` has something to say."""
        return bool(self._changed)

    # Commands.

    def want(self, tokens: Iterable[int], mode: str, now: float) -> None:
        """Desire the tokens in this mode, whatever they were in."""
        for token in tokens:
            if self._desired.get(token) != mode:
                self._desired[token] = mode
                self._changed[token] = None
            # A token is stale from the moment it was wanted, not since ever.
            self._seen.setdefault(token, now)

    def drop(self, tokens: Iterable[int]) -> None:
        """Desire the tokens no longer. Unknown ones are ignored."""
        for token in tokens:
            if self._desired.pop(token, None) is not None:
                self._changed[token] = None
                self._seen.pop(token, None)

    def forget(self) -> None:
        """The server knows nothing any more: the connection is new."""
        self._claims.clear()
        self._dropped.clear()
        self._unconfirmed.clear()
        self._changed = dict.fromkeys(self._desired)

    # What to send.

    def reconcile(self, now: float) -> list[str]:
        """The texts that make the server's table the desired one, given what it was told before."""
        gone: list[int] = []
        dialect = self._dialect
        fresh: dict[str, list[int]] = {mode: [] for mode in dialect.modes}
        moved: dict[str, list[int]] = {mode: [] for mode in dialect.modes}
        for token in self._changed:
            mode, claim = self._desired.get(token), self._claims.get(token)
            if mode is None:
                if claim is not None:
                    gone.append(token)
            elif claim is None or claim.mode is None:
                fresh[mode].append(token)
            elif claim.mode != mode:
                moved[mode].append(token)
        self._changed.clear()
        size = self._settings.chunk
        texts = [text for chunk in messages.chunks(gone, size) for text in dialect.unsubscribe(chunk)]
        for mode in dialect.modes:
            for chunk in messages.chunks(fresh[mode], size):
                texts += dialect.subscribe(chunk, mode)
            for chunk in messages.chunks(moved[mode], size):
                texts += dialect.set_mode(chunk, mode)
            self._claim(fresh[mode], mode, now)
            self._claim(moved[mode], mode, now)
        for token in gone:
            del self._claims[token]
            self._unconfirmed.discard(token)
            _, times = self._dropped.get(token, (now, -1))
            self._dropped[token] = (now, times + 1)
        return texts

    def _claim(self, tokens: Sequence[int], mode: str, now: float) -> None:
        for token in tokens:
            before = self._claims.get(token)
            self._claims[token] = _Claim(mode, now, before.tries if before is not None else 0)
            self._dropped.pop(token, None)
        self._unconfirmed.update(tokens)

    # What arrives.

    def observe(self, now: float, frame: bytes) -> None:
        """Compare a frame's packets with what was asked for. Afterwards `changed` says whether there is a repair."""
        claims, seen = self._claims, self._seen
        for shown, token in self._dialect.observe(frame):
            claim = claims.get(token)
            # What does not tell its mode is taken for the one that was asked for.
            mode = shown or (claim.mode if claim is not None else None) or self._dialect.modes[-1]
            if claim is None:
                self._stray(token, mode, now)
                continue
            if token in self._desired:
                seen[token] = now
            if claim.mode == mode:
                if not claim.confirmed:
                    claim.confirmed = True
                    claim.tries = 0
                    self._unconfirmed.discard(token)
            # Packets of the old mode are under way for a while after a change.
            elif claim.mode is not None and now - claim.at >= self._patience(self._settings.settle, claim.tries):
                claim.mode = mode
                self._repair(token, claim)

    def _stray(self, token: int, mode: str, now: float) -> None:
        """A packet of a token that the server should not send, or that is about to be subscribed."""
        if token in self._desired:
            return
        at, times = self._dropped.setdefault(token, (now, 0))
        if now - at >= self._patience(self._settings.settle, times):
            self._claims[token] = _Claim(mode, now, 0)
            self._changed[token] = None
            self.repairs += 1

    def _repair(self, token: int, claim: _Claim) -> None:
        claim.tries += 1
        claim.confirmed = False
        self._unconfirmed.add(token)
        self._changed[token] = None
        self.repairs += 1

    def _patience(self, first: float, tries: int) -> float:
        return float(min(self._settings.repair_cap, first * 2.0 ** min(tries, 64)))

    # Time.

    def handle_timer(self, now: float) -> float | None:
        """Mark for repair what was never confirmed; the time to ask again, or None if all is well."""
        earliest: float | None = None
        for token in self._unconfirmed:
            claim = self._claims[token]
            due = claim.at + self._patience(self._settings.repair_after, claim.tries)
            if due <= now:
                if claim.mode is not None:
                    claim.mode = None
                    claim.tries += 1
                    self._changed[token] = None
                    self.repairs += 1
                due = now + self._patience(self._settings.repair_after, claim.tries)
            earliest = due if earliest is None else min(earliest, due)
        return earliest

    def stale(self, now: float, after: float) -> list[int]:
        """Desired tokens of which no packet was noticed for so many seconds."""
        return [token for token, seen in self._seen.items() if now - seen > after]
