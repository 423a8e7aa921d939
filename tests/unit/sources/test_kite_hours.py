"""The Kite source knows when ticks are to be expected."""

from __future__ import annotations

from datetime import datetime

import pytest

from tickloom.market_hours import MarketHours
from tickloom.model import IST, to_ns
from tickloom.sources import Kite

INFY, OPTION, GOLD = 408065, 12345602, 60000007


def expects(when: str, tokens: list[int], **options: object) -> bool:
    now = to_ns(datetime.fromisoformat(when).replace(tzinfo=IST))
    source = Kite("key", "token", clock=lambda: now, **options)
    source.subscribe(tokens)
    return source._client.market_is_open()


@pytest.mark.parametrize(
    "when, tokens, expected",
    [
        ("2026-07-31T15:10", [INFY], True),
        ("2026-07-31T15:30", [INFY], False),
        ("2026-08-03T15:20", [INFY], False),
        ("2026-08-03T15:35", [INFY, OPTION], True),
        ("2026-08-03T22:00", [INFY], False),
        ("2026-08-03T22:00", [INFY, GOLD], True),
        ("2026-01-26T10:00", [INFY, OPTION, GOLD], False),
        ("2026-08-01T10:00", [INFY], False),
        ("2026-02-01T10:00", [INFY], True),
        ("2027-03-01T10:00", [INFY], True),
        ("2026-08-03T10:00", [], False),
    ],
)
def test_ticks_are_expected_while_any_wanted_instrument_trades(when: str, tokens: list[int], expected: bool) -> None:
    assert expects(when, tokens) is expected


def test_it_can_be_turned_off_on_and_replaced() -> None:
    open_, holiday = "2026-08-03T10:00", "2026-01-26T10:00"
    assert not expects(open_, [INFY], market_open=False)
    # A server of one's own has its own hours, unless told.
    assert not expects(open_, [INFY], url="ws://127.0.0.1:9")
    assert expects(open_, [INFY], url="ws://127.0.0.1:9", market_open=True)
    assert expects(holiday, [INFY], market_open=lambda _: True)
    mine = MarketHours(rows="cash_cas | 2026-01-26 | 2026-01-26 | - | 09:15-15:30 | - | -")
    assert expects(holiday, [INFY], market_open=mine)


def test_the_class_of_an_instrument_wins_over_its_segment() -> None:
    now = to_ns(datetime(2026, 8, 3, 15, 20, tzinfo=IST))
    source = Kite("key", "token", clock=lambda: now)
    source.subscribe([INFY])
    assert not source._client.market_is_open()
    source.session_classes[INFY] = "cash"
    assert source._client.market_is_open()


def test_what_is_wanted_may_change_while_it_runs() -> None:
    now = to_ns(datetime(2026, 8, 3, 22, 0, tzinfo=IST))
    source = Kite("key", "token", clock=lambda: now)
    source.subscribe([INFY])
    assert not source._client.market_is_open()
    source.subscribe([GOLD])
    assert source._client.market_is_open()
    source.unsubscribe([GOLD])
    assert not source._client.market_is_open()
