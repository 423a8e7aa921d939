"""R17-R30, R39, R41: prices, VWAP, closing and revision, OI. Each worked example of the rules is a test."""

from __future__ import annotations

import itertools

import pytest

from tests.machines import INFY, NIFTY, OPTION, plain

H_AMBIG, L_AMBIG, PARTIAL = 64, 128, 1


def test_r17_the_open_is_the_first_trade_bearing_tick(machine):
    m = machine()
    m.full("10:00:00", 99.0, 1_000)
    m.full("10:00:00", 99.5, 1_000, ets="10:01:01")
    m.full("10:01:03", 100.0, 1_010)
    m.full("10:01:09", 101.0, 1_020)
    m.advance("10:03:00")
    assert m.bars()["10:01"]["open"] == 100.0


def test_r18_a_rise_of_the_days_high_is_a_trade_of_this_bar(machine):
    m = machine()
    m.full("10:00:01", 100.1, 1_000, high=100.2, low=99.0)
    m.full("10:00:02", 100.1, 1_010, high=100.2, low=99.0)
    m.full("10:00:03", 100.05, 1_020, high=100.35, low=99.0)
    bar = m.forming()
    assert (bar["high"], bar["close"], bar["flags"] & H_AMBIG) == (100.35, 100.05, 0)


def test_r18_a_fall_of_the_days_low_is_a_trade_of_this_bar(machine):
    m = machine()
    m.full("10:00:01", 100.1, 1_000, high=100.2, low=99.9)
    m.full("10:00:03", 100.05, 1_020, high=100.2, low=99.55)
    assert m.forming()["low"] == 99.55


def test_r18_the_first_tick_tells_nothing(machine):
    m = machine()
    m.full("10:00:01", 100.1, 1_000, high=100.35, low=99.0)
    m.full("10:00:03", 100.05, 1_020, high=100.35, low=99.0)
    assert (m.forming()["high"], m.forming()["low"]) == (100.05, 100.05)


@pytest.mark.parametrize(
    ("extremes", "high", "flag"), [("apply", 100.35, H_AMBIG), ("skip", 100.05, 0), ("off", 100.05, 0)]
)
def test_r18_a_rise_across_an_edge_is_ambiguous(machine, extremes, high, flag):
    m = machine(options={"extremes": extremes})
    m.full("10:00:01", 100.1, 1_000, high=100.2, low=99.0)
    m.full("10:00:58", 100.1, 1_010, high=100.2, low=99.0)
    m.full("10:01:01", 100.05, 1_020, high=100.35, low=99.0)
    assert (m.forming()["high"], m.forming()["flags"] & H_AMBIG) == (high, flag)


def test_r18_a_fall_across_an_edge_is_ambiguous(machine):
    m = machine()
    m.full("10:00:58", 100.1, 1_010, high=100.2, low=99.9)
    m.full("10:01:01", 100.05, 1_020, high=100.2, low=99.5)
    assert (m.forming()["low"], m.forming()["flags"] & L_AMBIG) == (99.5, L_AMBIG)


def test_r19_a_late_tick_amends_its_own_bar(machine):
    m = machine(("1m", "5m"))
    m.full("09:15:30", 100.0, 0)
    m.full("09:15:58", 100.0, 100)
    m.full("09:16:01", 100.5, 120, ets="09:16:02.5")
    before = m.forming()
    m.full("09:15:59", 99.95, 110, ets="09:16:02.6")
    bar = m.bars()["09:15"]
    assert (bar["close"], bar["low"], bar["volume"], bar["rev"]) == (99.95, 99.95, 110, 1)
    assert (m.forming()["close"], m.forming()["open"]) == (before["close"], before["open"])
    assert m.forming()["volume"] == 10
    kinds = [(interval, kind, rev) for _, interval, kind, rev, _ in m.it.events]
    assert kinds == [("1m", "closed", 0), ("1m", "revised", 1)]


