"""R11-R16 and R32-R34: volume, first contact, gaps, rollbacks, history. Each worked example of the rules is a test."""

from __future__ import annotations

import numpy as np
import pytest

from tests.machines import INFY, NIFTY, OPTION, plain
from tests.oracle import frames

PARTIAL, GAP, VOL_REBASED, NO_VOLUME, REPAIRED = 1, 2, 256, 16, 2048
MINUTE = 60_000_000_000


def volumes(m, interval="1m"):
    return {start: row["volume"] for start, row in m.bars(interval).items()}


def test_r11_everything_traded_is_booked_once(machine):
    m = machine(("1m", "5m", "7s"), date="2026-08-05")
    m.full("09:07:30", 100.0, 500)
    for minute in range(15, 40):
        m.full(f"09:{minute}:17", 100.0 + minute, 1_000 * minute)
        m.full(f"09:{minute}:16", 100.0 + minute, 1_000 * minute - 300, ets=f"09:{minute}:18")
        assert m.balanced()
    m.full("15:55:00", 100.0, 50_000)
    m.advance("16:10:00")
    account = m.account()
    assert (account["last"], account["auction_open"], account["post"]) == (50_000, 500, 11_000)
    assert m.balanced()
    assert sum(volumes(m, "1m").values()) == sum(volumes(m, "5m").values()) == sum(volumes(m, "7s").values()) == 38_500


def test_r11_an_odd_snapshot_is_left_out_and_its_volume_comes_with_the_next(machine):
    m = machine()
    m.full("10:00:01", 100.0, 1_000)
    m.full("10:00:10", 250.0, 1_400, high=101.0, low=99.0)
    m.full("10:00:11", 100.0, 1_500, high=101.0, low=99.0)
    m.advance("10:02:00")
    bar = m.bars()["10:00"]
    assert (bar["volume"], bar["high"], bar["ticks"]) == (500, 100.0, 1)


def test_r12_connected_before_the_first_trade_the_first_bar_is_complete(machine):
    m = machine()
    m.full("2026-06-30 15:29:59", 99.0, 9_100_000, ets="2026-06-30 15:29:59", rx="09:14:30")
    m.full("09:15:03", 100.0, 700)
    m.advance("09:17:00")
    bar = m.bars()["09:15"]
    assert (bar["volume"], bar["flags"] & PARTIAL, bar["coverage"]) == (700, 0, 1.0)


def test_r12_a_zero_volume_is_a_baseline_too(machine):
    m = machine()
    m.full("09:14:59", 99.0, 0, ltt_absent=True)
    m.full("09:15:03", 100.0, 700)
    m.advance("09:17:00")
    assert (m.bars()["09:15"]["volume"], m.bars()["09:15"]["flags"] & PARTIAL) == (700, 0)


def joined(machine):
    m = machine(("1m", "5m", "60m"))
    m.full("10:02:29", 100.0, 500_000, ets="10:02:30")
    m.full("10:02:50", 100.5, 500_900)
    return m


def test_r12_joined_mid_session_the_first_volume_is_the_baseline(machine):
    m = joined(machine)
    m.full("10:03:05", 100.5, 501_000)
    m.full("10:04:05", 100.5, 501_300)
    m.advance("10:06:00")
    assert volumes(m) == {"10:02": 900, "10:03": 100, "10:04": 300}
    assert [row["flags"] & PARTIAL for row in m.bars().values()] == [PARTIAL, 0, 0]
    assert m.bars()["10:02"]["coverage"] == pytest.approx(0.5, abs=1e-4)
    assert m.account()["baseline"] == 500_000


def test_r12_every_higher_bar_that_contains_the_join_is_partial(machine):
    m = joined(machine)
    m.full("11:20:00", 100.5, 501_000)
    m.advance("12:20:00")
    assert {start: row["flags"] & PARTIAL for start, row in m.bars("5m").items()} == {"10:00": PARTIAL, "11:20": 0}
    assert {start: row["flags"] & PARTIAL for start, row in m.bars("60m").items()} == {"09:15": PARTIAL, "11:15": 0}


