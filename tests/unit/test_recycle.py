"""A batch that nobody has any more becomes the next one; what somebody has, in whatever form, never changes."""

from __future__ import annotations

import functools
import gc
import pickle
import queue
import random
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tickloom as tl
from tests import random_frames
from tests.oracle import wire as oracle

Keep = Callable[[tl.TickBatch], Any]


def frame_of(seed: int, packets: int = 1) -> bytes:
    rng = random.Random(seed)
    return random_frames.frame_of([random_frames.body(rng, 184, 1) for _ in range(packets)])


@functools.cache
def rows_of(frame: bytes) -> bytes:
    """What `TickBatch.array` must hold, from a batch that is made anew because the kept ones are busy.

    That makes the next ones new as well: ask before what is to be tested.
    """
    busy = [tl.parse(b"\x00\x00") for _ in range(2)]
    rows = tl.parse(frame).array.tobytes()
    del busy
    return rows


def others(packets: int = 1, count: int = 8) -> None:
    """Frames that come later, each read and dropped."""
    for seed in range(1_000, 1_000 + count):
        tl.parse(frame_of(seed, packets)).array  # noqa: B018 - it is read so that it is decoded


KEEPERS: dict[str, tuple[Keep, Callable[[Any], bytes]]] = {
    "the batch": (lambda batch: batch, lambda kept: kept.array.tobytes()),
    "the batch, read": (lambda batch: (batch.array.nbytes, batch)[1], lambda kept: kept.array.tobytes()),
    "the batch, its dicts": (lambda batch: (batch.array.nbytes, batch)[1], lambda kept: repr(kept.to_dicts()).encode()),
    "the array": (lambda batch: batch.array, lambda kept: kept.tobytes()),
    "two arrays, the first": (lambda batch: (batch.array, batch.array)[0], lambda kept: kept.tobytes()),
    "two arrays, the second": (lambda batch: (batch.array, batch.array)[1], lambda kept: kept.tobytes()),
    "its base": (lambda batch: batch.array.base, lambda kept: kept.array.tobytes()),
    "a slice": (lambda batch: batch.array[:1], lambda kept: kept.tobytes()),
    "a slice of a slice": (lambda batch: batch.array[::-1][:1], lambda kept: kept.tobytes()),
    "a field": (lambda batch: batch.array["last_price"], lambda kept: kept.tobytes()),
    "a part of a field": (lambda batch: batch.array["bid_price"][0, 1:], lambda kept: kept.tobytes()),
    "a row": (lambda batch: batch.array[0], lambda kept: kept.tobytes()),
    "an item": (lambda batch: batch.array.item(0), lambda kept: repr(kept).encode()),
    "a list of items": (lambda batch: batch.array.tolist(), lambda kept: repr(kept).encode()),
    "a flat iterator": (lambda batch: batch.array.flat, lambda kept: kept[0].tobytes()),
    "a record array": (lambda batch: batch.array.view(np.recarray), lambda kept: kept.tobytes()),
    "bytes of it": (lambda batch: batch.array.view(np.uint8), lambda kept: kept.tobytes()),
    "strides of it": (
        # Copied along with the fields, the padding of a row is whatever was there.
        lambda batch: np.lib.stride_tricks.as_strided(batch.array, (2,), (0,)),
        lambda kept: repr(kept.tolist()).encode(),
    ),
    "a memoryview": (lambda batch: memoryview(batch.array), lambda kept: kept.tobytes()),
    "a buffer": (lambda batch: np.frombuffer(batch.array, np.uint8), lambda kept: kept.tobytes()),
    "a ctypes pointer": (lambda batch: batch.array.ctypes, lambda kept: kept._arr.tobytes()),
    "a pickle": (lambda batch: pickle.dumps(batch.array), lambda kept: kept),
    "a copy": (lambda batch: batch.array.copy(), lambda kept: kept.tobytes()),
    "a tick": (lambda batch: batch[0], lambda kept: repr((kept.last_price, kept.bids, kept.oi)).encode()),
    "an iterator": (iter, lambda kept: repr(kept.__reduce__()[1][0][0].bids).encode()),
    "a bound function": (lambda batch: functools.partial(bytes, batch.array), lambda kept: kept()),
    "a bound method": (lambda batch: batch.to_dicts, lambda kept: repr(kept()).encode()),
}  # fmt: skip


