"""The same input gives the same bytes, and how packets are cut into frames changes nothing (R26)."""

from __future__ import annotations

import hashlib

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
    engine_of = {}
    for name, cut in (("apart", False), ("together", True)):
        engine = engine_of[name] = EngineMachine(INTERVALS)
        waiting: list[bytes] = []
        before = 0
        for kind, at, body in market.events():
            assert kind == "frame"
            if not cut:
                engine.apply(body, at)
                continue
            if at != before and waiting:
                engine.apply(joined(waiting), before)
                waiting = []
            waiting += packets(body)
            before = at
        if waiting:
            engine.apply(joined(waiting), before)
    for instrument in market.instruments():
        for interval in INTERVALS:
            apart, together = (repr(engine.rows(instrument.token, interval)) for engine in engine_of.values())
            assert apart == together