def test_r19_a_late_tick_with_new_volume_grows_its_own_bar(machine):
    m = machine()
    m.full("09:15:30", 100.0, 0)
    m.full("09:15:58", 100.0, 100)
    m.full("09:16:01", 100.5, 120)
    m.full("09:15:59", 99.95, 130, ets="09:16:02")
    m.advance("09:20:00")
    assert [(row["close"], row["volume"]) for row in m.bars().values()] == [(99.95, 110), (100.5, 20)]
    assert m.balanced()


def test_r19_beyond_the_revision_window_nothing_changes(machine):
    m = machine()
    m.full("09:15:30", 100.0, 0)
    m.full("09:15:58", 100.0, 100)
    m.full("09:16:06", 100.5, 120)
    before = plain(m.bars()["09:15"])
    m.full("09:15:59", 99.95, 110, ets="09:16:06")
    m.full("09:15:59", 99.95, 111, ets="09:16:06")
    assert plain(m.bars()["09:15"]) == before
    assert m.it.stats["late_dropped"] == 2
    assert m.balanced()


@pytest.mark.parametrize("order", list(itertools.permutations([(12, 100.2), (10, 100.0), (15, 100.5)])))
def test_r20_ticks_of_one_second_are_ordered_by_volume(machine, order):
    m = machine()
    m.full("10:00:30", 99.0, 0)
    for volume, price in order:
        m.full("10:00:59", price, volume)
    m.advance("10:03:00")
    bar = m.bars()["10:00"]
    assert [bar[k] for k in ("open", "high", "low", "close", "volume")] == [100.0, 100.5, 100.0, 100.5, 15]


def test_r21_a_price_that_its_own_packet_contradicts_is_left_out(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000)
    m.full("10:00:01", 0.0, 1_010)
    m.full("10:00:02", 102.0, 1_020, high=101.0, low=99.0)
    m.full("10:00:03", 21_474_836.48, 1_030)
    assert m.forming() is None
    m.full("10:00:04", 101.05, 1_040, high=101.0, low=99.0)
    assert (m.forming()["volume"], m.forming()["close"]) == (40, 101.05)
    assert m.it.stats["price_rejected"] == 3


def priced(machine, first, second, **options):
    """Two snapshots (volume, average price, price) in one minute; the second is the bar."""
    m = machine(options=options)
    m.full("10:00:01", first[2], first[0], average=first[1])
    m.full("10:00:31", second[2], second[0], average=second[1])
    return m.forming()


def test_r22_a_coarse_average_does_not_spoil_the_vwap(machine):
    bar = priced(machine, (4_000_000, 1495.00, 1500.0), (4_005_000, 1495.01, 1500.0))
    assert bar["vwap"] == 1500.0
    assert bar["vwap_err"] == pytest.approx(8.005, rel=1e-5)


def test_r22_the_average_alone_would_be_far_off(machine):
    bar = priced(machine, (4_000_000, 1495.00, 1500.0), (4_005_000, 1495.01, 1500.0), vwap="atp")
    assert bar["vwap"] == pytest.approx(1503.01)


def test_r22_a_sharp_average_bounds_the_vwap(machine):
    m = machine()
    m.full("10:00:01", 1500.0, 1_000_000, average=1495.00, high=1501.0, low=1490.0)
    m.full("10:00:21", 1500.0, 1_000_001, average=1495.00, high=1501.0, low=1490.0)
    m.full("10:00:31", 1500.5, 2_000_000, average=1497.50, high=1501.0, low=1490.0)
    bar = m.forming()
    assert bar["vwap"] == pytest.approx(1500.015, abs=1e-4)
    assert bar["vwap_err"] == pytest.approx(0.015, rel=1e-3)


def test_r22_a_bar_of_one_price_has_it_for_a_vwap(machine):
    # (100.1 + 100.1 + 100.1) / 3 is a little less.
    m = machine(("1m", "5m"), options={"vwap": "hlc3"})
    m.full("10:00:01", 100.1, 1_000)
    m.full("10:00:21", 100.1, 1_050)
    assert [m.forming(interval)["vwap"] for interval in ("1m", "5m")] == [100.1, 100.1]


