"""Market hours: the examples of R3 and R5-R10 by date and class, holidays, special days, overrides."""

from __future__ import annotations

import warnings
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

import tickloom as tl
from tickloom import market_hours
from tickloom.market_hours import MarketHours, UnknownHolidays
from tickloom.model import IST, to_ns

HOURS = MarketHours()
OVERLAP = "cash | 2026-12-01 | 2026-12-01 | - | 09:15-12:00 11:00-15:30 | - | -\n"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=IST)


def legs(day: str, segment: str) -> str:
    found = HOURS.sessions(date.fromisoformat(day), segment).legs
    return " ".join(f"{leg.start:%H:%M}-{leg.end:%H:%M}" for leg in found)


def starts(interval: str, day: str, segment: str = "NSE", **options: str) -> list[str]:
    found = HOURS.bar_starts(interval, date.fromisoformat(day), segment, **options)
    assert found.dtype == np.int64
    return [f"{tl.ist(start):%H:%M}" for start in found.tolist()]


@pytest.mark.parametrize(
    "day, segment, expected",
    [
        # R5: before and after the changes of the trading day.
        ("2025-12-05", "futures_near", "09:15-15:30"),
        ("2026-07-31", "NSE", "09:15-15:30"),
        ("2026-07-31", "cash_cas", "09:15-15:30"),
        ("2026-07-31", "NFO", "09:15-15:30"),
        ("2026-08-03", "NSE", "09:15-15:30"),
        ("2026-08-03", "BSE", "09:15-15:30"),
        ("2026-08-03", "cash_cas", "09:15-15:15"),
        ("2026-08-03", "NFO-OPT", "09:15-15:40"),
        ("2026-08-03", "BFO", "09:15-15:40"),
        ("2026-08-03", "futures_near", "09:15-15:40"),
        ("2026-08-03", "INDICES", "09:15-15:30"),
        ("2026-08-03", "CDS", "09:00-17:00"),
        # Commodities follow New York: both halves of the change of the clocks, twice a year.
        ("2026-03-06", "MCX", "09:00-23:55"),
        ("2026-03-09", "MCX", "09:00-23:30"),
        ("2026-10-30", "MCX", "09:00-23:30"),
        ("2026-11-02", "MCX", "09:00-23:55"),
        ("2025-10-31", "MCX", "09:00-23:30"),
        ("2025-11-03", "MCX", "09:00-23:55"),
        ("2026-07-01", "commodity_agri", "09:00-17:00"),
        ("2026-07-01", "commodity_cotton", "09:00-21:00"),
        # Holidays, whole and half; an evening has its season too.
        ("2026-01-26", "NSE", ""),
        ("2026-01-26", "MCX", ""),
        ("2026-03-03", "NSE", ""),
        ("2026-03-03", "MCX", "17:00-23:55"),
        ("2026-05-28", "MCX", "17:00-23:30"),
        ("2026-05-28", "commodity_agri", ""),
        ("2026-01-01", "MCX", "09:00-17:00"),
        ("2026-01-01", "NSE", "09:15-15:30"),
        ("2024-04-09", "CDS", ""),
        ("2024-04-09", "NSE", "09:15-15:30"),
        # Muhurat, Saturdays, a Sunday, an ordinary weekend.
        ("2024-11-01", "NSE", "18:00-19:00"),
        ("2024-11-01", "MCX", "18:00-19:00"),
        ("2025-10-21", "NFO", "13:45-14:45"),
        ("2024-01-20", "NSE", "09:15-15:30"),
        ("2024-03-02", "NSE", "09:15-10:00 11:30-12:30"),
        ("2024-03-02", "MCX", ""),
        ("2024-05-18", "NFO", "09:15-10:00 11:30-12:30"),
        ("2024-05-18", "MCX", ""),
        # Holidays of one date only, that came after the lists.
        ("2024-01-22", "CDS", ""),
        ("2024-01-22", "MCX", "17:00-23:55"),
        ("2024-05-20", "MCX", "17:00-23:30"),
        ("2024-11-20", "MCX", "17:00-23:55"),
        ("2024-11-20", "commodity_cotton", "17:00-21:00"),
        ("2026-01-15", "MCX", "17:00-23:55"),
        ("2026-01-15", "commodity_cotton", "17:00-21:00"),
        ("2026-01-15", "CDS", ""),
        ("2024-09-16", "CDS", "09:00-17:00"),
        ("2024-09-18", "CDS", ""),
        ("2025-09-05", "CDS", "09:00-17:00"),
        ("2025-09-08", "CDS", ""),
        ("2025-02-01", "MCX", "09:00-17:00"),
        ("2026-02-01", "NSE", "09:15-15:30"),
        ("2026-02-01", "MCX", "09:00-17:00"),
        ("2026-02-01", "CDS", ""),
        ("2026-11-21", "NSE", ""),
    ],
)
def test_r5_each_class_has_the_legs_of_its_date(day: str, segment: str, expected: str) -> None:
    assert legs(day, segment) == expected


