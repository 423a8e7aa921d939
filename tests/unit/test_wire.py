"""Frames in, ticks out: `parse` and `TickBatch` (kite-protocol §4 to §6)."""

from __future__ import annotations

import gc
import math
import random
import struct
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickloom as tl
from tests import random_frames, shared_data
from tests.oracle import wire as oracle


def assert_rows_are_the_oracles(frame: bytes, divisors: dict[int, int] | None = None) -> int:
    batch = tl.parse(frame, scales=tl.PriceScales(divisors) if divisors else None)
    expected = [row for body in oracle.packets(frame) if (row := oracle.row(body, divisors)) is not None]
    array = batch.array
    assert len(array) == len(batch) == len(expected)
    names = array.dtype.names
    assert names is not None
    for row, want in zip(array, expected, strict=True):
        for name in names:
            kind = array.dtype[name].base.kind
            absent = math.nan if kind == "f" else 0
            value = np.asarray(want.get(name, absent), dtype=array.dtype[name].base)
            assert np.array_equal(row[name], np.broadcast_to(value, row[name].shape), equal_nan=kind == "f"), name
    return len(expected)


def test_every_field_of_random_packets_is_the_oracles() -> None:
    rng = random.Random(1)
    assert sum(assert_rows_are_the_oracles(random_frames.frame(rng, 60, 60 * n)) for n in range(40)) > 2000


def test_every_field_is_the_oracles_in_frames_of_one_kind() -> None:
    rng = random.Random(2)
    for length in random_frames.KNOWN:
        for packets in (1, 2, 50):
            bodies = [random_frames.body(rng, length, rng.randrange(256)) for _ in range(packets)]
            assert assert_rows_are_the_oracles(random_frames.frame_of(bodies)) == packets


def test_every_field_is_the_oracles_with_other_divisors() -> None:
    rng = random.Random(3)
    divisors = {1: 7, 2: 1_000, 12: 2**32 - 1, 255: 3}
    bodies = [random_frames.body(rng, 184, segment) for segment in (1, 2, 3, 12, 255) for _ in range(20)]
    assert_rows_are_the_oracles(random_frames.frame_of(bodies), divisors)


def test_the_captured_frames_hold_what_their_provenance_says() -> None:
    ltp = tl.parse(shared_data.frame("ltpMode_binary.packet"))[0]
    assert (ltp.instrument_token, ltp.last_price, ltp.mode) == (884737, 392.95, "ltp")
    quote = tl.parse(shared_data.frame("quoteMode_binary.packet"))[0]
    assert (quote.last_traded_quantity, quote.average_traded_price) == (2, 403.07)
    assert (quote.volume_traded, quote.total_buy_quantity, quote.total_sell_quantity) == (22261032, 5617, 0)
    assert (quote.day_open, quote.day_high, quote.day_low, quote.prev_close) == (420.0, 420.9, 390.1, 414.1)
    full = tl.parse(shared_data.frame("fullMode_binary.packet"))[0]
    assert full.last_trade_time == datetime(2022, 6, 16, 10, 27, 44, tzinfo=UTC).timestamp() * 1e9
    assert full.exchange_timestamp == datetime(2022, 6, 16, 11, 18, 48, tzinfo=UTC).timestamp() * 1e9
    assert full.bids is not None
    assert full.bids[0] == (392.95, 5617, 30)
    assert full.asks == [(0.0, 0, 0)] * 5
    both = tl.parse(shared_data.frame("infy_tcs_full.bin"))
    assert (len(both), both[0].instrument_token, both[0].last_price) == (2, 408065, 1299.05)
    assert both[0].exchange_timestamp == datetime(2021, 2, 8, 9, 40, 55, tzinfo=UTC).timestamp() * 1e9


@pytest.mark.parametrize(
    ("token", "raw", "price"),
    [
        (31132428, 3782000, 378.20),
        (31188748, 2916000, 291.60),
        (31503116, 268500000, 26850.00),
        (33539084, 84940000, 8494.00),
        (0x0103, 835_025_000, 83.5025),
        (0x0106, 835_025, 83.5025),
        (0x0101, 129905, 1299.05),
        (0x01FF, 4294967295, 42949672.95),
    ],
)
def test_a_price_has_its_segments_scale(token: int, raw: int, price: float) -> None:
    frame = random_frames.frame_of([struct.pack(">II", token, raw)])
    assert tl.parse(frame)[0].last_price == price
    assert tl.parse(frame).array["last_price"][0] == price
    assert tl.parse(frame).to_dicts()[0]["last_price"] == price


