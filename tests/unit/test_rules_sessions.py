"""R3 and R5-R10 by date, segment and class: ticks in, bars out, and the same of `market_hours`.

Each row is one sentence or example of the rules; its name begins with the rule. Every tick of a day brings another
volume, a power of two, and the row says which bar, auction or account each of them is booked in: so nothing can be in
a wrong place, twice or lost. Other examples of these rules, of one instrument with its prices, are in
`test_rules_clock.py`; holidays and the next open in `test_market_hours.py`.

The rules, their examples, and where they are shown:

    R3   [start, end), a stamp on the segment's end      r3_*, test_rules_clock test_r3_*
    R5   each row of the table, on both sides of a change  r5_*
         index, currency, farm goods, metals, New York     r5_*
         a row of one's own                                r5_a_file_of_ones_own
    R6   each example; legs; the other anchors             r6_*, test_rules_clock test_r6_the_anchor_can_be_chosen
    R7   each example; 375, 360, 385; merged               r7_*, test_rules_clock test_r7_a_stub_can_be_merged
    R8   who has a pre-open; four ways                     r8_*, test_rules_clock test_r8_*
    R9   who has a closing auction; three ways             r9_*, test_rules_clock test_r9_*
    R10  another date; an evening of metals                test_r10_*, test_rules_clock test_r10_*
"""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import pairwise

import pytest

from tests.machines import INFY, NIFTY, OPTION
from tests.oracle.sessions import ist
from tickloom.market_hours import MarketHours, class_of

CAS, FUTURE, USDINR, GOLD, COTTON, MENTHA, BSE, BFO = (
    738561, 12345858, 12345603, 12345607, 12345863, 12346119, 12345604, 12345605,
)  # fmt: skip
CLASSES = {CAS: "cash_cas", FUTURE: "futures_near", COTTON: "commodity_cotton", MENTHA: "commodity_agri"}
ACCOUNTS = ("auction_open", "auction_close", "post", "unattributed", "dropped")

SHARES = {"09:07:58": "auction_open", "09:15:00": "09:15-10:15", "15:14:59": "14:15-15:15",
          "15:15:00": "15:15-15:30", "15:30:00": "15:15-15:30"}  # fmt: skip
OLD, NEW = {**SHARES, "15:45:00": "post"}, {**SHARES, "15:59:56": "post"}
SHORT = {"09:15:00": "09:15-10:15", "15:29:59": "15:15-15:30", "15:30:00": "15:15-15:30"}
LONG = {"09:15:00": "09:15-10:15", "15:30:00": "15:15-15:40", "15:39:59": "15:15-15:40", "15:40:00": "15:15-15:40"}
WHOLE = {"09:00:00": "09:00-10:00", "16:59:59": "16:00-17:00", "17:00:00": "16:00-17:00"}
SUMMER = {"09:00:00": "09:00-10:00", "23:29:59": "23:00-23:30", "23:30:00": "23:00-23:30"}
WINTER = {"09:00:00": "09:00-10:00", "23:30:00": "23:00-23:55", "23:54:59": "23:00-23:55", "23:55:00": "23:00-23:55"}