def test_r12_the_higher_bar_is_partial_even_if_the_minute_of_the_join_had_no_trade(machine):
    m = machine(("1m", "5m"))
    m.full("10:02:29", 100.0, 500_000, ets="10:02:30")
    m.full("10:03:50", 100.5, 500_900)
    m.advance("10:06:00")
    assert m.bars()["10:03"]["flags"] & PARTIAL == 0
    assert m.bars("5m")["10:00"]["flags"] & PARTIAL


def test_r12_a_change_from_ltp_to_full_mode_counts_no_volume_twice(machine):
    m = machine()
    for clock in ("10:00:01", "10:00:02"):
        m.it.apply(frames.frame(frames.ltp(INFY, 10_000)), m.at(clock))
    m.full("10:00:03", 100.0, 500_000)
    m.full("10:00:09", 100.0, 500_010)
    m.advance("10:02:00")
    assert volumes(m) == {"10:00": 10}
    assert m.account()["baseline"] == 500_000
    assert m.bars()["10:00"]["flags"] & NO_VOLUME


def gap(machine, **options):
    """R13: 1,800 live in 10:00, the line drops at 10:00:20 with V 50,000 and is back at 10:03:10 with 62,000."""
    m = machine(("1m", "5m"), options=options)
    m.full("10:00:00", 100.0, 48_200, ets="09:59:59", high=101.0)
    m.full("10:00:19", 100.0, 50_000, ets="10:00:20", high=101.0)
    m.index(25_000.0, "10:00:20")
    m.it.disconnected(m.at("10:00:20"))
    m.it.connected(m.at("10:03:10"))
    m.index(25_000.0, "10:03:09")
    m.full("10:03:09", 100.2, 62_000, ets="10:03:10", high=105.0)
    return m


def test_r13_after_a_gap_the_delta_goes_to_the_bar_of_the_trade_flagged(machine):
    m = gap(machine)
    m.advance("10:06:00")
    bars = m.bars()
    assert {start: row["volume"] for start, row in bars.items()} == {"10:00": 1_800, "10:03": 12_000}
    assert [bool(row["flags"] & GAP) for row in bars.values()] == [False, True]
    assert m.balanced()


def test_r13_extremes_of_a_gap_that_spans_an_edge_are_not_used(machine):
    m = gap(machine)
    m.advance("10:06:00")
    assert m.bars()["10:03"]["high"] == 100.2


def test_r13_the_bar_that_the_gap_began_in_is_flagged_while_it_can_change(machine):
    m = machine(("1m", "7s"))
    m.full("10:00:00", 100.0, 48_200)
    m.full("10:00:10", 100.0, 50_000)
    m.it.disconnected(m.at("10:00:12"))
    m.full("10:00:40", 100.0, 51_000)
    m.advance("10:02:00")
    bar = m.bars()["10:00"]
    assert bar["flags"] & GAP
    assert bar["coverage"] == pytest.approx(0.5, abs=1e-4)


def test_r13_a_gap_that_begins_with_the_legs_last_stamp_began_in_its_last_bar(machine):
    m = machine()
    m.full("15:29:51", 100.0, 275)
    m.full("15:29:59", 100.0, 300, ets="15:30:00")
    m.it.disconnected(m.at("15:30:02"))
    m.full("15:30:03", 100.0, 375, ets="15:30:06")
    assert m.bars()["15:29"]["flags"] & GAP


def test_r13_an_excluded_gap_leaves_the_auction_in_the_first_bar(machine):
    m = machine(options={"preopen": "fold", "gap_volume": "exclude"})
    m.full("09:07:00", 100.0, 300)
    m.it.disconnected(m.at("09:10:00"))
    m.full("09:15:14", 100.0, 450)
    assert (m.forming()["volume"], m.account()["unattributed"]) == (300, 150)
    assert m.balanced()


def test_r12_a_quantity_after_prices_alone_is_counted(machine):
    m = machine()
    for clock in ("10:00:01", "10:00:02"):
        m.it.push(INFY, 100.0, time_ns=m.at(clock))
    m.it.push(INFY, 100.0, time_ns=m.at("10:00:03"), quantity=7)
    assert (m.forming()["volume"], m.account()["baseline"]) == (7, 0)


