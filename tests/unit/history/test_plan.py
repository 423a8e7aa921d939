"""Which days are asked for, in how few requests."""

from __future__ import annotations

import datetime as dt
import random
from itertools import pairwise

import pytest

from tickloom.history.plan import KITE_DAYS, Calendar, days_back, trading_days, windows

FRIDAY = dt.date(2026, 7, 3)
traded = Calendar().trading_day


def test_two_days_before_a_monday_are_thursday_and_friday():
    assert days_back(dt.date(2026, 7, 6), 2, traded) == dt.date(2026, 7, 2)
    assert days_back(dt.date(2026, 7, 6), 0, traded) == dt.date(2026, 7, 6)


def test_the_shipped_calendar_knows_holidays_and_sundays_with_trading() -> None:
    assert not traded(dt.date(2026, 1, 26))
    assert traded(dt.date(2026, 2, 1))
    assert not traded(dt.date(2026, 2, 8))


def test_a_holiday_is_no_trading_day_where_the_calendar_says_so():
    def is_open(day: dt.date) -> bool:
        return traded(day) and day != FRIDAY

    assert days_back(dt.date(2026, 7, 6), 2, is_open) == dt.date(2026, 7, 1)
    assert trading_days(dt.date(2026, 7, 1), dt.date(2026, 7, 6), is_open) == [
        dt.date(2026, 7, 1), dt.date(2026, 7, 2), dt.date(2026, 7, 6),
    ]  # fmt: skip


def test_a_calendar_without_trading_days_does_not_hang():
    assert days_back(FRIDAY, 3, lambda _: False) == FRIDAY


@pytest.mark.parametrize("limit", sorted(set(KITE_DAYS.values())))
def test_windows_cover_every_day_within_the_limit_and_none_could_be_spared(limit):
    rng = random.Random(limit)
    days = sorted({FRIDAY + dt.timedelta(days=rng.randrange(3 * limit)) for _ in range(limit)})
    spans = list(windows(days, limit))
    assert all(any(first <= day <= last for first, last in spans) for day in days)
    assert all((last - first).days < limit for first, last in spans)
    # Each begins with a day that the one before could not reach.
    assert all((later[0] - earlier[0]).days >= limit for earlier, later in pairwise(spans))


def test_sixty_days_are_one_request_and_sixty_one_are_two():
    days = [FRIDAY + dt.timedelta(days=nth) for nth in range(61)]
    assert list(windows(days[:60], 60)) == [(days[0], days[59])]
    assert list(windows(days, 60)) == [(days[0], days[59]), (days[60], days[60])]
    assert list(windows([], 60)) == []