DAYS = [
    # Bars are half open, but the last one of a leg holds its end.
    ("r3 on an edge, 1m", "2026-07-01", INFY, "1m", {"09:19:59": "09:19-09:20", "09:20:00": "09:20-09:21"}),
    ("r3 on the end, 1m", "2026-07-01", INFY, "1m", {"15:29:00": "15:29-15:30", "15:30:00": "15:29-15:30"}),
    ("r3 on the end, 5m", "2026-07-01", INFY, "5m", {"15:24:59": "15:20-15:25", "15:30:00": "15:25-15:30"}),
    ("r3 on the end, 60m", "2026-07-01", INFY, "60m", {"15:14:59": "14:15-15:15", "15:30:00": "15:15-15:30"}),
    ("r3 on the end since august", "2026-08-03", INFY, "5m", {"15:30:00": "15:25-15:30"}),
    ("r3 on the end of derivatives", "2026-08-03", OPTION, "1m", {
        "15:39:59": "15:39-15:40", "15:40:00": "15:39-15:40"}),
    ("r3 on the end of a first leg", "2024-03-02", INFY, "15m", {"10:00:00": "09:45-10:00", "11:30:00": "11:30-11:45"}),
    # Cash, all of it until 2026-07-31; then the closing auction for stocks with derivatives.
    ("r5 cash before", "2026-07-31", INFY, "60m", OLD),
    ("r5 cash of BSE before", "2026-07-31", BSE, "60m", OLD),
    ("r5 stocks with derivatives before", "2026-07-31", CAS, "60m", OLD),
    ("r5 cash since", "2026-08-03", INFY, "60m", NEW),
    ("r5 cash of BSE since", "2026-08-03", BSE, "60m", NEW),
    ("r5 stocks with derivatives since", "2026-08-03", CAS, "60m", {
        "09:07:58": "auction_open", "09:15:00": "09:15-10:15", "15:14:59": "14:15-15:15", "15:15:00": "14:15-15:15",
        "15:15:01": "auction_close", "15:30:41": "auction_close", "15:35:00": "auction_close", "15:55:00": "post"}),
    ("r5 stocks with derivatives today", "2026-11-20", CAS, "60m", {
        "09:07:58": "auction_open", "15:14:59": "14:15-15:15", "15:31:00": "auction_close", "15:51:00": "post"}),
    # Derivatives: near futures have a pre-open since 2025-12-08, all trade to 15:40 since 2026-08-03.
    ("r5 near futures before", "2025-12-05", FUTURE, "60m", SHORT),
    ("r5 near futures since december", "2025-12-08", FUTURE, "60m", {"09:07:58": "auction_open", **SHORT}),
    ("r5 near futures before august", "2026-07-31", FUTURE, "60m", {"09:07:58": "auction_open", **SHORT}),
    ("r5 near futures since august", "2026-08-03", FUTURE, "60m", {"09:07:58": "auction_open", **LONG}),
    ("r5 options before december", "2025-12-05", OPTION, "60m", SHORT),
    ("r5 options since december", "2025-12-08", OPTION, "60m", SHORT),
    ("r5 options before august", "2026-07-31", OPTION, "60m", SHORT),
    ("r5 options since august", "2026-08-03", OPTION, "60m", LONG),
    ("r5 options of BSE before", "2026-07-31", BFO, "60m", SHORT),
    ("r5 options of BSE since", "2026-08-03", BFO, "60m", LONG),
    ("r5 currency before", "2025-12-05", USDINR, "60m", WHOLE),
    ("r5 currency since", "2026-08-03", USDINR, "60m", WHOLE),
    # Metals and energy close with New York: the last and the first day on each side of both changes, in two years.
    ("r5 metals, 2025, last of winter", "2025-03-07", GOLD, "60m", WINTER),
    ("r5 metals, 2025, first of summer", "2025-03-10", GOLD, "60m", SUMMER),
    ("r5 metals, 2025, last of summer", "2025-10-31", GOLD, "60m", SUMMER),
    ("r5 metals, 2025, first of winter", "2025-11-03", GOLD, "60m", WINTER),
    ("r5 metals, 2026, last of winter", "2026-03-06", GOLD, "60m", WINTER),
    ("r5 metals, 2026, first of summer", "2026-03-09", GOLD, "60m", SUMMER),
    ("r5 metals, 2026, last of summer", "2026-10-30", GOLD, "60m", SUMMER),
    ("r5 metals, 2026, first of winter", "2026-11-02", GOLD, "60m", WINTER),
    ("r5 farm goods", "2026-07-01", MENTHA, "60m", WHOLE),
    ("r5 farm goods in winter", "2026-01-07", MENTHA, "60m", WHOLE),
    ("r5 cotton", "2026-07-01", COTTON, "60m", {"09:00:00": "09:00-10:00", "21:00:00": "20:00-21:00"}),
    ("r5 cotton in winter", "2026-01-07", COTTON, "60m", {"20:59:59": "20:00-21:00", "21:00:00": "20:00-21:00"}),
    # Special days.
    ("r5 muhurat, cash", "2024-11-01", INFY, "60m", {
        "17:50:00": "auction_open", "18:00:00": "18:00-19:00", "19:00:00": "18:00-19:00", "19:15:00": "post"}),
    ("r5 muhurat, derivatives", "2024-11-01", OPTION, "60m", {"18:00:00": "18:00-19:00", "19:00:00": "18:00-19:00"}),
    ("r5 muhurat, currency", "2024-11-01", USDINR, "60m", {"18:00:00": "18:00-19:00", "19:00:00": "18:00-19:00"}),
    ("r5 muhurat, metals", "2024-11-01", GOLD, "60m", {"18:00:00": "18:00-19:00", "19:00:00": "18:00-19:00"}),
    ("r5 muhurat in the afternoon", "2025-10-21", INFY, "60m", {
        "13:40:00": "auction_open", "13:45:00": "13:45-14:45", "14:45:00": "13:45-14:45", "15:00:00": "post"}),
    ("r5 muhurat in the afternoon, derivatives", "2025-10-21", OPTION, "15m", {"14:44:59": "14:30-14:45"}),
    ("r5 saturday of two legs, cash", "2024-03-02", INFY, "60m", {
        "09:05:00": "auction_open", "09:15:00": "09:15-10:00", "10:00:00": "09:15-10:00", "11:30:00": "11:30-12:30",
        "12:30:00": "11:30-12:30", "12:45:00": "post"}),
    ("r5 saturday of two legs, derivatives", "2024-03-02", OPTION, "60m", {
        "09:15:00": "09:15-10:00", "11:30:00": "11:30-12:30", "12:30:00": "11:30-12:30"}),
    ("r5 the other one, derivatives", "2024-05-18", OPTION, "60m", {
        "09:15:00": "09:15-10:00", "11:30:00": "11:30-12:30", "12:30:00": "11:30-12:30"}),
    ("r5 saturday of the budget", "2025-02-01", INFY, "60m", OLD),
    ("r5 sunday of the budget", "2026-02-01", INFY, "60m", OLD),
    ("r5 sunday of the budget, near futures", "2026-02-01", FUTURE, "60m", {"09:07:58": "auction_open", **SHORT}),
    ("r5 sunday of the budget, metals", "2026-02-01", GOLD, "60m", WHOLE),
    ("r5 a holiday's evening in winter", "2026-03-03", GOLD, "60m", {
        "17:00:00": "17:00-18:00", "23:55:00": "23:00-23:55"}),
    ("r5 a holiday's evening in summer", "2026-05-28", GOLD, "60m", {
        "17:00:00": "17:00-18:00", "23:30:00": "23:00-23:30"}),
    ("r5 a holiday's evening, cotton", "2026-05-28", COTTON, "60m", {
        "17:00:00": "17:00-18:00", "21:00:00": "20:00-21:00"}),
    ("r5 new year has no evening", "2026-01-01", GOLD, "60m", WHOLE),
    # Bars start with their leg.
    ("r6 30m", "2026-07-01", INFY, "30m", {"09:15:00": "09:15-09:45", "09:45:00": "09:45-10:15"}),
    ("r6 60m", "2026-07-01", INFY, "60m", {"10:14:59": "09:15-10:15", "10:15:00": "10:15-11:15"}),
    ("r6 10m", "2026-07-01", INFY, "10m", {"09:24:59": "09:15-09:25", "09:25:00": "09:25-09:35"}),
    ("r6 60m of metals", "2026-07-01", GOLD, "60m", {"09:59:59": "09:00-10:00", "10:00:00": "10:00-11:00"}),
    ("r6 15m of a muhurat hour", "2024-11-01", INFY, "15m", {
        "18:00:00": "18:00-18:15", "18:15:00": "18:15-18:30", "18:30:00": "18:30-18:45", "18:45:00": "18:45-19:00"}),
    ("r6 30m of two legs", "2024-03-02", INFY, "30m", {
        "09:15:00": "09:15-09:45", "09:45:00": "09:45-10:00", "11:30:00": "11:30-12:00", "12:00:00": "12:00-12:30"}),
    ("r6 75m of a holiday's evening", "2026-03-03", GOLD, "75m", {
        "17:00:00": "17:00-18:15", "18:15:00": "18:15-19:30", "23:55:00": "23:15-23:55"}),
    ("r5 a closed day has ordinary hours if ticks come", "2026-01-26", INFY, "60m", {"09:15:00": "09:15-10:15"}),
    ("r6 30m of a holiday's evening", "2026-03-03", GOLD, "30m", {
        "17:29:59": "17:00-17:30", "23:54:59": "23:30-23:55"}),
    # The last one is a stub.
    ("r7 60m of cash", "2026-07-01", INFY, "60m", {"15:20:00": "15:15-15:30"}),
    ("r7 60m of derivatives since august", "2026-08-03", OPTION, "60m", {"15:20:00": "15:15-15:40"}),
    ("r7 60m of a closing auction has none", "2026-08-03", CAS, "60m", {"15:14:59": "14:15-15:15"}),
    ("r7 75m before august", "2026-07-31", OPTION, "75m", {"09:15:00": "09:15-10:30", "15:29:59": "14:15-15:30"}),
    ("r7 75m since august", "2026-08-03", OPTION, "75m", {"15:29:59": "14:15-15:30", "15:30:00": "15:30-15:40"}),
    ("r7 1m of 375", "2026-07-31", INFY, "1m", {"09:15:00": "09:15-09:16", "15:29:59": "15:29-15:30"}),
    ("r7 1m of 360", "2026-08-03", CAS, "1m", {"09:15:00": "09:15-09:16", "15:14:59": "15:14-15:15"}),
    ("r7 1m of 385", "2026-08-03", OPTION, "1m", {"09:15:00": "09:15-09:16", "15:39:59": "15:39-15:40"}),
    # From order entry to the first leg, match and buffer alike.
    ("r8 order entry", "2026-07-01", INFY, "1m", {"09:00:00": "auction_open", "09:15:00": "09:15-09:16"}),
    ("r8 match and buffer", "2026-07-01", INFY, "1m", {"09:08:30": "auction_open", "09:14:59": "auction_open"}),
    ("r8 on a muhurat evening", "2024-11-01", INFY, "1m", {"17:45:00": "auction_open", "18:00:00": "18:00-18:01"}),
    # After the close.
    ("r9 post-close before august", "2026-07-31", INFY, "15m", {"15:29:59": "15:15-15:30", "15:40:00": "post"}),
    ("r9 post-close since august", "2026-08-03", INFY, "15m", {"15:29:59": "15:15-15:30", "15:50:00": "post"}),
    ("r9 closing auction", "2026-08-03", CAS, "15m", {
        "15:14:59": "15:00-15:15", "15:30:41": "auction_close", "15:59:56": "post"}),
]  # fmt: skip
# With other options, the same day.
WAYS = [
    ("r8 fold", {"preopen": "fold"}, "2026-07-01", INFY, {"09:07:58": "09:15-10:15", "09:15:00": "09:15-10:15"}),
    ("r8 bar", {"preopen": "bar"}, "2026-07-01", INFY, {"09:07:58": "09:00-09:15", "09:15:00": "09:15-10:15"}),
    ("r8 drop", {"preopen": "drop"}, "2026-07-01", INFY, {"09:07:58": "dropped", "09:15:00": "09:15-10:15"}),
    ("r8 fold, near futures", {"preopen": "fold"}, "2025-12-08", FUTURE, {
        "09:07:58": "09:15-10:15", "09:20:00": "09:15-10:15"}),
    ("r8 bar, muhurat", {"preopen": "bar"}, "2024-11-01", INFY, {"17:50:00": "17:45-18:00", "18:00:00": "18:00-19:00"}),
    ("r9 bar", {"postclose": "bar"}, "2026-07-31", INFY, {"15:29:00": "15:15-15:30", "15:45:00": "15:40-16:00"}),
    ("r9 bar since august", {"postclose": "bar"}, "2026-08-03", INFY, {
        "15:29:00": "15:15-15:30", "15:55:00": "15:50-16:00"}),
    ("r9 drop", {"postclose": "drop"}, "2026-07-31", INFY, {"15:29:00": "15:15-15:30", "15:45:00": "dropped"}),
    ("r7 merged", {"tail": "merge"}, "2026-08-03", OPTION, {"14:20:00": "14:15-15:40", "15:39:00": "14:15-15:40"}),
    ("r7 merged, cash", {"tail": "merge"}, "2026-08-03", INFY, {"15:29:00": "14:15-15:30"}),
    ("r6 day", {"anchor": "day"}, "2024-03-02", INFY, {
        "09:20:00": "09:15-10:00", "11:40:00": "11:30-12:15", "12:20:00": "12:15-12:30"}),
    ("r6 midnight", {"anchor": "midnight"}, "2026-07-01", INFY, {"09:20:00": "09:15-10:00", "10:00:00": "10:00-11:00"}),
    ("r6 epoch", {"anchor": "epoch"}, "2026-07-01", INFY, {"09:20:00": "09:15-09:30", "09:30:00": "09:30-10:30"}),
]  # fmt: skip


