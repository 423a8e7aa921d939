"""No bytes make parse or apply raise anything but DecodeError, and what was aggregated stays."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tickloom
from tests.machines import INFY, Machine
from tests.oracle import frames
from tests.oracle.sessions import SECOND
from tests.properties.feeds import OPEN

sizes = st.sampled_from([8, 12, 28, 32, 44, 184, 492, 0, 1, 7, 183])


@st.composite
def lying(draw: st.DrawFn) -> bytes:
    """A frame whose counts and lengths need not be true."""
    data = draw(st.integers(0, 65_535)).to_bytes(2)
    for size in draw(st.lists(sizes, max_size=8)):
        told = draw(st.one_of(st.just(size), st.integers(0, 65_535)))
        body = (
            draw(st.binary(min_size=size, max_size=size))
            if size < 50
            else draw(st.binary(max_size=40)).ljust(size, b"\xff")
        )
        data += told.to_bytes(2) + body
    return data[: draw(st.integers(0, len(data)))]


def aggregated() -> Machine:
    """An engine with sealed bars and one that forms."""
    machine = Machine("engine", ("1m", "5m"))
    for second in range(0, 150, 5):
        at = OPEN + second * SECOND
        machine.it.apply(frames.frame(frames.full(INFY, 10_000 + second, 100 * second, at, at)), at + SECOND)
    return machine


def rows(machine: Machine) -> list[str]:
    """What the sealed bars say."""
    return [repr(machine.it.rows(INFY, interval)) for interval in ("1m", "5m")]


@given(st.one_of(st.binary(max_size=4_096), lying()))
@example(b"")
@example(b"\x00")
@example(b"\xff" * 2)
@example(b"\xff" * 1_048_576)
@example(bytes(1_048_576))
@example((65_535).to_bytes(2) + b"\x00\x08" * 524_287)
def test_any_bytes_raise_nothing_but_decode_error_and_disturb_nothing(data):
    machine = aggregated()
    kept = rows(machine)
    account = machine.account()
    touched = any(packet.token == INFY for packet in frames.read(data))
    for read in (tickloom.parse, lambda data: machine.it.apply(data, OPEN + 200 * SECOND)):
        with contextlib.suppress(tickloom.DecodeError):
            read(data)
    if not touched:
        assert all(now.startswith(then[:-1]) for now, then in zip(rows(machine), kept, strict=True))
        assert machine.account() == account


@pytest.mark.parametrize("wrong", [None, 5, "text", [1, 2], 3.5])
def test_what_is_no_bytes_is_a_type_error(wrong):
    machine = aggregated()
    with pytest.raises(TypeError):
        machine.it.apply(wrong, OPEN)
    with pytest.raises(TypeError):
        tickloom.parse(wrong)


def test_a_negative_receive_time_is_a_value_error():
    machine = aggregated()
    before = machine.account()
    with pytest.raises(ValueError, match="-1"):
        machine.it.apply(frames.frame(frames.ltp(INFY, 5)), -1)
    assert machine.account() == before