@pytest.mark.parametrize("name", KEEPERS)
def test_whatever_is_kept_of_a_batch_never_changes(name: str) -> None:
    keep, seen = KEEPERS[name]
    for packets in (1, 3):
        others(packets)
        kept = [keep(tl.parse(frame_of(seed, packets))) for seed in range(5)]
        before = [seen(one) for one in kept]
        others(packets)
        gc.collect()
        assert [seen(one) for one in kept] == before
        assert len(set(before)) == 5, "five frames look the same"


def test_a_view_alone_is_enough_to_keep_what_it_shows() -> None:
    for seed in range(20):
        frame = frame_of(seed)
        (view,) = [tl.parse(frame).array["ask_price"][0, :3]]
        wanted = oracle.row(oracle.packets(frame)[0])
        others(count=3)
        assert wanted is not None
        assert view.tolist() == list(wanted["ask_price"][:3])


def test_an_object_that_nobody_has_is_used_again() -> None:
    wanted = {seed: rows_of(frame_of(seed)) for seed in range(20)}
    batch = tl.parse(frame_of(0))
    array = batch.array
    ids = {id(batch)}, {id(array)}
    for seed in range(1, 20):
        # The names hold the last batch and array until they have the next: two take turns.
        batch = tl.parse(frame_of(seed))
        array = batch.array
        ids[0].add(id(batch))
        ids[1].add(id(array))
        assert array.tobytes() == wanted[seed]
        assert batch.frame == frame_of(seed)
    assert [len(seen) for seen in ids] == [2, 2]


def test_a_recycled_batch_says_nothing_of_the_one_before() -> None:
    rng = random.Random(3)
    deep = random_frames.frame_of([random_frames.body(rng, 492, 1)])
    cut = frame_of(5, 2)[:-1]
    whole = frame_of(6, 3)
    empty, heartbeat = b"\x00\x00", b"\x01"
    scales = tl.PriceScales({1: 7})
    for seed in range(60):
        pick = random.Random(seed).choice((deep, cut, whole, empty, heartbeat, frame_of(seed)))
        batch = tl.parse(pick, received_ns=seed, scales=scales if seed % 3 else None)
        bodies = oracle.packets(pick)
        assert (len(batch), batch.received_ns, batch.frame) == (len(bodies), seed, pick)
        assert (batch.is_heartbeat, batch.error is None) == (pick is heartbeat, pick is not cut)
        assert batch.rejected == (pick is cut)
        if seed % 2:
            for row, body in zip(batch.array, bodies, strict=True):
                want = oracle.row(body, {1: 7} if seed % 3 else None)
                assert want is not None
                assert row["instrument_token"] == want["instrument_token"]
                assert row["last_price"] == want["last_price"]
        assert len(batch.depth20) == (pick is deep)


def test_a_weak_reference_never_sees_another_frame() -> None:
    wanted = rows_of(frame_of(9))
    for _ in range(3):
        ended: list[bytes] = []
        array = tl.parse(frame_of(1)).array
        before = array.tobytes()
        # Whoever waits for the end of an array may parse another frame when it comes.
        weak = weakref.ref(array, lambda _, ended=ended: ended.append(tl.parse(frame_of(9)).array.tobytes()))
        del array
        for seed in range(2, 6):
            tl.parse(frame_of(seed)).array  # noqa: B018 - it is read so that it is decoded
            again = weak()
            assert again is None or again.tobytes() == before
            del again
        assert (weak(), ended) == (None, [wanted])


def test_no_way_but_a_counted_reference_leads_to_a_batch() -> None:
    batch = tl.parse(frame_of(1))
    with pytest.raises(TypeError, match="weak reference"):
        weakref.ref(batch)
    with pytest.raises(TypeError, match="acceptable base type"):
        type("Sub", (tl.TickBatch,), {})
    assert not gc.is_tracked(batch.array)