def test_r5_the_auctions_and_the_post_close_have_the_hours_of_their_date() -> None:
    def parts(day: str, segment: str) -> list[str | None]:
        found = HOURS.sessions(date.fromisoformat(day), segment)
        spans = (found.preopen, found.closing_auction, found.post_close)
        return [None if span is None else f"{span.start:%H:%M}-{span.end:%H:%M}" for span in spans]

    assert parts("2026-07-31", "NSE") == ["09:00-09:08", None, "15:40-16:00"]
    assert parts("2026-08-03", "cash_cas") == ["09:00-09:08", "15:15-15:35", "15:50-16:00"]
    assert parts("2026-08-03", "NSE") == ["09:00-09:08", None, "15:50-16:00"]
    assert parts("2025-12-05", "futures_near") == [None, None, None]
    assert parts("2025-12-08", "futures_near") == ["09:00-09:08", None, None]
    assert parts("2025-12-08", "NFO") == [None, None, None]
    assert parts("2024-11-01", "NSE") == ["17:45-18:00", None, "19:10-19:20"]


@pytest.mark.parametrize(
    "interval, day, segment, first, last, count",
    [
        ("30m", "2026-07-31", "NSE", ["09:15", "09:45"], "15:15", 13),
        ("60m", "2026-07-31", "NSE", ["09:15", "10:15"], "15:15", 7),
        ("10m", "2026-07-31", "NSE", ["09:15", "09:25"], "15:25", 38),
        ("60m", "2026-07-01", "MCX", ["09:00", "10:00"], "23:00", 15),
        ("15m", "2024-11-01", "NSE", ["18:00", "18:15", "18:30"], "18:45", 4),
        ("30m", "2024-03-02", "NSE", ["09:15", "09:45", "11:30"], "12:00", 4),
        ("60m", "2026-08-03", "NFO", ["09:15"], "15:15", 7),
        ("60m", "2026-08-03", "cash_cas", ["09:15"], "14:15", 6),
        ("75m", "2026-07-31", "NFO", ["09:15", "10:30"], "14:15", 5),
        ("75m", "2026-08-03", "NFO", ["09:15", "10:30"], "15:30", 6),
        ("1m", "2026-07-31", "NSE", ["09:15"], "15:29", 375),
        ("1m", "2026-08-03", "cash_cas", ["09:15"], "15:14", 360),
        ("1m", "2026-08-03", "NFO", ["09:15"], "15:39", 385),
        ("1d", "2026-08-03", "NFO", ["09:15"], "09:15", 1),
    ],
)
def test_r6_r7_bars_start_with_their_leg_and_end_in_a_stub(
    interval: str, day: str, segment: str, first: list[str], last: str, count: int
) -> None:
    found = starts(interval, day, segment)
    assert (found[: len(first)], found[-1], len(found)) == (first, last, count)


def test_r7_a_stub_may_join_the_bar_before_it() -> None:
    assert starts("60m", "2026-07-31", tail="merge")[-1] == "14:15"


def test_a_holiday_and_a_weekend_have_no_bars() -> None:
    assert starts("1m", "2026-01-26") == []
    assert starts("1m", "2026-11-21") == []


@pytest.mark.parametrize(
    "when, segment, phase",
    [
        ("2026-07-31T08:59:59", "NSE", "before"),
        ("2026-07-31T09:07:58", "NSE", "preopen"),
        ("2026-07-31T09:14:59", "NSE", "preopen"),
        ("2026-07-31T15:30:00", "NSE", "continuous"),
        ("2026-07-31T15:30:00.000001", "NSE", "break"),
        ("2026-07-31T15:59:56", "NSE", "post_close"),
        ("2026-08-03T15:30:41", "cash_cas", "closing_auction"),
        ("2026-08-03T15:35:01", "NFO", "continuous"),
        ("2024-03-02T10:30:00", "NSE", "break"),
        ("2026-07-31T16:00:01", "NSE", "after"),
        ("2026-01-26T10:00:00", "NSE", "closed"),
        ("2026-11-21T10:00:00", "NSE", "closed"),
    ],
)
def test_r3_r8_r9_a_stamp_lies_in_its_part_of_the_day(when: str, segment: str, phase: str) -> None:
    assert HOURS.phase(at(when), segment) == phase


