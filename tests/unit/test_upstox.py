"""Upstox's messages in an engine: what becomes a bar, what does not, and what is carried over."""

from __future__ import annotations

from typing import Any

import pytest

from tests.upstox_feed import NS, OPEN, message
from tests.upstox_schema import FeedResponse
from tickloom import DecodeError, Engine, Flags
from tickloom._core import UpstoxDecoder, parse_upstox
from tickloom.sources.upstox_wire import Keys

INFY, NIFTY = "NSE_EQ|INE009A01021", "NSE_INDEX|Nifty 50"


class Feed:
    """An engine with two instruments; `say` is a message half a second after the server made it."""

    def __init__(self, **options: Any) -> None:
        self.engine = Engine(["1m", "5m"], **options)
        self.keys = Keys()
        self.infy, self.nifty = self.keys[INFY], self.keys[NIFTY]

    def say(self, at: float, kind: str = "live_feed", key: str = INFY, **fields: Any) -> Any:
        fields.setdefault("index", key == NIFTY)
        whole = message(kind, OPEN + at, {key: fields})
        return self.engine.apply_upstox(self.keys.decoder, whole, round((OPEN + at + 0.5) * NS))

    def minutes(self, token: int | None = None) -> list[tuple[int, float, float, float, float, int]]:
        bars = self.engine.candles(token or self.infy, "1m").unsealed
        sealed = self.engine.candles(token or self.infy, "1m").last(100)
        rows = [*sealed, *bars]
        return [(b.time // NS - OPEN, b.open, b.high, b.low, b.close, b.volume) for b in rows]


def morning() -> Feed:
    """Connected before the open: yesterday's last trade is all that is known."""
    feed = Feed()
    feed.say(-60, "initial_feed", ltp=99.0, ltt=OPEN - 63_000, vtt=900, cp=98.0)
    return feed


def test_trades_make_bars_by_their_own_time_and_volume_is_what_was_added() -> None:
    feed = morning()
    feed.say(1.2, ltp=100.05, ltt=OPEN + 1.003, vtt=40)
    feed.say(59.9, ltp=100.15, ltt=OPEN + 59.8, vtt=100)
    # It arrives in the next minute and belongs to this one.
    feed.say(60.4, ltp=99.95, ltt=OPEN + 59.999, vtt=130)
    feed.say(61.0, ltp=100.0, ltt=OPEN + 60.0, vtt=150)
    assert feed.minutes() == [(0, 100.05, 100.15, 99.95, 99.95, 130), (60, 100.0, 100.0, 100.0, 100.0, 20)]
    assert feed.engine.candles(feed.infy, "1m").unsealed[0].flags & Flags.PARTIAL == 0


def test_the_snapshot_of_an_earlier_day_makes_no_bar() -> None:
    feed = morning()
    assert feed.minutes() == []
    assert feed.engine.account(feed.infy)["baseline"] == 0


def test_the_snapshot_in_mid_session_says_where_the_day_stands_and_makes_no_bar() -> None:
    feed = Feed()
    feed.say(2850, "initial_feed", ltp=100.0, ltt=OPEN + 2849, vtt=500_000)
    assert feed.minutes() == []
    feed.say(2870, ltp=101.0, ltt=OPEN + 2869.5, vtt=500_900)
    assert feed.minutes() == [(2820, 101.0, 101.0, 101.0, 101.0, 900)]
    assert feed.engine.candles(feed.infy, "1m").unsealed[0].flags & Flags.PARTIAL


def test_a_message_without_the_last_trade_changes_no_bar() -> None:
    feed = morning()
    feed.say(1.2, ltp=100.05, ltt=OPEN + 1, vtt=40, oi=75.0)
    before = feed.minutes()
    for at in range(2, 50):
        feed.say(at, levels=[(99.9, 100.1)])
    assert feed.minutes() == before
    row = feed.engine.board()[0]
    assert (row["last_price"], row["volume_traded"], row["oi"], row["bid_price"][0]) == (100.05, 40, 75, 99.9)


def test_a_volume_of_yesterday_does_not_become_a_trade_of_today() -> None:
    feed = morning()
    # Today's first trade, and the volume is missing: nothing is known of it.
    feed.say(1.2, ltp=100.05, ltt=OPEN + 1)
    assert feed.minutes() == []
    feed.say(2.2, ltp=100.1, ltt=OPEN + 2, vtt=60)
    assert feed.minutes() == [(0, 100.1, 100.1, 100.1, 100.1, 60)]


def test_an_instrument_that_never_traded_has_its_first_trade_whole() -> None:
    feed = Feed()
    feed.say(-60, "initial_feed", cp=12.0)
    feed.say(5, levels=[(11.9, 12.1)])
    feed.say(30, ltp=12.05, ltt=OPEN + 29.5, vtt=75)
    assert feed.minutes() == [(0, 12.05, 12.05, 12.05, 12.05, 75)]
    assert feed.engine.stats()["price_rejected"] == 0


def test_an_index_has_prices_and_no_volume_and_its_snapshot_opens_nothing() -> None:
    feed = Feed()
    feed.say(-5, "initial_feed", NIFTY, ltp=25_000.0, ltt=OPEN - 63_000, cp=24_900.0)
    feed.say(100, "initial_feed", NIFTY, ltp=25_001.0, ltt=OPEN + 99)
    assert feed.minutes(feed.nifty) == []
    feed.say(121, key=NIFTY, ltp=25_012.3, ltt=OPEN + 120.5)
    feed.say(122, key=NIFTY, ltp=25_010.0, ltt=OPEN + 121.5)
    assert feed.minutes(feed.nifty) == [(120, 25_012.3, 25_012.3, 25_010.0, 25_010.0, 0)]


def test_the_servers_clock_closes_the_bars_of_instruments_that_are_quiet() -> None:
    feed = morning()
    feed.say(1.2, ltp=100.05, ltt=OPEN + 1, vtt=40)
    assert len(feed.engine.candles(feed.infy, "1m")) == 0
    whole = message("market_info", OPEN + 63, NSE_EQ=2)
    feed.engine.apply_upstox(feed.keys.decoder, whole, round((OPEN + 63.5) * NS))
    assert len(feed.engine.candles(feed.infy, "1m")) == 1


def test_the_days_extremes_reach_the_bar_and_never_reject_a_price() -> None:
    feed = morning()
    midnight = OPEN - 33_300
    feed.say(1, ltp=100.0, ltt=OPEN + 1, vtt=10, ohlc=[("1d", midnight, (100, 100, 100, 100), 10)])
    feed.say(2, ltp=100.1, ltt=OPEN + 2, vtt=30, ohlc=[("1d", midnight, (100, 100.5, 99.5, 100.1), 30)])
    # The day's candle lags behind the price, or is not there.
    feed.say(3, ltp=101.0, ltt=OPEN + 3, vtt=40, ohlc=[("1d", midnight, (100, 100.5, 99.5, 100.1), 30)])
    feed.say(4, ltp=102.0, ltt=OPEN + 4, vtt=50)
    assert feed.minutes() == [(0, 100.0, 102.0, 99.5, 102.0, 50)]


def test_minutes_in_the_feed_repair_what_was_missed() -> None:
    feed = morning()
    feed.say(10, ltp=100.0, ltt=OPEN + 9.5, vtt=50)
    feed.engine.disconnected((OPEN + 20) * NS)
    # Back in the second minute; the first one ended 30 s ago.
    minute = ("I1", OPEN, (100.0, 103.0, 99.0, 102.0), 400)
    running = ("I1", OPEN + 60, (102.0, 102.0, 102.0, 102.0), 100)
    feed.say(90, "initial_feed", ltp=102.0, ltt=OPEN + 89, vtt=500, ohlc=[minute, running])
    rows = feed.minutes()
    assert rows[0] == (0, 100.0, 103.0, 99.0, 102.0, 400)
    assert sum(row[-1] for row in rows) == 500


def test_prices_come_back_as_the_doubles_that_were_sent() -> None:
    feed = morning()
    for number in range(1, 400):
        price = number * 137 / 100
        feed.say(number / 10, ltp=price, ltt=OPEN + number / 10, vtt=number)
        assert feed.minutes()[-1][4] == price


def test_keys_that_nobody_tracks_and_feeds_that_are_broken_are_counted() -> None:
    feed = morning()
    batch = feed.say(1, key="NSE_EQ|OTHER", ltp=1.0, ltt=OPEN + 1, vtt=1)
    assert (len(batch), batch.rejected) == (0, 1)
    stats = feed.engine.stats()
    assert stats["packets"] == stats["ticks"] + stats["rejected"]
    assert parse_upstox(message("live_feed", OPEN, {"K": {"ltp": 1.0}})).rejected == 0
    with pytest.raises(DecodeError, match="truncated_body at byte 2"):
        feed.engine.apply_upstox(feed.keys.decoder, b"\x12\x05\x01", 0)
    with pytest.raises(TypeError):
        parse_upstox("text")


def test_a_batch_shows_the_ticks_in_kites_layout() -> None:
    feed = morning()
    batch = feed.say(1.2, ltp=100.05, ltt=OPEN + 1.003, vtt=40, levels=[(100.0, 100.1)])
    (tick,) = batch.to_dicts("UTC")
    assert (tick["instrument_token"], tick["last_price"], tick["volume_traded"]) == (feed.infy, 100.05, 40)
    assert tick["ohlc"]["close"] == 98.0
    assert tick["depth"]["sell"][0] == {"quantity": 50, "price": 100.1, "orders": 0}
    assert tick["last_trade_time"].timestamp() == OPEN + 1


def test_a_key_has_the_token_of_the_exchange_where_it_names_one() -> None:
    keys = Keys({"INFY": INFY})
    assert keys["NSE_FO|54452"] == 54452 << 8 | 2
    assert keys["INFY"] == keys[INFY]
    assert keys[INFY] & 0xFF == 1
    assert keys[INFY] >> 31 == 1
    assert keys[NIFTY] & 0xFF == 9
    assert keys.key(keys[NIFTY]) == NIFTY
    assert "NSE_EQ|X" in keys
    assert "INFOSYS" not in keys
    for bad in ("X|Y", "NSE_EQ", "NSE_EQ|"):
        with pytest.raises(KeyError):
            keys[bad]
    with pytest.raises(ValueError, match="an instrument key is a segment"):
        Keys({"A": "B"})


def test_tokens_made_up_for_many_keys_all_differ() -> None:
    keys = Keys()
    names = [f"NSE_EQ|INE{number:09d}" for number in range(5000)]
    assert len({keys[name] for name in names}) == 5000
    assert Keys()[names[0]] == keys[names[0]]


def test_a_decoder_refuses_a_key_or_token_that_is_anothers() -> None:
    decoder = UpstoxDecoder()
    decoder.track("A", 1)
    decoder.track("A", 1)
    for key, token in (("A", 2), ("B", 1)):
        with pytest.raises(ValueError, match=r"already|another"):
            decoder.track(key, token)
    assert decoder.tokens() == {"A": 1}


def test_what_the_closing_auction_added_to_the_schema_is_stepped_over() -> None:
    plain, later = morning(), morning()
    whole = message("live_feed", OPEN + 1, {INFY: {"ltp": 100.05, "ltt": OPEN + 0.5, "vtt": 40}}, NSE_EQ=3)
    told = FeedResponse.FromString(whole)
    full = told.feeds[INFY].fullFeed.marketFF
    full.ltpc.iep.value = full.iep = full.rp = 101.5
    full.ieq = full.iiqTotal = full.iiqM = 7_000
    full.casEligible = 1
    told.marketInfo.casMarketStatus["NSE_EQ"].status = "CAS_LM_START"
    told.marketInfo.preOpenSessionStatus["NSE_EQ"].updatedTime = OPEN * 1000
    more = bytes(told.SerializeToString())
    assert len(more) > len(whole) + 60
    for feed, sent in ((plain, whole), (later, more)):
        assert feed.engine.apply_upstox(feed.keys.decoder, sent, (OPEN + 2) * NS).rejected == 0
    assert later.minutes() == plain.minutes() == [(0, 100.05, 100.05, 100.05, 100.05, 40)]
    assert parse_upstox(more).market == parse_upstox(whole).market == {"NSE_EQ": 3}
    assert parse_upstox(more).to_dicts() == parse_upstox(whole).to_dicts()


def cut_in_the_first_minute() -> Feed:
    """Traded at 9.5 s, cut at 20 s, back at 70 s: the first minute and the head of the second were missed."""
    feed = morning()
    feed.say(10, ltp=100.0, ltt=OPEN + 9.5, vtt=50)
    feed.engine.disconnected((OPEN + 20) * NS)
    return feed


FIRST = ("I1", OPEN, (100.0, 103.0, 99.0, 102.0), 400)


def test_the_minute_of_the_return_is_mended_too_although_another_has_begun_when_it_is_final() -> None:
    feed = cut_in_the_first_minute()
    feed.say(70, "initial_feed", ltp=101.0, ltt=OPEN + 69, vtt=480, ohlc=[FIRST, ("I1", OPEN + 60, (104.0,) * 4, 80)])
    feed.say(100, ltp=101.5, ltt=OPEN + 99, vtt=500)
    second = ("I1", OPEN + 60, (104.0, 105.0, 101.0, 101.5), 100)
    feed.say(121, ltp=102.0, ltt=OPEN + 120, vtt=510, ohlc=[second, ("I1", OPEN + 120, (102.0,) * 4, 10)])
    assert feed.minutes()[1] != (60, 104.0, 105.0, 101.0, 101.5, 100)
    feed.say(
        136, ltp=102.5, ltt=OPEN + 135, vtt=520, ohlc=[second, ("I1", OPEN + 120, (102.0, 102.5, 102.0, 102.5), 20)]
    )
    rows = feed.minutes()
    assert rows[:2] == [(0, 100.0, 103.0, 99.0, 102.0, 400), (60, 104.0, 105.0, 101.0, 101.5, 100)]
    assert sum(row[-1] for row in rows) == 520


def test_a_minute_that_is_not_told_again_because_it_did_not_change_mends_all_the_same() -> None:
    feed = cut_in_the_first_minute()
    feed.say(70, "initial_feed", ltp=102.0, ltt=OPEN + 50, vtt=400, ohlc=[FIRST])
    assert feed.minutes()[0][1:5] != FIRST[2]
    feed.say(74, levels=[(101.9, 102.1)])
    assert feed.minutes()[0][1:5] != FIRST[2]
    # Its end is 15 s ago.
    feed.say(75, levels=[(101.8, 102.1)])
    assert feed.minutes()[0] == (0, 100.0, 103.0, 99.0, 102.0, 400)
