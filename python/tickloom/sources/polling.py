"""Polling: a function that returns quotes, asked again and again, for brokers without sockets (stage sources).

```
own thread:   function() ──▶ {"INFY": {"price": 1500.0, ...}}
the loop:     every n seconds ──▶ quotes ──▶ sink.on_ticks        an error ──▶ connection states, backoff
```
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import math
import random
import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tickloom.errors import AuthenticationFailed
from tickloom.model import to_ns
from tickloom.sources.pushed import KINDS, PushedTicks, Quote
from tickloom.sources.wanted import Wanted
from tickloom.ticker.backoff import Backoff
from tickloom.ticker.dial import in_thread
from tickloom.ticker.messages import ConnectionEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tickloom.sources.base import Sink
    from tickloom.sources.pushed import VolumeKind

__all__ = ["Polling"]

_log = logging.getLogger(__name__)

_WORDS = frozenset({"price", "time", "volume", "oi"})
_LOOK = 0.05


class Polling(Wanted):
    """Quotes of a function of yours, which is called every `every` seconds in a thread of its own, never twice at once.

    The function takes the wanted names, a tuple, and returns a mapping of name, or token, to a mapping with `price`
    (money), and if they are known `time` (of the last trade: an aware datetime or int nanoseconds UTC), `volume` and
    `oi` (counts). `symbols` maps names to tokens. `volume` declares what the quotes' volumes are: the day's
    "cumulative" sum, "delta" for what was traded since the call before, or "none". Without `time` a tick is placed by
    the moment at which the function returned it, and its bars are flagged TIME_APPROX.

    A call that raises, gives no mapping, or takes longer than `timeout` seconds is a lost connection, and its bars have
    a gap (R13); the next call comes after a wait that doubles up to `longest` seconds. `AuthenticationFailed` ends the
    run after it was told. A quote that cannot be read is left out, counted in `rejected`, and logged. `clock` gives
    nanoseconds UTC. Raises ValueError for options that make no sense, TypeError
    for what cannot be called, and for an async function.
    """

    name = "polling"
    live = True

    def __init__(
        self,
        function: Callable[[tuple[str, ...]], Mapping[Any, Mapping[str, Any]]],
        every: float = 1.0,
        *,
        symbols: Mapping[str, int],
        volume: VolumeKind = "cumulative",
        timeout: float = 10.0,
        longest: float = 60.0,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if not callable(function):
            raise TypeError(f"a function that is polled must be callable: {function!r}")
        if inspect.iscoroutinefunction(function):
            msg = f"a function that is polled runs in a thread and cannot be async: {function!r}"
            raise TypeError(msg)
        for value, what in ((every, "every"), (timeout, "timeout"), (longest, "longest")):
            if not (0 < value < math.inf):
                msg = f"{what} must be a number of seconds above 0: {value}"
                raise ValueError(msg)
        if volume not in KINDS:
            msg = f"volume must be one of {', '.join(KINDS)}: {volume!r}"
            raise ValueError(msg)
        super().__init__()
        self.symbols = dict(symbols)
        self.clock = clock
        self.calls = self.failures = self.rejected = 0
        """How often the function was called, how often in vain, and how many quotes could not be read."""
        self._function = function
        self._every = every
        self._volume: VolumeKind = volume
        self._timeout = timeout
        self._backoff = Backoff(base=min(every, longest), cap=longest)
        self._names = {token: name for name, token in self.symbols.items()}
        self._complained: set[str] = set()
        self._busy = False

    async def run(self, sink: Sink) -> None:
        """Calls and delivers until cancelled. Raises AuthenticationFailed if the function does."""
        attempt, up = 0, False
        due = time.monotonic()
        self._tell(sink, "connecting")
        while True:
            if not self._wanted:
                # The first subscription may come at any time; asking for nothing is no sign of life.
                await asyncio.sleep(min(self._every, _LOOK))
                due = time.monotonic()
                continue
            try:
                answer = await self._call()
                ticks = PushedTicks(self._quotes(answer), volume=self._volume, received_ns=self.clock())
            except AuthenticationFailed as error:
                self.failures += 1
                self._tell(sink, "authentication_failed", attempt + 1, reason=str(error))
                raise
            except Exception as error:  # noqa: BLE001 - whatever a user's function raises is a broker that is not there
                attempt += 1
                self.failures += 1
                reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                _log.warning("a poll failed, attempt %d: %s", attempt, reason)
                if up:
                    self._tell(sink, "disconnected", reason=reason)
                    up = False
                wait = self._backoff.delay(attempt - 1, random.random())  # noqa: S311 - spreads load, guards nothing
                self._tell(sink, "waiting", attempt, reason=reason, retry_in=wait)
                await asyncio.sleep(wait)
                due = time.monotonic()
                self._tell(sink, "connecting", attempt)
                continue
            if not up:
                self._tell(sink, "connected")
                attempt, up = 0, True
            sink.on_ticks(ticks, 0)
            # From beat to beat, not from end to beginning; beats that a slow call missed are left out.
            due = max(due + self._every, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    def subscribe(self, tokens: Sequence[int], mode: str) -> None:
        """Wants these; all modes are alike. Raises ValueError for a token without a name, and a mode that is none."""
        unknown = [token for token in tokens if token not in self._names]
        if unknown:
            msg = f"no name to ask for, put it into symbols: {unknown[0]}"
            raise ValueError(msg)
        super().subscribe(tokens, mode)

    def __repr__(self) -> str:
        return f"<Polling: {len(self._wanted)} instruments every {self._every:g} s>"

    async def _call(self) -> Any:
        names = tuple(self._names[token] for token in self._wanted)
        deadline = time.monotonic() + self._timeout
        late = TimeoutError(f"no answer within {self._timeout:g} s")
        # A thread cannot be ended from outside; a second call beside one that hangs would only hang as well.
        while self._busy:
            if time.monotonic() >= deadline:
                raise late
            await asyncio.sleep(_LOOK)
        self.calls += 1
        self._busy = True
        call = asyncio.ensure_future(in_thread(lambda: self._ask(names), "tickloom-polling"))
        done, _ = await asyncio.wait([call], timeout=max(deadline - time.monotonic(), 0))
        if not done:
            call.cancel()
            raise late
        return call.result()

    def _ask(self, names: tuple[str, ...]) -> Any:
        try:
            return self._function(names)
        except BaseException as error:
            if isinstance(error, Exception) and not isinstance(error, StopIteration):
                raise
            # A panic of an extension module, a cancellation: a failure like others, which must not end the loop. An
            # iterator at its end cannot be carried to the loop as it is.
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
        finally:
            self._busy = False

    def _quotes(self, answer: Any) -> list[Quote]:
        if not isinstance(answer, Mapping):
            msg = f"a function that is polled returns a mapping of names to quotes, not {type(answer).__name__}"
            raise TypeError(msg)
        quotes, wanted = [], self._wanted
        for name, told in answer.items():
            try:
                quote = self._quote(name, told)
                if quote.token in wanted:
                    quotes.append(quote)
            except (TypeError, ValueError, OverflowError) as error:
                self.rejected += 1
                if str(name) not in self._complained and len(self._complained) < 1_000:
                    self._complained.add(str(name))
                    _log.error("a quote cannot be read and is left out, said once: %s: %s", name, error)
        return quotes

    def _quote(self, name: Any, told: Any) -> Quote:
        token = self.symbols.get(name) if isinstance(name, str) else name
        if token not in self._names:
            raise ValueError("no such instrument in symbols")
        if not isinstance(told, Mapping):
            raise TypeError(f"a quote is a mapping with a price, not {type(told).__name__}")
        if unknown := told.keys() - _WORDS:
            raise ValueError(f"a quote has {', '.join(sorted(_WORDS))}: {', '.join(sorted(map(str, unknown)))}")
        if "price" not in told:
            raise ValueError("a quote has a price")
        when = told.get("time")
        time_ns = to_ns(when) if isinstance(when, datetime) else _count(when)
        return Quote(token, float(told["price"]), time_ns, _count(told.get("volume")), _count(told.get("oi")))

    def _tell(
        self, sink: Sink, state: Any, attempt: int = 0, *, reason: str = "", retry_in: float | None = None
    ) -> None:
        sink.on_connection(
            ConnectionEvent(state, 0, self.clock(), attempt=attempt, reason=reason, retry_in=retry_in)
        )  # fmt: skip


def _count(value: Any) -> int | None:
    """A whole number, which JSON may have written as 100.0."""
    if value is None:
        return None
    whole = int(value)
    if whole != value:
        raise ValueError(f"a count and a time in nanoseconds are whole numbers: {value!r}")
    return whole
