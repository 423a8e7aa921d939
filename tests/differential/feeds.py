"""A plain random feed of a few instruments: dense, reordered, torn, with everything that the rules speak of."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.machines import INFY, NIFTY, OPTION
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist

MCX = 12345607
CAS = 738561
TOKENS = (INFY, OPTION, NIFTY, MCX, CAS)


@dataclass
class Name:
    """One instrument's state as its exchange sees it."""

    token: int
    pace: float
    price: int
    volume: int = 0
    value: int = 0
    high: int = 0
    low: int = 0
    open: int = 0
    ltt: int = 0
    oi: int = 1_000
    before: list[bytes] = field(default_factory=list)

    def trade(self, rng: random.Random, at: int) -> None:
        """One or more trades up to this instant."""
        for _ in range(rng.choice((1, 1, 2, 3))):
            self.price = max(1, self.price + rng.choice((-5, -5, 0, 5, 5, 5, -10, 10)))
            quantity = rng.choice((1, 5, 25, 75, 400))
            self.volume += quantity
            self.value += quantity * self.price
            self.high = max(self.high, self.price)
            self.low = min(self.low or self.price, self.price)
            self.open = self.open or self.price
        self.ltt = at

    def packet(self, rng: random.Random, at: int, mode: str) -> bytes:
        """What the feed shows at this instant."""
        if self.token == NIFTY:
            return frames.index(self.token, self.price, at if mode == "full" else None, high=self.high, low=self.low)
        if mode == "ltp":
            return frames.ltp(self.token, self.price)
        self.oi = max(0, self.oi + rng.choice((0, 0, 0, 50, -50))) if self.token == OPTION else 0
        average = (2 * self.value + self.volume) // (2 * self.volume) if self.volume else 0
        rest = {"average": average, "high": self.high, "low": self.low, "open": self.open}
        body = frames.full(self.token, self.price, self.volume % 2**32, self.ltt, at, oi=self.oi, **rest)
        return body[:44] if mode == "quote" else body


def mangled(rng: random.Random, body: bytes) -> bytes:
    """A packet with one field replaced: volume, price, a stamp or an extreme."""
    fields = (4, 12, 16, 32, 36, 44, 60) if len(body) == 184 else (4,)
    at = rng.choice(fields)
    number = int.from_bytes(body[at : at + 4])
    changed = rng.choice((0, number + rng.randrange(-600, 600), 2**31, 2**32 - 1, number // 2))
    return body[:at] + (changed % 2**32).to_bytes(4) + body[at + 4 :]


def feed(
    seed: int, *, date: str = "2026-07-01", start: str = "09:14:30", seconds: int = 240, faults: float = 1.0,
    modes: tuple[str, ...] = ("full",), tokens: tuple[int, ...] = TOKENS,
) -> Iterator[tuple[str, int, bytes | None]]:  # fmt: skip
    """Events (kind, ns, payload) of a stretch of a day; `faults` scales every mishap."""
    rng = random.Random(seed)
    begin = ist(f"{date} {start}")
    names = [Name(token, rng.choice((0.1, 0.5, 1.5)), rng.randrange(5_000, 20_000, 5)) for token in tokens]
    for name in names:
        if rng.random() < 0.6:
            name.volume = rng.choice((0, 1_000, 50_000, 2**32 - 3_000))
            name.value = name.volume * name.price
            name.high, name.low, name.open = name.price + 50, name.price - 50, name.price
            name.ltt = begin - rng.choice((1, 30, 500, 86_400)) * SECOND if name.volume else 0
    pending: list[tuple[int, bytes]] = []
    down = 0
    for step in range(seconds * 4):
        now = begin + step * SECOND // 4
        if rng.random() < 0.004 * faults and not down:
            down = now + rng.choice((2, 8, 70)) * SECOND
            yield "disconnected", now, None
        if down and now >= down:
            down = 0
            yield "connected", now, None
            pending += [(now + SECOND, name.packet(rng, name.ltt or now, "full")) for name in names]
        for name in names:
            if rng.random() < name.pace / 4:
                name.trade(rng, now)
            if rng.random() < 0.4:
                body = name.packet(rng, now - rng.randrange(4) * SECOND // 8, rng.choice(modes))
                delay = rng.choice((400, 900, 900, 1_500, 2_900)) * 1_000_000
                if rng.random() < 0.01 * faults:
                    delay += rng.choice((2, 5, 9)) * SECOND
                if rng.random() < 0.02 * faults:
                    body = mangled(rng, body)
                if rng.random() < 0.02 * faults and name.before:
                    body = rng.choice(name.before)
                name.before = [*name.before[-20:], body]
                if rng.random() > 0.03 * faults:
                    pending.append((now + delay, body))
                if rng.random() < 0.02 * faults:
                    pending.append((now + delay + SECOND, body))
        due = sorted((item for item in pending if item[0] <= now), key=lambda item: item[0])
        pending = [item for item in pending if item[0] > now]
        if due and not down:
            received = 0 if rng.random() < 0.005 * faults else now
            yield "frame", received, frames.frame(*(body for _, body in due))
        if rng.random() < 0.1:
            yield "advance", now, None
    yield "advance", begin + (seconds + 60) * SECOND, None