def test_r22_the_other_estimators_are_options(machine):
    first, second = (1_000_000, 1495.0, 1500.0), (1_000_100, 1495.01, 1500.5)
    assert priced(machine, first, second, vwap="ltp")["vwap"] == 1500.5
    assert priced(machine, first, second, vwap="hlc3")["vwap"] == 1500.5


def test_r22_a_truncating_broker_doubles_the_uncertainty(machine):
    first, second = (4_000_000, 1495.00, 1500.0), (4_005_000, 1495.01, 1500.0)
    assert priced(machine, first, second, atp_rounding="truncate")["vwap_err"] == pytest.approx(16.01, rel=1e-5)


def test_r24_a_minute_without_a_trade_has_no_bar(machine):
    m = machine()
    m.full("09:19:00", 100.0, 0)
    m.full("09:20:10", 100.0, 10)
    m.full("09:23:10", 101.0, 20)
    m.advance("09:30:00")
    assert list(m.bars()) == ["09:20", "09:23"]


def test_r25_a_thin_name_is_closed_by_the_clock_of_the_exchange(machine):
    m = machine()
    m.full("09:40:00", 12.0, 0, token=OPTION)
    m.full("09:41:10", 12.5, 75, token=OPTION)
    m.index(25_000.0, "09:42:01")
    assert m.bars(token=OPTION) == {}
    m.index(25_000.0, "09:42:02")
    assert list(m.bars(token=OPTION)) == ["09:41"]
    m.index(25_000.0, "09:46:02")
    assert m.bars(token=OPTION)["09:41"]["rev"] == 0


def test_r25_the_timer_closes_when_the_feed_is_silent(machine):
    m = machine()
    m.full("09:41:00", 100.0, 0)
    m.full("09:41:10", 100.0, 75)
    assert m.advance("09:42:02.8") == 0
    assert m.advance("09:42:02.9") == 1
    assert list(m.bars()) == ["09:41"]


def test_r25_without_grace_a_bar_is_closed_at_its_end_and_revised_later(machine):
    m = machine(options={"grace": 0.0})
    m.full("09:41:00", 100.0, 0)
    m.full("09:41:10", 100.0, 75)
    m.index(25_000.0, "09:42:00")
    assert m.bars()["09:41"]["volume"] == 75
    m.full("09:41:59", 100.0, 80, ets="09:42:01")
    assert (m.bars()["09:41"]["volume"], m.bars()["09:41"]["rev"]) == (80, 1)


def test_r25_close_on_next_tick_does_not_wait_for_the_grace(machine):
    m = machine(("1m", "5m"), options={"close_on": "next_tick"})
    m.full("09:43:00", 100.0, 0)
    m.full("09:43:10", 100.0, 75)
    m.full("09:44:10", 100.0, 85)
    assert list(m.bars()) == ["09:43"]
    m.full("09:45:00", 100.0, 95)
    assert list(m.bars()) == ["09:43", "09:44"]
    assert list(m.bars("5m")) == ["09:40"]


def test_r25_close_on_next_tick_seals_only_where_the_tick_opened_a_bar(machine):
    m = machine(("30s", "7s"), options={"close_on": "next_tick", "grace": 8.0})
    m.index(100.1, "11:04:26")
    # Inserted behind the newest bar of seven seconds: it waits for the clock, or for the next bar of seven seconds.
    m.index(100.2, "11:04:25")
    m.index(100.3, "11:04:32")
    assert (list(m.bars("30s", token=NIFTY)), list(m.bars("7s", token=NIFTY))) == (["11:04"], [])
    m.index(100.3, "11:04:33")
    assert list(m.bars("7s", token=NIFTY)) == ["11:04:19", "11:04:26"]


def test_r25_close_on_next_tick_is_not_moved_by_a_late_bar(machine):
    m = machine(("7s",), date="2026-08-05", options={"close_on": "next_tick", "grace": 9.0})
    m.it.track(INFY, "cash_cas")
    m.full("15:14:40", 100.0, 100)
    m.full("15:14:52", 100.0, 200)
    m.full("15:15:01", 100.0, 500)  # the closing auction's
    m.full("15:14:58", 100.1, 250, ets="15:15:01")
    assert [m.label(row["time"]) for row in m.it.unsealed(INFY, "7s")] == ["15:14:48", "15:14:55"]
    assert list(m.bars("7s")) == []


