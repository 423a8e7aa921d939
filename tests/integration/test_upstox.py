"""Upstox as a source, over real sockets: authorisation, requests, messages, and what goes wrong."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.certificates import self_signed
from tests.integration.upstox_server import TOKEN, UpstoxServer
from tests.upstox_feed import NS, OPEN, message
from tickloom import Feed, SubscriptionLimit, UnknownInstrument
from tickloom.sources import Upstox
from tickloom.sources.upstox_login import check
from tickloom.ticker.failures import Refused
from tickloom.ticker.settings import Settings

INFY, NIFTY = "NSE_EQ|INE009A01021", "NSE_INDEX|Nifty 50"
QUICK = Settings(
    backoff_base=0.01, backoff_cap=0.05, limited_wait=0.05, stable_after=0.01, token_poll=0.02, max_tokens=5000,
    max_connections=1, connect_timeout=2.0, retry_after_cap=0.05,
)  # fmt: skip


def until(what: Callable[[], Any], seconds: float = 5.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)
    return found


def source(server: UpstoxServer, **options: Any) -> Upstox:
    options.setdefault("settings", QUICK)
    # The market's clock, a moment after the messages.
    options.setdefault("clock", lambda: (OPEN + 130) * NS)
    return Upstox(TOKEN, url=server.url, **options)


def live(at: float, price: float, volume: int, **more: Any) -> bytes:
    return message("live_feed", OPEN + at, {INFY: {"ltp": price, "ltt": OPEN + at - 0.5, "vtt": volume, **more}})


SNAPSHOT = message("initial_feed", OPEN - 60, {INFY: {"ltp": 99.0, "ltt": OPEN - 63_000, "vtt": 900, "cp": 98.0}})
STATUS = message("market_info", OPEN - 61, NSE_EQ=2, NSE_FO=3, NSE_COM=41)


def test_a_feed_has_exact_candles_from_upstox() -> None:
    script = {1: (100.05, 40), 50: (101.15, 100), 70: (100.55, 150), 125: (100.0, 160)}
    ticks: list[Any] = []
    now = OPEN - 60.0
    with UpstoxServer(greeting=[STATUS], answer=lambda *_: [SNAPSHOT]) as server:
        upstox = source(server, symbols={"INFY": INFY}, clock=lambda: round(now * NS))
        feed = Feed(upstox, intervals=["1m", "5m"])
        feed.on_tick(ticks.append)
        feed.subscribe("INFY")
        with feed:
            until(lambda: feed.engine.stats()["ticks"] == 1)
            for number, (at, (price, volume)) in enumerate(script.items(), start=2):
                now = OPEN + at + 0.2
                whole = live(at, price, volume)
                server.call(lambda whole=whole: server.clients[0].send(whole))
                until(lambda number=number: feed.engine.stats()["ticks"] == number)
            until(lambda: len(feed.candles("INFY", "1m")) == 2)
            bars = feed.candles("INFY", "1m").last(2)
            status = feed.status()
        (client,) = server.clients
    assert [(b.open, b.high, b.low, b.close, b.volume) for b in bars] == [
        (100.05, 101.15, 100.05, 101.15, 100),
        (100.55, 100.55, 100.55, 100.55, 50),
    ]
    assert client.requests[0]["method"] == "sub"
    assert client.requests[0]["data"] == {"mode": "full", "instrumentKeys": [INFY]}
    assert upstox.market == {"NSE_EQ": "normal_open", "NSE_FO": "normal_close", "NSE_COM": "41"}
    assert (status.bad_frames, status.rejected) == (0, 0)
    assert sum(len(found) for found in ticks) == 5


def test_every_connection_asks_for_an_address_of_its_own_and_all_that_is_wanted_is_asked_for_again() -> None:
    first = [SNAPSHOT, live(1, 100.05, 40)]
    again = message("initial_feed", OPEN + 70, {INFY: {"ltp": 101.0, "ltt": OPEN + 69, "vtt": 100}})
    with UpstoxServer(answer=lambda number, _: first if number == 0 else [again, live(125, 100.0, 160)]) as server:
        feed = Feed(source(server), intervals=["1m"])
        feed.subscribe([INFY])
        feed.subscribe([NIFTY], mode="ltpc")
        with feed:
            until(lambda: feed.engine.stats()["ticks"] >= 4)
            server.call(lambda: server.clients[0].transport.disconnect(graceful=False))
            until(lambda: len(server.clients) == 2 and len(server.clients[1].wanted) == 2)
            until(lambda: feed.engine.account(INFY)["last"] == 160)
            account = feed.engine.account(INFY)
    assert server.given == 2
    assert server.refused == 0
    assert server.clients[1].wanted == {INFY: "full", NIFTY: "ltpc"}
    parts = ("bars", "auction_open", "auction_close", "post", "unattributed", "dropped")
    assert sum(account[part] for part in parts) == account["last"] - account["baseline"] == 160


def test_modes_change_and_instruments_go() -> None:
    with UpstoxServer() as server:
        feed = Feed(source(server), intervals=["1m"])
        feed.subscribe([INFY, NIFTY])
        with feed:
            until(lambda: server.clients and len(server.clients[0].wanted) == 2)
            feed.subscribe(INFY, mode="option_greeks")
            feed.unsubscribe(NIFTY)
            until(lambda: server.clients[0].wanted == {INFY: "option_greeks"})
    assert sorted(request["method"] for request in server.clients[0].requests) == ["change_mode", "sub", "unsub"]
    guids = [request["guid"] for request in server.clients[0].requests]
    assert len(set(guids)) == len(guids)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_refused_is_not_tried_again(status: int) -> None:
    with UpstoxServer([status] * 50) as server:
        feed = Feed(source(server), intervals=["1m"])
        feed.subscribe(INFY)
        with feed:
            until(lambda: feed.status().connections.get(0) == "authentication_failed")
            # Many times the longest back-off.
            time.sleep(0.3)
            assert len(server.authorisations) == 1


def test_an_address_that_is_refused_says_nothing_of_the_token() -> None:
    with UpstoxServer(answer=lambda *_: [SNAPSHOT]) as server:
        # Addresses that somebody has used already.
        stale = json.dumps({"status": "success", "data": {"authorized_redirect_uri": server.address("used")}})
        server.answers += [stale, stale]
        feed = Feed(source(server), intervals=["1m"])
        feed.subscribe(INFY)
        with feed:
            until(lambda: feed.engine.stats()["ticks"] == 1)
            assert feed.status().connections == {0: "connected"}
    assert (server.refused, len(server.authorisations)) == (2, 3)


def test_a_new_token_is_used_when_the_old_one_is_refused() -> None:
    with UpstoxServer(answer=lambda *_: [SNAPSHOT]) as server:
        upstox = Upstox("expired-token", url=server.url, settings=QUICK, token_provider=lambda: TOKEN)
        feed = Feed(upstox, intervals=["1m"])
        feed.subscribe(INFY)
        with feed:
            until(lambda: feed.engine.stats()["ticks"] == 1)
    assert server.authorisations == ["Bearer expired-token", f"Bearer {TOKEN}"]


@pytest.mark.parametrize(
    "answer", [429, 500, 503, 302, 404, "no json", "{}", '{"data": {"authorized_redirect_uri": 5}}']
)
def test_an_authorisation_that_fails_is_asked_for_again(answer: int | str) -> None:
    with UpstoxServer([answer, answer], answer=lambda *_: [SNAPSHOT]) as server:
        feed = Feed(source(server), intervals=["1m"])
        feed.subscribe(INFY)
        with feed:
            until(lambda: feed.engine.stats()["ticks"] == 1)
    assert len(server.authorisations) == 3


def test_no_secret_is_in_an_event_a_log_or_a_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[Any] = []
    with UpstoxServer([500], answer=lambda *_: [SNAPSHOT]) as server:
        upstox = source(server)
        feed = Feed(upstox, intervals=["1m"])
        feed.on_status(said.append)
        feed.subscribe(INFY)
        with feed:
            until(lambda: feed.engine.stats()["ticks"] == 1)
            quoted = server.address("single-use-code-0001").encode()
            server.call(lambda: server.clients[0].transport.send_close(1011, quoted[-100:]))
            until(lambda: len(server.clients) == 2)
        text = caplog.text + repr(said) + repr(upstox) + repr(feed)
    assert "server error" in text
    assert TOKEN not in text
    assert "single-use-code" not in text


@pytest.mark.parametrize(
    ("address", "good"),
    [
        ("wss://wsfeeder-api.upstox.com/market-data-feeder/v3/upstox-developer-api/feeds?code=1", True),
        ("wss://api.upstox.com/feeds", True),
        ("ws://wsfeeder-api.upstox.com/feeds", False),
        ("https://wsfeeder-api.upstox.com/feeds", False),
        ("wss://upstox.com.example.org/feeds", False),
        ("wss://notupstox.com/feeds", False),
        ("wss://user@api.upstox.com/feeds", False),
        ("wss://api.upstox.com:x/feeds", False),
        ("wss://[::1", False),
        ("", False),
    ],
)
def test_an_address_that_is_not_the_brokers_is_refused(address: str, good: bool) -> None:
    asked = "https://api.upstox.com/v3/feed/market-data-feed/authorize"
    if good:
        assert check(address, asked) == address
        return
    with pytest.raises(Refused, match="not the broker's") as caught:
        check(address, asked)
    assert not address or address not in str(caught.value)


def test_a_server_that_cannot_prove_its_name_never_sees_the_token(tmp_path: Path) -> None:
    server_tls, _ = self_signed(tmp_path)
    seen = b""

    def serve(listening: Any) -> None:
        nonlocal seen
        connection, _ = listening.accept()
        with connection:
            try:
                with server_tls.wrap_socket(connection, server_side=True) as wrapped:
                    seen += wrapped.recv(4096)
            except (ssl.SSLError, OSError):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,), daemon=True)
        thread.start()
        upstox = Upstox(TOKEN, url=f"https://127.0.0.1:{listening.getsockname()[1]}/authorize", settings=QUICK)
        feed = Feed(upstox, intervals=["1m"])
        said: list[Any] = []
        feed.on_status(said.append)
        feed.subscribe(INFY)
        with feed:
            until(lambda: any("certificate is not valid" in getattr(event, "reason", "") for event in said))
        thread.join(5)
    assert seen == b""


def test_limits_are_of_the_modes_in_use() -> None:
    upstox = Upstox(TOKEN, limits={"ltpc": (3, 2), "full": (2, 1)})
    tokens = [upstox.symbols[f"NSE_FO|{number}"] for number in range(1, 7)]
    upstox.subscribe(tokens[:3], "ltpc")
    with pytest.raises(SubscriptionLimit, match="3 instruments in mode ltpc: 4"):
        upstox.subscribe(tokens[3:4], "ltpc")
    with pytest.raises(SubscriptionLimit, match="2 instruments in mode ltpc beside other modes: 3"):
        upstox.subscribe(tokens[3:4], "full")
    assert len(upstox.subscriptions()) == 3
    upstox.unsubscribe(tokens[:1])
    upstox.subscribe(tokens[3:4], "full")
    assert sorted(upstox.subscriptions().values()) == ["full", "ltpc", "ltpc"]


def test_what_cannot_be_used_is_refused_with_what_to_do() -> None:
    upstox = Upstox(TOKEN)
    with pytest.raises(ValueError, match="subscribe by key"):
        upstox.subscribe([408065], "full")
    with pytest.raises(ValueError, match="mode must be one of ltpc, option_greeks, full, full_d30"):
        upstox.subscribe([upstox.symbols[INFY]], "quote")
    with pytest.raises(ValueError, match="https://"):
        Upstox(TOKEN, url="wss://api.upstox.com")
    for proxy in ("socks5://me:pass-canary@127.0.0.1:1", "https://127.0.0.1", "127.0.0.1:1", "http://", "http://[::1"):
        with pytest.raises(ValueError, match="the proxy must begin with http://") as caught:
            Upstox(TOKEN, settings=Settings(proxy=proxy))
        assert "canary" not in str(caught.value)
    with pytest.raises(UnknownInstrument):
        Feed(upstox).subscribe("INFY")
    assert TOKEN not in repr(upstox) + json.dumps(upstox.market)