def test_open_means_that_trades_make_bars_now() -> None:
    assert not HOURS.is_open(at("2026-07-31T09:14:59"))
    assert HOURS.is_open(at("2026-07-31T09:15"))
    assert HOURS.is_open(to_ns(at("2026-07-31T15:29:59")))
    assert not HOURS.is_open(at("2026-07-31T15:30"))
    assert not HOURS.is_open(at("2024-03-02T10:30"))
    assert HOURS.is_open(at("2026-07-31T20:00"), "MCX")
    with pytest.raises(ValueError, match="needs a time zone"):
        HOURS.is_open(datetime(2026, 7, 31, 10))


def test_r10_the_next_open_and_close_step_over_nights_weekends_and_holidays() -> None:
    assert HOURS.next_open(at("2026-07-31T08:00")) == at("2026-07-31T09:15")
    # Friday before a Monday holiday.
    assert HOURS.next_open(at("2026-01-23T15:30")) == at("2026-01-27T09:15")
    assert HOURS.next_open(at("2026-03-02T23:56"), "MCX") == at("2026-03-03T17:00")
    assert HOURS.next_open(at("2024-03-02T10:30")) == at("2024-03-02T11:30")
    assert HOURS.next_close(at("2026-07-31T15:29")) == at("2026-07-31T15:30")
    assert HOURS.next_close(at("2026-07-31T15:30")) == at("2026-08-03T15:30")
    assert HOURS.next_close(at("2026-08-03T10:00"), "cash_cas") == at("2026-08-03T15:15")


def test_trading_days_step_over_what_is_closed() -> None:
    assert HOURS.next_trading_day(date(2026, 1, 23)) == date(2026, 1, 27)
    assert HOURS.previous_trading_day(date(2026, 1, 27)) == date(2026, 1, 23)
    assert HOURS.previous_trading_day(date(2026, 2, 2)) == date(2026, 2, 1)
    assert HOURS.trading_days(date(2024, 11, 14), date(2024, 11, 21)) == [date(2024, 11, d) for d in (14, 18, 19, 21)]
    assert len(HOURS.trading_days(date(2024, 1, 1), date(2024, 12, 31))) == 249
    assert not HOURS.is_trading_day(date(2026, 1, 26))


def test_special_days_have_their_names() -> None:
    named = {day.date.isoformat(): day.name for day in HOURS.special_days(2026, "NSE") if not day.legs}
    assert named["2026-01-26"] == "Republic Day"
    assert len(named) == 16
    assert HOURS.sessions(date(2026, 1, 26), "MCX").name == "Republic Day"


