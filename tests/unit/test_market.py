"""The seeded market seen from Python: its truth against its trades, its frames against both, its arguments."""

from __future__ import annotations

import datetime as dt
import hashlib
import itertools
import struct
from collections import defaultdict
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tickloom.errors import UnknownInstrument
from tickloom.sources import Market
from tickloom.sources.simulator import PHASES, Faults, MarketInstrument

SECOND = 1_000_000_000
IST = dt.timezone(dt.timedelta(hours=5, minutes=30))


def small(seed: int = 3, **changes: Any) -> Market:
    """Ten minutes of a few names."""
    return Market(**{"seed": seed, "instruments": 15, "indices": 1, "end": "09:25", **changes})


def bodies(market: Market) -> list[tuple[int, bytes]]:
    """(received, body) of every whole packet, in the order of arrival. Written apart from the library's own parser."""
    found = []
    for kind, received, payload in market.events():
        if kind != "frame":
            continue
        assert payload is not None
        (count,) = struct.unpack_from(">H", payload)
        offset = 2
        for _ in range(count):
            if offset + 2 > len(payload):
                break
            (length,) = struct.unpack_from(">H", payload, offset)
            body = payload[offset + 2 : offset + 2 + length]
            if len(body) < length:
                break
            found.append((received, body))
            offset += 2 + length
    return found


def fulls(market: Market) -> dict[int, list[tuple[int, tuple[int, ...]]]]:
    """The first sixteen fields of each full packet by token: 4 is the volume, 11 the trade time, 15 the stamp."""
    by_token = defaultdict(list)
    for received, body in bodies(market):
        if len(body) == 184:
            fields = struct.unpack_from(">16I", body)
            by_token[fields[0]].append((received, fields))
    return by_token


def traded(market: Market) -> list[MarketInstrument]:
    return [name for name in market.instruments() if name.kind != "index"]


def fingerprint(market: Market) -> str:
    digest = hashlib.sha256()
    for kind, at, payload in market.events():
        digest.update(f"{kind}{at}".encode())
        digest.update(payload or b"")
    return digest.hexdigest()


@pytest.mark.parametrize("minutes", [1, 3, 7])
def test_the_truth_is_the_trades_aggregated_the_slow_way(minutes: int) -> None:
    market = small()
    for name in traded(market):
        trades = market.trades(name.token)
        bars: dict[int, list[tuple[Decimal, int]]] = {}
        for time, price, quantity, phase in zip(*(trades[column].tolist() for column in trades), strict=True):
            if PHASES[phase] == "continuous":
                # Exactly at the end of the session: still the last bar.
                inside = min(time, name.session_close_ns - 1) - name.session_open_ns
                start = name.session_open_ns + inside // (minutes * 60 * SECOND) * (minutes * 60 * SECOND)
                bars.setdefault(start, []).append((Decimal(str(price)), quantity))
        truth = market.truth(name.token, f"{minutes}m")
        assert truth["time"].tolist() == list(bars)
        assert truth["end"].tolist() == [min(t + minutes * 60 * SECOND, name.session_close_ns) for t in bars]
        for row, bar in enumerate(bars.values()):
            prices = [price for price, _ in bar]
            volume = sum(quantity for _, quantity in bar)
            value = sum(price * quantity for price, quantity in bar)
            found = [Decimal(str(truth[column][row])) for column in ("open", "high", "low", "close")]
            assert found == [prices[0], max(prices), min(prices), prices[-1]]
            assert (truth["volume"][row], truth["trades"][row]) == (volume, len(bar))
            assert truth["value"][row] == pytest.approx(float(value), rel=1e-15)
            assert truth["vwap"][row] == pytest.approx(float(value / volume), rel=1e-14)


def test_the_columns_have_the_types_that_are_promised() -> None:
    market = small()
    whole, real = np.dtype(np.int64), np.dtype(np.float64)
    truth = market.truth(traded(market)[0].token)
    types = {name: column.dtype for name, column in truth.items()}
    prices = dict.fromkeys(["open", "high", "low", "close", "value", "vwap"], real)
    assert types == {**dict.fromkeys(["time", "end", "volume", "trades"], whole), **prices}
    assert len({len(column) for column in truth.values()}) == 1
    trades = market.trades(traded(market)[0].token)
    assert {name: column.dtype for name, column in trades.items()} == {
        "time": whole,
        "price": real,
        "quantity": whole,
        "phase": whole,
    }


