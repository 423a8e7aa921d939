"""Whether two engines hold the same, to the last byte."""

from __future__ import annotations

import hashlib

import numpy as np

from tickloom import Engine


def digest(engine: Engine) -> tuple[str, int]:
    """A hash of every byte of every column, of the bars that form and of the account, and the number of sealed bars."""
    found, bars = hashlib.sha256(), 0
    for token, _ in sorted(engine.instruments):
        for interval in engine.intervals:
            candles = engine.candles(token, interval)
            bars += len(candles)
            for column in candles.columns().values():
                found.update(np.ascontiguousarray(column).tobytes())
            found.update(repr([bar.to_dict() for bar in candles.unsealed]).encode())
        found.update(repr(engine.account(token)).encode())
    return found.hexdigest(), bars
