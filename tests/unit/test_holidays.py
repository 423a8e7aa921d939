"""The shipped holidays against two published calendars: they differ on the dates explained here, and on no other."""

from __future__ import annotations

import importlib
import warnings
from datetime import date

import pytest

from tickloom.market_hours import MarketHours

FIRST, LAST = date(2024, 1, 1), date(2026, 12, 31)
# Both make sessions of weekdays only, so they lack these.
WEEKENDS = {date(2024, 1, 20), date(2024, 3, 2), date(2024, 5, 18), date(2025, 2, 1), date(2026, 2, 1)}
# An hour of Diwali on a day that is closed otherwise.
MUHURAT = {date(2024, 11, 1), date(2025, 10, 21)}


def days_of(package: str) -> set[date]:
    """The trading days of NSE or BSE that a package knows."""
    with warnings.catch_warnings():
        # Of those packages and of pandas, nothing that could be mended here.
        warnings.simplefilter("ignore")
        if package == "exchange_calendars":
            calendars = importlib.import_module("exchange_calendars")
            found = calendars.get_calendar("XBOM", start=FIRST.isoformat(), end=LAST.isoformat()).sessions
        else:
            calendars = importlib.import_module("pandas_market_calendars")
            found = calendars.get_calendar("NSE").schedule(FIRST.isoformat(), LAST.isoformat()).index
    return set(found.date)


@pytest.mark.parametrize(
    "package, missing",
    [("exchange_calendars", WEEKENDS | MUHURAT), ("pandas_market_calendars", WEEKENDS)],
)
@pytest.mark.parametrize("segment", ["NSE", "BSE", "NFO", "BFO", "cash_cas", "futures_near", "INDICES"])
def test_shares_and_their_derivatives_trade_on_the_days_of_published_calendars(
    package: str, missing: set[date], segment: str
) -> None:
    theirs, ours = days_of(package), set(MarketHours().trading_days(FIRST, LAST, segment))
    assert (ours - theirs, theirs - ours) == (missing, set())


def test_commodities_are_closed_on_no_day_on_which_shares_trade() -> None:
    hours = MarketHours()
    ordinary = [day for day in hours.trading_days(FIRST, LAST, "NSE") if day not in WEEKENDS]
    assert [day for day in ordinary if not hours.is_trading_day(day, "MCX")] == []
    half = [day for day in hours.special_days(2025, "MCX") if len(day.legs) == 1 and day.legs[0].start.hour == 17]
    assert len(half) == 9


def test_currency_closes_on_the_holidays_of_shares_and_on_those_of_banks() -> None:
    hours = MarketHours()
    for year, more in ((2024, 5), (2025, 4), (2026, 4)):
        closed = {
            segment: {day.date for day in hours.special_days(year, segment) if not day.legs}
            for segment in ("NSE", "CDS")
        }
        assert closed["NSE"] < closed["CDS"]
        assert len(closed["CDS"] - closed["NSE"]) == more
