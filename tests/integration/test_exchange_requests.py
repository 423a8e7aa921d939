"""What clients may say to the simulated exchange besides whole texts: pieces, pings, closes, more than fits."""

from __future__ import annotations

import json

import pytest
from picows import WSMsgType

from tests.integration.lines import connect, play, until
from tickloom.sources import exchange_wire as wire
from tickloom.sources.exchange import Exchange

BEGIN, REST = WSMsgType.TEXT, WSMsgType.CONTINUATION


def test_a_message_in_pieces_is_one_message_with_pings_in_between() -> None:
    async def session() -> None:
        line = await connect(exchange.url)
        text = json.dumps({"a": "subscribe", "v": [each.token for each in exchange.instruments]}).encode()
        for nth, letter in enumerate(text):
            kind = REST if nth else BEGIN
            line.transport.send(kind, bytes((letter,)), nth == len(text) - 1)
            if nth % 20 == 0:
                line.transport.send_ping(b"still there?")
        await until(lambda: next(iter(exchange.subscriptions().values())).keys() == set(exchange.symbols.values()))
        await until(lambda: len(line.pongs) == (len(text) + 19) // 20)
        # The next one is a message of its own.
        line.mode("ltp", list(exchange.symbols.values()))
        await until(lambda: set(next(iter(exchange.subscriptions().values())).values()) == {"ltp"})
        assert line.errors() == []

    with Exchange(5, opens="told") as exchange:
        play(session())


def test_three_thousand_tokens_in_pieces_and_in_one_text_are_taken() -> None:
    async def session() -> None:
        tokens = [(n << 8) | 1 for n in range(1, 3_001)]
        text = json.dumps({"a": "subscribe", "v": tokens}).encode()
        for size in (1_000, len(text)):
            line = await connect(exchange.url)
            for at in range(0, len(text), size):
                line.transport.send(REST if at else BEGIN, text[at : at + size], at + size >= len(text))
            await until(lambda: [len(modes) for modes in exchange.subscriptions().values()] == [3_000])
            line.transport.disconnect()
            await until(lambda: not exchange.subscriptions())

    with Exchange(1, opens="told") as exchange:
        play(session())


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([(REST, b"{}", True)], 1002),
        ([(BEGIN, b"{", False), (BEGIN, b"}", True)], 1002),
        ([(BEGIN, b"{", False), *[(REST, bytes(1 << 16), False)] * 17], 1009),
    ],
)
def test_who_breaks_the_rules_of_pieces_is_closed_with_the_code_that_says_so(
    frames: list[tuple[WSMsgType, bytes, bool]], code: int
) -> None:
    async def session() -> None:
        line, other = await connect(exchange.url), await connect(exchange.url)
        for kind, payload, final in frames:
            line.transport.send(kind, payload, final)
        await until(lambda: line.close_code)
        assert line.close_code == code
        await until(lambda: len(exchange.subscriptions()) == 1)
        assert other.close_code is None

    with Exchange(1, opens="told") as exchange:
        play(session())


@pytest.mark.parametrize("code", [1000, 1001, 3000, 4321])
def test_a_clients_close_is_answered_with_its_code(code: int) -> None:
    async def session() -> None:
        line = await connect(exchange.url)
        line.transport.send(WSMsgType.CLOSE, code.to_bytes(2, "big") + b"bye")
        await until(lambda: line.ended_at)
        assert line.close_code == code

    with Exchange(1, opens="told") as exchange:
        play(session())


@pytest.mark.parametrize("size", [0, 1, 125])
def test_a_ping_is_answered_with_its_own_words(size: int) -> None:
    async def session() -> None:
        line = await connect(exchange.url)
        words = bytes(range(size))
        line.transport.send_ping(words)
        await until(lambda: line.pongs == [words])

    with Exchange(1, opens="told") as exchange:
        play(session())


def test_pieces_are_put_together_once() -> None:
    pieces = wire.Pieces()
    assert pieces.add(b"a", first=True, final=False) is None
    assert pieces.add(b"b", first=False, final=False) is None
    assert pieces.add(b"c", first=False, final=True) == b"abc"
    assert pieces.add(b"d", first=True, final=True) == b"d"
    with pytest.raises(wire.BrokenRules, match="without a beginning"):
        pieces.add(b"e", first=False, final=True)