def test_a_scale_can_be_overridden_in_every_shape() -> None:
    frame = random_frames.frame_of([struct.pack(">II", 31132428, 3782000)])
    batch = tl.parse(frame, scales=tl.PriceScales({12: 1_000}))
    assert batch[0].last_price == batch.array["last_price"][0] == batch.to_dicts()[0]["last_price"] == 3782.0


def test_a_divisor_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="a price divisor must be a positive integer: 0"):
        tl.PriceScales({1: 0})


def test_a_heartbeat_is_an_empty_batch() -> None:
    batch = tl.parse(b"\x00")
    assert batch.is_heartbeat
    assert (len(batch), batch.rejected, batch.error, batch.to_dicts()) == (0, 0, None, [])
    assert batch.array.shape == (0,)


@pytest.mark.parametrize(
    ("frame", "kind", "offset"),
    [
        (b"", "short_header", 0),
        (b"\x00\x05", "truncated_length", 2),
        (b"\x00\x05\x00", "truncated_length", 2),
        (b"\x00\x01\x00\x08\x01", "truncated_body", 2),
        (b"\x00\x00\x01", "trailing_bytes", 2),
    ],
)
def test_a_frame_of_which_nothing_can_be_read_says_what_and_where(frame: bytes, kind: str, offset: int) -> None:
    with pytest.raises(tl.DecodeError) as caught:
        tl.parse(frame)
    assert (caught.value.kind, caught.value.offset) == (kind, offset)


@pytest.mark.parametrize(("junk", "name"), [("text", "str"), (None, "NoneType"), (3, "int"), ([1], "list")])
def test_what_is_not_bytes_like_is_named(junk: Any, name: str) -> None:
    with pytest.raises(TypeError, match=f"a frame must be a bytes-like object, not {name}"):
        tl.parse(junk)


@given(st.binary(max_size=800))
def test_any_bytes_give_a_batch_or_a_decode_error_and_the_counts_add_up(frame: bytes) -> None:
    if not oracle.packets(frame) and frame != b"\x00\x00" and len(frame) != 1:
        with pytest.raises(tl.DecodeError) as caught:
            tl.parse(frame)
        assert 0 <= caught.value.offset <= len(frame)
        return
    batch = tl.parse(frame)
    announced = struct.unpack_from(">H", frame)[0] if len(frame) >= 2 else 0
    assert len(batch) + batch.rejected == announced
    assert len(batch.array) == len(batch) == len(list(batch))


def test_every_prefix_of_a_frame_keeps_its_whole_packets() -> None:
    rng = random.Random(4)
    frame = random_frames.frame(rng, 14)
    for cut in range(2, len(frame)):
        whole = oracle.packets(frame[:cut])
        if not whole:
            continue
        batch = tl.parse(frame[:cut])
        assert batch.error is not None
        assert batch.error.offset <= cut
        assert len(batch) == sum(oracle.row(body) is not None for body in whole)
        assert len(batch) + batch.rejected == 14


def test_a_count_that_lies_allocates_nothing_and_is_counted() -> None:
    frame = struct.pack(">HHII", 60_001, 8, 408065, 100)
    batch = tl.parse(frame)
    assert (len(batch), batch.rejected) == (1, 60_000)
    assert batch.array.nbytes == 256
    assert batch.error is not None
    assert batch.error.kind == "truncated_length"


def test_unknown_lengths_are_skipped_and_counted() -> None:
    bodies = [struct.pack(">II", 257, 5), b"\x00" * 20, b"", struct.pack(">II", 513, 6)]
    batch = tl.parse(random_frames.frame_of(bodies))
    assert ([tick.instrument_token for tick in batch], batch.rejected, batch.error) == ([257, 513], 2, None)


def test_twenty_levels_of_depth_lie_beside_the_rows() -> None:
    rng = random.Random(5)
    bodies = [random_frames.body(rng, length, 1) for length in (8, 492, 9, 184, 492, 44)]
    batch = tl.parse(random_frames.frame_of(bodies))
    deep = batch.depth20
    assert len(deep) == 2
    assert not deep.flags.writeable
    for row, body, index in zip(deep, (bodies[1], bodies[4]), (1, 3), strict=True):
        for name, value in oracle.depth20(body, index).items():
            assert np.array_equal(row[name], value), name
    assert len(tl.parse(b"\x00\x00").depth20) == 0


