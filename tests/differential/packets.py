"""Compares `to_dicts` with the vendor's own parser on random packets, in the zone that TZ names.

`python -m tests.differential.packets COUNT SEED` prints one line and exits with 1 if anything differed.
"""

from __future__ import annotations

import os
import random
import struct
import sys
import warnings
from datetime import datetime
from typing import Any

import tickloom as tl
from tests import random_frames

with warnings.catch_warnings():
    # The package's own dependencies warn on import.
    warnings.simplefilter("ignore")
    from kiteconnect import KiteTicker

PACKETS_A_FRAME = 250
CLOCKS_CHANGE = (1741503600, 1762063200)
"""New York in 2025, forward on 9 March and back on 2 November."""


def vendor() -> Any:
    return KiteTicker("key", "token")._parse_binary


def exact(value: Any) -> Any:
    """A value with its type and its bits, so that 0 is not 0.0, -0.0 not 0.0, and key order counts."""
    if isinstance(value, dict):
        return [(key, exact(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, float):
        return struct.pack(">d", value)
    if isinstance(value, datetime):
        return ("datetime", value.isoformat(), value.fold, value.tzinfo)
    return (type(value).__name__, value)


def compare(count: int, seed: int) -> tuple[int, int]:
    """Packets compared and differences found."""
    rng, parse_binary = random.Random(seed), vendor()
    compared = differences = 0
    while compared < count:
        near = rng.choice((None, *CLOCKS_CHANGE, rng.randint(7200, 2**32 - 7201)))
        frame = random_frames.frame(rng, PACKETS_A_FRAME, compared, near)
        batch = tl.parse(frame)
        ours, theirs = batch.to_dicts(), parse_binary(frame)
        differences += abs(len(ours) - len(theirs))
        differences += sum(exact(a) != exact(b) for a, b in zip(ours, theirs, strict=False))
        differences += len(batch) + batch.rejected != PACKETS_A_FRAME
        compared += PACKETS_A_FRAME
    return compared, differences


def main() -> int:
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    compared, differences = compare(count, seed)
    zone = os.environ.get("TZ", "host")
    sys.stdout.write(f"TZ={zone}: {compared:,} packets, seed {seed}, {differences} differences\n")
    return int(differences > 0)


if __name__ == "__main__":
    sys.exit(main())
