"""The way through an HTTP proxy, which is a small real one here, on a port of its own."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tickloom as tl
from tests.integration.certificates import self_signed
from tests.integration.upstox_server import TOKEN, UpstoxServer
from tests.upstox_feed import OPEN, message
from tickloom.kite import KiteTicker
from tickloom.sources.exchange import Exchange
from tickloom.ticker.settings import Settings


class Proxy:
    """Answers CONNECT and carries bytes both ways; `user` is what it asks for, as ``name:password``."""

    def __init__(self, user: str | None = None) -> None:
        self.asked: list[str] = []
        self.carried = bytearray()
        self._wanted = None if user is None else f"basic {base64.b64encode(user.encode()).decode()}".lower()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in [self._socket, *self._open]:
            # A thread that waits for it is woken by the shutdown only.
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        head = b""
        while b"\r\n\r\n" not in head and len(head) < 65_536:
            head += (piece := client.recv(4096))
            if not piece:
                return
        first, *headers = head.decode().split("\r\n")
        self.asked.append(first)
        allowed = {name.lower(): value for name, _, value in (line.partition(": ") for line in headers)}
        if self._wanted is not None and allowed.get("proxy-authorization", "").lower() != self._wanted:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
            client.close()
            return
        method, target, _ = first.split()
        assert method == "CONNECT"
        host, _, port = target.rpartition(":")
        server = socket.create_connection((host, int(port)), 5)
        server.settimeout(None)
        self._open.append(server)
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=self._carry, args=(server, client), daemon=True).start()
        self._carry(client, server)

    def _carry(self, here: socket.socket, there: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := here.recv(65_536):
                self.carried += piece
                there.sendall(piece)
        with contextlib.suppress(OSError):
            there.shutdown(socket.SHUT_WR)


def eventually(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.01)


def feed_through(proxy: str, exchange: Exchange, context: ssl.SSLContext | None = None) -> tl.Feed:
    settings = Settings(proxy=proxy, backoff_base=0.05, connect_timeout=3)
    source = tl.sources.Kite("key-canary", "token-canary", url=exchange.url, settings=settings, ssl_context=context)
    feed = tl.Feed(source, ["1m"])
    feed.subscribe([instrument.token for instrument in exchange.instruments])
    return feed


@pytest.mark.parametrize("tls", [False, True])
def test_a_feed_goes_through_the_proxy_and_all_that_the_proxy_sees_of_tls_is_the_address(
    tmp_path: Path, tls: bool
) -> None:
    theirs, ours = self_signed(tmp_path) if tls else (None, None)
    with Proxy("me:pass-canary") as proxy, Exchange(5, speed=60, ssl_context=theirs) as exchange:
        feed = feed_through(f"http://me:pass-canary@127.0.0.1:{proxy.port}", exchange, ours)
        with feed:
            feed.wait_connected(10)
            ticks = feed.wait_tick(timeout=10)
        assert ticks
        assert proxy.asked == [f"CONNECT 127.0.0.1:{exchange.port} HTTP/1.1"]
        assert (b"token-canary" in proxy.carried) is not tls
        assert len(proxy.carried) > 500
        # One came in, and it came from the proxy.
        assert exchange.stats()["attempts"] == 1


def test_the_drop_in_takes_the_vendors_argument_for_it() -> None:
    with Proxy() as proxy, Exchange(5, speed=60) as exchange:
        ticker, seen = KiteTicker("key", "token", root=exchange.url), []
        ticker.on_ticks = lambda ws, ticks: (seen.extend(ticks), ws.stop())
        ticker.set_mode("full", [instrument.token for instrument in exchange.instruments])
        ticker.connect(threaded=True, proxy={"host": "127.0.0.1", "port": proxy.port})
        assert ticker.websocket_thread is not None
        ticker.websocket_thread.join(10)
        assert not ticker.websocket_thread.is_alive()
        assert seen
        assert proxy.asked == [f"CONNECT 127.0.0.1:{exchange.port} HTTP/1.1"]


@pytest.mark.parametrize("fault", ["refused", "down"])
def test_a_proxy_that_refuses_or_is_down_is_waited_for_and_never_gone_around(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with Proxy("me:other") as proxy, Exchange(5, speed=60) as exchange:
        port = proxy.port
        if fault == "down":
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
        said: list[Any] = []
        feed = feed_through(f"http://me:pass-canary@127.0.0.1:{port}", exchange)
        feed.on_status(said.append)
        with feed:
            eventually(lambda: [event.state for event in said].count("waiting") >= 3)
        assert exchange.stats()["attempts"] == 0
        assert len(proxy.asked) >= 3 if fault == "refused" else proxy.asked == []
        assert "canary" not in caplog.text + repr(said) + repr(feed.source)


def test_a_proxy_that_says_nothing_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, Exchange(5) as exchange:
        said: list[Any] = []
        feed = feed_through(f"http://127.0.0.1:{silent.getsockname()[1]}", exchange)
        feed.on_status(said.append)
        began = time.monotonic()
        with feed:
            eventually(lambda: "waiting" in [event.state for event in said])
        assert time.monotonic() - began < 6


KEY = "NSE_EQ|INE009A01021"


def upstox_through(proxy: str, server: UpstoxServer, context: ssl.SSLContext | None = None) -> tl.Feed:
    settings = Settings(proxy=proxy, backoff_base=0.05, backoff_cap=0.1, connect_timeout=3, max_connections=1)
    source = tl.sources.Upstox(TOKEN, url=server.url, settings=settings, ssl_context=context)
    feed = tl.Feed(source, ["1m"])
    feed.subscribe(KEY)
    return feed


@pytest.mark.parametrize("tls", [False, True])
def test_upstox_is_asked_for_an_address_and_dialled_through_the_proxy_with_its_secrets_inside_of_tls(
    tmp_path: Path, tls: bool
) -> None:
    theirs, ours = self_signed(tmp_path) if tls else (None, None)
    snapshot = message("initial_feed", OPEN, {KEY: {"ltp": 99.0, "ltt": OPEN - 1, "vtt": 900}})
    with Proxy("me:pass-canary") as proxy, UpstoxServer(answer=lambda *_: [snapshot], ssl_context=theirs) as server:
        feed = upstox_through(f"http://me:pass%2Dcanary@127.0.0.1:{proxy.port}", server, ours)
        with feed:
            eventually(lambda: feed.engine.stats()["ticks"] == 1)
        places = [url.split("/")[2] for url in (server.url, server.socket_url)]
        assert [asked.split()[:2] for asked in proxy.asked] == [["CONNECT", place] for place in places]
        assert len(server.authorisations) == len(server.clients) == 1
        # Without TLS, which no broker has, the proxy reads along.
        assert (TOKEN.encode() in proxy.carried) is not tls
        assert (b"single-use-code" in proxy.carried) is not tls
        assert b"pass-canary" not in proxy.carried


@pytest.mark.parametrize("fault", ["refused", "down", "silent", "other"])
def test_a_proxy_that_does_not_let_upstox_through_is_waited_for_and_never_gone_around(
    fault: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    theirs, ours = self_signed(tmp_path)
    # Who takes the proxy's place cannot prove the broker's name: it never sees the token.
    false, _ = self_signed(tmp_path, "localhost")
    with (
        Proxy("me:other") as proxy, UpstoxServer(ssl_context=theirs) as server, socket.socket() as free,
        Pretender(false, is_silent=fault == "silent") as pretender,
    ):  # fmt: skip
        free.bind(("127.0.0.1", 0))
        port = {"refused": proxy.port, "down": free.getsockname()[1]}.get(fault, pretender.port)
        said: list[Any] = []
        feed = upstox_through(f"http://me:pass-canary@127.0.0.1:{port}", server, ours)
        feed.on_status(said.append)
        with feed:
            eventually(lambda: [event.state for event in said].count("waiting") >= 2)
        assert server.authorisations == []
        reasons = " ".join(event.reason for event in said)
        assert {
            "refused": "the proxy answered 407", "down": "connection refused", "silent": "no answer in 3 s",
            "other": "certificate is not valid",
        }[fault] in reasons.lower()  # fmt: skip
        assert TOKEN.encode() not in pretender.carried
        assert bool(pretender.carried) is (fault == "other")
        assert TOKEN not in caplog.text + repr(said)
        assert "canary" not in repr(said) + repr(feed.source) + caplog.text


class Pretender(Proxy):
    """Lets everybody through to itself, or says nothing at all; keeps what it hears."""

    def __init__(self, tls: ssl.SSLContext, *, is_silent: bool) -> None:
        self._tls, self._is_silent = tls, is_silent
        super().__init__()

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        if self._is_silent:
            return
        with contextlib.suppress(OSError):
            self.carried += client.recv(4096)
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self._tls.wrap_socket(client, server_side=True) as wrapped:
                self.carried += wrapped.recv(4096)
