"""The exchange's protobuf: bytes of single fields, as the encoding has them (stage sources, pure).

A number that is zero is not written, as in proto3. A field's tag is made once, by `tag`.
"""

from __future__ import annotations

import struct

__all__ = ["BYTES", "DOUBLE", "VARINT", "chunk", "double", "integer", "tag", "varint"]

VARINT, DOUBLE, BYTES = 0, 1, 2
"""The wire types that the messages of a feed have."""

_DOUBLE = struct.Struct("<d")
_MASK = (1 << 64) - 1


def varint(value: int) -> bytes:
    """An integer in groups of seven bits; a negative one as its two's complement of 64."""
    if 0 <= value < 0x80:
        return bytes((value,))
    value &= _MASK
    groups = bytearray()
    while value >= 0x80:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def tag(number: int, kind: int) -> bytes:
    """What stands before a field of this number and wire type."""
    return varint(number << 3 | kind)


def integer(head: bytes, value: int) -> bytes:
    """An int64 or an enumeration's number."""
    return head + varint(value) if value else b""


def double(head: bytes, value: float) -> bytes:
    """A double."""
    return head + _DOUBLE.pack(value) if value else b""


def chunk(head: bytes, payload: bytes) -> bytes:
    """A string or a message inside a message; it is there even if it is empty."""
    return head + varint(len(payload)) + payload
