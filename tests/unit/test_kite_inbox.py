"""The drop-in's queue: frames are dropped oldest first and counted, nothing else is ever dropped."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from tickloom.kite.inbox import Call, Inbox


def drained(inbox: Inbox) -> list[Call]:
    return [inbox.get() for _ in range(len(inbox))]


def test_what_goes_in_comes_out_in_its_order() -> None:
    inbox = Inbox()
    calls = [Call.of_frame(b"ab"), Call("text", ("x",)), Call("on_open")]
    for call in calls:
        inbox.put(call)
    assert drained(inbox) == calls


def test_a_full_queue_drops_the_oldest_frame_and_keeps_what_is_no_frame() -> None:
    inbox = Inbox(frames=2)
    for call in (
        Call("on_open"),
        Call.of_frame(b"1"),
        Call("text", ("order",)),
        Call.of_frame(b"2"),
        Call.of_frame(b"3"),
    ):
        inbox.put(call)
    assert [call.arguments for call in drained(inbox)] == [(), ("order",), (b"2",), (b"3",)]
    assert (inbox.offered, inbox.dropped) == (3, 1)


def test_bytes_are_limited_too_but_the_newest_frame_always_stays() -> None:
    inbox = Inbox(size=10)
    for size in (6, 6, 100):
        inbox.put(Call.of_frame(bytes(size)))
    assert [len(call.arguments[0]) for call in drained(inbox)] == [100]
    assert inbox.dropped == 2


@given(st.lists(st.one_of(st.just(None), st.text(max_size=2), st.binary(min_size=1, max_size=9)), max_size=60))
def test_offered_is_delivered_and_dropped_and_waiting(steps: list[str | bytes | None]) -> None:
    inbox = Inbox(frames=3, size=20)
    texts: list[str] = []
    delivered: list[Call] = []
    for step in steps:
        if isinstance(step, bytes):
            inbox.put(Call.of_frame(step))
        elif isinstance(step, str):
            texts.append(step)
            inbox.put(Call("text", (step,)))
        elif len(inbox):
            delivered.append(inbox.get())
    waiting = drained(inbox)
    assert [call.arguments[0] for call in delivered + waiting if call.kind == "text"] == texts
    frames = [call for call in waiting if call.kind == "frame"]
    assert inbox.offered == sum(call.kind == "frame" for call in delivered) + inbox.dropped + len(frames)
    assert len(frames) <= 3
    assert len(frames) <= 1 or sum(call.size for call in frames) <= 20


def test_one_who_waits_is_woken() -> None:
    inbox = Inbox()
    got: list[Call] = []
    waiting = threading.Thread(target=lambda: got.append(inbox.get()))
    waiting.start()
    inbox.put(Call("on_open"))
    waiting.join(5)
    assert got == [Call("on_open")]


def test_in_a_hurry_only_what_ends_a_run_is_delivered_and_the_rest_is_counted() -> None:
    inbox = Inbox()
    for call in (
        Call.of_frame(b"1"),
        Call("text", ("x",)),
        Call("on_close", (1006, "")),
        Call.of_frame(b"2"),
        Call("end"),
    ):
        inbox.put(call)
    inbox.hurry = True
    assert [inbox.get().kind for _ in range(2)] == ["on_close", "end"]
    assert (inbox.offered, inbox.dropped, len(inbox)) == (2, 2, 0)