def test_an_array_is_read_only_and_outlives_its_batch() -> None:
    frame = random_frames.frame(random.Random(6), 30)
    array = tl.parse(frame).array
    before = array.tobytes()
    gc.collect()
    others = [tl.parse(random_frames.frame(random.Random(seed), 30)).array for seed in range(7, 20)]
    assert array.tobytes() == before
    assert len(others) == 13
    with pytest.raises(ValueError, match="read-only"):
        array["last_price"] = 0
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_the_same_frame_gives_the_same_bytes() -> None:
    frame = random_frames.frame(random.Random(8), 50)
    assert tl.parse(frame).array.tobytes() == tl.parse(frame).array.tobytes()


def test_any_bytes_like_object_is_read_and_what_can_change_is_copied() -> None:
    frame = random_frames.frame(random.Random(9), 5)
    mutable = bytearray(frame)
    batches = [tl.parse(mutable), tl.parse(memoryview(mutable)), tl.parse(np.frombuffer(frame, np.uint8))]
    mutable[:] = bytes(len(mutable))
    for batch in batches:
        assert batch.array.tobytes() == tl.parse(frame).array.tobytes()
    assert tl.parse(frame).frame is frame


def test_ticks_say_none_where_their_mode_says_nothing() -> None:
    ltp = tl.parse(random_frames.frame_of([struct.pack(">II", 257, 5)]))[-1]
    assert (ltp.volume_traded, ltp.day_open, ltp.change, ltp.oi, ltp.bids) == (None,) * 5
    assert (ltp.last_trade_time, ltp.exchange_timestamp, ltp.average_traded_price) == (None,) * 3
    index = tl.parse(random_frames.frame_of([struct.pack(">IIIIIIiI", 265, 100, 1, 2, 3, 50, -7, 9)]))[0]
    assert (index.volume_traded, index.oi, index.asks, index.tradable) == (None, None, None, False)
    assert (index.change, index.net_change, index.exchange_timestamp) == (100.0, -0.07, 9_000_000_000)
    full = tl.parse(random_frames.frame_of([struct.pack(">I", 257) + bytes(180)]))[0]
    assert (full.volume_traded, full.oi, full.change) == (0, 0, 0.0)
    assert (full.last_trade_time, full.exchange_timestamp) == (None, None)


def test_an_index_out_of_range_is_refused() -> None:
    batch = tl.parse(random_frames.frame_of([struct.pack(">II", 257, 5)]))
    for index in (1, -2):
        with pytest.raises(IndexError, match="tick index out of range"):
            batch[index]


def test_dicts_in_a_named_zone_are_aware_and_know_no_1970() -> None:
    body = bytearray(184)
    body[60:64] = struct.pack(">I", 1625461887)
    batch = tl.parse(random_frames.frame_of([bytes(body)]))
    (utc,) = batch.to_dicts(tz="UTC")
    assert utc["exchange_timestamp"] == datetime(2021, 7, 5, 5, 11, 27, tzinfo=UTC)
    assert utc["last_trade_time"] is None
    for name in ("IST", "Asia/Kolkata"):
        (ist,) = batch.to_dicts(tz=name)
        assert ist["exchange_timestamp"].isoformat() == "2021-07-05T10:41:27+05:30"
        assert ist["exchange_timestamp"].utcoffset() == timedelta(hours=5, minutes=30)
    with pytest.raises(ValueError, match="tz must be local, UTC or IST, not Mars"):
        batch.to_dicts(tz="Mars")


def test_a_batch_says_what_it_is() -> None:
    assert repr(tl.parse(b"\x01")) == "TickBatch(heartbeat)"
    cut = random_frames.frame_of([struct.pack(">II", 257, 5)] * 2)[:-1]
    assert repr(tl.parse(cut)) == "TickBatch(1 ticks, rejected=1, error='truncated_body at byte 12')"
    assert repr(tl.parse(cut)[0]) == "Tick(instrument_token=257, last_price=0.05, mode='ltp')"
    assert tl.parse(cut, received_ns=7).received_ns == 7
