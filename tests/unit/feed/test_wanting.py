"""What a feed wants: lists of movers among what it receives, and how they leave what else is wanted as it was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

import tickloom as tl
from benches.dump import ON, rows
from tests.unit.feed.fake import Fake
from tickloom import Instruments, UnknownInstrument
from tickloom.feed.moved import Moved
from tickloom.sources.simulator import Market
from tickloom.watchlists import Watchlists

INDEX_SEGMENT = 9


@pytest.fixture
def market() -> Market:
    return Market(seed=3, instruments=40, end="09:25")


@pytest.fixture
def feed(market: Market) -> tl.Feed:
    """A feed that has received ten minutes of forty instruments, all of them wanted in mode quote."""
    engine = tl.Engine(["1m"])
    feed = tl.Feed(Fake(), engine=engine, symbols={one.symbol: one.token for one in market.instruments()})
    feed.subscribe([one.symbol for one in market.instruments()], mode="quote")
    for kind, received_ns, payload in market.events():
        if kind == "frame" and payload is not None:
            engine.apply(payload, received_ns)
    return feed


def modes(feed: tl.Feed, mode: str) -> set[int]:
    return {token for token, wanted in feed.subscriptions().items() if wanted == mode}


def tokens(feed: tl.Feed, which: str) -> set[int]:
    return {each.token for each in feed.movers(which)}


@pytest.mark.parametrize("name", ["TOP_GAINERS", "top losers", "Most-Active"])
def test_a_list_of_movers_is_the_ten_of_the_moment_in_the_mode_asked_for(feed: tl.Feed, name: str) -> None:
    everything = set(feed.subscriptions())
    feed.subscribe(name, mode="full")
    assert modes(feed, "full") == tokens(feed, name)
    assert 3 <= len(modes(feed, "full")) <= 10
    assert set(feed.subscriptions()) == everything
    feed.unsubscribe(name)
    assert modes(feed, "quote") == everything


def test_movers_have_names_and_are_no_indices_and_of_what_is_wanted(feed: tl.Feed, market: Market) -> None:
    named = {one.token: one.symbol for one in market.instruments()}
    board = feed.engine.board()
    indices = board[board["instrument_token"] & 0xFF == INDEX_SEGMENT]
    assert (indices["last_price"] != indices["prev_close"]).any()
    for which in ("TOP_GAINERS", "TOP_LOSERS"):
        found = feed.movers(which, 100)
        assert all(each.symbol == named[each.token] and each.token & 0xFF != INDEX_SEGMENT for each in found)
    best = feed.movers("TOP_GAINERS")[0]
    found = feed.movers("TOP_GAINERS", 100)
    assert best.change == max(each.change for each in found) > 0
    feed.unsubscribe(best.token)
    assert best not in feed.movers("TOP_GAINERS", 100)
    assert feed.movers("TOP_GAINERS", among=best.token) == [best]
    assert feed.movers("TOP_GAINERS", 0) == feed.movers("TOP_GAINERS", -1) == []
    with pytest.raises(ValueError, match="movers are one of TOP_GAINERS"):
        feed.movers("BEST")


@pytest.mark.parametrize("kind", ["mapping", "instruments"])
def test_a_mover_that_only_has_a_token_is_named_by_what_the_feed_was_given(market: Market, kind: str) -> None:
    tokens = [one.token for one in market.instruments()]
    shares = list(rows(200))[10:][: len(tokens)]
    known = Instruments.from_rows(
        [{**row, "instrument_token": token} for row, token in zip(shares, tokens, strict=True)], on=ON
    )
    feed = tl.Feed(Fake(), ["1m"], symbols=dict(known) if kind == "mapping" else known)
    for event, received_ns, payload in market.events():
        if event == "frame" and payload is not None:
            feed.engine.apply(payload, received_ns)
    assert dict(feed.engine.instruments)[tokens[-1]] is None
    found = feed.movers("TOP_GAINERS")
    assert found
    assert [each.symbol for each in found] == [known.symbol(each.token) for each in found]


def test_before_any_tick_it_says_what_to_do() -> None:
    feed = tl.Feed(Fake(), ["1m"])
    feed.subscribe([256, 512], mode="quote")
    with pytest.raises(UnknownInstrument, match=r"no movers yet, subscribe .* in mode quote or full, .*: TOP_GAINERS"):
        feed.subscribe("TOP_GAINERS")
    assert feed.subscriptions() == {256: "quote", 512: "quote"}


def test_asked_for_again_it_lets_go_of_those_who_fell_out(feed: tl.Feed) -> None:
    feed.subscribe("TOP_GAINERS")
    first = modes(feed, "full")
    # The greatest gainer is not wanted any more, so that the eleventh, if any, comes in.
    best = feed.movers("TOP_GAINERS")[0].token
    feed.unsubscribe(best)
    feed.subscribe("TOP_GAINERS")
    assert best not in feed.subscriptions()
    assert modes(feed, "full") == tokens(feed, "TOP_GAINERS") != first
    feed.unsubscribe("TOP_GAINERS")
    assert modes(feed, "full") == set()
    assert best not in feed.subscriptions()


def test_what_is_said_by_name_is_not_undone(feed: tl.Feed) -> None:
    feed.subscribe("TOP_GAINERS")
    one, other, *_ = feed.movers("TOP_GAINERS")
    feed.subscribe(one.token, mode="full")
    feed.subscribe(other.token, mode="ltp")
    feed.unsubscribe("TOP_GAINERS")
    assert modes(feed, "full") == {one.token}
    assert modes(feed, "ltp") == {other.token}


def test_what_is_said_by_name_is_what_a_list_gives_back(feed: tl.Feed) -> None:
    feed.subscribe("TOP_GAINERS")
    one = feed.movers("TOP_GAINERS")[0]
    feed.subscribe(one.token, mode="full")
    feed.subscribe("TOP_GAINERS")
    feed.unsubscribe("TOP_GAINERS")
    assert modes(feed, "full") == {one.token}


def test_a_member_of_two_lists_stays_until_both_are_gone(feed: tl.Feed) -> None:
    feed.subscribe(["TOP_GAINERS", "MOST_ACTIVE"])
    both = tokens(feed, "TOP_GAINERS") & tokens(feed, "MOST_ACTIVE")
    assert both
    feed.unsubscribe("TOP_GAINERS")
    assert modes(feed, "full") == tokens(feed, "MOST_ACTIVE")
    feed.unsubscribe("MOST_ACTIVE")
    assert modes(feed, "full") == set()


def test_a_mode_that_is_none_changes_nothing(feed: tl.Feed) -> None:
    class Strict(Fake):
        def subscribe(self, tokens: Sequence[int], mode: str) -> None:
            if mode not in ("ltp", "quote", "full"):
                raise ValueError(mode)
            super().subscribe(tokens, mode)

    strict = Strict()
    strict.wanted = dict(feed.subscriptions())
    feed.source = strict
    with pytest.raises(ValueError, match="deep"):
        feed.subscribe("TOP_GAINERS", mode="deep")
    assert modes(feed, "quote") == set(feed.subscriptions())
    feed.unsubscribe("TOP_GAINERS")
    assert modes(feed, "quote") == set(feed.subscriptions())


def test_a_list_of_ones_own_may_bear_the_name_of_movers(feed: tl.Feed, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    names = list(feed.subscriptions())[:2]
    symbols = [symbol for token, symbol in feed.engine.instruments if token in names]
    file.write_text(f"top gainers: {json.dumps(symbols)}\n")
    known = {symbol: token for token, symbol in feed.engine.instruments if symbol is not None}
    own = tl.Feed(Fake(), ["1m"], symbols=known, watchlists=Watchlists(file))
    own.subscribe("TOP_GAINERS")
    assert set(own.subscriptions()) == set(names)


def test_a_list_that_is_not_subscribed_is_no_matter(feed: tl.Feed) -> None:
    before = feed.subscriptions()
    feed.unsubscribe("TOP_LOSERS")
    assert feed.subscriptions() == before


def test_what_was_not_wanted_before_goes_away_again() -> None:
    moved = Moved()
    assert moved.want("TOP_GAINERS", [1, 2], "full", {1: "ltp"}) == {}
    assert moved.want("TOP_GAINERS", [3], "full", {1: "full", 2: "full"}) == {1: "ltp", 2: None}
    assert moved.drop("TOP_GAINERS", {3: "full"}) == {3: None}
    assert moved.drop("TOP_GAINERS", {3: "full"}) == {}
