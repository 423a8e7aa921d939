"""The simulated exchange speaks the protocol: real sockets, a plain client at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import gc
import itertools
import logging
import socket
import ssl
import time
from pathlib import Path
from typing import Literal

import pytest
from picows import WSInvalidStatusError, WSMsgType

import tickloom as tl
from tests.integration.certificates import self_signed
from tests.integration.lines import connect, play, until
from tickloom.sources import exchange_wire as wire
from tickloom.sources.exchange import Exchange
from tickloom.sources.exchange_rules import IST, Rules, closed_now, make_market
from tickloom.sources.simulator import Market

BRIEF = {"end": "09:20", "days": 1}


def tokens_of(exchange: Exchange) -> list[int]:
    return [instrument.token for instrument in exchange.instruments]


def test_a_bare_subscribe_is_answered_with_the_last_packet_in_quote_mode() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        tokens = tokens_of(exchange)
        line.subscribe(tokens)
        await until(line.packets)
        assert [(token, len(packet)) for token, packet in line.packets()] == [
            (token, 28 if token & 0xFF == 9 else 44) for token in tokens
        ]
        assert exchange.subscriptions() == {1: dict.fromkeys(tokens, "quote")}

    with Exchange(10, hours="closed") as exchange:
        play(session(exchange))


@pytest.mark.parametrize(("mode", "sizes"), [("ltp", {8}), ("quote", {28, 44}), ("full", {32, 184})])
def test_a_change_of_mode_is_answered_with_the_last_packet_in_that_mode(mode: str, sizes: set[int]) -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        tokens = tokens_of(exchange)
        line.subscribe(tokens)
        await until(lambda: len(line.packets()) == len(tokens))
        line.mode(mode, tokens)
        await until(lambda: len(line.packets()) == 2 * len(tokens))
        assert {len(packet) for _, packet in line.packets()[len(tokens) :]} == sizes
        line.subscribe(tokens[:1])
        await until(lambda: exchange.subscriptions()[1][tokens[0]] == "quote")

    with Exchange(10, hours="closed") as exchange:
        play(session(exchange))


def test_a_cached_packet_is_of_the_date_before_and_opens_no_candle() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        line.subscribe(tokens_of(exchange))
        line.mode("full", tokens_of(exchange))
        await until(lambda: len(line.packets()) == 2 * len(tokens_of(exchange)))
        engine = tl.Engine(intervals=["1m"])
        for _, frame in line.frames:
            ticks = engine.apply(frame, exchange.market_time_ns())
        stamps = ticks.array["exchange_timestamp"]
        assert (stamps < exchange.market.session_open_ns - 10 * 3_600 * 10**9).all()
        assert engine.advance(exchange.market.session_close_ns) == 0
        assert all(engine.candles(token, "1m").forming is None for token in tokens_of(exchange))

    with Exchange(10, opens="told") as exchange:
        play(session(exchange))


def test_after_unsubscribe_nothing_of_the_instrument_comes_any_more() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        kept, dropped = tokens_of(exchange)[2], tokens_of(exchange)[3]
        line.subscribe([kept, dropped])
        await until(lambda: {token for token, _ in line.packets()} == {kept, dropped})
        line.say({"a": "unsubscribe", "v": [dropped]})
        await until(lambda: exchange.subscriptions()[1] == {kept: "quote"})
        await asyncio.sleep(0.05)
        before = len(line.packets())
        await until(lambda: len(line.packets()) > before + 20)
        assert {token for token, _ in line.packets()[before:]} == {kept}

    with Exchange(20, speed=600) as exchange:
        play(session(exchange))


def test_an_idle_line_has_a_heartbeat_a_second_and_nothing_else() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        line.subscribe(tokens_of(exchange)[:1])
        await asyncio.sleep(4.3)
        beats = line.heartbeats()
        assert len(beats) == 4
        assert all(0.9 < later - earlier < 1.1 for earlier, later in itertools.pairwise(beats))
        assert len(line.frames) == len(beats) + 1

    with Exchange(5, hours="closed") as exchange:
        play(session(exchange))


def test_tokens_beyond_three_thousand_get_an_error_text_and_the_line_stays() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        for begin in range(0, 3_200, 200):
            line.subscribe([(n << 8) | 1 for n in range(begin, begin + 200)])
        await until(line.errors)
        assert line.errors() == ["limit of 3000 instruments a connection reached, tokens left out: 200"]
        assert sorted(exchange.subscriptions()[1]) == [(n << 8) | 1 for n in range(3_000)]
        # One that is subscribed already takes no further place.
        line.subscribe([257, 513])
        line.say({"a": "unsubscribe", "v": [257]})
        line.subscribe(tokens_of(exchange)[-1:])
        await until(lambda: tokens_of(exchange)[-1] in exchange.subscriptions()[1])
        assert len(line.errors()) == 1

    with Exchange(5, hours="closed") as exchange:
        play(session(exchange))


@pytest.mark.parametrize(
    ("request_text", "answer"),
    [
        ("hello", "not a JSON message"),
        ("[" * 100_000, "not a JSON message"),
        ("7", "not a JSON object"),
        ('{"a":"buy","v":[1]}', "no such action: 'buy'"),
        ('{"a":"subscribe","v":408065}', "tokens are not a list"),
        ('{"a":"subscribe","v":["408065"]}', "not an instrument token: '408065'"),
        ('{"a":"subscribe","v":[true]}', "not an instrument token: 'True'"),
        ('{"a":"subscribe","v":[-1]}', "not an instrument token: '-1'"),
        ('{"a":"mode","v":["full"]}', "a mode request is [mode, tokens]"),
        ('{"a":"mode","v":["deep",[1]]}', "no such mode: 'deep'"),
    ],
)
def test_a_request_that_is_none_gets_an_error_text_and_the_line_stays(request_text: str, answer: str) -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        line.say(request_text)
        await until(line.errors)
        assert line.errors() == [answer]
        line.subscribe(tokens_of(exchange)[:1])
        await until(line.packets)

    with Exchange(5, hours="closed") as exchange:
        play(session(exchange))


def status_of(error: pytest.ExceptionInfo[WSInvalidStatusError]) -> int:
    response = error.value.response
    assert response is not None
    return int(response.status)


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?api_key=key", 400), ("?api_key=key&access_token=old", 403), ("?api_key=no&access_token=new", 403)],
)
def test_a_client_without_the_right_token_stays_outside(query: str, status: int) -> None:
    async def session(exchange: Exchange) -> None:
        with pytest.raises(WSInvalidStatusError) as error:
            await connect(exchange.url, query)
        assert status_of(error) == status
        await connect(exchange.url, "?api_key=key&access_token=new")
        stats = exchange.stats()
        assert (stats["attempts"], stats["refused"], stats["connections"]) == (2, 1, 1)

    with Exchange(5, hours="closed", tokens={"key": "new"}) as exchange:
        play(session(exchange))


def test_a_fourth_connection_of_a_key_is_one_too_many_until_another_ends() -> None:
    async def session(exchange: Exchange) -> None:
        lines = [await connect(exchange.url) for _ in range(3)]
        with pytest.raises(WSInvalidStatusError) as error:
            await connect(exchange.url)
        assert status_of(error) == 429
        await connect(exchange.url, "?api_key=another&access_token=any")
        lines[0].transport.disconnect()
        await until(lambda: exchange.stats()["clients"] == 3)
        await connect(exchange.url)

    with Exchange(5, hours="closed") as exchange:
        play(session(exchange))


def test_many_clients_at_once_get_each_its_own_instruments_to_the_last_packet() -> None:
    options = {"instruments": 40, **BRIEF}
    market = Market(1, **options)
    made = [
        packet
        for _, at, payload in market.events() if at >= market.session_open_ns
        for packet in wire.split(payload or b"")
    ]  # fmt: skip

    def expected(modes: dict[int, str], shown: dict[int, bytes]) -> list[bytes]:
        """Every change of what the modes show, in order, after what was shown before."""
        found = []
        for token, packet in made:
            piece = packet[: wire.size_in(modes[token], token)] if token in modes else None
            if piece is not None and shown.get(token) != piece:
                shown[token] = piece
                found.append(piece)
        return found

    async def session(exchange: Exchange) -> None:
        tokens = tokens_of(exchange)
        lines, wanted = [], []
        for nth in range(20):
            line = await connect(exchange.url)
            mine = dict.fromkeys(tokens[nth :: 1 + nth % 4], wire.MODES[nth % 3])
            line.subscribe(list(mine))
            line.mode(wire.MODES[nth % 3], list(mine))
            lines.append(line)
            wanted.append(mine)
        await until(lambda: list(exchange.subscriptions().values()) == wanted)
        await until(lambda: all(len(line.packets()) == 2 * len(w) for line, w in zip(lines, wanted, strict=True)))
        cached = [dict(line.packets()) for line in lines]
        before = [len(line.packets()) for line in lines]
        exchange.open()
        await asyncio.to_thread(exchange.wait_finished, 60)
        await asyncio.sleep(0.2)
        for line, mine, shown, skipped in zip(lines, wanted, cached, before, strict=True):
            got = [packet for _, packet in line.packets()[skipped:]]
            assert got == expected(mine, shown)
            assert len(got) > 20
        stats = exchange.stats()
        assert stats["packets_sent"] == sum(len(line.packets()) for line in lines)
        assert stats["packets_conflated"] == 0

    with Exchange(40, speed=0, opens="told", market=BRIEF, connections_per_key=None) as exchange:
        play(session(exchange))


def test_candles_made_of_what_a_client_got_hold_exactly_what_was_traded() -> None:
    async def session(exchange: Exchange) -> None:
        engine = tl.Engine(intervals=["1m"])
        traded = [instrument for instrument in exchange.instruments if instrument.kind != "index"]
        for instrument in traded:
            engine.track(instrument.token, baseline_volume=0)
        line = await connect(exchange.url)
        line.subscribe(tokens_of(exchange))
        line.mode("full", tokens_of(exchange))
        await until(lambda: len(line.packets()) == 2 * len(tokens_of(exchange)))
        line.frames.clear()
        exchange.open()
        await asyncio.to_thread(exchange.wait_finished, 60)
        await asyncio.sleep(0.2)
        for _, frame in line.frames:
            batch = engine.apply(frame, exchange.market.session_open_ns)
            assert batch.rejected == 0
        engine.advance(exchange.market.session_close_ns + 60 * 10**9)
        for instrument in traded:
            volume = exchange.market.truth(instrument.token, "1m")["volume"].sum()
            assert engine.candles(instrument.token, "1m").volume.sum() == volume

    with Exchange(20, speed=0, opens="told", market={**BRIEF, "auction": False}) as exchange:
        play(session(exchange))


def test_the_market_runs_at_the_speed_that_was_asked_for() -> None:
    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url)
        line.subscribe(tokens_of(exchange))
        line.mode("full", tokens_of(exchange))
        await asyncio.sleep(2)
        stamps = [
            (at, int(tl.parse(frame).array["exchange_timestamp"].max()) / 1e9)
            for at, frame in line.frames if len(frame) > 1
        ]  # fmt: skip
        (first, opened), (last, shown) = stamps[len(stamps) // 4], stamps[-1]
        assert (shown - opened) / (last - first) == pytest.approx(60, rel=0.15)
        assert exchange.market_time_ns() / 1e9 == pytest.approx(shown, abs=10)

    with Exchange(20, speed=60) as exchange:
        play(session(exchange))


def test_a_night_is_left_out() -> None:
    with Exchange(5, speed=600, market={"end": "09:17", "days": 2}) as exchange:
        began = time.monotonic()
        exchange.wait_finished(10)
        assert time.monotonic() - began < 5
        assert exchange.market_time_ns() >= exchange.market.session_open_ns + 86_400 * 10**9


def test_it_can_be_started_again_on_its_port_and_on_a_loop_that_runs() -> None:
    async def session(exchange: Exchange) -> None:
        async with exchange:
            line = await connect(exchange.url)
            line.subscribe(tokens_of(exchange))
            await until(line.packets)
            assert exchange.stats()["clients"] == 1
        await until(lambda: line.ended_at)
        assert line.close_code == 1001

    exchange = Exchange(5)
    with exchange:
        url = exchange.url
    with exchange:
        assert exchange.url == url
    play(session(exchange))
    with pytest.raises(tl.TickloomError, match="not open"):
        exchange.stats()


def test_a_taken_port_is_an_error_on_entry() -> None:
    with Exchange(5) as exchange, pytest.raises(OSError, match="in use"), Exchange(5, port=exchange.port):
        pass


@pytest.mark.parametrize(
    "options",
    [{"market": {"mode": "full"}}, {"hours": "night"}, {"opens": "never"}, {"speed": -1}, {"heartbeat": 0},
     {"hours": "wall", "speed": 2}, {"market": {"end": "09:00"}}, {"instruments": 0, "market": {"indices": 0}}],
)  # fmt: skip
def test_arguments_that_make_no_exchange_are_refused(options: dict) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - each has its own words
        Exchange(**options)


def rules(hours: str) -> Rules:
    return Exchange(5, hours=hours)._rules


@pytest.mark.parametrize(
    ("now", "closed"),
    [("2026-11-20 09:00", False), ("2026-11-20 12:34", False), ("2026-11-20 15:28", False),
     ("2026-11-20 15:30", True), ("2026-11-21 12:00", True)],
)  # fmt: skip
def test_by_the_clock_on_the_wall_it_trades_in_market_hours_with_the_stamps_of_now(now: str, closed: bool) -> None:
    at = dt.datetime.fromisoformat(now).replace(tzinfo=IST)
    assert closed_now(rules("wall"), at) is closed
    assert closed_now(rules("closed"), at)
    assert not closed_now(rules("simulated"), at)
    if not closed:
        market = make_market(rules("wall"), at)
        opens = at if at.hour > 9 else at.replace(minute=15)
        assert market.session_open_ns == int(opens.timestamp()) * 10**9
        assert any(payload for _, _, payload in itertools.islice(market.events(), 10))


def test_no_access_token_is_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    quiet = logging.getLogger("client")
    quiet.setLevel(logging.CRITICAL)

    async def session(exchange: Exchange) -> None:
        line = await connect(exchange.url, "?api_key=key&access_token=canary", logger_name=quiet)
        line.subscribe(tokens_of(exchange))
        await until(line.packets)
        with pytest.raises(WSInvalidStatusError):
            await connect(exchange.url, "?api_key=other&access_token=canary", logger_name=quiet)

    with caplog.at_level(1), Exchange(5, tokens={"key": "canary"}) as exchange:
        play(session(exchange))
        assert "canary" not in repr(exchange) + repr(exchange._rules)
    assert any(record.name.startswith("tickloom.exchange") for record in caplog.records)
    assert "canary" not in caplog.text


def test_it_serves_tls(tmp_path: Path) -> None:
    async def session(exchange: Exchange, trust: ssl.SSLContext) -> None:
        assert exchange.url.startswith("wss://")
        line = await connect(exchange.url, ssl_context=trust)
        line.subscribe(tokens_of(exchange))
        await until(line.packets)
        line.transport.send(WSMsgType.PING, b"?")
        await until(lambda: line.pongs)

    server, trust = self_signed(tmp_path)
    with Exchange(5, ssl_context=server) as exchange:
        play(session(exchange, trust))


def test_what_stops_the_market_is_logged_at_once_and_raised_at_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(market: Market) -> None:
        raise RuntimeError("no market today")

    exchange = Exchange(5, opens="told")
    exchange.__enter__()
    monkeypatch.setattr(Market, "events", broken)
    exchange.open()
    deadline = time.monotonic() + 5
    while "stands still" not in caplog.text:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(RuntimeError, match="no market today"):
        exchange.__exit__(None, None, None)


def test_an_exchange_that_is_open_cannot_be_opened_twice() -> None:
    with Exchange(5) as exchange:
        with pytest.raises(tl.TickloomError, match="open already"):
            exchange.__enter__()
        assert exchange.stats()["clients"] == 0


@pytest.mark.parametrize("broker", ["kite", "upstox"])
def test_who_only_knocked_is_left_behind_by_neither_an_end_nor_an_outage(
    broker: Literal["kite", "upstox"], recwarn: pytest.WarningsRecorder
) -> None:
    with Exchange(2, broker=broker) as exchange:
        knocking = [socket.create_connection(("127.0.0.1", exchange.port)) for _ in range(3)]
        knocking.pop().close()
        exchange.go_down()
        with contextlib.suppress(ConnectionResetError):
            assert knocking[0].recv(1) == b""
        exchange.come_back()
        knocking.append(socket.create_connection(("127.0.0.1", exchange.port)))
    for each in knocking:
        each.close()
    gc.collect()
    assert [str(warned.message) for warned in recwarn if warned.category is ResourceWarning] == []
