"""History by the calendar: a day must have the minutes of its class's hours, and a contract is its expiry too."""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import tickloom as tl
from tests.integration.rest import MINUTE, SECOND, Broker
from tests.oracle.sessions import ist
from tickloom.history import Instrument, KiteHistory, Limiter, Retries
from tickloom.instruments import Instruments
from tickloom.market_hours import MarketHours

NSE, NFO, CDS, MCX, INDEX = 101 << 8 | 1, 102 << 8 | 2, 103 << 8 | 3, 104 << 8 | 7, 105 << 8 | 9
DAY = dt.timedelta(days=1)

# A date, whose hours it has, its legs, and how many minutes they are: typed from the rules, not asked of the calendar.
SHORT = [
    ("2026-07-31", Instrument(NSE, "NSE:A", session="cash_cas"), "09:15-15:30", 375),
    ("2026-08-03", Instrument(NSE, "NSE:A"), "09:15-15:30", 375),
    ("2026-08-03", Instrument(NSE, "NSE:A", session="cash_cas"), "09:15-15:15", 360),
    ("2026-07-31", Instrument(NFO, "NFO:A"), "09:15-15:30", 375),
    ("2026-08-03", Instrument(NFO, "NFO:A"), "09:15-15:40", 385),
    ("2026-08-03", Instrument(NFO, "NFO:A", session="futures_near"), "09:15-15:40", 385),
    ("2026-08-03", Instrument(INDEX, "NSE:I"), "09:15-15:30", 375),
    ("2026-08-03", Instrument(CDS, "CDS:A"), "09:00-17:00", 480),
    ("2024-11-01", Instrument(NSE, "NSE:A"), "18:00-19:00", 60),
    ("2025-10-21", Instrument(NFO, "NFO:A"), "13:45-14:45", 60),
    ("2024-11-01", Instrument(MCX, "MCX:A"), "18:00-19:00", 60),
    ("2024-03-02", Instrument(NSE, "NSE:A"), "09:15-10:00 11:30-12:30", 105),
    ("2024-05-18", Instrument(NFO, "NFO:A"), "09:15-10:00 11:30-12:30", 105),
    ("2026-02-01", Instrument(MCX, "MCX:A"), "09:00-17:00", 480),
    ("2026-03-03", Instrument(MCX, "MCX:A"), "17:00-23:55", 415),
    ("2026-05-28", Instrument(MCX, "MCX:A"), "17:00-23:30", 390),
    ("2026-05-28", Instrument(MCX, "MCX:A", session="commodity_cotton"), "17:00-21:00", 240),
    ("2026-07-01", Instrument(MCX, "MCX:A", session="commodity_agri"), "09:00-17:00", 480),
]


def minutes(day: str, legs: str, first: int = 1) -> list[list[Any]]:
    """A row for every minute of these legs, with the volume first, first + 1 ..."""
    starts: list[int] = []
    for leg in legs.split():
        begin, end = (ist(f"{day} {clock}:00") for clock in leg.split("-"))
        starts += range(begin, end, MINUTE)
    return [[at, 100.0, 101.0, 99.0, 100.5, first + nth, 0] for nth, at in enumerate(starts)]


def history(broker: Broker, folder: Path, **options: Any) -> KiteHistory:
    limiter = Limiter(folder / "limit.json", 1_000)
    return KiteHistory("key", "token", root=broker.root, cache=folder / "minutes", limiter=limiter,
                       retries=Retries(base=0.01), **options)  # fmt: skip


def asked(folder: Path, day: str, instrument: Instrument, rows: list[list[Any]], later: int, **options: Any) -> int:
    """How many requests it takes to have a date, so many days after it, with what `folder` keeps."""
    start = ist(f"{day} 00:00:00")
    with Broker({instrument.token: rows}) as broker:
        now = start + (24 * later + 8) * 3_600 * SECOND
        found = history(broker, folder, **options).fetch(instrument, start, start + 24 * 3_600 * SECOND, now_ns=now)
        assert found.time.tolist() == [row[0] for row in rows]
        return len(broker.arrivals)


@pytest.mark.parametrize(("day", "instrument", "legs", "count"), SHORT)
def test_r37_a_day_is_whole_with_the_minutes_of_its_hours_and_not_with_one_less(
    tmp_path: Path, day: str, instrument: Instrument, legs: str, count: int
) -> None:
    whole = minutes(day, legs)
    assert len(whole) == count
    assert [asked(tmp_path / "whole", day, instrument, whole, later) for later in (1, 1, 2, 3)] == [1, 0, 0, 0]
    lacking = whole[:7] + whole[8:]
    # Once more on a later date, when the broker may have mended it; then nobody traded in it.
    assert [asked(tmp_path / "lacking", day, instrument, lacking, later) for later in (1, 1, 2, 2, 3)] == [
        1,
        0,
        1,
        0,
        0,
    ]


