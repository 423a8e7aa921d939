"""Queue: between the reader and a listener, bounded, with a policy for the day the listener is slow (stage feed).

Kinds of items: the tick batch of a frame, which is what piles up, and events that may not be lost lightly (closed
bars, orders, the state of the line). Counted are events, exactly: offered == delivered + dropped + queued, at any time.

```
conflate      full: all queued batches become one with the newest packet of each instrument; other events are kept
drop_oldest   full: the oldest batch goes, or, if there is none, the oldest event
block         full: the reader waits; it goes on doing what other threads ask of it
```
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from tickloom.events import Event
from tickloom.feed.newest import Batch, Newest, kind_of, newest_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tickloom._core import ClosedBar, PriceScales

__all__ = ["Account", "Bars", "Batch", "Item", "Policy", "Queue"]

Policy = Literal["conflate", "drop_oldest", "block"]
POLICIES: tuple[str, ...] = get_args(Policy)


class Bars(NamedTuple):
    """Bars that were sealed or revised together."""

    bars: list[ClosedBar]
    time_ns: int


Item = Batch | Bars | Event


@dataclass(slots=True)
class Account:
    """Where the events of a queue went: offered == delivered + dropped + queued."""

    offered: int = 0
    delivered: int = 0
    dropped: int = 0

    def add(self, other: Account) -> None:
        """Takes the figures of a queue that is no more."""
        self.offered += other.offered
        self.delivered += other.delivered
        self.dropped += other.dropped


def weight(item: Item) -> int:
    """How many events an item is."""
    return len(item.bars) if isinstance(item, Bars) else 1


class Queue:
    """One writer, the reader's thread; one taker. `put` never fails; after `close` it drops, and counts.

    `ready` is called, on the writer's thread, when something came and the taker had found nothing before; it gives
    False if the taker is gone for good.
    `idle` is called by a writer that waits under the policy ``block``, each time somebody calls `nudge`.
    """

    def __init__(
        self,
        limit: int,
        policy: Policy,
        *,
        scales: PriceScales | None = None,
        ready: Callable[[], bool] | None = None,
        idle: Callable[[], None] | None = None,
    ) -> None:
        if policy not in POLICIES:
            raise ValueError(f"policy is one of {', '.join(POLICIES)}: {policy!r}")
        if limit < 1:
            raise ValueError(f"a queue holds at least one item: {limit}")
        self._limit = limit
        self._policy = policy
        self._scales = scales
        self._ready = ready
        self._idle = idle
        self._account = Account()
        self._batches: deque[tuple[int, Batch]] = deque()
        self._others: deque[tuple[int, Bars | Event]] = deque()
        self._newest: dict[str, tuple[int, Newest]] = {}
        self._number = 0
        self._waiting = False
        self._closed = False
        self._patient = policy == "block"
        # Reentrant: a stream that nobody holds any more may be finalized while its own queue wakes it.
        self._changed = threading.Condition(threading.RLock())

    def put(self, item: Item) -> None:
        """Offers an item; under ``block`` returns once there is room, or the queue was closed."""
        account, events = self._account, weight(item)
        with self._changed:
            if self._patient:
                self._wait_for_room()
            # Counted in one go after the wait: a queue that was given up meanwhile has handed in its figures.
            account.offered += events
            if self._closed:
                account.dropped += events
                return
            self._number += 1
            if isinstance(item, Batch):
                self._put_batch(item)
            else:
                if self._policy == "drop_oldest":
                    self._drop_to_fit()
                elif self._policy == "conflate" and len(self._others) >= self._limit:
                    self._account.dropped += weight(self._others.popleft()[1])
                self._others.append((self._number, item))
            if self._waiting:
                self._waiting = False
                self._changed.notify_all()
                if self._ready is not None and not self._ready():
                    self._closed = True

    def take(self, timeout: float | None = None) -> Item | None:
        """The oldest item; None if the queue is closed and empty, or after `timeout` seconds."""
        with self._changed:
            while (taken := self._pop()) is None and not self._closed:
                self._waiting = True
                if not self._changed.wait(timeout):
                    return None
        return self._finished(taken)

    def take_now(self) -> Item | None:
        """The oldest item, or None; then `ready` will be called."""
        with self._changed:
            taken = self._pop()
            self._waiting = taken is None
        return self._finished(taken)

    def nudge(self) -> None:
        """Lets a writer that waits for room look at what else it has to do."""
        with self._changed:
            self._changed.notify_all()

    def relax(self) -> None:
        """Lets the writer never wait again: the feed is about to stop, and takes no more than it has."""
        with self._changed:
            self._patient = False
            self._changed.notify_all()

    def close(self) -> None:
        """Ends the writing: what is in can still be taken, what comes is dropped."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            if self._ready is not None:
                self._ready()

    def discard(self) -> None:
        """Closes, and drops what is in."""
        self.close()
        with self._changed:
            items: Iterable[Item] = [*(batch for _, batch in self._batches), *(other for _, other in self._others)]
            self._account.dropped += sum(map(weight, items)) + len(self._newest)
            self._batches.clear()
            self._others.clear()
            self._newest.clear()

    @property
    def closed(self) -> bool:
        """Whether nothing more comes in."""
        return self._closed

    @property
    def account(self) -> Account:
        """A copy of the figures."""
        with self._changed:
            return Account(self._account.offered, self._account.delivered, self._account.dropped)

    @property
    def depth(self) -> int:
        """How many events are in."""
        account = self.account
        return account.offered - account.delivered - account.dropped

    def _held(self) -> int:
        return len(self._batches) + len(self._others) + len(self._newest)

    def _put_batch(self, batch: Batch) -> None:
        if self._policy == "conflate":
            if self._newest:
                self._account.dropped += not self._conflate(batch)
                return
            if self._held() >= self._limit:
                self._account.dropped += sum(not self._conflate(queued) for _, queued in self._batches)
                self._batches.clear()
                self._account.dropped += not self._conflate(batch)
                return
        elif self._policy == "drop_oldest":
            self._drop_to_fit()
        self._batches.append((self._number, batch))

    def _conflate(self, batch: Batch) -> bool:
        """Takes a batch into the newest of its kind; whether it is the first there."""
        kind = kind_of(batch)
        is_first = kind not in self._newest
        if is_first:
            self._newest[kind] = (self._number, newest_for(batch))
        self._newest[kind][1].add(batch)
        return is_first

    def _drop_to_fit(self) -> None:
        while self._held() >= self._limit:
            _, oldest = (self._batches or self._others).popleft()
            self._account.dropped += weight(oldest)

    def _wait_for_room(self) -> None:
        while self._held() >= self._limit and self._patient and not self._closed:
            # The taker may be asking something of this very thread.
            self._changed.wait(0.1)
            if self._idle is not None:
                self._changed.release()
                try:
                    self._idle()
                finally:
                    self._changed.acquire()

    def _pop(self) -> Item | Newest | None:
        heads = [queue[0][0] for queue in (self._batches, self._others) if queue]
        heads.extend(number for number, _ in self._newest.values())
        if not heads:
            return None
        first = min(heads)
        taken: Item | Newest
        conflated = next((kind for kind, (number, _) in self._newest.items() if number == first), None)
        if conflated is not None:
            taken = self._newest.pop(conflated)[1]
        elif self._batches and self._batches[0][0] == first:
            taken = self._batches.popleft()[1]
        else:
            taken = self._others.popleft()[1]
        self._account.delivered += 1 if isinstance(taken, Newest) else weight(taken)
        if self._policy == "block":
            self._changed.notify_all()
        return taken

    def _finished(self, taken: Item | Newest | None) -> Item | None:
        # Parsed by the taker, without the lock, so that the reader does not wait for it.
        return taken.batch(self._scales) if isinstance(taken, Newest) else taken
