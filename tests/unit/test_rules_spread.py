"""R13 with `gap_volume="spread"`, on the engine and on its oracle; joined history afterwards on the engine."""

from __future__ import annotations

import random

import pytest

from tests.differential.compare import Pair
from tests.differential.test_engine_market import agree, market
from tests.oracle.book import GAP
from tests.oracle.spread import MISSING
from tests.properties.feeds import OPTIONS
from tests.unit.test_rules_volume import gap, history

# Of (10:00:20, 10:03:09] 39 seconds lie in 10:00, 60 in 10:01, 60 in 10:02 and 10 in 10:03: 169 in all.
SHARES = {"10:00": 2_769, "10:01": 4_260, "10:02": 4_260, "10:03": 711}


def quiet_gap(machine):
    """The gap of R13 for a feed of one instrument: nobody told the time before it was back."""
    m = machine(("1m", "5m"), options={"gap_volume": "spread"})
    m.full("10:00:00", 100.0, 48_200, ets="09:59:59", high=101.0)
    m.full("10:00:19", 100.0, 50_000, ets="10:00:20", high=101.0)
    m.it.disconnected(m.at("10:00:20"))
    m.full("10:03:09", 100.2, 62_000, ets="10:03:10", high=105.0)
    return m


def test_r13_spread_lays_the_delta_over_the_seconds_of_the_gap(machine):
    m = quiet_gap(machine)
    m.advance("10:06:00")
    assert {start: row["volume"] for start, row in m.bars().items()} == SHARES | {"10:00": 1_800 + SHARES["10:00"]}
    assert sum(SHARES.values()) == 12_000
    assert m.bars("5m")["10:00"]["volume"] == 13_800
    assert m.balanced()


def test_r13_spread_flags_what_is_only_a_share_and_counts_no_update(machine):
    m = quiet_gap(machine)
    m.advance("10:06:00")
    bars = m.bars()
    assert [row["flags"] & (GAP | MISSING) for row in bars.values()] == [GAP, GAP | MISSING, GAP | MISSING, GAP]
    assert [row["ticks"] for row in bars.values()] == [1, 0, 0, 1]
    assert [row["coverage"] for row in bars.values()] == pytest.approx([20 / 60, 0, 0, 51 / 60], abs=1e-4)
    prices = [[row[name] for name in ("open", "high", "low", "close", "vwap")] for row in bars.values()]
    assert prices == [[100.0] * 5, *[[100.2] * 5] * 3]


def test_r13_spread_agrees_in_every_interval(machine):
    m = machine(("1m", "5m", "10s", "30s"), options={"gap_volume": "spread"})
    m.full("10:00:00", 100.0, 48_200, ets="09:59:59")
    m.full("10:00:19", 100.0, 50_000, ets="10:00:20")
    m.it.disconnected(m.at("10:00:20"))
    m.full("10:03:09", 100.2, 50_007, ets="10:03:10")
    m.advance("10:06:00")
    minutes = {start: row["volume"] for start, row in m.bars().items()}
    assert minutes == {"10:00": 1_801, "10:01": 3, "10:02": 2, "10:03": 1}
    for interval in ("10s", "30s"):
        sums = dict.fromkeys(minutes, 0)
        for start, row in m.bars(interval).items():
            sums[start[:5]] += row["volume"]
        assert sums == minutes
    assert m.balanced()


def test_r13_a_share_of_a_final_bar_waits_for_the_next(machine):
    m = gap(machine, gap_volume="spread")
    m.advance("10:06:00")
    volumes = {start: row["volume"] for start, row in m.bars().items()}
    assert volumes == {"10:00": 1_800, "10:01": 7_029, "10:02": 4_260, "10:03": 711}
    assert m.balanced()


def test_r13_spread_counts_no_time_outside_of_trading(machine):
    m = machine(("1m",), "2024-03-02", options={"gap_volume": "spread"})
    m.full("09:58:00", 100.0, 1_000)
    m.full("09:58:59", 100.0, 1_100)
    m.it.disconnected(m.at("09:59:00"))
    m.full("11:30:59", 100.2, 2_300)
    m.advance("11:40:00")
    assert {start: row["volume"] for start, row in m.bars().items()} == {"09:58": 100, "09:59": 600, "11:30": 600}
    assert m.balanced()


