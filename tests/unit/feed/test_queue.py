"""The queue between reader and listener: policies, and the account that always closes."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickloom as tl
from tests.unit.feed.fake import INFY, TCS, frame_of, full, until
from tickloom.events import Message
from tickloom.feed.queue import Account, Bars, Batch, Queue

STAMP = 1_782_878_400_000_000_000


def batch(number: int, token: int = INFY) -> Batch:
    """The batch of one packet whose price is its number."""
    return Batch(tl.parse(full(token, number, number, STAMP), received_ns=number), number, 0)


def message(number: int) -> Message:
    return Message(number, "message", number)


def taken(queue: Queue) -> list[object]:
    items = []
    while (item := queue.take_now()) is not None:
        items.append(item)
    return items


def closes(account: Account, depth: int) -> bool:
    return account.offered == account.delivered + account.dropped + depth


def test_items_come_out_in_the_order_they_went_in() -> None:
    queue = Queue(10, "conflate")
    items = [batch(1), message(2), batch(3), message(4)]
    for item in items:
        queue.put(item)
    assert taken(queue) == items
    assert queue.account == Account(4, 4, 0)


def test_conflate_keeps_the_newest_packet_of_each_instrument_and_every_event() -> None:
    queue = Queue(3, "conflate")
    for number in range(1, 101):
        queue.put(batch(number, INFY if number % 2 else TCS))
        if number % 10 == 0:
            queue.put(message(number))
    items = taken(queue)
    # Three batches were in when the fourth found the queue full.
    (merged,) = [item for item in items if isinstance(item, Batch)]
    assert merged.frames == 100
    assert {tick.instrument_token: tick.volume_traded for tick in merged.ticks} == {INFY: 99, TCS: 100}
    # Of other events there are as many as the queue is long.
    assert [item.data for item in items if isinstance(item, Message)] == [80, 90, 100]
    assert queue.account == Account(110, 4, 106)


def test_conflate_goes_back_to_whole_batches_when_the_taker_has_caught_up() -> None:
    queue = Queue(2, "conflate")
    for number in range(1, 6):
        queue.put(batch(number))
    assert [item.frames for item in taken(queue)] == [5]
    queue.put(batch(6))
    queue.put(batch(7))
    assert [item.frames for item in taken(queue)] == [1, 1]


def test_conflating_survives_a_frame_that_is_cut_and_one_with_an_unknown_packet() -> None:
    whole = frame_of((INFY, 5, 5, STAMP), (TCS, 6, 6, STAMP))
    queue = Queue(1, "conflate")
    queue.put(batch(1))
    queue.put(Batch(tl.parse(whole[:-10]), 2, 0))
    queue.put(Batch(tl.parse(b"\x00\x02\x00\x03abc" + whole[2:188]), 3, 0))
    (merged,) = taken(queue)
    assert [(tick.instrument_token, tick.volume_traded) for tick in merged.ticks] == [(INFY, 5)]


def test_drop_oldest_drops_ticks_before_anything_else() -> None:
    queue = Queue(3, "drop_oldest")
    for item in (message(1), batch(2), batch(3), message(4), batch(5), message(6), message(7)):
        queue.put(item)
    assert [item.time_ns for item in taken(queue)] == [4, 6, 7]
    assert queue.account == Account(7, 3, 4)


def test_block_makes_the_writer_wait_and_loses_nothing() -> None:
    queue = Queue(2, "block")
    writer = threading.Thread(daemon=True, target=lambda: [queue.put(batch(number)) for number in range(100)])
    writer.start()
    time.sleep(0.05)
    assert queue.depth == 2
    numbers = []
    while len(numbers) < 100:
        numbers.append(queue.take(5).time_ns)
    writer.join()
    assert numbers == list(range(100))
    assert queue.account == Account(100, 100, 0)


def test_a_writer_that_waits_does_what_others_ask_of_it() -> None:
    done = []
    queue = Queue(1, "block", idle=lambda: done.append(threading.current_thread().name))
    queue.put(message(1))
    writer = threading.Thread(daemon=True, target=queue.put, args=(message(2),), name="writer")
    writer.start()
    queue.nudge()
    until(lambda: "writer" in done)
    queue.close()
    writer.join()


@pytest.mark.parametrize("end", ["close", "relax", "discard"])
def test_a_writer_that_waits_is_let_go_when_the_queue_ends(end: str) -> None:
    queue = Queue(1, "block")
    queue.put(message(1))
    writer = threading.Thread(daemon=True, target=queue.put, args=(message(2),))
    writer.start()
    time.sleep(0.02)
    getattr(queue, end)()
    writer.join(5)
    assert not writer.is_alive()
    assert closes(queue.account, len(taken(queue)))


def test_what_comes_after_the_close_is_dropped_and_counted() -> None:
    queue = Queue(5, "conflate")
    queue.put(message(1))
    queue.close()
    queue.put(message(2))
    assert queue.take() == message(1)
    assert queue.take() is None
    assert queue.account == Account(2, 1, 1)


def test_bars_are_counted_one_by_one() -> None:
    engine = tl.Engine(["1m", "5m"])
    engine.push(INFY, 100.0, time_ns=STAMP, quantity=1)
    engine.push(INFY, 100.0, time_ns=STAMP + 600_000_000_000, quantity=1)
    bars = engine.drain_closed()
    assert len(bars) >= 2
    queue = Queue(5, "conflate")
    queue.put(Bars(bars, 1))
    queue.put(Bars(bars, 2))
    queue.take()
    queue.discard()
    assert queue.account == Account(2 * len(bars), len(bars), len(bars))


@pytest.mark.parametrize(("limit", "policy"), [(0, "conflate"), (1, "newest")])
def test_a_wrong_queue_is_refused(limit: int, policy: str) -> None:
    with pytest.raises(ValueError, match=r"queue holds|policy is one of"):
        Queue(limit, policy)


@given(
    policy=st.sampled_from(["conflate", "drop_oldest"]),
    limit=st.integers(1, 5),
    steps=st.lists(st.sampled_from(["batch", "message", "take", "take"]), max_size=60),
)
def test_offered_is_always_delivered_and_dropped_and_queued(policy: str, limit: int, steps: list[str]) -> None:
    queue = Queue(limit, policy)
    offered = delivered = 0
    for number, step in enumerate(steps, 1):
        if step == "take":
            delivered += queue.take_now() is not None
        else:
            offered += 1
            queue.put(batch(number) if step == "batch" else message(number))
        account = queue.account
        assert (account.offered, account.delivered) == (offered, delivered)
        assert 0 <= queue.depth <= 2 * limit + 1
    left = queue.depth
    assert len(taken(queue)) == left
    assert queue.depth == 0