def test_r12_a_quantity_is_counted_above_a_known_baseline(machine):
    m = machine()
    m.it.track(INFY, baseline_volume=1_000)
    m.it.push(INFY, 100.0, time_ns=m.at("10:00:03"), quantity=7)
    assert (m.forming()["volume"], m.account()["baseline"], m.account()["last"]) == (7, 1_000, 1_007)


def test_r12_a_quantity_on_a_new_date_is_counted_after_a_disconnection(machine):
    m = machine()
    m.it.push(INFY, 100.0, time_ns=m.at("10:00:03"), quantity=7)
    m.it.disconnected(m.at("10:00:05"))
    m.it.push(INFY, 100.0, time_ns=m.at("2026-07-02 10:00:03"), quantity=9)
    assert (m.forming()["volume"], m.account()["baseline"]) == (9, 0)


def test_r11_what_a_final_bar_dropped_is_in_no_later_one(machine):
    m = machine()
    for clock, volume in (("10:00:01", 100), ("10:00:59", 180), ("10:01:01", 200)):
        m.it.push(INFY, 100.0, time_ns=m.at(clock), cumulative_volume=volume, received_ns=m.at(clock))
    m.full("10:01:40", 100.0, 1, token=OPTION)
    m.it.push(INFY, 100.0, time_ns=m.at("10:00:30"), cumulative_volume=300, received_ns=m.at("10:01:41"))
    assert (m.forming()["volume"], m.account()["unattributed"]) == (20, 100)
    assert m.balanced()


def test_r13_excluded_gap_volume_is_unattributed(machine):
    m = gap(machine, gap_volume="exclude")
    m.full("10:03:20", 100.3, 62_100)
    m.advance("10:06:00")
    assert volumes(m) == {"10:00": 1_800, "10:03": 100}
    assert m.bars()["10:03"]["open"] == 100.2
    assert m.account()["unattributed"] == 12_000
    assert m.balanced()


def test_r13_a_silence_is_a_gap_when_the_others_went_on(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000)
    m.full("10:00:10", 100.0, 1_100)
    m.index(25_000.0, "10:00:20")
    m.full("10:00:21", 100.0, 1_200)
    m.advance("10:02:00")
    assert m.bars()["10:00"]["flags"] & GAP


def test_r13_a_quote_after_a_disconnection_missed_nothing(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000)
    m.full("10:00:10", 100.0, 1_100)
    m.it.disconnected(m.at("10:00:11"))
    m.full("10:00:10", 100.0, 1_100, ets="10:00:15")
    m.full("10:00:16", 100.0, 1_200)
    m.advance("10:02:00")
    assert (m.bars()["10:00"]["flags"] & GAP, m.bars()["10:00"]["volume"]) == (0, 200)


def history(m, rows, now, **rest):
    times = np.array([m.at(f"{start}:00") for start, _ in rows])
    prices = np.full(len(rows), 100.1)
    columns = {"open": prices, "high": prices + 0.4, "low": prices - 0.4, "close": prices}
    volume = np.array([volume for _, volume in rows])
    return m.it.core.join_history(INFY, time=times, volume=volume, now_ns=m.at(now), **columns, **rest)


def test_r12_history_replaces_the_partial_bar(engine):
    m = engine(("1m",))
    m.full("10:02:29", 100.0, 500_000, ets="10:02:30")
    m.full("10:02:50", 100.5, 500_900)
    m.full("10:03:05", 100.5, 501_000)
    m.advance("10:03:20")
    history(m, [("10:02", 2_400)], now="10:03:20")
    bar = m.bars()["10:02"]
    assert (bar["volume"], bar["flags"] & PARTIAL) == (2_400, 0)


def test_r13_history_repairs_a_gap_and_keeps_the_sum(engine):
    m = gap(engine)
    m.advance("10:04:03")
    history(m, [("10:00", 6_000), ("10:01", 3_900), ("10:02", 2_500)], now="10:04:03")
    assert volumes(m) == {"10:00": 6_000, "10:01": 3_900, "10:02": 2_500, "10:03": 1_400}
    assert sum(volumes(m).values()) == 12_000 + 1_800


