"""Movers over a real socket: the exchange is told who is followed closely, also after the line was lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import tickloom as tl
from tests.unit.feed.fake import until
from tickloom.sources.exchange import Exchange


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    with Exchange(instruments=30, seed=3, speed=60, opens="subscription") as exchange:
        yield exchange


def test_the_exchange_follows_the_list_through_a_lost_line(exchange: Exchange) -> None:
    feed = tl.Feed(tl.sources.Kite("key", "token", url=exchange.url), ["1m"], symbols=exchange.symbols)
    feed.subscribe(list(exchange.symbols), mode="quote")
    with feed:
        until(lambda: len(feed.movers("TOP_GAINERS")) >= 3, 15)
        feed.subscribe("TOP_GAINERS", mode="full")
        wanted = feed.subscriptions()
        followed = {token for token, mode in wanted.items() if mode == "full"}
        assert 3 <= len(followed) <= 10
        assert wanted.keys() == set(exchange.symbols.values())
        until(lambda: list(exchange.subscriptions().values()) == [wanted])
        exchange.reset()
        until(lambda: feed.status().reconnects == 1)
        until(lambda: list(exchange.subscriptions().values()) == [wanted])
        until(lambda: any(tick.mode == "full" for tick in feed.wait_tick(followed, timeout=5)))
        feed.unsubscribe("TOP_GAINERS")
        plain = dict.fromkeys(exchange.symbols.values(), "quote")
        assert feed.subscriptions() == plain
        until(lambda: list(exchange.subscriptions().values()) == [plain])
