"""Signed volume (R38): the pure rules on columns, and the engine's bars without time against them."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest

import tickloom as tl
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist

INFY = 408065
OPEN = ist("2026-07-01 09:15:00")


def test_r38_by_the_tick_rule_an_equal_price_is_on_the_side_of_the_last_move():
    price = [100.0, 100.0, 100.05, 100.05, 99.0, 100.0, 99.95, 99.95]
    volume = [5, 6, 7, 8, 0, 9, 10, 11]
    # The fifth brought no volume: it is no trade, and its price counts for nothing.
    assert tl.signed_volume(price, volume).tolist() == [0, 0, 7, 8, 0, -9, -10, -11]
    assert tl.signed_volume([], []).tolist() == []
    assert tl.signed_volume(price, volume).dtype == np.int64


def test_r38_by_the_quote_rule_the_middle_decides_and_the_tick_rule_what_it_leaves():
    price = [100.05, 100.15, 100.1, 100.1, 100.0, 100.2]
    bid = [100.0, 100.0, 100.0, np.nan, 100.0, 0.0]
    ask = [100.2, 100.2, 100.2, 100.2, 100.2, 100.2]
    volume = [1, 2, 3, 4, 5, 6]
    assert tl.signed_volume(price, volume, bid, ask, rule="quote").tolist() == [-1, 2, -3, -4, -5, 6]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0], [1, 2]), "volume must be of one dimension and as long as price"),
        (([1.0, 2.0], [1, -2]), "volume must be whole numbers from 0 on"),
        (([1.0, 2.0], [1, 0.5]), "volume must be whole numbers from 0 on"),
        (([1.0, np.nan], [1, 1]), "price must be finite"),
    ],
)
def test_a_wrong_column_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        tl.signed_volume(*arguments)
    with pytest.raises(ValueError, match='rule must be "tick" or "quote"'):
        tl.signed_volume([1.0], [1], rule="ticks")
    with pytest.raises(ValueError, match="bid must be of one dimension"):
        tl.signed_volume([1.0], [1], rule="quote")


def full(price, volume, at, bid, ask):
    body = bytearray(frames.full(INFY, price, volume, at, at))
    struct.pack_into(">II", body, 64, 1, bid)
    struct.pack_into(">II", body, 124, 1, ask)
    return frames.frame(bytes(body))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rule", ["tick", "quote"])
def test_r38_the_engines_deltas_are_those_of_the_rules_on_columns(rule, seed):
    rng = random.Random(f"{rule} {seed}")
    engine = tl.Engine(["1m", "updates:1", "updates:7", "volume:50"], capacity=400, signed_volume=rule)
    price, volume = 10_000, 0
    bid, ask = 9_990, 10_010
    columns = {"price": [], "volume": [], "bid": [], "ask": []}
    engine.apply(full(price, volume, OPEN, bid, ask), OPEN)
    for step in range(300):
        at = OPEN + step * SECOND
        before = (bid, ask) if bid and ask else (np.nan, np.nan)
        quantity = rng.choice((0, 0, rng.randrange(1, 90)))
        price += rng.choice((-5, 0, 0, 5)) if quantity else 0
        bid = rng.choice((0, price - 10, price - 5, price, price + 5, bid, bid))
        ask = rng.choice((0, bid + 5, bid + 10, ask, ask)) if bid else ask
        volume += quantity
        engine.apply(full(price, volume, at, bid, ask), at)
        for name, value in zip(columns, (price / 100, quantity, before[0] / 100, before[1] / 100), strict=True):
            columns[name].append(value)
    expected = tl.signed_volume(**columns, rule=rule)
    traded = expected[np.array(columns["volume"]) > 0]
    candles = engine.candles(INFY, "updates:1")
    assert candles.delta.tolist() == traded.tolist()
    assert (np.abs(candles.delta) <= candles.volume).all()
    assert (candles.flags & tl.Flags.DELTA_EST != 0).all()
    for name in ("updates:1", "updates:7", "volume:50"):
        one = engine.candles(INFY, name)
        assert len(one.cvd) == len(one) > 5
        assert one.cvd.tolist() == np.cumsum(one.delta).tolist()
    sevens = len(traded) // 7 * 7
    assert engine.candles(INFY, "updates:7").cvd[-1] == traded[:sevens].sum()
    assert not engine.candles(INFY, "1m").flags.any() & tl.Flags.DELTA_EST


def test_r38_cvd_goes_on_when_bars_are_not_kept_any_more():
    engine = tl.Engine(["updates:1"], capacity=3, signed_volume="tick")
    time = OPEN + np.arange(9) * SECOND
    engine.push_many(INFY, 100 + np.arange(9.0), time_ns=time, quantity=[2] * 9)
    candles = engine.candles(INFY, "updates:1")
    assert (candles.delta.tolist(), candles.cvd.tolist()) == ([2, 2, 2], [12, 14, 16])


def test_r38_a_date_begins_without_a_side():
    engine = tl.Engine(["updates:1"], signed_volume="tick")
    for day, price in ((0, 100.0), (0, 101.0), (1, 101.0), (1, 100.0)):
        engine.push(INFY, price, time_ns=OPEN + day * 86_400 * SECOND + int(price) * SECOND % 7, quantity=2)
    assert engine.candles(INFY, "updates:1").delta.tolist() == [0, 2, 0, -2]


def test_signed_volume_that_is_not_kept_says_so():
    plain, signed = tl.Engine(["1m", "updates:1"]), tl.Engine(["1m", "updates:1"], signed_volume="tick")
    for engine, name in ((plain, "updates:1"), (plain, "1m"), (signed, "1m")):
        engine.push(INFY, 100.0, time_ns=OPEN, quantity=1)
        for column in ("delta", "cvd"):
            with pytest.raises(ValueError, match="signed volume is kept for bars without time"):
                getattr(engine.candles(INFY, name), column)
    assert not (plain.candles(INFY, "updates:1").flags & tl.Flags.DELTA_EST).any()
    with pytest.raises(ValueError, match="signed_volume must be"):
        tl.Engine(signed_volume="ticks")