def test_r13_a_view_taken_before_a_repair_stays_as_it_was(engine):
    m = gap(engine)
    m.advance("10:04:03")
    before = m.it.core.candles(INFY, "1m").volume
    kept = before.tolist()
    history(m, [("10:00", 6_000), ("10:01", 3_900), ("10:02", 2_500)], now="10:04:03")
    assert before.tolist() == kept


def test_r32_history_is_not_final_within_fifteen_seconds_of_its_end(engine):
    m = engine(("1m",))
    m.full("10:02:29", 100.0, 500_000, ets="10:02:30")
    m.full("10:02:50", 100.5, 500_900)
    m.advance("10:03:10")
    history(m, [("10:02", 2_400)], now="10:03:14")
    assert volumes(m) == {"10:02": 900}
    history(m, [("10:02", 2_400)], now="10:03:15")
    assert volumes(m) == {"10:02": 2_400}


def test_r33_history_never_touches_the_current_bar(engine):
    m = engine(("1m",))
    m.full("10:02:29", 100.0, 500_000, ets="10:02:30")
    m.full("10:02:50", 100.5, 500_900)
    before = m.forming()
    history(m, [("10:01", 700), ("10:02", 2_400)], now="10:02:55")
    assert plain(m.forming()) == plain(before)
    assert volumes(m) == {"10:01": 700}


def test_r34_a_complete_live_bar_is_kept(engine):
    m = engine(("1m",))
    m.full("10:01:00", 100.0, 500_000)
    m.full("10:02:30", 100.0, 501_000)
    m.advance("10:05:00")
    history(m, [("10:02", 1_100), ("10:03", 50)], now="10:05:00")
    assert volumes(m) == {"10:02": 1_000, "10:03": 50}
    assert [row["src"] for row in m.bars().values()] == [1, 2]


def test_r34_the_broker_can_be_the_authority(engine):
    m = engine(("1m",))
    m.full("10:01:00", 100.0, 500_000)
    m.full("10:02:30", 100.0, 501_000)
    m.advance("10:05:00")
    history(m, [("10:02", 1_100)], now="10:05:00", authority="broker")
    assert volumes(m) == {"10:02": 1_100}


def test_r14_a_lower_volume_with_a_newer_trade_counts_nothing(machine):
    m = machine()
    m.full("10:00:00", 100.0, 899_000)
    m.full("10:00:10", 100.0, 900_000)
    m.full("10:00:11", 100.4, 850_000)
    assert (m.forming()["volume"], m.forming()["close"]) == (1_000, 100.4)
    m.full("10:00:12", 100.1, 900_500)
    m.advance("10:02:00")
    bar = m.bars()["10:00"]
    assert (bar["volume"], bar["high"], bar["close"], bar["flags"] & VOL_REBASED) == (1_500, 100.4, 100.1, 0)
    assert m.balanced()


@pytest.mark.parametrize("clocks", [[11, 12, 13, 14, 15], [11, 13, 21]])
def test_r14_a_volume_that_stays_lower_becomes_the_new_base(machine, clocks):
    m = machine()
    m.full("10:00:00", 100.0, 899_000)
    m.full("10:00:10", 100.0, 900_000)
    for second in clocks:
        m.full(f"10:00:{second}", 100.0, 850_000)
    m.full("10:00:30", 100.0, 850_700)
    m.advance("10:02:00")
    bar = m.bars()["10:00"]
    assert (bar["volume"], bar["flags"] & VOL_REBASED) == (1_700, VOL_REBASED)
    assert m.account()["rebased"] == 50_000
    assert m.balanced()


def test_r14_the_unsigned_counter_wraps(machine):
    m = machine()
    m.full("10:00:00", 100.0, 2**32 - 1_000)
    m.full("10:00:10", 100.0, 2**32 - 100)
    m.full("10:00:11", 100.0, 400)
    m.full("10:00:09", 100.0, 2**32 - 300, ets="10:00:11")
    m.full("10:00:12", 100.0, 500)
    m.advance("10:02:00")
    assert volumes(m) == {"10:00": 1_500}
    assert m.account()["last"] == 2**32 + 500
    assert m.balanced()


def test_r15_duplicates_change_nothing_and_are_counted(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000)
    for _ in range(3):
        m.full("10:00:10", 100.0, 1_100)
    bar = m.forming()
    assert (bar["volume"], bar["ticks"]) == (100, 1)
    assert m.it.stats["duplicates"] == 2