def test_a_batch_that_the_garbage_collector_finds_never_changes() -> None:
    frame = frame_of(1)
    tl.parse(frame).array  # noqa: B018 - it is read so that it is decoded
    found = [one for one in gc.get_objects() if isinstance(one, tl.TickBatch)]
    assert frame in [one.frame for one in found], "nobody has it, and yet it is there"
    before = [one.array.tobytes() for one in found]
    others()
    assert [one.array.tobytes() for one in found] == before


SPOILERS: dict[str, Callable[[Any], object]] = {
    "shape": lambda array: setattr(array, "shape", (1, 1)),
    "dtype": lambda array: setattr(array, "dtype", np.dtype("V256")),
    "bytes": lambda array: setattr(array, "dtype", np.dtype("u1")),
    "strides": lambda array: setattr(array, "strides", (0,)),
    "flags": lambda array: array.setflags(align=False),
    "memory": lambda array: array.__setstate__((1, (1,), array.dtype, False, bytes(256))),
    "state": lambda array: array.__setstate__((1, (2,), np.dtype("u1"), False, b"xy")),
}


@pytest.mark.parametrize("read_again", [False, True])
@pytest.mark.parametrize("name", SPOILERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_was_made_of_an_array_is_not_in_the_next_one(name: str, read_again: bool) -> None:
    frames = [frame_of(seed) for seed in range(6)]
    wanted = [rows_of(frame) for frame in frames]
    others()
    for frame, rows in zip(frames, wanted, strict=True):
        batch = tl.parse(frame)
        SPOILERS[name](batch.array)
        if read_again:
            array = batch.array
            assert array.base is batch
            assert (array.shape, array.tobytes()) == ((1,), rows)
            del array
        del batch
        array = tl.parse(frame).array
        assert (array.shape, array.strides, array.dtype.names is None) == ((1,), (256,), False)
        assert (array.flags.aligned, array.flags.c_contiguous, array.flags.f_contiguous) == (True,) * 3
        assert isinstance(array.base, tl.TickBatch)
        assert array.tobytes() == rows
        del array


@pytest.mark.parametrize("name", SPOILERS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_batch_whose_array_was_spoilt_stays_as_it_was(name: str) -> None:
    rows = rows_of(frame_of(1))
    others()
    batch = tl.parse(frame_of(1))
    SPOILERS[name](batch.array)
    others()
    assert (batch.frame, batch.array.tobytes()) == (frame_of(1), rows)


def test_a_frame_without_ticks_makes_room_for_one_that_has_some() -> None:
    found: list[bytes] = []

    def work() -> None:
        # A new thread has no buffer of an earlier batch.
        for frame in (b"\x00\x00", frame_of(1), b"\x00\x00", frame_of(2, 3)):
            array = tl.parse(frame).array
            found.append(array.tobytes())
            del array

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [b"", rows_of(frame_of(1)), b"", rows_of(frame_of(2, 3))]


def test_an_array_that_somebody_has_is_not_given_to_another() -> None:
    others()
    batch = tl.parse(frame_of(1))
    first, second = batch.array, batch.array
    assert first is not second
    first.shape = (1, 1)
    assert (second.shape, batch.array.shape) == ((1,), (1,))


def renamed(dtype: np.dtype, names: list[str]) -> None:
    dtype.names = tuple(names)


def restored(dtype: np.dtype, names: list[str]) -> None:
    version, order, subarray, _, fields, *rest = dtype.__reduce__()[2]
    fields = dict(zip(names, fields.values(), strict=True))
    dtype.__setstate__((version, order, subarray, tuple(names), fields, *rest))


@pytest.mark.parametrize("rename", [renamed, restored])
@pytest.mark.parametrize(("part", "length"), [("array", 184), ("depth20", 492)])
def test_an_array_whose_fields_are_renamed_leaves_those_of_later_batches_alone(part, length, rename) -> None:
    frame = random_frames.frame_of([random_frames.body(random.Random(5), length, 1)])
    engine = tl.Engine(intervals=["1m"])
    for _ in range(3):
        others()
        array = getattr(tl.parse(frame), part)
        fields, rows = array.dtype, array.tobytes()
        names = [name.lower() for name in array.dtype.names]
        assert list(array.dtype.names) == names
        rename(fields, [name.upper() for name in names])
        assert fields.names[0] == names[0].upper()
        for batch in (tl.parse(frame), engine.apply(frame)):
            later = getattr(batch, part)
            assert (list(later.dtype.names), later.tobytes()) == (names, rows)
        # What is the same is shared again.
        assert getattr(tl.parse(frame), part).dtype is later.dtype


def test_a_recycled_array_is_as_read_only_as_a_new_one() -> None:
    for seed in range(5):
        array = tl.parse(frame_of(seed)).array
        with pytest.raises(ValueError, match="read-only"):
            array["last_price"] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
        assert memoryview(array).readonly


class Meddling(bytes):
    """A frame that parses another one when it goes."""

    def __del__(self) -> None:
        seen.append(tl.parse(frame_of(77)).array.tobytes())


seen: list[bytes] = []


def test_a_frame_whose_end_parses_another_is_no_harm() -> None:
    seen.clear()
    wanted = [rows_of(frame_of(seed)) for seed in (*range(10), 77)]
    for seed in range(10):
        array = tl.parse(Meddling(frame_of(seed))).array
        assert array.tobytes() == wanted[seed]
    del array
    others()
    assert len(seen) == 10
    assert set(seen) == {wanted[10]}


def test_an_engine_recycles_batches_as_parse_does() -> None:
    engine = tl.Engine(intervals=["1m"])
    wanted = [rows_of(frame_of(seed)) for seed in range(12)]
    kept = []
    for seed in range(12):
        array = engine.apply(frame_of(seed)).array
        if seed % 3 == 0:
            kept.append((array[:1], array.tobytes()))
        assert array.tobytes() == wanted[seed]
    assert all(view.tobytes() == before for view, before in kept)


def test_batches_that_wander_between_threads_stay_as_they_were() -> None:
    sent: queue.SimpleQueue[tuple[int, Any] | None] = queue.SimpleQueue()
    wanted = {seed: rows_of(frame_of(seed)) for seed in range(50)}
    frames = {seed: frame_of(seed) for seed in range(50)}
    faults: list[int] = []

    def read() -> None:
        while (got := sent.get()) is not None:
            seed, one = got
            array = one.array if isinstance(one, tl.TickBatch) else one
            if array.tobytes() != wanted[seed]:
                faults.append(seed)
            del one, got, array

    def write(start: int) -> None:
        for turn in range(3_000):
            seed = (start + turn) % 50
            batch = tl.parse(frames[seed])
            sent.put((seed, batch if turn % 3 else batch.array))
            if batch.array.tobytes() != wanted[seed]:
                faults.append(seed)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        readers = [threading.Thread(target=read) for _ in range(2)]
        writers = [threading.Thread(target=write, args=(start,)) for start in range(3)]
        for thread in readers + writers:
            thread.start()
        for thread in writers:
            thread.join()
        for _ in readers:
            sent.put(None)
        for thread in readers:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert faults == []


def test_a_thread_and_a_process_end_with_their_spares() -> None:
    program = f"""
import threading
import tickloom as tl
frame = bytes.fromhex("{frame_of(1).hex()}")
kept = []
def work():
    for _ in range(10):
        tl.parse(frame).array
    kept.append(tl.parse(frame).array)
for _ in range(20):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    tl.parse(frame).array
assert len({{array.tobytes() for array in kept}}) == 1
threading.Thread(target=work, daemon=True).start()
"""
    subprocess.run([sys.executable, "-X", "dev", "-c", program], check=True, timeout=60)


def test_what_a_thread_keeps_does_not_grow() -> None:
    """A long frame is not kept at all."""
    rows = 5_000
    frame = bytes.fromhex("1388") + frame_of(1)[2:] * rows
    before = sys.getrefcount(frame)
    for _ in range(5):
        assert len(tl.parse(frame).array) == rows
    assert sys.getrefcount(frame) == before
    short = frame_of(2)
    before = sys.getrefcount(short)
    for _ in range(5):
        tl.parse(short).array  # noqa: B018 - it is read so that it is decoded
    assert sys.getrefcount(short) <= before + 2
    others()
    assert sys.getrefcount(short) == before