def test_all_trades_are_delivered_and_the_day_adds_up() -> None:
    market = small(postclose=True)
    seen = fulls(market)
    for name in traded(market):
        total = int(market.trades(name.token)["quantity"].sum())
        (day,) = market.truth_days(name.token) or [None]
        if day is None:
            assert total == 0
            continue
        prints = [p.volume for p in (day.auction_open, day.auction_close, day.post) if p]
        assert market.truth(name.token, "1m")["volume"].sum() + sum(prints) == day.volume == total
        assert seen[name.token][-1][1][4] == market.delivered_volume(name.token) == total
        assert (day.post is None) or day.post.price == day.close


def test_every_snapshot_is_consistent_with_itself_and_with_those_before() -> None:
    for packets in fulls(small()).values():
        volume = stamp = 0
        for received, fields in packets:
            _, last, quantity, average, now, _, _, opened, high, low, _, traded_at, *_, ets = fields
            assert volume <= now
            assert stamp <= ets
            assert traded_at <= ets < received / SECOND
            if now:
                assert low <= last <= high
                assert low <= opened <= high
                assert low <= average <= high
                assert 0 < quantity <= now
            volume, stamp = now, ets


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first = fingerprint(small(seed=1, faults="all"))
    again = small(seed=1, faults="all")
    assert fingerprint(again) == first
    assert fingerprint(again) == first
    assert fingerprint(small(seed=2, faults="all")) != first


def test_faults_change_the_frames_and_never_the_truth() -> None:
    calm, rough = small(), small(faults={"drop": 0.3, "reorder": 0.3, "cancellation": 1.0})
    assert fingerprint(calm) != fingerprint(rough)
    for name in calm.instruments():
        ours, theirs = calm.truth(name.token, "1m"), rough.truth(name.token, "1m")
        assert all(np.array_equal(ours[column], theirs[column], equal_nan=True) for column in ours)


def test_delays_from_the_stamp_are_those_that_users_measured() -> None:
    packets = itertools.chain.from_iterable(fulls(small(liquid=40)).values())
    delays = np.array([received - fields[15] * SECOND for received, fields in packets]) / SECOND
    assert delays.min() >= 0.41
    assert delays.max() <= 2.98
    assert delays.mean() == pytest.approx(0.92, abs=0.03)


def test_price_times_volume_of_the_snapshots_gives_a_vwap_near_the_truth() -> None:
    market = Market(seed=5, liquid=8, indices=0, end="10:15")
    seen = fulls(market)
    errors = []
    for name in traded(market):
        value: defaultdict[int, float] = defaultdict(float)
        volume: defaultdict[int, int] = defaultdict(int)
        before = 0
        for _, fields in seen[name.token]:
            minute = fields[11] * SECOND // (60 * SECOND) * 60 * SECOND
            value[minute] += fields[1] / 100 * (fields[4] - before)
            volume[minute] += fields[4] - before
            before = fields[4]
        truth = market.truth(name.token, "1m")
        errors += [
            abs(value[t] / volume[t] - v)
            for t, v in zip(truth["time"].tolist(), truth["vwap"], strict=True)
            if volume[t]
        ]
    assert len(errors) > 400
    assert np.mean(errors) < 0.02


def test_a_disconnection_is_given_as_times_of_day_or_nanoseconds() -> None:
    times = small(faults={"disconnections": [("09:16:50", "09:17:10")]})
    at = times.session_open_ns + 110 * SECOND
    changes = [(kind, ns) for kind, ns, _ in times.events() if kind != "frame"]
    assert changes[1:] == [("disconnected", at), ("connected", at + 20 * SECOND)]
    assert not any(at <= ns < at + 20 * SECOND for kind, ns, _ in times.events() if kind == "frame")
    same = small(faults={"disconnections": [(at, at + 20 * SECOND)]})
    assert fingerprint(same) == fingerprint(times)


def test_every_fault_on_still_leaves_a_market_that_runs_to_its_end() -> None:
    market = small(faults="all", days=2)
    kinds = [kind for kind, _, _ in market.events()]
    assert kinds[0] == "connected"
    assert {"frame", "disconnected"} <= set(kinds)
    for name in traded(market):
        assert [day.date for day in market.delivered(name.token)] == market.days()
    wrapped = max(market.delivered(name.token)[0].highest_volume for name in traded(market))
    assert wrapped > 2**32


def test_modes_are_chosen_for_all_and_for_single_names() -> None:
    market = small(mode="quote")
    chosen: dict[int, Any] = {traded(market)[0].token: "ltp", traded(market)[1].token: "full"}
    market = small(mode="quote", modes=chosen)
    lengths: defaultdict[int, set[int]] = defaultdict(set)
    for _, body in bodies(market):
        lengths[struct.unpack_from(">I", body)[0]].add(len(body))
    expected = {name.token: {28 if name.kind == "index" else 44} for name in market.instruments()}
    expected[traded(market)[0].token] = {8}
    expected[traded(market)[1].token] = {184}
    assert lengths == expected
    assert {name.token: name.mode for name in market.instruments()} == {
        token: {8: "ltp", 28: "quote", 44: "quote", 184: "full"}[length] for token, (length,) in expected.items()
    }