def test_r37_a_second_reading_with_less_does_not_replace_the_first(tmp_path: Path) -> None:
    day, instrument = "2026-07-31", Instrument(NSE, "NSE:A")
    rows = minutes(day, "09:15-15:29")
    start = ist(f"{day} 00:00:00")
    got = []
    for later, shown in ((1, rows), (2, rows[:10]), (3, [])):
        with Broker({NSE: shown}) as broker:
            now = start + (24 * later + 8) * 3_600 * SECOND
            got.append(len(history(broker, tmp_path).fetch(instrument, start, start + 86_400 * SECOND, now_ns=now)))
            got.append(len(broker.arrivals))
    assert got == [374, 1, 374, 1, 374, 0]


def test_r37_minutes_outside_the_hours_do_not_make_up_for_those_that_are_missing(tmp_path: Path) -> None:
    day, instrument = "2026-08-03", Instrument(NSE, "NSE:A", session="cash_cas")
    odd = minutes(day, "09:07-09:08 09:15-15:00 15:00-15:14 15:30-15:35")
    assert len(odd) > 360
    assert [asked(tmp_path, day, instrument, odd, later) for later in (1, 2, 3)] == [1, 1, 0]


def test_a_date_on_which_an_instrument_does_not_trade_is_not_asked_for(tmp_path: Path) -> None:
    for day, instrument in (
        ("2026-03-03", Instrument(NSE, "NSE:A")),
        ("2026-03-03", Instrument(MCX, "MCX:A", session="commodity_agri")),
        ("2024-03-02", Instrument(MCX, "MCX:A")),
        ("2026-02-01", Instrument(CDS, "CDS:A")),
        ("2024-04-09", Instrument(CDS, "CDS:A")),
    ):
        assert asked(tmp_path, day, instrument, [], 1) == 0, (day, instrument)


def test_hours_of_ones_own_are_those_of_the_history_too(tmp_path: Path) -> None:
    day, instrument = "2026-11-08", Instrument(NSE, "NSE:A")
    hours = MarketHours(rows=f"cash | {day} | {day} | - | 18:00-18:05 | - | -")
    assert asked(tmp_path, day, instrument, [], 1) == 0
    rows = minutes(day, "18:00-18:05")
    assert [asked(tmp_path, day, instrument, rows, later, hours=hours) for later in (1, 2)] == [1, 0]
    # Who names the dates himself is believed.
    assert asked(tmp_path / "named", day, instrument, rows, 1, trading_day=lambda _: True) == 1


class Standing:
    """Implements `Source`: the time stands, nothing comes."""

    name = "standing"
    live = False

    def __init__(self, now_ns: int) -> None:
        self._now = now_ns
        self.wanted: dict[int, str] = {}

    def clock(self) -> int:
        return self._now

    def subscribe(self, tokens: Sequence[int], mode: str) -> None:
        self.wanted |= dict.fromkeys(tokens, mode)

    def unsubscribe(self, tokens: Sequence[int]) -> None:
        self.wanted = {token: mode for token, mode in self.wanted.items() if token not in set(tokens)}

    def subscriptions(self) -> Mapping[int, str]:
        return self.wanted

    async def run(self, _: object) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("now", "days", "traded"),
    [
        # A holiday evening: its morning is none of the two days, and stocks have the days before it.
        ("2026-03-04 08:50:00", "2d", {NSE: ["2026-02-27 09:15-15:30", "2026-03-02 09:15-15:30"],
                                       MCX: ["2026-03-02 09:00-23:55", "2026-03-03 17:00-23:55"]}),
        ("2026-03-03 17:10:00", "1d", {NSE: ["2026-03-02 09:15-15:30"],
                                       MCX: ["2026-03-02 09:00-23:55", "2026-03-03 17:00-17:10"]}),
        # Muhurat, in it and on the Monday after it.
        ("2024-11-01 18:20:00", "1d", {NSE: ["2024-10-31 09:15-15:30", "2024-11-01 18:00-18:20"]}),
        ("2024-11-04 08:50:00", "1d", {NSE: ["2024-11-01 18:00-19:00"], CDS: ["2024-11-01 18:00-19:00"]}),
        # A Saturday of two legs, in its break, and as one of two days.
        ("2024-03-02 10:30:00", "0d", {NSE: ["2024-03-02 09:15-10:00"]}),
        ("2024-03-04 08:50:00", "2d", {NSE: ["2024-03-01 09:15-15:30", "2024-03-02 09:15-10:00 11:30-12:30"],
                                       MCX: ["2024-02-29 09:00-23:55", "2024-03-01 09:00-23:55"]}),
        # Derivatives trade ten minutes longer.
        ("2026-08-04 08:50:00", "1d", {NSE: ["2026-08-03 09:15-15:30"], NFO: ["2026-08-03 09:15-15:40"]}),
    ],
)  # fmt: skip
def test_a_warm_up_has_so_many_trading_days_of_each_instrument_and_is_ready_with_their_bars(
    tmp_path: Path, now: str, days: str, traded: dict[int, list[str]]
) -> None:
    source = Standing(ist(now))
    true = {token: [row for day in each for row in minutes(*day.split(" ", 1))] for token, each in traded.items()}
    # The broker has more, of the days before.
    rows = {
        token: [*minutes("2024-01-02", "09:15-15:30"), *minutes("2026-01-02", "09:15-15:30"), *each]
        for token, each in true.items()
    }
    with Broker(rows, clock=source.clock) as broker:
        feed = tl.Feed(source, ["1m", "5m", "60m"], capacity=2_000, history=history(broker, tmp_path))
        feed.subscribe(list(traded))
        feed.start(warmup=days)
        status = feed.wait_warm(10)
        assert (status.state, status.failed, status.requests) == ("complete", 0, len(traded))
        for token, each in true.items():
            settled = [row for row in each if row[0] + MINUTE + 15 * SECOND <= source.clock()]
            assert feed.candles(token, "1m").time.tolist() == [row[0] for row in settled]
            assert feed.candles(token, "1m").volume.tolist() == [row[5] for row in settled]
            assert feed.candles(token, "5m").volume.sum() <= sum(row[5] for row in settled)
            assert feed.is_ready(token, "1m", len(settled))
            assert not feed.is_ready(token, "1m", len(settled) + 1)
        feed.stop()


