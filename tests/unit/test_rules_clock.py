"""R1-R10: clocks, buckets, sessions, auctions, the trading date. Each worked example of the rules is a test."""

from __future__ import annotations

import time

import pytest

from tests.machines import INFY, NIFTY, OPTION
from tests.oracle import frames

TIME_APPROX, PARTIAL, GAP, AUCTION = 8, 1, 2, 1024
MCX = 12345607
CAS = 738561


def trade_at(m, clock, volume, **rest):
    m.full(clock, 100.0, volume, **rest)


def labels(machine, interval, clocks, *, date, token=INFY, session=None):
    """The starts and ends of the bars that trades at these wall times make."""
    m = machine((interval,), date=date)
    if session:
        m.it.track(token, session)
    trade_at(m, clocks[0].rsplit(":", 1)[0] + ":00", 0, token=token)
    for volume, clock in enumerate(clocks, start=1):
        trade_at(m, clock, volume, token=token)
    m.it.advance(m.at("23:59:59") + 60_000_000_000)
    return [(label, m.label(row["end"])) for label, row in m.bars(interval, token=token).items()]


def test_r1_a_stamp_is_indian_time_whatever_the_zone_of_the_host(machine, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        m = machine(date="2021-07-05")
        assert m.at("10:41:27") == 1_625_461_887_000_000_000
        m.full("10:41:20", 100.0, 0)
        m.full("10:41:27", 100.0, 5)
        m.advance("10:43:00")
        assert [row["time"] for row in m.it.rows(INFY, "1m")] == [1_625_461_860_000_000_000]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_r2_volume_goes_to_the_bar_of_the_last_trade_time(machine):
    m = machine()
    m.full("09:15:40", 100.0, 1000)
    m.full("09:15:59", 100.05, 1040, ets="09:16:01")
    bar = m.forming()
    assert (m.label(bar["time"]), bar["close"], bar["volume"]) == ("09:15", 100.05, 40)
    m.advance("09:30:00")
    assert list(m.bars()) == ["09:15"]
    assert m.bars()["09:15"]["time_source"] == 1


def test_r2_the_watermark_is_the_highest_exchange_stamp(machine):
    m = machine()
    m.full("09:15:40", 100.0, 1000)
    m.full("09:15:59", 100.05, 1040, ets="09:16:01")
    assert m.bars() == {}
    m.full("09:15:59", 100.05, 1040, ets="09:16:02")
    assert list(m.bars()) == ["09:15"]


@pytest.mark.parametrize(
    ("bucket_by", "start", "source"), [("ltt", "09:15", 1), ("exchange", "09:16", 2), ("receive", "09:17", 3)]
)
def test_r2_bucket_by_chooses_the_clock(machine, bucket_by, start, source):
    m = machine(options={"bucket_by": bucket_by})
    m.full("09:15:40", 100.0, 1000)
    m.full("09:15:59", 100.05, 1040, ets="09:16:59", rx="09:17:00.5")
    m.advance("09:20:00")
    [bar] = m.bars().values()
    assert (m.label(bar["time"]), bar["time_source"]) == (start, source)
    assert bool(bar["flags"] & TIME_APPROX) == (bucket_by == "receive")


def test_r2_a_last_trade_time_after_the_exchange_stamp_falls_back_to_the_stamp(machine):
    m = machine()
    m.full("09:15:40", 100.0, 1000)
    m.full("09:16:03", 100.05, 1040, ets="09:15:58")
    assert (m.label(m.forming()["time"]), m.forming()["time_source"]) == ("09:15", 2)


def test_r2_quote_mode_has_only_the_receive_time_and_says_so(machine):
    m = machine()
    for clock, volume in (("09:15:30.9", 1000), ("09:15:50.9", 1040), ("09:16:00.5", 1050)):
        m.it.apply(frames.frame(frames.quote(INFY, 10005, volume)), m.at(clock))
    bar = m.forming()
    assert (m.label(bar["time"]), bar["volume"], bar["time_source"]) == ("09:15", 50, 3)
    assert bar["flags"] & TIME_APPROX


def test_r2_prorata_splits_a_delta_across_the_edge(machine):
    m = machine(options={"edge_split": "prorata"})
    m.full("09:15:50", 100.0, 0)
    m.full("09:15:56", 100.0, 100)
    m.full("09:16:02", 100.0, 160)
    m.advance("09:30:00")
    assert [row["volume"] for row in m.bars().values()] == [140, 20]
    assert m.balanced()


def test_r3_a_stamp_on_the_edge_opens_the_next_bar(machine):
    m = machine()
    m.full("09:19:58", 100.0, 0)
    m.full("09:20:00", 100.0, 5)
    m.advance("09:30:00")
    assert list(m.bars()) == ["09:20"]


@pytest.mark.parametrize(("interval", "start"), [("1m", "15:29"), ("5m", "15:25"), ("60m", "15:15")])
def test_r3_a_stamp_at_the_segment_end_belongs_to_the_last_bar(machine, interval, start):
    m = machine((interval,))
    m.full("15:29:50", 100.0, 0)
    m.full("15:30:00", 100.0, 5)
    m.advance("15:40:00")
    assert list(m.bars(interval)) == [start]
    assert m.label(m.bars(interval)[start]["end"]) == "15:30"


def test_r4_ticks_without_a_trade_never_open_a_bar(machine):
    m = machine()
    m.full("09:19:00", 12.0, 0, token=OPTION)
    m.full("09:20:10", 12.5, 75, token=OPTION)
    for second in range(300):
        clock = f"09:{20 + (second + 11) // 60}:{(second + 11) % 60:02}"
        m.full("09:20:10", 12.5, 75, ets=clock, token=OPTION, oi=second)
    m.advance("09:40:00")
    bars = m.bars(token=OPTION)
    assert list(bars) == ["09:20"]
    assert [bars["09:20"][k] for k in ("open", "high", "low", "close")] == [12.5] * 4


def test_r4_the_cached_first_tick_creates_nothing(machine):
    m = machine()
    m.full("2026-06-30 15:29:59", 99.0, 9_100_000, ets="2026-06-30 15:29:59", rx="09:10:00", high=120, low=80)
    m.full("09:15:01", 100.0, 40, high=100, low=100)
    m.advance("09:30:00")
    bar = m.bars()["09:15"]
    assert (bar["volume"], bar["high"], bar["low"], bar["flags"] & PARTIAL) == (40, 100.0, 100.0, 0)
    assert m.account()["baseline"] == 0


def test_r5_stocks_with_derivatives_trade_to_15_15_since_august_2026(machine):
    for date, expected in (("2026-07-31", ["15:14", "15:20"]), ("2026-08-03", ["15:14"])):
        m = machine(date=date)
        m.it.track(CAS, "cash_cas")
        m.full("15:13:00", 100.0, 0, token=CAS)
        m.full("15:14:30", 100.0, 10, token=CAS)
        m.full("15:20:30", 100.0, 20, token=CAS)
        m.advance("15:59:00")
        assert list(m.bars(token=CAS)) == expected
        assert m.balanced(CAS)


@pytest.mark.parametrize(("date", "expected"), [("2026-07-31", []), ("2026-08-03", ["15:35"])])
def test_r5_derivatives_trade_to_15_40_since_august_2026(machine, date, expected):
    m = machine(date=date)
    m.full("15:29:00", 100.0, 0, token=OPTION)
    m.full("15:35:30", 100.0, 10, token=OPTION)
    m.advance("15:59:00")
    assert list(m.bars(token=OPTION)) == expected


@pytest.mark.parametrize(("date", "expected"), [("2026-07-01", []), ("2026-01-07", ["23:40"])])
def test_r5_commodities_close_with_new_york(machine, date, expected):
    m = machine(date=date)
    m.full("23:20:00", 100.0, 0, token=MCX)
    m.full("23:40:10", 100.0, 10, token=MCX)
    m.it.advance(m.at("23:58:00"))
    assert list(m.bars(token=MCX)) == expected


@pytest.mark.parametrize(
    ("interval", "clocks", "starts", "where"),
    [
        ("30m", ["09:15:00", "09:44:59", "09:45:00"], ["09:15", "09:45"], {"date": "2026-07-01"}),
        ("60m", ["09:15:10", "10:14:59", "10:15:00"], ["09:15", "10:15"], {"date": "2026-07-01"}),
        ("10m", ["09:15:10", "09:24:59", "09:25:00"], ["09:15", "09:25"], {"date": "2026-07-01"}),
        ("60m", ["09:00:10", "10:00:00"], ["09:00", "10:00"], {"date": "2026-07-01", "token": MCX}),
        ("15m", ["18:00:10", "18:15:00", "18:45:00"], ["18:00", "18:15", "18:45"], {"date": "2024-11-01"}),
        ("30m", ["09:15:10", "09:45:00", "11:30:00"], ["09:15", "09:45", "11:30"], {"date": "2024-03-02"}),
    ],
)  # fmt: skip
def test_r6_bars_are_anchored_at_the_start_of_the_leg(machine, interval, clocks, starts, where):
    assert [start for start, _ in labels(machine, interval, clocks, **where)] == starts


@pytest.mark.parametrize(
    ("anchor", "starts"),
    [
        ("leg", ["09:15", "11:30"]),
        ("midnight", ["09:15", "12:00"]),
        ("epoch", ["09:15", "11:30"]),
        ("day", ["09:15", "11:30"]),
    ],
)
def test_r6_the_anchor_can_be_chosen(machine, anchor, starts):
    m = machine(("60m",), date="2024-03-02", options={"anchor": anchor})
    m.full("09:15:00", 100.0, 0)
    m.full("09:20:00", 100.0, 1)
    m.full("12:10:00", 100.0, 2)
    m.it.advance(m.at("13:00:00"))
    assert list(m.bars("60m")) == starts


@pytest.mark.parametrize(
    ("interval", "clock", "span", "where"),
    [
        ("60m", "15:20:00", ("15:15", "15:30"), {"date": "2026-08-05"}),
        ("60m", "15:20:00", ("15:15", "15:40"), {"date": "2026-08-05", "token": OPTION}),
        ("60m", "14:20:00", ("14:15", "15:15"), {"date": "2026-08-05", "token": CAS, "session": "cash_cas"}),
        ("75m", "14:20:00", ("14:15", "15:30"), {"date": "2026-07-01"}),
        ("75m", "15:35:00", ("15:30", "15:40"), {"date": "2026-08-05", "token": OPTION}),
    ],
)
def test_r7_the_last_bar_is_a_stub_that_ends_with_the_leg(machine, interval, clock, span, where):
    assert labels(machine, interval, [clock], **where) == [span]


def test_r7_a_stub_can_be_merged(machine):
    m = machine(("60m",), options={"tail": "merge"})
    m.full("14:20:00", 100.0, 0)
    m.full("14:30:00", 100.0, 1)
    m.full("15:29:00", 100.0, 2)
    m.advance("15:45:00")
    assert [(start, m.label(row["end"]), row["volume"]) for start, row in m.bars("60m").items()] == [
        ("14:15", "15:30", 2)
    ]


def auction_day(machine, **options):
    """The numbers of R8: auction 290 with 132,803 shares, then the first continuous tick at 291."""
    m = machine(("1m", "5m"), options=options)
    m.full("09:00:10", 288.0, 0, ets="09:00:10")
    m.full("09:00:10", 289.0, 0, ets="09:05:00")
    m.full("09:07:58", 290.0, 132_803)
    m.full("09:15:01", 291.0, 140_000)
    m.advance("09:30:00")
    assert m.balanced()
    return m


def test_r8_separate_keeps_the_auction_out_of_the_first_bar(machine):
    m = auction_day(machine)
    bar = m.bars()["09:15"]
    assert (bar["open"], bar["volume"]) == (291.0, 7_197)
    found = m.it.auctions(INFY)["open"]
    assert (found["price"], found["volume"], found["time"]) == (290.0, 132_803, m.at("09:07:58"))
    assert m.account()["auction_open"] == 132_803


def test_r8_fold_starts_the_first_bar_with_the_auction(machine):
    m = auction_day(machine, preopen="fold")
    for interval in ("1m", "5m"):
        bar = m.bars(interval)["09:15"]
        assert (bar["open"], bar["low"], bar["high"], bar["close"], bar["volume"]) == (
            290.0,
            290.0,
            291.0,
            291.0,
            140_000,
        )
        assert bar["flags"] & AUCTION


def test_r8_fold_values_a_print_as_it_was_when_it_came(machine):
    m = machine(options={"preopen": "fold"})
    m.full("09:07:00", 100.0, 100, average=100.0)
    # 100 shares at 100.4 by the average, whatever the last price; a rollback ends that only for what comes later.
    m.full("09:07:10", 101.0, 200, average=100.2)
    for second in range(11, 16):
        m.full(f"09:07:{second}", 100.0, 150, average=100.2)
    m.full("09:15:01", 100.0, 250, average=100.2)
    assert m.account()["rebased"] == 50
    bar = m.forming()
    assert (bar["volume"], bar["vwap"]) == (300, (20_000 * 100 + 2_008_300 + 20_000 * 100) / (2 * 300 * 100))


def test_r8_fold_lets_the_average_bound_a_tick_after_a_print_without_one(machine):
    m = machine(options={"preopen": "fold"})
    m.full("09:07:00", 100.0, 100)
    m.full("09:07:10", 100.0, 200, average=100.0)
    m.full("09:15:01", 101.0, 300, average=100.1)
    # The first two have no average to go by; the third was traded at 100.3 or a little above.
    value = 20_000 * 200 + 300 * 20_021 - 200 * 19_999
    assert m.forming()["vwap"] == value / (2 * 300 * 100)


@pytest.mark.parametrize(("late", "volume"), [(4_025, 5_025), (3_950, 5_000)])
def test_r8_fold_starts_a_first_bar_that_opened_late_with_the_auction(machine, late, volume):
    m = machine(("1m", "5m", "7s"), options={"preopen": "fold"})
    m.full("09:07:30", 100.0, 5_000)
    # A rollback is believed before any bar is open, so what is reordered behind it opens the first.
    for second in (11, 15, 28):
        m.full(f"09:15:{second}", 101.0, 4_000)
    m.full("09:15:27", 102.0, late, ets="09:15:28")
    assert (m.account()["rebased"], m.account()["auction_open"]) == (1_000, 0)
    bar = m.forming()
    assert (bar["open"], bar["close"], bar["volume"], bar["ticks"]) == (100.0, 102.0, volume, 2)
    assert bar["flags"] & AUCTION
    assert m.balanced()
    m.full("09:16:00", 103.0, 4_100)
    assert not m.forming()["flags"] & AUCTION
    assert (m.forming()["volume"], m.account()["bars"]) == (5_100 - volume, 5_100)
    assert m.forming("5m")["volume"] == 5_100
    assert m.balanced()


def test_r8_fold_leaves_out_what_nobody_got_between_the_auction_and_the_first_bar(machine):
    m = machine(("1m", "5m", "7s"), options={"preopen": "fold"})
    m.full("09:07:10", 99.0, 2_000)
    m.full("09:07:30", 100.0, 5_000)
    m.advance("09:25:00")
    m.full("09:15:01", 101.0, 5_025, ets="09:25:01")
    assert m.account()["unattributed"] == 25
    m.full("09:25:10", 102.0, 5_100)
    for interval in ("1m", "5m", "7s"):
        bar = m.forming(interval)
        assert (bar["open"], bar["low"], bar["volume"], bar["ticks"]) == (99.0, 99.0, 5_075, 3)
    assert m.balanced()


def test_r8_the_days_open_opens_a_first_bar_that_opened_late(machine):
    m = machine(options={"open_source": "day_open"})
    m.full("09:07:30", 100.0, 5_000)
    for second in (11, 15, 28):
        m.full(f"09:15:{second}", 101.0, 4_000, open=99.0)
    m.full("09:15:27", 102.0, 4_025, ets="09:15:28", open=99.0)
    assert m.forming()["open"] == 99.0
    m.full("09:16:00", 103.0, 4_100, open=99.0)
    assert m.forming()["open"] == 103.0


def test_r8_bar_gives_the_auction_a_bar_of_its_own(machine):
    m = auction_day(machine, preopen="bar")
    for interval in ("1m", "5m"):
        assert [(start, row["volume"]) for start, row in m.bars(interval).items()] == [
            ("09:00", 132_803),
            ("09:15", 7_197),
        ]
        assert m.label(m.bars(interval)["09:00"]["end"]) == "09:15"
        assert m.bars(interval)["09:00"]["flags"] & AUCTION


def test_r8_drop_books_the_auction_as_dropped(machine):
    m = auction_day(machine, preopen="drop")
    assert m.bars()["09:15"]["volume"] == 7_197
    assert m.account()["dropped"] == 132_803


def test_r8_the_days_open_can_open_the_first_bar(machine):
    m = machine(options={"open_source": "day_open"})
    m.full("09:00:10", 288.0, 0)
    m.full("09:07:58", 290.0, 132_803, open=290.0)
    m.full("09:15:01", 291.0, 140_000, open=290.0)
    m.full("09:16:01", 291.0, 140_100, open=290.0)
    m.advance("09:30:00")
    assert [row["open"] for row in m.bars().values()] == [290.0, 291.0]


def test_r9_volume_after_the_close_is_in_no_bar(machine):
    m = machine(("1m", "60m"), date="2026-08-05")
    m.full("15:29:50", 100.0, 8_799_000)
    m.full("15:29:59", 100.0, 8_800_000)
    m.full("15:59:56", 100.0, 8_871_172, ets="16:58:06")
    m.advance("17:00:00")
    assert list(m.bars()) == ["15:29"]
    assert m.bars()["15:29"]["volume"] == 1_000
    assert m.account()["post"] == 71_172
    assert m.account()["last"] == 8_871_172
    assert m.balanced()


def test_r9_a_bar_after_the_close_has_no_volume_from_before_it(machine):
    m = machine(options={"postclose": "bar"})
    for clock, quantity in (("15:50:14", 75), ("15:35:11", 1), ("15:28:00", 2), ("15:50:22", 1)):
        m.it.push(INFY, 100.0, time_ns=m.at(clock), quantity=quantity)
    assert (m.forming()["volume"], m.balanced()) == (76, True)


def test_r8_an_auction_trade_that_shows_after_the_open_takes_nothing_from_the_first_bar(machine):
    m = machine(options={"preopen": "bar"})
    m.full("09:07:58", 100.0, 500)
    m.full("09:15:00", 101.0, 800)
    m.full("09:07:59", 100.0, 900, ets="09:15:03")
    m.advance("09:30:00")
    assert {start: row["volume"] for start, row in m.bars().items()} == {"09:00": 600, "09:15": 300}
    assert m.balanced()


def test_r13_a_gap_tick_opens_the_auctions_bar_past_its_window_if_there_is_no_later_one(machine):
    m = machine(("1m", "5m"), options={"preopen": "bar"})
    m.full("09:00:10", 100.0, 0)
    m.it.disconnected(m.at("09:00:11"))
    m.advance("09:20:00")
    m.full("09:07:58", 101.0, 500, ets="09:20:01")
    m.full("09:20:02", 102.0, 700)
    m.it.disconnected(m.at("09:20:03"))
    m.full("09:07:59", 101.0, 800, ets="09:20:04")
    m.advance("09:30:00")
    for interval in m.intervals:
        assert {start: row["volume"] for start, row in m.bars(interval).items()} == {"09:00": 500, "09:20": 200}
    assert (m.account()["unattributed"], m.balanced()) == (100, True)


def test_r13_an_auction_trade_that_ran_backwards_ends_a_gap_in_its_own_bar(machine):
    m = machine(options={"preopen": "bar"})
    m.full("09:07:58", 100.0, 500)
    m.it.disconnected(m.at("09:07:59"))
    m.full("09:07:57", 100.0, 600, ets="09:08:10")
    m.full("09:15:05", 101.0, 800)
    m.advance("09:30:00")
    assert {start: row["flags"] & GAP for start, row in m.bars().items()} == {"09:00": 0, "09:15": 0}


def test_r13_a_gap_that_ends_before_it_began_uncovers_nothing(machine):
    m = machine(options={"preopen": "bar"})
    m.full("09:07:58", 100.0, 500)
    m.full("09:15:00", 101.0, 800)
    m.it.disconnected(m.at("09:15:02"))
    m.full("09:07:59", 100.0, 900, ets="09:15:02")
    bar = m.forming()
    assert (bar["flags"] & GAP, bar["coverage"]) == (GAP, 1.0)


def test_r8_the_first_trade_after_the_auction_shares_nothing_with_its_bar(machine):
    m = machine(options={"preopen": "bar", "edge_split": "prorata"})
    m.full("09:07:58", 100.0, 500, ets="09:14:50")
    m.full("09:15:05", 101.0, 800)
    m.advance("09:30:00")
    assert {start: row["volume"] for start, row in m.bars().items()} == {"09:00": 500, "09:15": 300}


def test_r25_the_first_tick_after_the_auction_closes_its_bar(machine):
    m = machine(("1m", "5m", "7s"), options={"preopen": "bar", "close_on": "next_tick"})
    m.full("09:07:58", 100.0, 500)
    m.full("09:15:00", 101.0, 800)
    assert [list(m.bars(interval)) for interval in m.intervals] == [["09:00"]] * 3


def test_r25_the_first_tick_after_the_close_closes_the_last_bars(machine):
    m = machine(("1m", "5m", "7s"), options={"postclose": "bar", "close_on": "next_tick", "grace": 3_600.0})
    m.full("15:29:30", 100.0, 1_000)
    m.full("15:29:40", 100.0, 1_100)
    m.full("15:41:00", 100.0, 1_200)
    assert [list(m.bars(interval)) for interval in m.intervals] == [["15:29"], ["15:25"], ["15:29:37"]]


def test_r9_a_trade_of_the_post_close_that_shows_after_its_end_takes_nothing_from_there(machine):
    m = machine(options={"postclose": "bar"})
    m.full("15:29:00", 100.0, 1_000)
    m.full("15:59:58", 100.0, 1_075)
    m.full("16:00:02", 100.0, 1_200)
    m.full("15:59:59", 100.0, 1_225, ets="16:00:03")
    m.advance("16:30:00")
    assert {start: row["volume"] for start, row in m.bars().items()} == {"15:40": 100}
    assert (m.account()["post"], m.balanced()) == (125, True)


def test_r30_the_first_bar_starts_with_the_auctions_open_interest_when_that_is_final(machine):
    m = machine(options={"preopen": "bar"})
    m.full("09:07:58", 100.0, 500, oi=10)
    m.full("09:07:58", 100.0, 500, ets="09:14:59", oi=11)
    m.full("09:07:58", 100.0, 500, ets="09:16:02", oi=12)
    m.full("09:15:58", 101.0, 800, ets="09:16:03", oi=13)
    m.advance("09:30:00")
    assert {start: row["oi"] for start, row in m.bars().items()} == {"09:00": 11, "09:15": 11}


def test_r30_the_post_closes_bar_follows_the_last_bar_of_its_own_base(machine):
    m = machine(("1m", "30s"), options={"postclose": "bar"})
    m.full("15:25:05", 100.0, 1_000, oi=9)
    m.full("15:25:10", 100.0, 1_100, oi=10)
    m.full("15:25:10", 100.0, 1_100, ets="15:25:40", oi=20)
    m.full("15:25:10", 100.0, 1_100, ets="16:00:01", oi=30)
    m.full("15:59:59", 100.0, 1_200, ets="16:00:02", oi=40)
    m.advance("16:30:00")
    assert (m.bars("1m")["15:40"]["oi"], m.bars("30s")["15:40"]["oi"]) == (20, 10)


def test_r9_the_closing_auction_is_no_bar(machine):
    m = machine(("15m",), date="2026-08-05")
    m.it.track(CAS, "cash_cas")
    m.full("15:14:00", 100.0, 1_000_000, token=CAS)
    m.full("15:14:58", 100.0, 1_000_500, token=CAS)
    for clock in ("15:16:00", "15:25:00"):
        m.full("15:14:58", 100.5, 1_000_500, ets=clock, token=CAS)
    m.full("15:30:41", 101.0, 1_512_500, token=CAS)
    m.advance("15:45:00")
    assert list(m.bars("15m", token=CAS)) == ["15:00"]
    found = m.it.auctions(CAS)["close"]
    assert (found["price"], found["volume"]) == (101.0, 512_000)
    assert m.account(CAS)["auction_close"] == 512_000


def test_r10_a_new_date_starts_the_volume_from_zero(machine):
    m = machine()
    m.full("15:28:00", 100.0, 9_000_000)
    m.full("15:29:10", 100.0, 9_100_000)
    m.full("2026-07-02 09:15:01", 101.0, 1_200)
    m.it.advance(m.at("2026-07-02 09:20:00"))
    assert [(start, row["volume"]) for start, row in m.bars().items()] == [("15:29", 100_000), ("09:15", 1_200)]
    assert m.account()["baseline"] == 0
    assert m.it.stats.get("late_dropped", 0) == 0


def test_r10_the_first_packet_of_a_new_date_may_have_no_volume(machine):
    m = machine()
    m.full("15:28:00", 100.0, 9_000_000)
    m.full("15:29:10", 100.0, 9_100_000)
    m.full("15:29:10", 101.0, 0, ets="2026-07-02 09:00:00", ltt_absent=True)
    m.full("2026-07-02 09:15:01", 101.0, 1_200)
    m.it.advance(m.at("2026-07-02 09:20:00"))
    assert [(start, row["volume"]) for start, row in m.bars().items()] == [("15:29", 100_000), ("09:15", 1_200)]


def test_r29_an_index_is_bucketed_by_the_exchange_stamp(machine):
    m = machine()
    m.index(25_000.0, "09:07:00")
    m.index(25_012.3, "09:15:00")
    m.index(25_010.0, "09:15:30")
    m.index(25_011.0, "09:15:59")
    m.advance("09:20:00")
    bar = m.bars(token=NIFTY)["09:15"]
    assert [bar[k] for k in ("open", "high", "low", "close", "volume", "ticks")] == [
        25_012.3,
        25_012.3,
        25_010.0,
        25_011.0,
        0,
        3,
    ]
    assert bar["vwap"] != bar["vwap"]
    assert bar["flags"] & 16
    assert bar["time_source"] == 2


def test_r2_a_pushed_stamp_ahead_of_its_receipt_moves_nobodys_clock(machine):
    m = machine()
    for second in range(3):
        clock = f"10:00:0{second + 1}"
        m.it.push(INFY, 100.0, time_ns=m.at(clock), quantity=5, received_ns=m.at(clock))
        # Indian time that was taken for UTC, say.
        m.it.push(OPTION, 50.0, time_ns=m.at("15:30:00"), quantity=1, received_ns=m.at(clock))
    assert m.forming()["volume"] == 15
    assert m.forming(token=OPTION)["volume"] == 3
    assert m.forming(token=OPTION)["flags"] & TIME_APPROX
    assert m.it.stats["bad_stamps"] == 3


def test_r2_a_pushed_stamp_may_run_ahead_a_little(machine):
    m = machine()
    m.it.push(INFY, 100.0, time_ns=m.at("10:01:01"), quantity=5, received_ns=m.at("10:00:01"))
    assert m.label(m.forming()["time"]) == "10:01"
    assert m.it.stats["bad_stamps"] == 0


@pytest.mark.parametrize("baseline", [None, 0])
@pytest.mark.parametrize("way", ["quote", "push"])
def test_r4_volume_without_a_stamp_before_the_hours_is_an_earlier_dates(machine, way, baseline):
    m = machine()
    if baseline is not None:
        m.it.track(INFY, baseline_volume=baseline)

    def tell(clock, volume):
        if way == "quote":
            m.it.apply(frames.frame(frames.quote(INFY, 10000, volume)), m.at(clock))
        else:
            m.it.push(INFY, 100.0, time_ns=None, cumulative_volume=volume, received_ns=m.at(clock))

    for clock in ("08:50:00", "08:59:59"):
        tell(clock, 9_000_000)
    assert m.it.stats["stale"] == 2
    for nth in range(1, 4):
        tell(f"09:15:0{nth + 1}", 1_200 * nth)
    assert m.forming()["volume"] == 3_600
    assert not m.forming()["flags"] & PARTIAL
    assert m.account() | {"bars": 3_600, "last": 3_600, "baseline": 0, "unattributed": 0} == m.account()


def test_r4_volume_without_a_stamp_after_midnight_leaves_the_old_date_alone(machine):
    m = machine()
    m.it.apply(frames.frame(frames.quote(INFY, 10000, 500)), m.at("15:00:00"))
    m.it.apply(frames.frame(frames.quote(INFY, 10000, 9_000)), m.at("2026-07-02 08:00:00"))
    assert (m.it.stats["stale"], m.account()["last"]) == (1, 500)
    m.it.apply(frames.frame(frames.quote(INFY, 10000, 40)), m.at("2026-07-02 09:15:03"))
    assert (m.forming()["volume"], m.account()["baseline"]) == (40, 0)


def test_r4_a_quantity_without_a_stamp_before_the_hours_is_a_trade(machine):
    m = machine()
    m.it.push(INFY, 100.0, time_ns=None, quantity=7, received_ns=m.at("08:50:00"))
    m.it.push(INFY, 100.0, time_ns=None, quantity=7, received_ns=m.at("08:50:05"))
    assert (m.account()["unattributed"], m.it.stats.get("stale", 0)) == (14, 0)


def test_r10_yesterdays_volume_is_stale_after_a_night_without_a_line_too(machine):
    m = machine()
    for clock, volume in (("15:00:00", 500), ("15:00:05", 9_000)):
        m.it.apply(frames.frame(frames.quote(INFY, 10000, volume)), m.at(clock))
    m.it.disconnected(m.at("15:31:00"))
    # In the pre-open something may have traded, but not this.
    m.it.apply(frames.frame(frames.quote(INFY, 10000, 9_000)), m.at("2026-07-02 09:05:00"))
    assert m.it.stats["stale"] == 1
    for clock, volume in (("09:15:02", 40), ("09:15:03", 100)):
        m.it.apply(frames.frame(frames.quote(INFY, 10000, volume)), m.at(f"2026-07-02 {clock}"))
    assert (m.forming()["volume"], m.account()["baseline"]) == (100, 0)
    assert not m.it.stats.get("rollbacks", 0)


@pytest.mark.parametrize("quantity", [7, 8])
def test_r10_a_quantity_without_a_stamp_on_a_new_date_is_a_trade_however_large(machine, quantity):
    m = machine()
    m.it.push(INFY, 100.0, time_ns=None, quantity=7, received_ns=m.at("15:00:00"))
    m.it.push(INFY, 100.0, time_ns=None, quantity=quantity, received_ns=m.at("2026-07-02 10:00:00"))
    assert (m.forming()["volume"], m.account()["baseline"], m.it.stats.get("stale", 0)) == (quantity, 0, 0)