def test_r25_a_revision_publishes_a_copy_and_leaves_earlier_views(engine):
    m = engine(options={"grace": 0.0})
    m.full("09:41:00", 100.0, 0)
    m.full("09:41:10", 100.0, 75)
    m.index(25_000.0, "09:42:00")
    view = m.it.core.candles(INFY, "1m").volume
    m.full("09:41:59", 100.0, 80, ets="09:42:01")
    assert (view.tolist(), m.bars()["09:41"]["volume"]) == ([75], 80)


def test_r26_the_same_input_gives_the_same_bars(machine):
    def run():
        m = machine(("1m", "5m", "7s"))
        for second in range(240):
            m.full(f"10:{second // 60:02}:{second % 60:02}", 100 + second % 7 / 10, 100 * second + second % 13)
        m.advance("10:30:00")
        return [[plain(row) for row in m.it.rows(INFY, interval)] for interval in ("1m", "5m", "7s")]

    assert run() == run()


def test_r27_five_minutes_are_the_fold_of_their_minutes(machine):
    m = machine(("1m", "5m"))
    m.full("10:00:00", 100.0, 1_000, average=99.5)
    for step, price in enumerate([100.5, 99.0, 103.0, 101.0, 100.0, 104.0], start=1):
        m.full(f"10:0{step - 1}:30", price, 1_000 + 10 * step, average=99.5, oi=step)
    m.advance("10:10:00")
    minutes = list(m.bars().values())[:5]
    five = m.bars("5m")["10:00"]
    assert five["open"] == minutes[0]["open"]
    assert five["high"] == max(bar["high"] for bar in minutes)
    assert five["low"] == min(bar["low"] for bar in minutes)
    assert five["close"] == minutes[-1]["close"]
    assert (five["volume"], five["ticks"], five["oi"]) == (50, 5, 5)


@pytest.mark.parametrize(("options", "clocks"), [
    ({"preopen": "bar"}, ("09:07:00", "09:07:10", "09:07:20")),
    ({"postclose": "bar"}, ("15:41:00", "15:41:10", "15:41:20")),
])  # fmt: skip
def test_r30_an_auctions_own_bar_has_the_open_interest_as_of_its_end(machine, options, clocks):
    m = machine(options=options)
    trade, repeat, last = clocks
    day = {"high": 101.0, "low": 99.0, "average": 100.0}
    m.full("09:06:00", 100.0, 0, oi=10, **day)
    m.full(trade, 100.0, 500, oi=20, **day)
    m.full(trade, 100.0, 500, ets=repeat, oi=30, **day)
    m.full(trade, 100.0, 500, ets=last, oi=40, **day)
    assert m.forming()["oi"] == 40


def test_r30_oi_is_carried_and_changes_without_trades(machine):
    m = machine()
    m.full("09:15:01", 100.0, 0, token=OPTION, oi=13_667_775)
    m.full("09:15:10", 100.0, 10, token=OPTION, oi=13_667_775)
    m.full("09:16:10", 100.0, 20, token=OPTION, oi=13_667_775)
    m.full("09:17:10", 100.0, 30, token=OPTION, oi=13_667_775)
    m.full("09:17:10", 100.0, 30, ets="09:17:50", token=OPTION, oi=13_758_000)
    m.full("09:17:10", 100.0, 30, ets="09:18:00", token=OPTION, oi=13_900_000)
    m.advance("09:20:00")
    assert [row["oi"] for row in m.bars(token=OPTION).values()] == [13_667_775, 13_667_775, 13_758_000]


