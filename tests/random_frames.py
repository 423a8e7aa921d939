"""Random frames, seeded: every packet length, every segment, and the values at which integers break."""

from __future__ import annotations

import random
import struct

KNOWN = (8, 12, 28, 32, 44, 184, 492)
UNKNOWN = (4, 5, 9, 16, 30, 45, 64, 183, 185, 491, 493, 600)
EDGES = (0, 1, 2, 99, 100, 101, 255, 256, 65535, 65536)
EDGES += (2**31 - 2, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 2, 2**32 - 1)


def word(rng: random.Random) -> int:
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(EDGES)
    return rng.getrandbits(32) if kind < 0.7 else rng.getrandbits(rng.randint(1, 31))


def body(rng: random.Random, length: int, segment: int) -> bytes:
    """A packet of any values whose token is of the segment."""
    words = b"".join(word(rng).to_bytes(4, "big") for _ in range(length // 4))
    packet = bytearray(words + rng.randbytes(length % 4))
    packet[3] = segment
    if length in (28, 32, 44, 184) and rng.random() < 0.1:
        close = 20 if length < 44 else 40
        packet[close : close + 4] = bytes(4)
    return bytes(packet)


STAMPS = {32: (28,), 184: (44, 60)}
"""Where the stamps of a packet lie, by its length."""


def stamped(rng: random.Random, packet: bytes, near: int) -> bytes:
    """The packet with its stamps within two hours of a moment."""
    changed = bytearray(packet)
    for at in STAMPS.get(len(packet), ()):
        changed[at : at + 4] = (near + rng.randint(-7200, 7200)).to_bytes(4, "big")
    return bytes(changed)


def frame_of(bodies: list[bytes]) -> bytes:
    parts = [struct.pack(">H", len(bodies))]
    for packet in bodies:
        parts += [struct.pack(">H", len(packet)), packet]
    return b"".join(parts)


def frame(rng: random.Random, packets: int, first: int = 0, near: int | None = None) -> bytes:
    """A whole frame; lengths and segments take turns, so that many frames hold every pair of them.

    With `near` the stamps are close to that moment, as they are on a real feed.
    """
    bodies = []
    for number in range(first, first + packets):
        lengths = UNKNOWN if rng.random() < 0.05 else KNOWN
        bodies.append(body(rng, lengths[number % len(lengths)], (number // len(lengths)) % 256))
    return frame_of(bodies if near is None else [stamped(rng, packet, near) for packet in bodies])