def booked(m, token: int, interval: str) -> dict[str, int]:
    """Where the volume is: in bars by their span, and in accounts."""
    rows = {f"{label}-{m.label(row['end'])}": row["volume"] for label, row in m.bars(interval, token=token).items()}
    account = m.account(token)
    return {place: volume for place, volume in (rows | {name: account[name] for name in ACCOUNTS}).items() if volume}


def lived(engine, day: str, token: int, interval: str, clocks: dict[str, str], **options: str):
    """An engine after such a day, and what must be booked in it."""
    m = engine((interval,), date=day, options=options)
    if token in CLASSES:
        m.it.track(token, CLASSES[token])
    yesterday = date.fromordinal(date.fromisoformat(day).toordinal() - 1)
    # The cached tick of the day before: so the first of today misses nothing (R12).
    m.full(f"{yesterday} 12:00:00", 100.0, 77, token=token, rx=f"{day} 08:00:00")
    places: Counter[str] = Counter()
    for nth, (clock, place) in enumerate(clocks.items()):
        places[place] += 1 << nth
        m.full(clock, 100.0, (2 << nth) - 1, token=token)
    m.it.advance(m.at("23:59:59") + 60_000_000_000)
    return m, dict(places)


@pytest.mark.parametrize(
    ("day", "token", "interval", "clocks"), [row[1:] for row in DAYS], ids=[row[0].replace(" ", "_") for row in DAYS]
)
def test_ticks_are_booked_where_the_rules_say(engine, day, token, interval, clocks):
    m, places = lived(engine, day, token, interval, clocks)
    assert booked(m, token, interval) == places
    assert m.balanced(token)


