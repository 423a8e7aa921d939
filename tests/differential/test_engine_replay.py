"""The same input gives the same bytes, and how packets are cut into frames changes nothing (R26)."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest

from tests.machines import COLUMNS, EngineMachine
from tests.oracle.sessions import SECOND
from tickloom.sources.simulator import Market

INTERVALS = ("1m", "3m", "5m", "15m", "60m", "30s", "7s")


def packets(frame: bytes) -> list[bytes]:
    """The packets of a frame with their lengths, the cut one left out."""
    found, at = [], 2
    for _ in range(int.from_bytes(frame[:2])):
        size = int.from_bytes(frame[at : at + 2])
        if at + 2 + size > len(frame) or at + 2 > len(frame):
            break
        found.append(frame[at : at + 2 + size])
        at += 2 + size
    return found


def joined(bodies: list[bytes]) -> bytes:
    """One frame of packets that carry their lengths."""
    return len(bodies).to_bytes(2) + b"".join(bodies)


def digest(market: Market, cut: int | None = None) -> str:
    """A hash of every byte of every column after the whole market; `cut` packets to a frame."""
    engine = EngineMachine(INTERVALS)
    for kind, at, body in market.events():
        if kind != "frame":
            getattr(engine, kind)(at)
        elif cut is None:
            engine.apply(body, at)
        else:
            bodies = packets(body)
            for first in range(0, len(bodies), cut):
                engine.apply(joined(bodies[first : first + cut]), at)
    engine.advance(market.session_close_ns + 3_600 * SECOND)
    found = hashlib.sha256()
    for name in market.instruments():
        for interval in INTERVALS:
            candles = engine.core.candles(name.token, interval)
            for column in COLUMNS:
                found.update(np.ascontiguousarray(getattr(candles, column)).tobytes())
    for event in engine.events:
        found.update(repr(event).encode())
    return found.hexdigest()


@pytest.mark.parametrize("seed", range(2))
def test_three_replays_give_byte_identical_columns(seed):
    market = Market(seed, instruments=20, indices=2, end="09:30", faults="all")
    assert len({digest(market) for _ in range(3)}) == 1


def test_different_markets_give_different_columns():
    assert digest(Market(1, instruments=5, end="09:20")) != digest(Market(2, instruments=5, end="09:20"))


@pytest.mark.parametrize("seed", range(3))
def test_splitting_frames_changes_nothing(seed):
    market = Market(seed, instruments=20, indices=2, end="09:25", faults="all", packets_per_frame=200)
    assert digest(market) == digest(market, cut=1) == digest(market, cut=7)


def test_joining_frames_of_one_instant_changes_nothing():
    market = Market(9, instruments=20, indices=2, end="09:25", packets_per_frame=1)
    apart, together = EngineMachine(INTERVALS), EngineMachine(INTERVALS)
    calls = {"apart": 0, "together": 0}
    # Frames of a tenth of a second are taken as received at one instant, so that there are some to join.
    for at, events in itertools.groupby(market.events(), key=lambda event: event[1] // 100_000_000 * 100_000_000):
        bodies: list[bytes] = []
        for kind, _, body in events:
            if kind == "frame":
                apart.apply(body, at)
                bodies += packets(body)
                calls["apart"] += 1
        if bodies:
            together.apply(joined(bodies), at)
            calls["together"] += 1
    assert calls["together"] < calls["apart"]
    for instrument in market.instruments():
        for interval in INTERVALS:
            assert repr(apart.rows(instrument.token, interval)) == repr(together.rows(instrument.token, interval))