def test_instruments_say_what_they_are() -> None:
    market = Market(instruments=50, indices=2)
    names = market.instruments()
    assert len({name.token for name in names}) == len({name.symbol for name in names}) == len(names) == 52

    def count(field: str, value: str) -> int:
        return sum(getattr(name, field) == value for name in names)

    assert [count("liquidity", word) for word in ("liquid", "middling", "thin")] == [12, 20, 20]
    assert [count("kind", word) for word in ("equity", "future", "option", "index")] == [24, 6, 20, 2]
    assert all(name.symbol.startswith("SIM") and name.segment == name.token & 0xFF for name in names)
    opens = dt.datetime.fromtimestamp(names[0].session_open_ns / SECOND, IST)
    assert opens.isoformat() == "2026-07-01T09:15:00+05:30"
    assert market.session_close_ns - market.session_open_ns == 22_500 * SECOND


def test_a_closing_auction_ends_liquid_equities_early_and_derivatives_late() -> None:
    market = Market(seed=2, instruments=20, date="2026-08-03", cas=True)
    ends = {(n.kind, n.liquidity): (n.session_close_ns - n.session_open_ns) // 60 // SECOND for n in traded(market)}
    assert ends[("equity", "liquid")] == 360
    assert ends[("equity", "middling")] == 375
    assert ends[("option", "thin")] == 385
    liquid = next(n for n in traded(market) if (n.kind, n.liquidity) == ("equity", "liquid"))
    (day,) = market.truth_days(liquid.token)
    assert day.auction_close is not None
    assert market.session_close_ns <= day.auction_close.time < market.session_close_ns + 300 * SECOND
    assert day.close == day.auction_close.price


def test_commodities_and_currencies_have_their_own_scale_and_hours() -> None:
    market = Market(instruments=0, indices=0, commodities=1, currencies=1)
    commodity, currency = market.instruments()
    assert (commodity.segment, currency.segment) == (7, 3)
    assert (commodity.tick_size, currency.tick_size, currency.base_price) == (1.0, 0.0025, 84.0)
    minutes = [(name.session_close_ns - name.session_open_ns) // 60 // SECOND for name in (commodity, currency)]
    assert minutes == [870, 480]
    prices = market.trades(currency.token)["price"]
    assert np.abs(prices / 84.0 - 1).max() < 0.2
    assert np.array_equal(np.rint(prices / 0.0025), np.round(prices / 0.0025, 6))


def test_a_second_run_ends_the_first_one() -> None:
    market = small()
    first = market.events()
    next(first)
    second = market.events()
    with pytest.raises(RuntimeError, match="events"):
        next(first)
    assert next(second)[0] == "connected"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mode": "fuller"}, "mode"),
        ({"rate": 0}, "rate"),
        ({"days": 0}, "days"),
        ({"instruments": 0, "indices": 0}, "at least one instrument"),
        ({"thin": 100_001}, "more than 100000 instruments of a kind: 100001"),
        ({"packets_per_frame": 0}, "packets per frame"),
        ({"start": "09:25", "end": "09:25"}, "phases"),
        ({"start": "nine"}, "nine"),
        ({"start": "09:15:00.5"}, "time of day"),
        ({"date": "2026-02-30"}, "day"),
        ({"cas": True}, "15 minutes"),
        ({"faults": "some"}, "some"),
        ({"faults": {"dorp": 1}}, "dorp"),
        ({"faults": {"drop": 1.1}}, "drop"),
        ({"faults": {"disconnections": [("09:17", "09:16")]}}, "disconnections"),
        ({"modes": {1: "full"}}, "no such instrument in the market: 1"),
    ],
)
def test_arguments_that_make_no_market_are_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        small(**arguments)


def test_unknown_tokens_and_intervals_are_named() -> None:
    market = small()
    for ask in (market.truth, market.truth_days, market.trades, market.delivered, market.delivered_volume):
        with pytest.raises(UnknownInstrument, match="no such instrument in the market: 7"):
            ask(7)
    with pytest.raises(ValueError, match="1w"):
        market.truth(traded(market)[0].token, "1w")
    token = traded(market)[0].token
    assert np.array_equal(market.truth(token, dt.timedelta(minutes=2))["volume"], market.truth(token, "2m")["volume"])
    assert len(market.truth(token, "1d")["time"]) == 1


def test_the_knobs_are_those_of_the_documentation() -> None:
    documented = Faults.__doc__ or ""
    assert all(f"`{knob}`" in documented for knob in Faults.__annotations__)
