"""The exchange's levers: faults on demand, from any thread (stage sources)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from tickloom.errors import TickloomError
from tickloom.sources.exchange_door import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from tickloom.sources.exchange_client import Client
    from tickloom.sources.exchange_floor import Floor

T = TypeVar("T")
# What a call from another thread waits for the exchange's loop, in seconds.
ANSWER = 10.0


class Levers:
    """What can be done to a running exchange. Every method may be called from any thread."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self._loop: asyncio.AbstractEventLoop | None = None

    # Faults. `client` is a number of `subscriptions`; None means all that are connected.

    def silence(self, seconds: float | None) -> None:
        """Sends nothing at all to anyone, new clients included, for so long; None: until `silence(0)`."""
        self._call(lambda: self._floor.silence(seconds))

    def half_open(self, client: int | None = None) -> None:
        """The lines go dead for good: nothing is sent or read any more, and no end is told."""
        self._each(client, lambda one: one.half_open())

    def close(self, code: int = 1000, reason: str = "", client: int | None = None) -> None:
        """Closes with a code; 1006 is none on the wire, it ends the connection without a close frame."""
        self._each(client, lambda one: one.close(code, reason))

    def reset(self, client: int | None = None) -> None:
        """Ends connections with a TCP reset."""
        self._each(client, lambda one: one.reset())

    def cut_frame(self, client: int | None = None) -> None:
        """Ends connections in the middle of a frame."""
        self._each(client, lambda one: one.cut_frame())

    def refuse(
        self, status: int, retry_after: int | None = None, times: int | None = 1, location: str = ""
    ) -> None:  # fmt: skip
        """Answers the next `times` attempts with an HTTP status, None: all of them, 0: none any more.

        With Upstox an attempt is an authorisation. A status of 3xx redirects to `location`. Raises ValueError for a
        status under 300.
        """
        if not 300 <= status <= 599:
            raise ValueError(f"not a status that refuses: {status}")
        refusal = None if times == 0 else Refusal(status, retry_after, times, location)

        def put() -> None:
            self._floor.door.refusal = refusal

        self._call(put)

    def slow(self, bytes_a_second: float | None, client: int | None = None) -> None:
        """Sends no more than so many bytes a second, in slices that heed no frame; None: as fast as it goes."""
        if client is None:
            self._call(lambda: setattr(self._floor, "rate", bytes_a_second))
        self._each(client, lambda one: one.slow(bytes_a_second))

    def send_text(self, text: str, client: int | None = None) -> None:
        """Sends a text message as it is."""
        self._each(client, lambda one: one.send_text(text))

    def send_binary(self, payload: bytes, client: int | None = None) -> None:
        """Sends a binary message as it is."""
        self._each(client, lambda one: one.send_binary(payload))

    def go_down(self) -> None:
        """Nobody listens any more, every connection is reset. Under `async with`: call it from another thread."""
        self._wait(self._floor.go_down())

    def come_back(self) -> None:
        """Listens again, on the same port. Under `async with`: call it from another thread."""
        self._wait(self._floor.listen())

    def _each(self, number: int | None, act: Callable[[Client], None]) -> None:
        def each() -> None:
            for client in list(self._floor.clients.values()):
                if number is None or client.number == number:
                    act(client)

        self._call(each)

    def _call(self, act: Callable[[], T]) -> T:
        """Runs on the exchange's loop, from whichever thread. Raises TickloomError if it is not open."""
        if self._on_its_loop():
            return act()

        async def call() -> T:
            return act()

        return self._wait(call())

    def _wait(self, work: Coroutine[Any, Any, T], timeout: float | None = ANSWER) -> T:
        loop = self._loop
        if loop is None or self._on_its_loop():
            work.close()
            raise TickloomError(
                "the exchange is not open" if loop is None else "this waits for the exchange's own loop"
            )
        return asyncio.run_coroutine_threadsafe(work, loop).result(timeout)

    def _on_its_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False
