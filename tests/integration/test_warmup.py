"""A warm-up against a broker's REST API over real HTTP: what it asks for, how fast, and that it ends with the truth."""

from __future__ import annotations

import time

import pytest

import tickloom as tl
from tests.integration.rest import Broker, rows_of
from tests.integration.virtual import SECOND
from tests.integration.warmup import Still, compare, join, warm
from tests.unit.feed.fake import until
from tickloom.history import KiteHistory, Limiter, Retries
from tickloom.sources.simulator import Market

WINDOW = 0.2


def still(end: str = "09:45", instruments: int = 6, seed: int = 5) -> tuple[Market, Still, int]:
    """Three days of a market, and a source that stands before the third opens."""
    market = Market(seed, instruments=instruments, indices=1, days=3, end=end)
    day = 86_400 * SECOND
    third = int(market.truth(market.instruments()[0].token)["time"][-1]) // day * day + 3 * 3_600 * SECOND
    return market, Still(market, start_ns=third, end_ns=third), third


def history(broker: Broker, folder: object, **options: object) -> KiteHistory:
    limiter = Limiter(f"{folder}/limit.json", 50, window=WINDOW)
    retries = Retries(base=0.02)
    return KiteHistory("key", "token", root=broker.root, cache=f"{folder}/minutes", limiter=limiter, retries=retries,
                       **options)  # fmt: skip


def test_a_warm_up_asks_once_an_instrument_never_too_fast_and_equals_the_truth():
    outcome = warm(40, 20, faults=0, end="09:45", window=WINDOW)
    assert (outcome.status.state, outcome.status.done, outcome.status.failed) == ("complete", 40, 0)
    assert outcome.arrivals == outcome.distinct == outcome.status.requests == 40
    assert outcome.most_in_a_second <= 20
    assert outcome.wrong == 0
    assert outcome.bars > 3_000


def test_many_who_join_in_the_middle_of_the_session_take_one_request_each_and_equal_the_truth():
    outcome = join(30, 20, speed=20, window=WINDOW)
    assert (outcome.status.done, outcome.status.failed) == (30, 0)
    assert 30 == outcome.distinct == outcome.arrivals - outcome.mending
    # Nothing is missed but by a silence, which is one request more, and another to be sure of it.
    assert outcome.mending <= 2 * outcome.silences < 30
    assert outcome.most_in_a_second <= 20
    assert outcome.wrong == 0
    assert outcome.ready == 30
    assert outcome.bars > 5_000


def test_a_few_who_join_in_the_middle_of_the_session_are_read_at_once_and_equal_the_truth():
    outcome = join(6, 20, speed=20, window=WINDOW)
    assert (outcome.status.done, outcome.status.failed) == (6, 0)
    assert 6 == outcome.distinct == outcome.arrivals - outcome.mending
    assert 0 < outcome.mending <= 2 * (6 + outcome.silences)
    assert outcome.wrong == 0
    assert outcome.ready == 6


def test_with_every_fifth_request_failing_it_still_ends_complete():
    outcome = warm(30, 20, faults=5, end="09:45", window=WINDOW)
    assert (outcome.status.state, outcome.status.done, outcome.status.failed) == ("complete", 30, 0)
    assert 30 < outcome.arrivals < 60
    assert outcome.most_in_a_second <= 20
    assert outcome.wrong == 0


def test_a_second_warm_up_of_the_day_asks_for_nothing_that_is_kept(tmp_path):
    market, _, third = still()
    rows = {name.token: rows_of(market, name.token) for name in market.instruments()}
    asked = []
    for _ in range(2):
        source = Still(market, start_ns=third, end_ns=third)
        with Broker(rows, clock=source.clock) as broker:
            feed = tl.Feed(source, ["1m", "5m"], capacity=2_000, history=history(broker, tmp_path))
            feed.subscribe(list(rows))
            feed.start(warmup="2d")
            assert feed.wait_warm(10).state == "complete"
            feed.stop()
            asked.append(len(broker.arrivals))
            for name in market.instruments():
                past = [row for row in rows[name.token] if row[0] < third]
                assert feed.candles(name.token, "1m").time.tolist() == [row[0] for row in past]
                assert feed.candles(name.token, "1m").close.tolist() == [row[4] for row in past]
    assert asked == [len(rows), 0]


