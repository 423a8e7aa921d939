"""TLS with Upstox: who cannot prove its name gets neither the token nor the address that it buys."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.certificates import self_signed
from tests.unit.ticker.test_tls import plaintext_of, serving
from tickloom import Feed
from tickloom.sources import Upstox
from tickloom.sources.exchange import Exchange
from tickloom.ticker.settings import Settings

TOKEN, CODE = "-".join(("canary", "token")), "-".join(("canary", "code"))
QUICK = Settings(backoff_base=0.01, backoff_cap=0.05)
INFY = "NSE_EQ|INE009A01021"


def until(what: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def impostor(folder: Path, fault: str, trust: ssl.SSLContext) -> ssl.SSLContext:
    """A server's context that the client must refuse."""
    folder.mkdir()
    if fault == "self-signed":
        return self_signed(folder)[0]
    server, _ = self_signed(folder, "elsewhere.example")
    # The certificate is trusted; the name in it is another's.
    trust.load_verify_locations(folder / "elsewhere.example.pem")
    return server


@contextmanager
def authorising(context: ssl.SSLContext, address: str) -> Iterator[tuple[str, list[bytes]]]:
    """A broker that can prove its name and names this address: where it is asked, and what it was asked."""
    asked: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        body = json.dumps({"data": {"authorized_redirect_uri": address}}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    with serving(context, handle) as port:
        yield f"https://127.0.0.1:{port}/authorize", asked


def refusals(source: Upstox) -> list[str]:
    """Why three attempts failed."""
    said: list[Any] = []
    feed = Feed(source, intervals=["1m"])
    feed.on_status(said.append)
    feed.subscribe(INFY)
    with feed:
        until(lambda: sum(event.state == "waiting" for event in said) >= 3)
    assert not any(event.state == "connected" for event in said)
    return [event.reason for event in said if event.state == "waiting"]


@pytest.mark.parametrize("fault", ["self-signed", "wrong host"])
def test_whoever_is_asked_for_an_address_must_prove_its_name_before_it_sees_the_token(
    tmp_path: Path, fault: str
) -> None:
    trust = ssl.create_default_context()
    with plaintext_of(impostor(tmp_path / "impostor", fault, trust)) as (port, seen):
        reasons = refusals(Upstox(TOKEN, url=f"https://127.0.0.1:{port}/authorize", settings=QUICK, ssl_context=trust))
    assert all("certificate is not valid" in reason for reason in reasons)
    assert b"".join(seen) == b""


@pytest.mark.parametrize("fault", ["self-signed", "wrong host", "none"])
def test_the_address_that_was_bought_is_sent_to_nobody_who_cannot_prove_its_name(tmp_path: Path, fault: str) -> None:
    broker, trust = self_signed(tmp_path)
    server = broker if fault == "none" else impostor(tmp_path / "impostor", fault, trust)
    with (
        plaintext_of(server) as (port, seen),
        authorising(broker, f"wss://127.0.0.1:{port}/feed?code={CODE}") as (url, asked),
    ):
        reasons = refusals(Upstox(TOKEN, url=url, settings=QUICK, ssl_context=trust))
    assert len(asked) >= 3
    assert all(f"Bearer {TOKEN}".encode() in request for request in asked)
    received = b"".join(seen)
    assert TOKEN.encode() not in received
    if fault == "none":
        # The witness sees what is sent to it.
        assert CODE.encode() in received
        return
    assert all("certificate is not valid" in reason for reason in reasons)
    assert received == b""


def test_a_broker_that_proves_its_name_is_used(tmp_path: Path) -> None:
    server, trust = self_signed(tmp_path)
    with Exchange(4, broker="upstox", hours="closed", ssl_context=server, tokens={"user": TOKEN}) as exchange:
        source = Upstox(TOKEN, url=exchange.url, symbols=exchange.keys, ssl_context=trust)
        feed = Feed(source, intervals=["1m"])
        feed.subscribe(list(exchange.keys))
        with feed:
            until(lambda: feed.engine.stats()["ticks"] == len(exchange.keys))
