"""One frame to one result, nothing remembered: parse to an array, parse to the vendor's dicts."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

import tickloom as tl
from benches.contenders import NUMPY_DECODERS
from benches.frames import Frames
from benches.measure import repeated

TURNS = 11
SIZES = (1, 50, 200)


@cache
def frame_of(packets: int) -> bytes:
    """A frame of full packets some seconds into the session, so that no field is zero for want of trades."""
    frames = Frames(packets, packets)
    for _ in range(30):
        frame = frames.second()[0]
    return frame


def to_array(frames: list[bytes]) -> None:
    for frame in frames:
        tl.parse(frame).array  # noqa: B018 - reading it is what is timed


def to_dicts(frames: list[bytes]) -> None:
    for frame in frames:
        tl.parse(frame).to_dicts()


def loop_of(decode: Callable[[bytes], object]) -> Callable[[list[bytes]], None]:
    def loop(frames: list[bytes]) -> None:
        for frame in frames:
            decode(frame)

    return loop


@pytest.mark.parametrize("packets", SIZES)
def test_parse(benchmark: Any, packets: int, turn: int) -> None:
    repeated(benchmark, f"parse, {packets} a frame", "tickloom", packets, to_array, frame_of(packets))


@pytest.mark.parametrize("packets", SIZES)
def test_parse_by_the_vendor(benchmark: Any, vendor: Any, packets: int, turn: int) -> None:
    repeated(benchmark, f"parse, {packets} a frame", "vendor", packets, loop_of(vendor), frame_of(packets))


@pytest.mark.parametrize("decode", NUMPY_DECODERS)
@pytest.mark.parametrize("packets", SIZES)
def test_parse_by_numpy(benchmark: Any, decode: Any, packets: int, turn: int) -> None:
    repeated(benchmark, f"parse, {packets} a frame", decode.__name__, packets, loop_of(decode), frame_of(packets))


@pytest.mark.parametrize("packets", (50, 200))
def test_to_dicts(benchmark: Any, packets: int, turn: int) -> None:
    repeated(benchmark, f"to_dicts, {packets} a frame", "tickloom", packets, to_dicts, frame_of(packets))


@pytest.mark.parametrize("packets", (50, 200))
def test_to_dicts_by_the_vendor(benchmark: Any, vendor: Any, packets: int, turn: int) -> None:
    repeated(benchmark, f"to_dicts, {packets} a frame", "vendor", packets, loop_of(vendor), frame_of(packets))