def test_r13_a_gap_inside_one_bar_is_not_spread(machine):
    rows = []
    for how in ("last", "spread"):
        m = machine(("1m",), options={"gap_volume": how})
        m.full("10:00:00", 100.0, 48_200, average=100.0)
        m.full("10:00:10", 100.0, 50_000, average=100.0)
        m.it.disconnected(m.at("10:00:12"))
        m.full("10:00:40", 100.2, 51_000, average=100.01)
        m.advance("10:02:00")
        rows.append(m.bars())
    assert str(rows[0]) == str(rows[1])


@pytest.fixture(params=[gap, quiet_gap])
def spread(request, engine):
    """The engine after a spread gap, where 10:00 was final and where it was not."""
    return gap(engine, gap_volume="spread") if request.param is gap else quiet_gap(engine)


def test_r13_history_of_the_whole_gap_gives_the_bars_that_last_gives(spread):
    m = spread
    m.advance("10:04:03")
    history(m, [("10:00", 6_000), ("10:01", 3_900), ("10:02", 2_500)], now="10:04:03")
    volumes = {start: row["volume"] for start, row in m.bars().items()}
    assert volumes == {"10:00": 6_000, "10:01": 3_900, "10:02": 2_500, "10:03": 1_400}
    assert (m.account()["history"], m.it.stats["gap_mismatches"]) == (0, 0)
    assert m.balanced()


@pytest.mark.parametrize("first", ["10:00", "10:01", "10:02"])
def test_r13_history_minute_by_minute_keeps_the_sum_of_a_spread_gap(spread, first):
    m = spread
    m.full("10:03:30", 100.4, 62_500)
    m.advance("10:04:03")
    known = {"10:00": 6_000, "10:01": 3_900, "10:02": 2_500}
    for start in sorted(known, key=lambda start: (start != first, start)):
        history(m, [(start, known[start])], now="10:04:03")
        account = m.account()
        assert sum(row["volume"] for row in m.bars().values()) == account["bars"] + account["history"]
    assert m.account()["history"] == 0
    assert {start: row["volume"] for start, row in m.bars().items()} == known | {"10:03": 1_900}
    assert m.bars("5m").get("10:00", {"volume": 14_300})["volume"] == 14_300
    assert m.balanced()


def test_r13_history_that_came_before_the_gap_ended_leaves_nothing_to_spread(engine):
    m = engine(("1m",), options={"gap_volume": "spread"})
    m.full("10:00:00", 100.0, 48_200, ets="09:59:59")
    m.full("10:00:19", 100.0, 50_000, ets="10:00:20")
    m.it.disconnected(m.at("10:00:20"))
    m.advance("10:03:05")
    history(m, [("10:00", 6_000), ("10:01", 3_900)], now="10:03:05")
    m.full("10:03:09", 100.2, 62_000, ets="10:03:10")
    assert m.forming()["volume"] == 12_000 - 4_200 - 3_900
    assert m.balanced()


def test_r30_the_bars_of_shares_take_the_oi_of_the_gap_tick_as_of_their_end(machine):
    m = machine(("1m",), options={"gap_volume": "spread", "bucket_by": "receive"})
    m.full("10:00:00", 100.0, 48_200, oi=10)
    m.full("10:00:20", 100.0, 50_000, oi=20)
    m.it.disconnected(m.at("10:00:20"))
    m.index(25_000.0, "10:03:30")
    m.full("10:01:30", 100.2, 62_000, rx="10:03:40", oi=30)
    m.advance("10:06:00")
    assert {start: row["oi"] for start, row in m.bars().items()} == {"10:00": 20, "10:01": 30, "10:02": 30, "10:03": 30}


@pytest.mark.parametrize("seed", range(200, 225))
def test_r13_spread_equals_the_oracle_on_the_seeded_market(seed):
    rng = random.Random(f"spread {seed}")
    options = {name: rng.choice(values) for name, values in OPTIONS.items() if rng.random() < 0.3}
    # A gap tick is never split at an edge, so that option changes nothing here.
    pair = Pair(**options | {"gap_volume": "spread", "volume": "cumulative", "edge_split": "last"})
    made = market(seed, faults="all", mode="full", rate=rng.choice((0.3, 1.5)))
    agree(pair, made, seed)
    for name in made.instruments():
        account = pair.engine.account(name.token)
        booked = ("bars", "auction_open", "auction_close", "post", "unattributed", "dropped")
        assert sum(account[kind] for kind in booked) == account["last"] - account["baseline"]
