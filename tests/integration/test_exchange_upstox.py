"""The simulated exchange speaks Upstox's protocol: real sockets, a plain client at the other end."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import logging
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
from picows import WSInvalidStatusError, WSMsgType

from tests.integration.certificates import self_signed
from tests.integration.lines import Line, connect_to, play, until
from tests.upstox_schema import FeedResponse
from tickloom import DecodeError, Engine
from tickloom._core import UpstoxDecoder, parse_upstox
from tickloom.sources.exchange import Exchange, Faults
from tickloom.sources.exchange_upstox import AUTHORIZE
from tickloom.sources.upstox_login import authorize

TOKEN = "-".join(("canary", "token", "4711"))
BRIEF = {"end": "09:17", "auction": False}


async def ask(exchange: Exchange, token: str | None = TOKEN, path: str = "") -> tuple[int, Any, Any]:
    """Status, headers and body of an authorisation."""

    def call() -> tuple[int, Any, Any]:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", exchange.port, timeout=5)) as connection:
            connection.request("GET", AUTHORIZE + path, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
            return answer.status, answer.headers, json.loads(body) if answer.status == 200 else body

    return await asyncio.to_thread(call)


async def line_to(exchange: Exchange, query: str = "", token: str = TOKEN) -> Line:
    """A connection, as a client gets one."""
    return await connect_to(await authorize(exchange.url, token, None, 5.0) + query)


def say(line: Line, method: str, keys: list[str], mode: str | None = "full") -> None:
    data = {"instrumentKeys": keys} | ({} if mode is None else {"mode": mode})
    line.transport.send(WSMsgType.BINARY, json.dumps({"guid": "1", "method": method, "data": data}).encode())


def messages(line: Line, kind: str = "") -> list[Any]:
    """What came, read by protobuf; all of it, or one kind."""
    found = []
    for _, frame in line.frames:
        message = FeedResponse()
        message.ParseFromString(frame)
        found.append(message)
    names = ("initial_feed", "live_feed", "market_info")
    return [one for one in found if not kind or one.type == names.index(kind)]


def feeds(line: Line, kind: str = "") -> list[tuple[str, Any]]:
    return [(key, feed) for message in messages(line, kind) for key, feed in message.feeds.items()]


# The door.


@pytest.mark.parametrize(
    ("token", "path", "status"), [(None, "", 401), ("wrong", "", 401), ("", "", 401), (TOKEN, "/x", 404)]
)
def test_an_address_is_had_for_a_token_and_at_one_place(token: str | None, path: str, status: int) -> None:
    async def session(exchange: Exchange) -> None:
        assert (await ask(exchange, token, path))[0] == status
        status_of_good, headers, body = await ask(exchange)
        assert (status_of_good, headers["Content-Type"], body["status"]) == (200, "application/json", "success")
        assert body["data"]["authorized_redirect_uri"].startswith(f"ws://127.0.0.1:{exchange.port}/")
        assert (exchange.stats()["attempts"], exchange.stats()["refused"]) == (2, 1)

    with Exchange(4, broker="upstox", tokens={"user": TOKEN}) as exchange:
        play(session(exchange))


def test_any_token_will_do_but_none_will_not() -> None:
    async def session(exchange: Exchange) -> None:
        assert [(await ask(exchange, token))[0] for token in (None, "", "any")] == [401, 401, 200]

    with Exchange(4, broker="upstox") as exchange:
        play(session(exchange))


def test_an_address_opens_one_connection_and_no_second_one() -> None:
    async def session(exchange: Exchange) -> None:
        address = await authorize(exchange.url, "any token", None, 5.0)
        await connect_to(address)
        for used in (address, address.partition("?")[0], address + "x"):
            with pytest.raises(WSInvalidStatusError, match="403"):
                await connect_to(used)
        assert exchange.stats()["clients"] == 1

    with Exchange(4, broker="upstox") as exchange:
        play(session(exchange))


def test_an_authorisation_is_refused_on_demand_and_when_the_account_has_no_room() -> None:
    async def session(exchange: Exchange) -> None:
        exchange.refuse(429, retry_after=7, times=1)
        status, headers, _ = await ask(exchange)
        assert (status, headers["Retry-After"]) == (429, "7")
        exchange.refuse(503, times=2)
        assert [(await ask(exchange))[0] for _ in range(3)] == [503, 503, 200]
        first = await line_to(exchange)
        await line_to(exchange, token=TOKEN + "2")
        assert (await ask(exchange))[0] == 429
        first.transport.disconnect(graceful=False)
        await until(lambda: exchange.stats()["clients"] == 1)
        assert (await ask(exchange))[0] == 200

    with Exchange(4, broker="upstox", connections_per_key=1) as exchange:
        play(session(exchange))


def test_it_serves_tls(tmp_path: Path) -> None:
    async def session(exchange: Exchange, trust: ssl.SSLContext) -> None:
        assert exchange.url.startswith("https://")
        address = await authorize(exchange.url, TOKEN, trust, 5.0)
        assert address.startswith("wss://")
        line = await connect_to(address, ssl_context=trust)
        await until(lambda: messages(line, "market_info"))

    server, trust = self_signed(tmp_path)
    with Exchange(4, broker="upstox", ssl_context=server) as exchange:
        play(session(exchange, trust))


def test_neither_token_nor_address_is_in_any_log(caplog: pytest.LogCaptureFixture) -> None:
    quiet = logging.getLogger("client")
    quiet.setLevel(logging.CRITICAL)
    addresses: list[str] = []

    async def session(exchange: Exchange) -> None:
        addresses.append(await authorize(exchange.url, TOKEN, None, 5.0))
        line = await connect_to(addresses[0], logger_name=quiet)
        await until(lambda: messages(line))
        with pytest.raises(WSInvalidStatusError):
            await connect_to(addresses[0], logger_name=quiet)
        await ask(exchange, "another-" + TOKEN)

    with caplog.at_level(1), Exchange(4, broker="upstox", tokens={"user": TOKEN}) as exchange:
        play(session(exchange))
        assert TOKEN not in repr(exchange) + repr(exchange._rules)
    assert any(record.name.startswith("tickloom.exchange") for record in caplog.records)
    assert TOKEN not in caplog.text
    assert addresses[0].partition("code=")[2] not in caplog.text


# What is sent.


def test_the_status_of_the_market_comes_first_then_a_snapshot_then_what_is_new() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        await until(lambda: messages(line))
        keys = list(exchange.keys.values())
        say(line, "sub", keys)
        await until(lambda: {key for key, _ in feeds(line)} == set(keys))
        statuses = [dict(message.marketInfo.segmentStatus) for message in messages(line)]
        assert statuses == [{"NSE_INDEX": 1, "NSE_EQ": 1, "NSE_FO": 1}, {}]
        assert exchange.subscriptions() == {1: dict.fromkeys(keys, "full")}
        # Yesterday's last trade is all that there is.
        cached = dict(feeds(line, "initial_feed"))
        assert all(
            each.fullFeed.marketFF.ltpc.ltt < exchange.market.session_open_ns // 10**6 for each in cached.values()
        )
        exchange.open()
        await until(lambda: exchange.is_finished, 30)
        await until(lambda: len(messages(line, "market_info")) == 3)
        assert [set(one.marketInfo.segmentStatus.values()) for one in messages(line, "market_info")] == [{1}, {2}, {3}]
        assert len(messages(line, "initial_feed")) == 1
        times = [message.currentTs for message in messages(line)]
        assert times == sorted(times)

    with Exchange(6, speed=60, broker="upstox", opens="told", market=BRIEF) as exchange:
        play(session(exchange))


def test_each_mode_has_its_shape_and_a_change_of_mode_a_snapshot_of_its_own() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        index, share, option = (exchange.keys[name] for name in ("SIM INDEX 1", "SIMLIQ0001", "SIMTHN0001CE"))
        assert option.startswith("NSE_FO|")
        assert option.rpartition("|")[2] == str(exchange.symbols["SIMTHN0001CE"] >> 8)
        say(line, "sub", [index, share, option], None)
        await until(lambda: len(feeds(line)) == 3)
        assert [(feed.WhichOneof("shape"), feed.requestMode) for _, feed in feeds(line)] == [("ltpc", 0)] * 3
        for mode, shape, number in (
            ("option_greeks", "firstLevelWithGreeks", 2), ("full", "fullFeed", 1), ("full_d30", "fullFeed", 3),
        ):  # fmt: skip
            before = len(feeds(line))
            say(line, "change_mode", [index, share, option, "NSE_EQ|NOT SUBSCRIBED"], mode)
            await until(lambda before=before: len(feeds(line)) == before + 3)
            found = dict(feeds(line)[before:])
            assert {(feed.WhichOneof("shape"), feed.requestMode) for feed in found.values()} == {(shape, number)}
        assert found[index].fullFeed.WhichOneof("shape") == "indexFF"
        assert len(found[share].fullFeed.marketFF.marketLevel.bidAskQuote) == 5
        assert {message.type for message in messages(line)} == {0, 2}
        assert exchange.subscriptions() == {1: dict.fromkeys([index, share, option], "full_d30")}

    with Exchange(5, broker="upstox", hours="closed") as exchange:
        play(session(exchange))


def test_after_unsub_nothing_of_the_instrument_comes_any_more() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        kept, dropped = exchange.keys["SIMLIQ0001"], exchange.keys["SIMLIQ0002"]
        say(line, "sub", [kept, dropped])
        await until(lambda: {key for key, _ in feeds(line, "live_feed")} == {kept, dropped})
        say(line, "unsub", [dropped], None)
        await until(lambda: exchange.subscriptions()[1] == {kept: "full"})
        await asyncio.sleep(0.05)
        before = len(feeds(line))
        await until(lambda: len(feeds(line)) > before + 20)
        assert {key for key, _ in feeds(line)[before:]} == {kept}

    with Exchange(20, speed=60, broker="upstox") as exchange:
        play(session(exchange))


def test_an_idle_line_is_silent_and_a_ping_is_answered() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        await until(lambda: messages(line))
        await asyncio.sleep(1.5)
        assert (len(line.frames), line.raw_texts) == (1, [])
        line.transport.send(WSMsgType.PING, b"?")
        await until(lambda: line.pongs == [b"?"])

    with Exchange(5, broker="upstox", hours="closed", heartbeat=0.2) as exchange:
        play(session(exchange))


@pytest.mark.parametrize("request_text", [b"hello", b"7", b'{"method":"buy","data":{}}', b'{"method":"sub"}'])
def test_a_request_that_is_none_is_not_answered_and_the_line_stays(request_text: bytes) -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        key = exchange.keys["SIMLIQ0001"]
        line.transport.send(WSMsgType.BINARY, request_text)
        # A text is not read, whatever it says.
        line.say(
            {"guid": "1", "method": "sub", "data": {"mode": "full", "instrumentKeys": [exchange.keys["SIMMID0001"]]}}
        )
        say(line, "sub", [key])
        await until(lambda: feeds(line))
        assert [one for one, _ in feeds(line)] == [key]
        assert line.raw_texts == []

    with Exchange(5, broker="upstox", hours="closed") as exchange:
        play(session(exchange))


def test_instruments_beyond_the_limit_of_a_connection_are_left_out() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        keys = [f"NSE_FO|{number}" for number in range(1, 13)]
        say(line, "sub", keys[:8])
        say(line, "sub", keys[4:])
        await until(lambda: len(exchange.subscriptions()[1]) == 10)
        assert list(exchange.subscriptions()[1]) == keys[:10]
        say(line, "unsub", keys[:1], None)
        say(line, "sub", keys[11:], "ltpc")
        await until(lambda: exchange.subscriptions()[1] == {**dict.fromkeys(keys[1:10], "full"), keys[11]: "ltpc"})

    with Exchange(5, broker="upstox", hours="closed", max_tokens=10) as exchange:
        play(session(exchange))


def test_the_time_is_told_only_to_those_who_ask() -> None:
    async def session(exchange: Exchange) -> None:
        plain, asking = await line_to(exchange), await line_to(exchange, "&market_time=1")
        await until(lambda: asking.texts)
        assert asking.texts[0] == {"type": "market_time", "data": exchange.market.session_open_ns}
        assert plain.texts == []

    with Exchange(5, broker="upstox", opens="told") as exchange:
        play(session(exchange))


def test_a_client_that_reads_too_slowly_ends_with_the_newest_of_everything() -> None:
    """What was left out of a message must come with a later one."""

    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        keys = exchange.keys
        say(line, "sub", list(keys.values()))
        await until(lambda: len(feeds(line)) == len(keys))
        exchange.slow(20_000)
        exchange.open()
        await until(lambda: exchange.is_finished, 60)
        exchange.slow(None)
        await asyncio.sleep(0.3)
        sent = -1
        while sent != (sent := len(line.frames)):
            await asyncio.sleep(0.3)
        assert exchange.stats()["packets_conflated"] > 0
        engine, decoder = Engine(["1m"]), UpstoxDecoder()
        for name, token in exchange.symbols.items():
            decoder.track(keys[name], token)
        for _, frame in line.frames:
            engine.apply_upstox(decoder, frame, 0)
        shown = {row["instrument_token"]: row for row in engine.board()}
        last = Engine(["1m"])
        for kind, at, body in exchange.market.events():
            if kind == "frame":
                last.apply(body, at)
        told = {row["instrument_token"]: row for row in last.board()}
        for token in exchange.symbols.values():
            names = ["last_price", "volume_traded", "oi", "bid_price", "ask_price", "last_trade_time"]
            names = [name for name in names if token & 0xFF != 9 or name not in {"last_trade_time", "oi"}]
            for name in names:
                assert repr(shown[token][name].tolist()) == repr(told[token][name].tolist()), (token, name)

    market = {"end": "09:20", "auction": False, "liquid": 30, "middling": 0, "thin": 10, "rate": 3}
    with Exchange(40, speed=120, broker="upstox", opens="told", market=market) as exchange:
        play(session(exchange))


def test_a_message_has_an_instrument_once_however_fast_the_market_goes() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        say(line, "sub", list(exchange.keys.values()))
        await until(lambda: exchange.is_finished, 60)
        await until(lambda: len(feeds(line)) >= exchange.stats()["packets_sent"])
        for _, frame in line.frames:
            keys = [feed["key"] for feed in parse_upstox(frame).to_dicts()]
            assert len(keys) == len(set(keys))

    market = {"end": "09:17", "liquid": 5, "middling": 0, "thin": 0, "rate": 20}
    with Exchange(5, speed=0, broker="upstox", opens="subscription", market=market) as exchange:
        play(session(exchange))


def test_a_market_that_fails_by_itself_sends_hostile_messages_of_this_protocol() -> None:
    async def session(exchange: Exchange) -> None:
        line = await line_to(exchange)
        deadline = time.monotonic() + 10
        while len(line.frames) + len(line.raw_texts) < 30:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert line.ended_at is None
        assert line.raw_texts
        bad = 0
        for _, frame in line.frames:
            try:
                parse_upstox(frame)
            except DecodeError:
                bad += 1
        assert bad > 0

    with Exchange(5, broker="upstox", hours="closed", faults=Faults(hostile=2_000)) as exchange:
        play(session(exchange))
        assert exchange.stats()["faults"] > 10