@pytest.mark.parametrize(
    ("options", "day", "token", "clocks"), [row[1:] for row in WAYS], ids=[row[0].replace(" ", "_") for row in WAYS]
)
def test_ticks_are_booked_where_the_options_say(engine, options, day, token, clocks):
    m, places = lived(engine, day, token, "60m", clocks, **options)
    assert booked(m, token, "60m") == places
    assert m.balanced(token)


@pytest.mark.parametrize(
    ("day", "token", "interval", "clocks"), [row[1:] for row in DAYS], ids=[row[0].replace(" ", "_") for row in DAYS]
)
def test_market_hours_say_the_same(day, token, interval, clocks):
    hours, segment = MarketHours(), CLASSES.get(token) or class_of(token & 0xFF)
    on = date.fromisoformat(day)
    if not hours.is_trading_day(on, segment):
        assert hours.bar_starts(interval, on, segment).size == 0
        return
    starts = hours.bar_starts(interval, on, segment).tolist()
    legs = hours.sessions(on, segment).legs
    phases = {"auction_open": "preopen", "auction_close": "closing_auction", "post": "post_close"}
    assert all(a < b for a, b in pairwise(starts))
    for clock, place in clocks.items():
        at = ist(f"{day} {clock}")
        assert hours.phase(at, segment) == phases.get(place, "continuous"), clock
        if place not in phases:
            start, end = (ist(f"{day} {edge}:00") for edge in place.split("-"))
            assert start in starts
            assert start <= at <= end
            # It ends with the next one or with its leg.
            ends = [*starts, *(ist(f"{day} {leg.end:%H:%M:%S}") for leg in legs)]
            assert end == min(edge for edge in ends if edge > start)