@pytest.mark.parametrize("bucket_by", ["ltt", "exchange", "receive"])
def test_r15_a_repeat_is_known_by_its_own_trade_time_whatever_places_it(machine, bucket_by):
    m = machine(options={"bucket_by": bucket_by})
    m.full("10:00:00", 100.0, 1_000)
    for second in (12, 13, 14):
        m.full("10:00:10", 100.0, 1_100, ets=f"10:00:{second}")
    m.full("10:00:12", 100.0, 1_100, ets="10:00:15")
    assert m.it.stats["duplicates"] == 2


def test_r15_a_late_trade_is_repeated_with_its_own_trade_time(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000)
    m.full("10:00:12", 100.0, 1_100)
    for second in (13, 14, 15):
        m.full("10:00:10", 100.5, 1_200, ets=f"10:00:{second}")
    m.full("10:00:12", 100.5, 1_200, ets="10:00:16")
    assert m.it.stats["duplicates"] == 2
    m.full("10:00:17", 101.0, 1_300)
    m.full("10:00:17", 101.0, 1_300, ets="10:00:18")
    assert m.it.stats["duplicates"] == 3
    m.advance("10:02:00")
    assert volumes(m) == {"10:00": 300}


def test_r15_a_trade_without_a_time_of_its_own_has_no_repeats(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000, ltt_absent=True)
    m.full("10:00:00", 100.0, 1_000, ets="10:00:01")
    m.full("10:00:10", 100.0, 1_100, ltt_absent=True)
    m.full("10:00:10", 100.0, 1_100, ets="10:00:11")
    assert m.it.stats["duplicates"] == 0


def test_r15_a_believed_rollback_is_repeated_like_a_trade(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000)
    m.full("10:00:10", 100.0, 1_100)
    for second in range(11, 16):
        m.full(f"10:00:{second}", 99.0, 1_050)
    for second in (16, 17):
        m.full("10:00:15", 99.0, 1_050, ets=f"10:00:{second}")
    m.full("10:00:15", 100.0, 1_050, ets="10:00:18")
    assert m.it.stats["duplicates"] == 2


@pytest.mark.parametrize("preopen", ["separate", "fold", "bar", "drop"])
def test_r11_bars_of_prices_alone_begin_after_an_auction_that_shows_later(machine, preopen):
    m = machine(("1m", "7s"), options={"preopen": preopen})
    for _ in range(2):  # the first one only seeds
        m.it.apply(frames.frame(frames.ltp(INFY, 10_000)), m.at("09:15:02"))
    m.full("09:14:59", 100.0, 25, ets="09:15:02")
    m.full("09:15:04", 100.0, 60, ets="09:15:05")
    assert m.forming()["volume"] == 35
    assert m.balanced()


def test_r11_bars_of_prices_alone_begin_after_a_trade_that_has_no_bar(machine):
    m = machine(("1m",))
    m.it.apply(frames.frame(frames.ltp(INFY, 10_000)), m.at("10:01:00"))
    m.it.apply(frames.frame(frames.ltp(INFY, 10_000)), m.at("10:02:01"))
    m.full("09:59:00", 100.0, 100, ets="10:02:01")
    m.full("09:59:50", 100.0, 120, ets="10:02:01")
    m.full("10:02:02", 100.0, 150, ets="10:02:02")
    assert m.balanced()
    assert m.forming()["volume"] == 30


def test_r16_the_last_traded_quantity_is_never_summed(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000, quantity=5)
    m.full("10:00:10", 100.0, 1_100, quantity=7)
    m.full("10:00:11", 100.0, 1_150, quantity=3)
    assert m.forming()["volume"] == 150


def test_r31_what_a_mode_lacks_is_flagged_and_never_zero(machine):
    m = machine()
    m.index(25_000.0, "10:00:05", token=NIFTY)
    m.index(25_001.0, "10:00:15", token=NIFTY)
    bar = m.forming(token=NIFTY)
    assert bar["flags"] & (NO_VOLUME | 32) == NO_VOLUME | 32
    assert bar["vwap"] != bar["vwap"]