def dump(expiry: str, token: int = NFO) -> Instruments:
    """A dump with one future, and a stock without derivatives."""
    common: dict[str, Any] = {"last_price": 0, "strike": 0, "tick_size": 0.05, "lot_size": 1}
    return Instruments.from_rows(
        [
            {"instrument_token": token, "exchange_token": token >> 8, "tradingsymbol": "ABCFUT", "name": "ABC",
             "expiry": expiry, "instrument_type": "FUT", "segment": "NFO-FUT", "exchange": "NFO", **common},
            {"instrument_token": NSE, "exchange_token": NSE >> 8, "tradingsymbol": "A", "name": "A LTD", "expiry": "",
             "instrument_type": "EQ", "segment": "NSE", "exchange": "NSE", **common},
        ],
        on=dt.date(2026, 7, 1),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["NFO:ABCFUT", "ABCFUT", NFO, "key"])
def test_r36_two_contracts_of_one_symbol_and_token_share_nothing_that_is_kept(tmp_path: Path, name: int | str) -> None:
    source = Standing(ist("2026-07-01 08:50:00"))
    requests = []
    closes = []
    for expiry, price in (("2026-07-28", 100.0), ("2026-07-28", 100.0), ("2026-08-25", 200.0)):
        rows = minutes("2026-06-30", "09:15-15:30")
        for row in rows:
            row[1:5] = [price] * 4
        with Broker({NFO: rows}, clock=source.clock) as broker:
            feed = tl.Feed(source, ["1m"], capacity=2_000, history=history(broker, tmp_path), symbols=dump(expiry))
            feed.subscribe([f"NFO:ABCFUT@{expiry}" if name == "key" else name])
            feed.start(warmup="1d")
            assert feed.wait_warm(10).state == "complete"
            closes.append(feed.candles(NFO, "1m").close[-1])
            feed.stop()
            requests.append(len(broker.arrivals))
    assert requests == [1, 0, 1]
    assert closes == [100.0, 100.0, 200.0]
    assert sorted(path.name for path in (tmp_path / "minutes" / "kite").iterdir()) == [
        "NFO%3AABCFUT%402026-07-28", "NFO%3AABCFUT%402026-08-25",
    ]  # fmt: skip


def test_a_token_that_the_instruments_do_not_have_is_kept_for_the_day(tmp_path: Path) -> None:
    source = Standing(ist("2026-07-01 08:50:00"))
    with Broker({INDEX: minutes("2026-06-30", "09:15-15:30")}, clock=source.clock) as broker:
        feed = tl.Feed(source, ["1m"], capacity=2_000, history=history(broker, tmp_path), symbols=dump("2026-07-28"))
        feed.subscribe([INDEX])
        feed.start(warmup="1d")
        assert feed.wait_warm(10).state == "complete"
        feed.stop()
    assert [path.name for path in (tmp_path / "minutes" / "kite").iterdir()] == [f"token%3A{INDEX}"]