@pytest.mark.parametrize(
    ("day", "segment", "minutes", "hours", "quarters"),
    [
        ("2026-07-31", "NSE", 375, 7, 5), ("2026-07-31", "cash_cas", 375, 7, 5), ("2026-07-31", "NFO", 375, 7, 5),
        ("2026-08-03", "NSE", 375, 7, 5), ("2026-08-03", "cash_cas", 360, 6, 5), ("2026-08-03", "NFO", 385, 7, 6),
        ("2024-11-01", "NSE", 60, 1, 1), ("2024-03-02", "NSE", 105, 2, 2), ("2026-03-03", "MCX", 415, 7, 6),
        ("2026-01-26", "NSE", 0, 0, 0), ("2026-11-21", "NSE", 0, 0, 0),
    ],
)  # fmt: skip
def test_r7_a_day_has_so_many_bars(day, segment, minutes, hours, quarters):
    on = date.fromisoformat(day)
    counts = [len(MarketHours().bar_starts(interval, on, segment)) for interval in ("1m", "60m", "75m")]
    assert counts == [minutes, hours, quarters]
    assert len(MarketHours().minutes(on, segment)) == minutes


@pytest.mark.parametrize("day", ["2026-07-31", "2026-08-03"])
def test_r5_r29_an_index_has_its_own_hours(engine, day):
    m = engine(("60m",), date=day)
    for price, clock in enumerate(("09:07:00", "09:15:00", "15:29:59", "15:30:00", "15:35:00"), start=25_000):
        m.index(float(price), clock)
    m.it.advance(m.at("23:59:59"))
    bars = m.bars("60m", token=NIFTY)
    assert [(label, m.label(row["end"]), row["open"], row["close"]) for label, row in bars.items()] == [
        ("09:15", "10:15", 25_001.0, 25_001.0), ("15:15", "15:30", 25_002.0, 25_003.0),
    ]  # fmt: skip


