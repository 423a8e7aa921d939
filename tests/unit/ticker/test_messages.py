"""The texts of kite-protocol §2 and §3, and the lengths of packets."""

from __future__ import annotations

import random

import pytest

from tests import random_frames
from tests.unit.ticker.world import frame
from tickloom.ticker import messages


def test_the_texts_are_those_of_the_protocol() -> None:
    assert messages.subscribe([408065, 884737]) == '{"a":"subscribe","v":[408065,884737]}'
    assert messages.unsubscribe([408065]) == '{"a":"unsubscribe","v":[408065]}'
    assert messages.set_mode("full", [408065]) == '{"a":"mode","v":["full",[408065]]}'


def test_there_are_three_modes() -> None:
    assert messages.MODES == ("ltp", "quote", "full")
    with pytest.raises(ValueError, match="mode must be one of ltp, quote, full: 'depth'"):
        messages.set_mode("depth", [1])


@pytest.mark.parametrize(
    ("text", "kind", "data"),
    [
        ('{"type":"order","data":{"order_id":"1"}}', "order", {"order_id": "1"}),
        ('{"type":"error","data":"no"}', "error", "no"),
        ('{"type":"message","data":"hello"}', "message", "hello"),
        (
            '{"type":"instruments_meta","data":{"count":1}}',
            "unknown",
            {"type": "instruments_meta", "data": {"count": 1}},
        ),
        ('{"type":"order","data":"text"}', "unknown", {"type": "order", "data": "text"}),
        ('{"type":"order"}', "unknown", {"type": "order"}),
        ('{"type":["order"],"data":{}}', "unknown", {"type": ["order"], "data": {}}),
        ("[1,2]", "unknown", [1, 2]),
        ("null", "unknown", None),
        ("{", "unknown", "{"),
        ("", "unknown", ""),
    ],
)
def test_each_text_has_a_kind(text: str, kind: str, data: object) -> None:
    assert messages.parse_text(text) == messages.TextMessage(kind, data)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "\x00", "\ud800", "1" * 5000, "NaN", "-" * 100])
def test_no_text_raises(text: str) -> None:
    assert messages.parse_text(text).kind == "unknown"


def test_packets_tell_length_and_token() -> None:
    data = frame((408065, "full"), (256265, "full"), (5, "ltp"))
    assert list(messages.packets(data)) == [(184, 408065), (32, 256265), (8, 5)]
    same = frame(*((token, "quote") for token in range(256, 456)))
    assert list(messages.packets(same)) == [(28 if t & 255 == 9 else 44, t) for t in range(256, 456)]


def slowly(data: bytes) -> list[tuple[int, int]]:
    """One byte after the other."""
    found, at = [], 2
    if len(data) < 4:
        return []
    for _ in range(int.from_bytes(data[:2], "big")):
        if len(data) < at + 2:
            break
        length = int.from_bytes(data[at : at + 2], "big")
        body = data[at + 2 : at + 2 + length]
        if len(body) < length:
            break
        if length >= 4:
            found.append((length, int.from_bytes(body[:4], "big")))
        at += 2 + length
    return found


def test_packets_of_any_bytes_are_those_of_the_slow_way() -> None:
    rng = random.Random(5)
    for _ in range(3000):
        kind = rng.random()
        if kind < 0.3:
            data = frame(*((rng.getrandbits(32), "full") for _ in range(rng.randint(0, 9))))
        else:
            data = random_frames.frame(rng, rng.randint(0, 9))
        if rng.random() < 0.5:
            data = data[: rng.randint(0, len(data))]
        if rng.random() < 0.3 and data:
            changed = bytearray(data)
            changed[rng.randrange(len(data))] = rng.getrandbits(8)
            data = bytes(changed)
        assert list(messages.packets(data)) == slowly(data)


def test_chunks_hold_all_in_their_order() -> None:
    assert [list(chunk) for chunk in messages.chunks(list(range(5)), 2)] == [[0, 1], [2, 3], [4]]
    assert list(messages.chunks([], 2)) == []