def test_a_year_without_holidays_is_said_to_be_unknown() -> None:
    assert all(HOURS.is_known(year, each) for year in (2024, 2025, 2026) for each in ("NSE", "NFO", "CDS", "MCX"))
    assert not HOURS.is_known(2027)
    with pytest.warns(UnknownHolidays, match=r"holidays of 2027 are not known.*cash"):
        assert HOURS.is_open(at("2027-03-01T10:00"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # A weekend is closed whatever the holidays are, and timers are not told again and again.
        assert not HOURS.is_trading_day(date(2027, 3, 6))
        assert HOURS.any_open(to_ns(at("2027-03-01T10:00")), ["cash"])


def test_an_override_makes_a_year_known_and_wins_over_what_is_shipped(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    weekdays = [date(2027, 1, 4) + timedelta(weeks=n) for n in range(8)]
    rows = [f"cash | {day} | {day} | - | - | - | - # mine {n}" for n, day in enumerate(weekdays)]
    file.write_text("\n".join([*rows, "cash | 2026-01-26 | 2026-01-26 | - | 10:00-11:00 | - | -  # one hour"]))
    hours = MarketHours(file)
    assert hours.is_known(2027)
    assert not hours.is_known(2027, "NFO")
    assert hours.sessions(weekdays[3]).name == "mine 3"
    assert hours.is_open(at("2026-01-26T10:30"))
    assert HOURS.phase(at("2026-01-26T10:30")) == "closed"


@pytest.mark.parametrize(
    "text, error",
    [
        (OVERLAP, 'line 1: a span begins before the one in front of it ends: "11:00-15:30"'),
        ("# a\n\nnse | 2026-12-01 | .. | - | - | - | -", 'line 3: unknown session class: "nse"'),
        ("cash | 2026-12-01", "line 1: a row needs seven cells"),
        ("cash | 2026-02-30 | .. | - | - | - | -", "line 1: a date must be"),
    ],
)
def test_a_bad_override_names_file_and_line_and_what_was_there_serves_on(tmp_path: Path, text: str, error: str) -> None:
    file = tmp_path / "bad.txt"
    file.write_text(text)
    hours = MarketHours(rows="cash | 2026-12-01 | 2026-12-01 | - | 10:00-11:00 | - | -")
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its words are looked at below
        hours.override(file)
    assert str(raised.value).startswith(f"{file}, ")
    assert error in str(raised.value)
    assert hours.is_open(at("2026-12-01T10:30"))
    assert not hours.is_open(at("2026-12-01T11:30"))
    assert hours.is_open(at("2026-12-02T11:30"))


@pytest.mark.parametrize(
    "cells, words",
    [
        ("- | 09:15-12:00 11:00-15:30 | - | -", "11:00-15:30"),
        ("09:00-09:20 | 09:15-15:30 | - | -", "09:15-15:30"),
        ("- | 09:15-15:15 | 15:10-15:35 | -", "15:10-15:35"),
        ("- | 09:15-15:15 | 15:15-15:35 | 15:30-16:00", "15:30-16:00"),
        ("- | 11:30-12:30 09:15-10:00 | - | -", "09:15-10:00"),
        ("- | 17:00-23:30/23:55 23:40-24:00 | - | -", "23:40-24:00"),
    ],
)
def test_sessions_that_overlap_are_one_clear_error_and_nothing_of_their_file_holds(
    tmp_path: Path, cells: str, words: str
) -> None:
    file = tmp_path / "overlap.txt"
    file.write_text(
        "# a good row, and one that is not\n"
        "cash | 2026-12-01 | 2026-12-01 | - | 13:00-14:00 | - | -\n"
        f"cash | 2026-12-02 | 2026-12-02 | {cells}\n"
    )
    hours = MarketHours(rows="cash | 2026-12-01 | 2026-12-02 | - | 10:00-11:00 | - | -")
    said = f'{file}, line 3: a span begins before the one in front of it ends: "{words}"'
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its words are looked at below
        hours.override(file)
    assert str(raised.value) == said
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its words are looked at below
        MarketHours(file)
    assert str(raised.value) == said
    with pytest.raises(ValueError, match=r"line 3: a span begins before the one in front of it ends"):
        tl.Engine(["1m"], sessions=file.read_text())
    for day in (1, 2):
        assert [f"{leg.start:%H:%M}" for leg in hours.sessions(date(2026, 12, day)).legs] == ["10:00"]
        assert len(hours.minutes(date(2026, 12, day))) == 60
    # Mended, the same file holds.
    file.write_text("cash | 2026-12-02 | 2026-12-02 | - | 09:15-12:00 12:00-15:30 | - | -\n")
    hours.override(file)
    assert [f"{leg.start:%H:%M}" for leg in hours.sessions(date(2026, 12, 2)).legs] == ["09:15", "12:00"]


def test_an_override_that_is_no_text_names_its_line(tmp_path: Path) -> None:
    file = tmp_path / "latin.txt"
    file.write_bytes(b"# fine\n# caf\xe9\n")
    with pytest.raises(ValueError, match=r"not UTF-8, save it so: .*latin\.txt, line 2"):
        MarketHours(file)


def test_a_segment_that_is_none_says_which_there_are() -> None:
    with pytest.raises(ValueError, match=r"NSE, BSE, .*cash_cas.*'NYSE'"):
        market_hours.class_of("NYSE")
    assert [market_hours.class_of(each) for each in ("nse", "NFO-FUT", 9, "cash_cas")] == [
        "cash", "derivatives", "index", "cash_cas",
    ]  # fmt: skip


def test_a_table_that_never_opens_again_is_an_error_and_no_endless_search() -> None:
    shut = MarketHours(rows="currency | 2026-12-01 | .. | - | - | - | -")
    with pytest.raises(ValueError, match=r"nothing trades within 400 days.*currency"):
        shut.next_open(at("2026-12-01T00:00"), "CDS")