def test_r30_of_one_stamp_the_higher_volume_has_the_oi_also_where_the_counter_was_rebased(machine):
    m = machine()
    m.full("10:00:00", 100.0, 1_000, token=OPTION, oi=10)
    for clock, volume in (("10:00:02", 2_000), ("10:00:10", 800), ("10:00:21", 900)):
        m.full(clock, 100.0, volume, token=OPTION, oi=11)
    assert m.account(token=OPTION)["rebased"] == 1_100
    m.full("10:00:20", 100.0, 850, ets="10:00:21", token=OPTION, oi=12)
    assert m.forming(token=OPTION)["oi"] == 11


def test_r30_of_one_stamp_the_higher_volume_has_the_oi_also_where_the_counter_wrapped(machine):
    m = machine()
    m.full("10:00:00", 100.0, 2**32 - 1_000, token=OPTION, oi=10)
    m.full("10:00:11", 100.0, 400, token=OPTION, oi=11)
    m.full("10:00:09", 100.0, 2**32 - 300, ets="10:00:11", token=OPTION, oi=12)
    assert m.forming(token=OPTION)["oi"] == 11
    # The next bar starts with what is known.
    at = m.at("10:01:01")
    m.it.push(OPTION, 100.0, time_ns=at, quantity=1, received_ns=at)
    assert m.forming(token=OPTION)["oi"] == 11


def test_r39_a_bar_says_how_good_it_is(machine):
    m = machine()
    m.full("10:00:15", 100.0, 1_000, average=100.0)
    m.full("10:00:31", 100.0, 1_100, average=100.0)
    m.full("10:00:32", 100.0, 1_200, average=100.0)
    m.advance("10:02:00")
    bar = m.bars()["10:00"]
    assert (bar["ticks"], bar["rev"], bar["time_source"], bar["src"]) == (2, 0, 1, 1)
    assert bar["coverage"] == pytest.approx(0.75, abs=1e-4)
    assert bar["vwap_err"] == pytest.approx((1_200 + 1_000) * 0.005 / 200, rel=1e-5)
    assert bar["flags"] & PARTIAL


@pytest.mark.parametrize("order", list(itertools.permutations([
    ("10:00:58", 80, 50.1), ("10:01:00", 100, 50.2), ("10:00:59", 90, 50.5),
])))  # fmt: skip
def test_r41_a_bar_is_a_function_of_the_set_of_snapshots(machine, order):
    m = machine(("1m", "5m", "7s"))
    m.full("10:00:30", 50.0, 70)
    for ltt, volume, price in order:
        m.full(ltt, price, volume, ets="10:01:00")
    m.advance("10:10:00")
    first, second = m.bars()["10:00"], m.bars()["10:01"]
    assert (first["volume"], first["close"], first["high"]) == (20, 50.5, 50.5)
    assert (second["volume"], second["open"], second["close"]) == (10, 50.2, 50.2)
    assert m.bars("5m")["10:00"]["volume"] == 30
    assert m.balanced()


def test_r41_the_late_snapshot_moves_volume_from_the_later_bar_to_its_own(machine):
    m = machine()
    m.full("10:00:30", 50.0, 70)
    m.full("10:00:58", 50.1, 80)
    m.full("10:01:00", 50.2, 100)
    assert m.forming()["volume"] == 20
    m.full("10:00:59", 50.5, 90, ets="10:01:01")
    assert m.forming()["volume"] == 10


def test_r41_a_late_snapshot_opens_its_bar_when_there_was_none(machine):
    m = machine()
    m.full("09:59:30", 50.0, 70)
    m.full("10:01:00", 50.2, 100)
    m.full("10:00:59", 50.5, 90, ets="10:01:01")
    m.advance("10:03:00")
    assert [(start, row["volume"]) for start, row in m.bars().items()] == [("10:00", 20), ("10:01", 10)]


def test_r29_indices_have_no_volume_and_no_vwap(machine):
    m = machine(("1m", "5m"))
    for second in range(0, 300, 7):
        m.index(25_000 + second % 11, f"10:{second // 60:02}:{second % 60:02}")
    m.advance("10:10:00")
    bar = m.bars("5m", token=NIFTY)["10:00"]
    assert (bar["volume"], bar["ticks"]) == (0, 43)
    assert bar["vwap"] != bar["vwap"]
