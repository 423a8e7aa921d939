"""`to_dicts` against the vendor's own parser: the same keys, order, types and bits (kite-protocol §8)."""

from __future__ import annotations

import pytest

import tickloom as tl
from tests import shared_data
from tests.differential import million
from tests.differential.packets import exact, vendor

PACKETS = 20_000


def test_the_captured_frames_give_the_vendors_dicts() -> None:
    for name, frame in shared_data.frames().items():
        assert exact(tl.parse(frame).to_dicts()) == exact(vendor()(frame)), name


@pytest.mark.parametrize("zone", million.ZONES)
def test_random_packets_give_the_vendors_dicts_in(zone: str) -> None:
    done = million.run(zone, PACKETS, seed=7)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == f"TZ={zone}: {PACKETS:,} packets, seed 7, 0 differences\n"


def test_a_heartbeat_gives_the_vendors_empty_list() -> None:
    assert tl.parse(b"\x00").to_dicts() == vendor()(b"\x00") == []


def test_a_difference_would_be_seen() -> None:
    for theirs in (0.0, -0.0, 1, True, None):
        assert exact({"change": 0}) != exact({"change": theirs})
    assert exact({"a": 0, "b": 0}) != exact({"b": 0, "a": 0})
