"""Prices below 0 (kite-protocol §5): an option of a segment, for parsing and for aggregating."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest

import tickloom as tl
from tests.oracle import frames
from tests.oracle.sessions import SECOND, ist
from tickloom.sources.simulator import Market

CRUDE = 53503 << 8 | 7
SIGNED = tl.PriceScales(signed=range(256))
# Where prices lie in a packet, by its length; the index's net change is signed anyway.
DEPTH = [at for side in (64, 124) for at in range(side + 4, side + 60, 12)]
PRICES = {8: [4], 12: [4, 8], 28: [4, 8, 12, 16, 20], 32: [4, 8, 12, 16, 20], 44: [4, 12, 28, 32, 36, 40]}
PRICES[184] = PRICES[44] + DEPTH


def mirrored(frame: bytes) -> bytes:
    """The frame with every price negated, and so the highest and the lowest exchanged."""
    out = bytearray(frame)
    at = 2
    while at + 2 <= len(out):
        length = int.from_bytes(out[at : at + 2])
        body = at + 2
        at = body + length
        if length not in PRICES or at > len(out):
            continue
        for place in PRICES[length]:
            (raw,) = struct.unpack_from(">I", out, body + place)
            struct.pack_into(">i", out, body + place, -raw)
        high, low = (8, 12) if length in (28, 32) else (32, 36)
        if length >= 28:
            highest, lowest = (bytes(out[body + place : body + place + 4]) for place in (high, low))
            out[body + high : body + high + 4], out[body + low : body + low + 4] = lowest, highest
    return bytes(out)


def test_prices_are_unsigned_unless_the_segment_is_said_to_be_signed():
    frame = frames.frame(frames.ltp(CRUDE, 2**32 - 3_763))
    assert tl.parse(frame).array["last_price"].tolist() == [42_949_635.33]
    assert tl.parse(frame, scales=tl.PriceScales(signed=[7])).array["last_price"].tolist() == [-37.63]
    assert tl.parse(frame, scales=tl.PriceScales(signed=[1])).array["last_price"].tolist() == [42_949_635.33]
    assert [tl.PriceScales(signed=[7]).is_signed(segment) for segment in (1, 7)] == [False, True]
    assert repr(tl.PriceScales(signed=[7])).endswith("others 100, signed 7)")


@pytest.mark.parametrize("segment", [256, -1, "7"])
def test_a_segment_is_a_byte(segment):
    with pytest.raises((OverflowError, TypeError)):
        tl.PriceScales(signed=[segment])


@pytest.mark.parametrize("mode", ["full", "quote", "ltp"])
def test_a_mirrored_market_decodes_to_the_negative_in_rows_and_in_dicts(mode):
    market = Market(3, instruments=4, indices=1, end="09:16", mode=mode)
    for kind, _, frame in market.events():
        if kind != "frame":
            continue
        plain, mirror = tl.parse(frame), tl.parse(mirrored(frame), scales=SIGNED)
        swapped = {"day_high": "day_low", "day_low": "day_high"}
        for name in plain.array.dtype.names:
            column = mirror.array[swapped.get(name, name)]
            is_price = "price" in name or name.startswith("day_") or name == "prev_close"
            np.testing.assert_array_equal(plain.array[name], -column if is_price else column, err_msg=name)
        for ours, theirs in zip(plain.to_dicts(), mirror.to_dicts(), strict=True):
            assert theirs["last_price"] == -ours["last_price"]
            if "ohlc" in ours:
                assert theirs["ohlc"]["high"] == -ours["ohlc"]["low"]
                assert theirs["change"] == ours["change"]
            if "depth" in ours:
                assert theirs["depth"]["buy"][0]["price"] == -ours["depth"]["buy"][0]["price"]


@pytest.mark.parametrize("options", [{}, {"open_source": "day_open", "preopen": "fold"}, {"vwap": "atp"},
                                     {"gap_volume": "spread", "edge_split": "prorata"}])  # fmt: skip
def test_a_mirrored_market_makes_mirrored_bars(options):
    market = Market(11, instruments=6, indices=1, end="09:26", auction=True, faults="all")
    kept = ["1m", "5m", "30s", "1d"]
    plain, mirror = tl.Engine(kept, **options), tl.Engine(kept, scales=SIGNED, **options)
    for kind, at, frame in market.events():
        for engine, body in ((plain, frame), (mirror, frame and mirrored(frame))):
            if kind == "frame":
                with contextlib.suppress(tl.DecodeError):
                    engine.apply(body, at)
            else:
                getattr(engine, kind)(at)
    for engine in (plain, mirror):
        engine.advance(at + 3_600 * 10 * SECOND)
    bars = 0
    for token, _ in plain.instruments:
        for interval in kept:
            ours, theirs = plain.candles(token, interval).columns(), mirror.candles(token, interval).columns()
            bars += len(ours["time"])
            flags = ours["flags"]
            for high, low in ((tl.Flags.H_AMBIG, tl.Flags.L_AMBIG), (tl.Flags.L_AMBIG, tl.Flags.H_AMBIG)):
                np.testing.assert_array_equal(flags & high != 0, theirs["flags"] & low != 0)
            for name, mine in (
                ("open", "open"),
                ("high", "low"),
                ("low", "high"),
                ("close", "close"),
                ("vwap", "vwap"),
            ):
                np.testing.assert_array_equal(theirs[name], -ours[mine], err_msg=f"{token} {interval} {name}")
            for name in ("time", "volume", "oi", "ticks", "vwap_err", "coverage", "rev"):
                np.testing.assert_array_equal(theirs[name], ours[name], err_msg=f"{token} {interval} {name}")
        assert plain.account(token) == mirror.account(token)
    assert bars > 100
    assert plain.stats() == mirror.stats()
    board = mirror.board()["last_price"]
    np.testing.assert_array_equal(board, -plain.board()["last_price"])


def test_r21_a_price_of_zero_and_the_sentinel_are_no_prices_of_a_signed_segment_either():
    engine = tl.Engine(["1m"], scales=tl.PriceScales(signed=[7]))
    start = ist("2026-07-01 10:00:00")
    for second, price in enumerate((100, -100, 0, -(2**31), 5, -5)):
        at = start + second * SECOND
        engine.apply(frames.frame(frames.full(CRUDE, price % 2**32, 1_000 + second, at, at)), at)
    engine.advance(start + 120 * SECOND)
    stats, bar = engine.stats(), engine.candles(CRUDE, "1m").last()[0]
    assert stats["price_rejected"] == 2
    assert (bar.open, bar.high, bar.low, bar.close, bar.volume) == (-1.0, 0.05, -1.0, -0.05, 5)


def test_pushed_and_joined_prices_may_be_negative_where_the_segment_is_signed():
    minute = ist("2026-07-01 10:00:00")
    row = {"time": [minute], "open": [-1.0], "high": [-0.5], "low": [-1.5], "close": [-1.0], "volume": [10]}
    signed, plain = tl.Engine(["1m"], scales=tl.PriceScales(signed=[7])), tl.Engine(["1m"])
    assert signed.join_history(CRUDE, now_ns=minute + 600 * SECOND, **row) == 1
    with pytest.raises(ValueError, match="price must be above 0"):
        plain.join_history(CRUDE, now_ns=minute + 600 * SECOND, **row)
    later = minute + 300 * SECOND
    for engine in (signed, plain):
        engine.push(CRUDE, -2.5, time_ns=later, quantity=3)
    assert signed.candles(CRUDE, "1m").forming.close == -2.5
    assert plain.stats()["price_rejected"] == 1
