"""The simulated exchange fails on demand, and by itself, in the ways that feeds are known to fail."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import time

import pytest
from picows import WSInvalidStatusError, WSMsgType

import tickloom as tl
from tests.integration.lines import Line, connect, play, until
from tickloom.sources import exchange_wire as wire
from tickloom.sources.exchange import Exchange, Faults
from tickloom.sources.exchange_faults import KINDS


def tokens_of(exchange: Exchange) -> list[int]:
    return [instrument.token for instrument in exchange.instruments]


async def subscribed(exchange: Exchange) -> Line:
    line = await connect(exchange.url)
    line.subscribe(tokens_of(exchange))
    await until(lambda: len(line.packets()) > 20)
    return line


def test_silence_is_total_and_ends_when_it_was_told_to() -> None:
    async def session(exchange: Exchange) -> None:
        line = await subscribed(exchange)
        exchange.silence(1.5)
        began = time.monotonic()
        await asyncio.sleep(0.1)
        before = len(line.frames)
        line.transport.send(WSMsgType.PING, b"anyone?")
        late = await connect(exchange.url)
        late.subscribe(tokens_of(exchange))
        await asyncio.sleep(1)
        assert (len(line.frames), line.pongs, late.frames, line.ended_at) == (before, [], [], None)
        await until(lambda: len(line.frames) > before and late.frames)
        assert 1.4 < time.monotonic() - began < 2.2
        line.transport.send(WSMsgType.PING, b"anyone?")
        await until(lambda: line.pongs)
        exchange.silence(None)
        await asyncio.sleep(0.1)
        before = len(line.frames)
        await asyncio.sleep(1.5)
        assert len(line.frames) == before
        exchange.silence(0)
        await until(lambda: len(line.frames) > before)

    with Exchange(10, speed=60) as exchange:
        play(session(exchange))


def test_a_half_open_line_neither_speaks_nor_listens_and_a_new_one_does() -> None:
    async def session(exchange: Exchange) -> None:
        dead, well = await subscribed(exchange), await subscribed(exchange)
        exchange.half_open(client=1)
        await asyncio.sleep(0.1)
        before, others = len(dead.frames), len(well.frames)
        dead.transport.send(WSMsgType.PING, b"anyone?")
        dead.say({"a": "unsubscribe", "v": tokens_of(exchange)})
        await asyncio.sleep(1.5)
        assert (len(dead.frames), dead.pongs, dead.ended_at) == (before, [], None)
        assert len(exchange.subscriptions()[1]) == len(tokens_of(exchange))
        assert len(well.frames) > others
        await subscribed(exchange)

    with Exchange(10, speed=60) as exchange:
        play(session(exchange))


@pytest.mark.parametrize(("code", "seen"), [(1000, 1000), (1001, 1001), (1006, None), (1011, 1011), (4_321, 4_321)])
def test_a_close_has_the_code_that_was_asked_for(code: int, seen: int | None) -> None:
    async def session(exchange: Exchange) -> None:
        line = await subscribed(exchange)
        exchange.close(code, "a reason")
        await until(lambda: line.ended_at)
        assert line.close_code == seen
        await until(lambda: exchange.stats()["clients"] == 0)
        await subscribed(exchange)

    with Exchange(10, speed=60) as exchange:
        play(session(exchange))


def raw(exchange: Exchange) -> socket.socket:
    """A connection after its upgrade, without a library in between."""
    line = socket.create_connection(("127.0.0.1", exchange.port), timeout=5)
    line.sendall(
        b"GET /?api_key=key&access_token=any HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += line.recv(1)
    assert answer.startswith(b"HTTP/1.1 101")
    return line


def test_a_reset_is_a_tcp_reset() -> None:
    with Exchange(5, hours="closed", greeting=False) as exchange, raw(exchange) as line:
        exchange.reset()
        with pytest.raises(ConnectionResetError):
            line.recv(1)


def test_a_cut_frame_ends_in_its_middle() -> None:
    with Exchange(5, hours="closed", greeting=False) as exchange, raw(exchange) as line:
        exchange.cut_frame()
        got = b""
        while piece := line.recv(4_096):
            got += piece
        assert got[:4] == bytes((0x82, 126)) + (1_000).to_bytes(2, "big")
        assert len(got) == 4 + 500


def test_a_slow_line_gets_so_many_bytes_a_second_and_whole_packets_in_the_end() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        exchange.slow(20_000)
        line.subscribe(tokens_of(exchange))
        line.mode("full", tokens_of(exchange))
        began = time.monotonic()
        await until(lambda: len(line.packets()) == 2 * len(tokens_of(exchange)))
        size = sum(len(frame) for _, frame in line.frames)
        assert size / 20_000 * 0.8 < time.monotonic() - began < size / 20_000 * 1.5
        exchange.slow(None)
        line.subscribe(tokens_of(exchange))
        await until(lambda: len(line.packets()) == 3 * len(tokens_of(exchange)), 0.3)

    with Exchange(100, hours="closed") as exchange:
        play(session(exchange))


@pytest.mark.parametrize(("status", "retry_after"), [(403, None), (429, 30), (500, None), (503, 7)])
def test_so_many_attempts_are_refused_as_was_asked_for(status: int, retry_after: int | None) -> None:
    async def session(exchange: Exchange) -> None:
        exchange.refuse(status, retry_after=retry_after, times=2)
        for _ in range(2):
            with pytest.raises(WSInvalidStatusError) as error:
                await connect(exchange.url)
            response = error.value.response
            assert response is not None
            assert int(response.status) == status
            assert response.headers.get("Retry-After") == (None if retry_after is None else str(retry_after))
        await connect(exchange.url)
        exchange.refuse(status, times=None)
        for _ in range(5):
            with pytest.raises(WSInvalidStatusError):
                await connect(exchange.url)
        exchange.refuse(status, times=0)
        await connect(exchange.url)
        assert exchange.stats()["attempts"] == 9
        times = exchange.attempts()
        assert len(times) == 9
        assert times == sorted(times)

    with Exchange(5, hours="closed") as exchange:
        play(session(exchange))


def test_a_redirect_names_another_place() -> None:
    async def session(exchange: Exchange) -> None:
        exchange.refuse(302, location="ws://192.0.2.1/")
        with pytest.raises(WSInvalidStatusError) as error:
            await connect(exchange.url)
        response = error.value.response
        assert response is not None
        assert (int(response.status), response.headers["Location"]) == (302, "ws://192.0.2.1/")
        with pytest.raises(ValueError, match="refuses: 101"):
            exchange.refuse(101)

    with Exchange(5, hours="closed") as exchange:
        play(session(exchange))


def test_it_goes_down_and_comes_back_on_the_same_port() -> None:
    async def session(exchange: Exchange) -> None:
        line = await subscribed(exchange)
        await asyncio.to_thread(exchange.go_down)
        await until(lambda: line.ended_at)
        with pytest.raises(ConnectionRefusedError):
            await connect(exchange.url)
        await asyncio.to_thread(exchange.come_back)
        await subscribed(exchange)

    with Exchange(10, speed=60) as exchange:
        play(session(exchange))


def test_a_client_that_does_not_read_gets_the_newest_packets_later_and_harms_nobody() -> None:
    async def session(exchange: Exchange) -> None:
        slow, quick = await connect(exchange.url), await connect(exchange.url)
        for line in (slow, quick):
            line.subscribe(tokens_of(exchange))
            line.mode("full", tokens_of(exchange))
        await until(lambda: all(line.packets() for line in (slow, quick)))
        exchange.open()
        slow.transport.underlying_transport.pause_reading()
        await asyncio.to_thread(exchange.wait_finished, 60)
        await until(lambda: exchange.stats()["market_packets"] > 0)
        await asyncio.sleep(0.3)
        waiting = exchange.stats()["packets_conflated"]
        assert waiting > 0
        slow.transport.underlying_transport.resume_reading()
        await until(lambda: dict(slow.packets()) == dict(quick.packets()))
        stats = exchange.stats()
        assert stats["packets_sent"] == len(slow.packets()) + len(quick.packets())
        assert stats["packets_conflated"] == len(quick.packets()) - len(slow.packets())
        assert stats["packets_conflated"] < waiting

    market = {"end": "09:45", "days": 1, "liquid": 200, "middling": 0, "thin": 0}
    with Exchange(200, speed=900, opens="told", market=market) as exchange:
        play(session(exchange))


@pytest.mark.parametrize("kind", wire.HOSTILE)
def test_a_hostile_message_of_each_kind_arrives_and_the_parser_survives_it(kind: str) -> None:
    async def session(exchange: Exchange) -> None:
        rng = random.Random(7)
        packets = list(exchange._floor.board.values())
        messages = [wire.hostile(kind, rng, packets) for _ in range(200)]
        line = await connect(exchange.url)
        for message in messages:
            exchange.send_text(message) if isinstance(message, str) else exchange.send_binary(message)
        await until(lambda: len(line.frames) + len(line.raw_texts) == len(messages))
        for _, frame in line.frames:
            try:
                batch = tl.parse(frame)
            except tl.DecodeError:
                continue
            assert len(batch) + batch.rejected >= 0
            known = {len(packet): token for token, packet in wire.split(frame) if len(packet) in {8, 28, 32, 44, 184}}
            assert not known or kind in {"cut", "lying count"}
        assert line.ended_at is None

    with Exchange(5, hours="closed", greeting=False, heartbeat=60) as exchange:
        play(session(exchange))


def test_a_plan_of_faults_is_the_same_again_and_keeps_to_its_rates() -> None:
    plan = list(itertools.islice(Faults(reset=3, hostile=9, seed=5).plan(), 4_000))
    again = list(itertools.islice(Faults(reset=3, hostile=9, seed=5).plan(), 4_000))
    assert [one[:2] for one in plan] == [one[:2] for one in again]
    kinds = [kind for _, kind, _ in plan]
    assert sum(wait for wait, _, _ in plan) == pytest.approx(4_000 / 12 * 60, rel=0.1)
    assert kinds.count("reset") == pytest.approx(1_000, rel=0.15)
    assert list(Faults().plan()) == []
    assert {kind for _, kind, _ in itertools.islice(Faults.every_kind().plan(), 1_000)} == set(KINDS)


@pytest.mark.parametrize("options", [{"reset": -1}, {"slow": 0}, {"silence_seconds": -1}])
def test_faults_that_cannot_be_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=r"negative|bytes a second"):
        Faults(**options)


def test_an_exchange_whose_faults_never_rest_still_serves_between_them() -> None:
    async def session(exchange: Exchange) -> None:
        lines, until_then = 0, time.monotonic() + 4
        while time.monotonic() < until_then:
            try:
                line = await connect(exchange.url, websocket_handshake_timeout=1)
            except (WSInvalidStatusError, OSError):
                await asyncio.sleep(0.02)
                continue
            lines += 1
            line.subscribe(tokens_of(exchange))
            deadline = time.monotonic() + 0.3
            while line.ended_at is None and time.monotonic() < deadline:
                await asyncio.sleep(0.01)
            line.transport.disconnect(graceful=False)
        stats = exchange.stats()
        assert stats["faults"] > 100
        assert stats["refused"] > 0
        assert stats["packets_sent"] > 500
        assert lines > 5

    rates = dict.fromkeys(KINDS, 400.0) | {"outage": 60.0}
    faults = Faults(**rates, silence_seconds=0.05, outage_seconds=0.1)
    with Exchange(20, speed=60, faults=faults, connections_per_key=None) as exchange:
        play(session(exchange))


def test_pongs_and_the_close_wait_for_the_frame_that_a_slow_line_is_in() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        exchange.slow(20_000)
        for _ in range(3):
            line.mode("full", tokens_of(exchange))
            line.subscribe(tokens_of(exchange))
        for _ in range(10):
            line.transport.send(WSMsgType.PING, b"?")
            await asyncio.sleep(0.02)
        await until(lambda: len(line.pongs) == 10)
        line.subscribe(tokens_of(exchange))
        await asyncio.sleep(0.05)
        exchange.close(1001)
        await until(lambda: line.ended_at)
        assert line.close_code == 1001

    with Exchange(100, hours="closed") as exchange:
        play(session(exchange))


def test_half_open_lines_count_no_more_and_are_cleared_away_once_the_client_is_gone() -> None:
    async def session(exchange: Exchange) -> None:
        for _ in range(7):
            line = await subscribed(exchange)
            exchange.half_open()
            line.transport.send(WSMsgType.PING, b"unread, and before the end")
            line.transport.disconnect(graceful=False)
        await until(lambda: exchange.stats()["clients"] == 0)
        assert exchange.stats()["refused"] == 0

    with Exchange(10, speed=60) as exchange:
        play(session(exchange))