def test_a_refused_token_stops_the_warm_up_at_once_and_the_feed_goes_on(tmp_path):
    market, source, _ = still()
    rows = {name.token: rows_of(market, name.token) for name in market.instruments()}
    with Broker(rows, clock=source.clock, fault=lambda nth, _: "403" if nth >= 2 else None) as broker:
        feed = tl.Feed(source, ["1m"], history=history(broker, tmp_path))
        feed.subscribe(list(rows))
        feed.start(warmup="2d")
        status = feed.wait_warm(10)
        assert status.state == feed.status().warmup.state == "refused"
        assert "log in again" in status.error
        assert "token" not in status.error.replace("access_token", "")
        assert feed.status().running
        asked = len(broker.arrivals)
        # As many as were under way; nobody asks again with the same token.
        assert asked <= 2 + 4
        time.sleep(0.3)
        assert len(broker.arrivals) == asked
        feed.stop()


def test_an_instrument_without_history_keeps_nobody_else_from_theirs(tmp_path):
    market, source, _ = still()
    known = [name.token for name in market.instruments()]
    with Broker({token: rows_of(market, token) for token in known}, clock=source.clock) as broker:
        feed = tl.Feed(source, ["1m"], history=history(broker, tmp_path))
        feed.subscribe([99 << 8 | 1, *known])
        feed.start(warmup="2d")
        status = feed.wait_warm(10)
        assert (status.state, status.failed, status.done) == ("incomplete", 1, len(known))
        assert "no history of NSE" in status.error or "token:" in status.error
        assert not feed.is_ready(99 << 8 | 1, "1m")
        assert all(feed.is_ready(token, "1m", 10) for token in known[:3])
        feed.stop()


def test_what_is_subscribed_first_is_read_first_and_what_is_asked_for_before_all(tmp_path):
    market, source, _ = still(instruments=12)
    tokens = [name.token for name in market.instruments()]
    order: list[int] = []

    def fault(nth: int, token: int) -> None:
        order.append(token)

    with Broker({token: rows_of(market, token) for token in tokens}, clock=source.clock, fault=fault) as broker:
        limiter = Limiter(tmp_path / "limit.json", 1, window=0.1)
        feed = tl.Feed(
            source, ["1m"], history=KiteHistory("key", "token", root=broker.root, cache=False, limiter=limiter)
        )
        feed.subscribe(tokens)
        feed.start(warmup="1d")
        until(lambda: len(order) >= 2)
        assert not feed.is_ready(tokens[-1], "1m")
        assert feed.wait_warm(15).state == "complete"
        feed.stop()
    # Those that wait for their turn already are before it.
    assert order.index(tokens[-1]) <= 6
    rest = [token for token in order if token != tokens[-1]]
    # Four take their turns side by side.
    assert all(abs(rest.index(token) - nth) <= 4 for nth, token in enumerate(tokens[:-1]))


def test_without_a_history_there_is_no_warm_up(tmp_path):
    _, source, _ = still()
    with pytest.raises(ValueError, match="needs a history"):
        tl.Feed(source, ["1m"]).start(warmup="2d")
    with Broker({}) as broker:
        feed = tl.Feed(source, ["1m"], history=history(broker, tmp_path))
        for wrong in ("two", "-1d", "1.5d", -1):
            with pytest.raises(ValueError, match="number of trading days"):
                feed.start(warmup=wrong)
        assert feed.status().warmup.state == "off"


def test_the_comparison_sees_a_wrong_bar(tmp_path):
    market, source, third = still()
    rows = {name.token: rows_of(market, name.token) for name in market.instruments()}
    liquid = max(rows, key=lambda token: len(rows[token]) if token & 0xFF != 9 else 0)
    rows[liquid][3][5] += 1
    with Broker(rows, clock=source.clock) as broker:
        feed = tl.Feed(source, ["1m", "3m", "5m", "10m", "15m", "30m", "60m"], capacity=2_000,
                       history=history(broker, tmp_path))  # fmt: skip
        feed.subscribe(list(rows))
        feed.start(warmup="2d")
        feed.wait_warm(10)
        _, wrong = compare(market, feed, third)
        feed.stop()
    # The one bar of each interval: the true one is not there, and another is.
    assert wrong == 14