def test_r5_an_engine_takes_rows_of_ones_own(engine):
    rows = "cash | 2026-11-08 | 2026-11-08 | 17:45-18:00 | 18:00-19:00 | - | 19:10-19:20"
    clocks = {"17:50:00": "auction_open", "18:00:00": "18:00-19:00", "19:00:00": "18:00-19:00", "19:15:00": "post"}
    m, places = lived(engine, "2026-11-08", INFY, "60m", clocks, sessions=rows)
    assert booked(m, INFY, "60m") == places


def test_r8_indicative_prices_trade_nothing(engine):
    m = engine(("1m",), date="2026-08-03")
    for clock in ("09:00:10", "09:03:00", "09:07:59"):
        m.full("09:00:10", 288.0, 0, ets=clock)
    m.full("09:15:01", 291.0, 5)
    m.it.advance(m.at("09:30:00"))
    assert booked(m, INFY, "1m") == {"09:15-09:16": 5}
    assert m.bars("1m")["09:15"]["low"] == 291.0
    assert m.it.auctions(INFY)["open"] is None


def test_r9_the_days_close_is_the_price_of_the_closing_auction(engine):
    m = engine(("15m", "1d"), date="2026-08-03")
    m.it.track(CAS, "cash_cas")
    m.full("2026-07-31 12:00:00", 90.0, 77, token=CAS, rx="08:00:00")
    m.full("15:14:58", 100.0, 1_000, token=CAS)
    # From 15:15 on nothing trades: a reference price, then orders.
    for clock in ("15:15:00", "15:20:00", "15:29:59"):
        m.full("15:14:58", 100.5, 1_000, ets=clock, token=CAS)
    m.full("15:30:41", 101.0, 513_000, token=CAS)
    m.it.advance(m.at("2026-08-04 08:00:00"))
    assert list(m.bars("15m", token=CAS)) == ["15:00"]
    [day] = m.bars("1d", token=CAS).values()
    assert (day["close"], day["volume"]) == (101.0, 513_000)


@pytest.mark.parametrize(
    ("token", "dates", "clocks"),
    [
        (INFY, ("2026-07-31", "2026-08-03"), ("15:29:10", "09:15:01")),
        (INFY, ("2024-03-01", "2024-03-02"), ("15:29:10", "09:15:01")),
        (INFY, ("2024-10-31", "2024-11-01"), ("15:29:10", "18:00:01")),
        (GOLD, ("2026-03-02", "2026-03-03"), ("23:54:00", "17:00:01")),
        (GOLD, ("2026-10-30", "2026-11-02"), ("23:29:00", "09:00:01")),
        (OPTION, ("2026-07-31", "2026-08-03"), ("15:29:10", "09:15:01")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("first", [1_200, 9_100_001])
def test_r10_another_date_begins_at_zero_and_not_a_lower_volume(engine, token, dates, clocks, first):
    m = engine(("1m", "1d"), date=dates[0])
    m.full(f"{dates[0]} 09:30:00", 100.0, 9_000_000, token=token)
    m.full(f"{dates[0]} {clocks[0]}", 100.0, 9_100_000, token=token)
    m.full(f"{dates[1]} {clocks[1]}", 101.0, first, token=token, high=101, low=101)
    m.it.advance(m.at(f"{dates[1]} 23:59:59"))
    assert [row["volume"] for row in m.it.rows(token, "1m")] == [100_000, first]
    assert m.account(token)["baseline"] == 0
    [row] = m.it.rows(token, "1m")[1:]
    # Nor do yesterday's high and low reach into it.
    assert (row["high"], row["low"], row["flags"] & 3) == (101.0, 101.0, 0)


def test_r10_metals_never_trade_past_midnight(engine):
    for day in ("2026-07-01", "2026-01-07", "2026-03-03"):
        assert all(
            leg.end.date() == leg.start.date() for leg in MarketHours().sessions(date.fromisoformat(day), "MCX").legs
        )
    m = engine(("60m",), date="2026-01-07")
    m.full("23:54:00", 100.0, 0, token=GOLD)
    m.full("23:54:50", 100.0, 10, token=GOLD)
    m.full("2026-01-08 09:00:01", 100.0, 3, token=GOLD)
    m.it.advance(m.at("2026-01-08 12:00:00"))
    assert booked(m, GOLD, "60m") == {"23:00-23:55": 10, "09:00-10:00": 3}
