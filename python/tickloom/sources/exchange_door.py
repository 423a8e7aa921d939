"""The exchange's door: who knocks, who is refused, who is let in, whatever the protocol (stage sources).

Runs on the exchange's event loop.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from picows import WSUpgradeResponse, WSUpgradeResponseWithListener

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tickloom.sources.exchange_client import Client
    from tickloom.sources.exchange_floor import Floor

__all__ = ["Door", "Refusal"]


@dataclass(slots=True)
class Refusal:
    """What the door answers to the next `times` clients; None for all of them."""

    status: int
    retry_after: int | None
    times: int | None
    location: str


class Door:
    """What a protocol needs to admit somebody."""

    def __init__(self, floor: Floor) -> None:
        self._floor = floor
        self.rules = floor.rules
        self.refusal: Refusal | None = None
        self.attempts: deque[float] = deque(maxlen=100_000)
        self._numbers = 0

    def knock(self) -> WSUpgradeResponseWithListener | None:
        """An attempt; the answer, if the exchange was told to refuse it."""
        self._floor.counts["attempts"] += 1
        self.attempts.append(time.monotonic())
        refusal = self.refusal
        if refusal is None:
            return None
        if refusal.times is not None:
            refusal.times -= 1
            if refusal.times <= 0:
                self.refusal = None
        return self.refuse(refusal.status, refusal.retry_after, refusal.location)

    def refuse(self, status: int, retry_after: int | None = None, location: str = "") -> WSUpgradeResponseWithListener:
        """No, and why."""
        self._floor.counts["refused"] += 1
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        if status < 400:
            response = WSUpgradeResponse.create_redirect_response(status, location, headers)
        else:
            response = WSUpgradeResponse.create_error_response(status, b"refused", headers)
        return WSUpgradeResponseWithListener(response, None)

    def answer(self, body: bytes, kind: str) -> WSUpgradeResponseWithListener:
        """What was asked for, without a connection."""
        response = WSUpgradeResponse.create_ok_response(body, {"Content-Type": kind})
        return WSUpgradeResponseWithListener(response, None)

    def has_room(self, account: str) -> bool:
        """Whether the account may have another connection."""
        limit = self.rules.connections_per_key
        lines = self._floor.clients.values()
        return limit is None or sum(one.account == account and not one.is_half_open for one in lines) < limit

    def let_in(self, kind: type[Client], account: str, query: Mapping[str, Sequence[str]]) -> Client:
        """A connection of the account."""
        self._numbers += 1
        timed = self.rules.hours != "wall" and "market_time" in query
        return kind(self._floor, self._numbers, account, timed=timed)
