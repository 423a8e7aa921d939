"""The exchange's trading: the market's frames to its clients, each when it is due (stage sources).

Runs on the exchange's event loop.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from tickloom.sources import exchange_wire as wire
from tickloom.sources.exchange_clock import SECOND_NS

if TYPE_CHECKING:
    from tickloom.sources.exchange_floor import Floor

HOUR_NS = 3_600 * SECOND_NS
# From a second before the first order, so that what answers a subscription has a time of its own.
PREOPEN_NS = (15 * 60 + 1) * SECOND_NS
# What falls into so many real seconds of a fast market goes out as one message, or sending would take all the time.
# More than a market second would not do: bars close two seconds after their end (R25).
GATHER_S, GATHER_NS = 0.0005, SECOND_NS
TELL_S = 0.1
# Frames between two looks at the sockets while the market runs without a pause.
BREATH = 16
# A client that has not read for so long does not hold up a market that runs as fast as its clients read.
PATIENCE = 5.0


async def trade(floor: Floor) -> None:
    """The market from the opening on; without the pre-open, it is told by the board alone."""
    await floor.opened.wait()
    if not floor.is_closed:
        speed, clock, wall = floor.rules.speed, floor.clock, floor.rules.hours == "wall"
        if not wall:
            clock.set(floor.begins_ns, speed)
        span_ns = 0 if speed == 1 else min(int(speed * GATHER_S * SECOND_NS) or GATHER_NS, GATHER_NS)
        gathered: list[tuple[int, bytes]] = []
        first = last = floor.begins_ns
        for nth, (_, at, payload) in enumerate(floor.market.events()):
            if payload is None:
                continue
            if gathered and at - first >= span_ns:
                await _send(floor, last, gathered, nth, jump=not wall)
                gathered = []
            packets = list(wire.split(payload))
            floor.counts["market_frames"] += 1
            floor.counts["market_packets"] += len(packets)
            if at >= floor.begins_ns:
                first, last = first if gathered else at, at
                gathered += packets
            else:
                floor.show(packets)
                if nth % BREATH == 0:
                    await asyncio.sleep(0)
        await _send(floor, last, gathered, 0, jump=not wall)
        clock.due_ns = None
        # Time goes on, or the bars of the last minute would never close.
        clock.set(clock.now_ns(), clock.speed or 1.0)
    floor.finished.set()


async def tell(floor: Floor) -> None:
    """While nothing is sent time passes too, and the market opens and closes."""
    while True:
        await asyncio.sleep(TELL_S)
        floor.clock.look()
        for client in list(floor.clients.values()):
            client.tell()


async def _send(floor: Floor, at: int, packets: list[tuple[int, bytes]], nth: int, *, jump: bool) -> None:
    """Waits until this is due, and offers it to everybody."""
    floor.clock.due_ns = at
    await _until(floor, at, nth, jump=jump)
    floor.clock.sending(at)
    floor.show(packets)
    for client in list(floor.clients.values()):
        client.offer(packets)


async def _until(floor: Floor, at: int, nth: int, *, jump: bool) -> None:
    """Waits for the market's clock to show this time; a night is over at once."""
    clock = floor.clock
    if not clock.speed:
        clock.set(at)
        patience = time.monotonic() + PATIENCE
        while any(c.congested and not c.mute for c in floor.clients.values()) and time.monotonic() < patience:
            await asyncio.sleep(0.001)
    elif jump and at - clock.now_ns() > HOUR_NS:
        clock.set(at)
    elif (ahead := clock.seconds_until(at)) > 0:
        await asyncio.sleep(ahead)
        return
    if nth % BREATH == 0:
        await asyncio.sleep(0)
