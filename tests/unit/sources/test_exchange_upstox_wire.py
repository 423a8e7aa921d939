"""What the simulated exchange writes in Upstox's protocol is what protobuf and our own decoder read."""

from __future__ import annotations

import contextlib
import random
import struct

import pytest

from tests.upstox_schema import FeedResponse
from tickloom import DecodeError, Engine
from tickloom._core import UpstoxDecoder, parse_upstox
from tickloom.sources import exchange_upstox_wire as wire
from tickloom.sources.exchange_minutes import Minute, Minutes
from tickloom.sources.exchange_protobuf import BYTES, DOUBLE, VARINT, chunk, double, integer, tag, varint
from tickloom.sources.exchange_upstox_hostile import HOSTILE, hostile
from tickloom.sources.exchange_wire import BadRequest

INFY, NIFTY = 408065, 256265
# 2026-07-01 09:15:00 IST in seconds; its midnight is the day's candle.
OPEN = 1_782_877_500
MIDNIGHT = OPEN - 33_300
MINUTES = [Minute(OPEN, 9_990, 10_010, 9_980, 10_005, 900), Minute(OPEN + 60, 10_005, 10_015, 10_000, 10_010, 40)]


def full(price: int = 10_010, volume: int = 940, *, bid: int = 10_005, stamp: int = OPEN + 70) -> bytes:
    """A full packet of Kite's, in hundredths."""
    head = (INFY, price, 25, 10_002, volume, 5_000, 6_000, 9_990, 10_015, 9_980, 9_900, stamp, 75, 0, 0, stamp + 1)
    levels = [(100 + n, bid - 5 * n, n, 0) for n in range(5)] + [(200 + n, bid + 5 + 5 * n, n, 0) for n in range(5)]
    return struct.pack(">16I", *head) + b"".join(struct.pack(">IIHH", *level) for level in levels)


def index() -> bytes:
    return struct.pack(">8I", NIFTY, 2_500_055, 2_501_000, 2_490_000, 2_495_000, 2_480_000, 20_055, OPEN + 70)


def said(mode: str, packet: bytes, token: int = INFY, before: bytes | None = None) -> bytes:
    """The message of one feed, `before` being the packet that was told last."""
    parts = wire.Shapes.parts(token, packet, mode, 100, MINUTES)
    told = None if before is None else wire.Shapes.parts(token, before, mode, 100, MINUTES)
    return wire.message(wire.LIVE_FEED, (OPEN + 71) * 1000, {b"K": wire.Shapes.feed(token, mode, parts, told)})


def read(message: bytes) -> FeedResponse:
    found = FeedResponse()
    found.ParseFromString(message)
    # Protobuf would write the very same bytes: no field is there twice, in another order, or unknown.
    assert found.SerializeToString(deterministic=True) == message
    return found


@pytest.mark.parametrize("value", [0, 1, 127, 128, 300, 2**31, 2**63 - 1, -1, -(2**63)])
def test_an_integer_is_written_as_protobuf_writes_it(value: int) -> None:
    assert FeedResponse(currentTs=value).SerializeToString() == integer(tag(3, VARINT), value)


def test_a_tag_has_the_number_and_the_wire_type_and_a_zero_is_not_written() -> None:
    assert tag(1, VARINT) == b"\x08"
    assert tag(16, BYTES) == varint(16 << 3 | 2) == b"\x82\x01"
    assert double(tag(1, DOUBLE), 0.0) == integer(tag(1, VARINT), 0) == b""
    assert chunk(tag(2, BYTES), b"") == b"\x12\x00"


def test_mode_full_has_every_field_in_its_place() -> None:
    found = read(said("full", full()))
    assert (found.type, found.currentTs, list(found.feeds)) == (1, (OPEN + 71) * 1000, ["K"])
    feed = found.feeds["K"]
    assert feed.requestMode == 1
    market = feed.fullFeed.marketFF
    last = market.ltpc
    assert (last.ltp, last.ltt, last.ltq, last.cp) == (100.1, (OPEN + 70) * 1000, 25, 99.0)
    assert (market.atp, market.vtt, market.oi, market.tbq, market.tsq) == (100.02, 940, 75.0, 5_000.0, 6_000.0)
    levels = [(q.bidQ, q.bidP, q.askQ, q.askP) for q in market.marketLevel.bidAskQuote]
    assert levels[:2] == [(100, 100.05, 200, 100.1), (101, 100.0, 201, 100.15)]
    assert len(levels) == 5
    assert [(c.interval, c.ts, c.open, c.high, c.low, c.close, c.vol) for c in market.marketOHLC.ohlc] == [
        ("1d", MIDNIGHT * 1000, 99.9, 100.15, 99.8, 100.1, 940),
        ("I1", OPEN * 1000, 99.9, 100.1, 99.8, 100.05, 900),
        ("I1", (OPEN + 60) * 1000, 100.05, 100.15, 100.0, 100.1, 40),
    ]
    assert read(said("full_d30", full())).feeds["K"].requestMode == 3


def test_the_lesser_modes_have_their_shapes_and_ltpc_has_no_volume() -> None:
    feed = read(said("ltpc", full())).feeds["K"]
    assert feed.WhichOneof("shape") == "ltpc"
    assert (feed.ltpc.ltp, feed.requestMode) == (100.1, 0)
    feed = read(said("option_greeks", full())).feeds["K"]
    first = feed.firstLevelWithGreeks
    assert (first.ltpc.ltp, first.firstDepth.askP, first.vtt, first.oi, feed.requestMode) == (
        100.1,
        100.1,
        940,
        75.0,
        2,
    )


def test_an_index_has_a_price_and_candles_and_nothing_else() -> None:
    feed = read(said("full", index(), NIFTY)).feeds["K"]
    shown = feed.fullFeed.indexFF
    assert feed.fullFeed.WhichOneof("shape") == "indexFF"
    assert (shown.ltpc.ltp, shown.ltpc.cp, shown.ltpc.ltt) == (25_000.55, 24_800.0, (OPEN + 70) * 1000)
    assert [candle.vol for candle in shown.marketOHLC.ohlc] == [0, 900, 40]
    assert read(said("ltpc", index(), NIFTY)).feeds["K"].ltpc.ltp == 25_000.55
    assert read(said("option_greeks", index(), NIFTY)).feeds["K"].firstLevelWithGreeks.ltpc.ltp == 25_000.55


def test_what_did_not_change_is_left_out_and_our_engine_has_it_still() -> None:
    moved = said("full", full(bid=10_000), before=full())
    market = read(moved).feeds["K"].fullFeed.marketFF
    assert [field.name for field, _ in market.ListFields()] == ["marketLevel", "atp", "vtt", "oi", "tbq", "tsq"]
    engine, decoder = Engine(["1m"]), UpstoxDecoder()
    decoder.track("K", INFY)
    for message in (said("full", full()), moved):
        batch = engine.apply_upstox(decoder, message, (OPEN + 71) * 10**9)
    (tick,) = batch.to_dicts("UTC")
    assert (tick["last_price"], tick["depth"]["buy"][0]["price"], tick["volume_traded"]) == (100.1, 100.0, 940)
    assert (tick["last_trade_time"].timestamp(), tick["ohlc"]["high"]) == (OPEN + 70, 100.15)


def test_random_packets_are_read_alike_by_protobuf_and_by_us() -> None:
    rng = random.Random(3)
    for _ in range(2_000):
        word = lambda: rng.choice((0, rng.randrange(1 << 8), rng.randrange(1 << 32)))  # noqa: E731 - it is short
        token = rng.choice((INFY, NIFTY))
        size = 8 if token == NIFTY else 46
        packet = struct.pack(f">{size}I", token, *(word() for _ in range(size - 1)))
        mode = rng.choice(list(wire.REQUEST_MODES))
        message = said(mode, packet, token)
        theirs = read(message).feeds["K"]
        (ours,) = parse_upstox(message).to_dicts()
        shape = theirs.WhichOneof("shape")
        inner = theirs if shape == "ltpc" else getattr(theirs, shape)
        inner = getattr(inner, inner.WhichOneof("shape")) if shape == "fullFeed" else inner
        assert {name: ours[name] for name in ("ltp", "ltt", "ltq", "cp") if name in ours} == {
            field.name: value for field, value in inner.ltpc.ListFields()
        }
        for name in ("atp", "vtt", "oi", "tbq", "tsq"):
            assert ours.get(name, 0) == getattr(inner, name, 0)
        assert ours.get("requestMode", 0) == theirs.requestMode


def test_the_market_status_comes_first_in_its_message_and_feeds_are_by_key() -> None:
    message = wire.message(wire.MARKET_INFO, 5, {}, {"NSE_EQ": 2, "NSE_FO": 0})
    assert message.startswith(b"\x08\x02")
    assert parse_upstox(message).market == {"NSE_EQ": 2, "NSE_FO": 0}
    assert dict(read(message).marketInfo.segmentStatus) == {"NSE_EQ": 2, "NSE_FO": 0}


@pytest.mark.parametrize(
    ("text", "reason"),
    [(b"\xff", "not a JSON"), (b"[" * 90_000, "not a JSON"), (b"7", "not an object"), (b'{"data":[]}', "not an object"),
     (b'{"method":"buy","data":{}}', "no such method: 'buy'"), (b'{"method":"sub","data":{}}', "not a list of strings"),
     (b'{"method":"sub","data":{"mode":"quote","instrumentKeys":[]}}', "no such mode: 'quote'"),
     (b'{"method":"sub","data":{"instrumentKeys":[7]}}', "not a list of strings")],
)  # fmt: skip
def test_a_request_that_is_none_says_why(text: bytes, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        wire.request_of(text)


def test_a_request_without_a_mode_means_ltpc() -> None:
    assert wire.request_of(b'{"method":"sub","data":{"instrumentKeys":["A|B"]}}') == ("sub", "ltpc", ["A|B"])


@pytest.mark.parametrize("kind", HOSTILE)
def test_no_hostile_message_is_a_good_one_and_none_moves_another_instrument(kind: str) -> None:
    rng = random.Random(7)
    engine, decoder = Engine(["1m"]), UpstoxDecoder()
    decoder.track("K", INFY)
    decoder.track("NSE_EQ|VICTIM", 257)
    now = (OPEN + 71) * 10**9
    engine.apply_upstox(decoder, said("full", full()), now)
    before, row = engine.account(INFY), repr(engine.board()[0].tolist())
    bars = [bar.to_dict() for bar in engine.candles(INFY, "1m").unsealed]
    for _ in range(300):
        message = hostile(kind, rng, "NSE_EQ|VICTIM")
        if isinstance(message, str):
            continue
        with contextlib.suppress(DecodeError):
            engine.apply_upstox(decoder, message, now)
    stats = engine.stats()
    assert stats["packets"] == stats["ticks"] + stats["rejected"]
    assert engine.account(INFY) == before
    assert repr(engine.board()[0].tolist()) == row
    assert [bar.to_dict() for bar in engine.candles(INFY, "1m").unsealed] == bars


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="no such kind"):
        hostile("polite", random.Random(1))


# The minutes.


def seen(*packets: bytes, token: int = INFY) -> list[Minute]:
    minutes = Minutes()
    minutes.watch((token, packet) for packet in packets)
    return minutes.of(token)


def test_a_minute_is_folded_from_trades_and_the_one_before_is_kept() -> None:
    assert seen(
        full(10_000, 50, stamp=OPEN),
        full(10_010, 90, stamp=OPEN + 59),
        # Nothing was traded: the quote moved.
        full(10_010, 90, bid=9_000, stamp=OPEN + 59),
        full(9_985, 100, stamp=OPEN + 60),
        full(9_990, 130, stamp=OPEN + 61),
    ) == [Minute(OPEN, 10_000, 10_010, 10_000, 10_010, 90), Minute(OPEN + 60, 9_985, 9_990, 9_985, 9_990, 40)]


def test_yesterdays_last_packet_is_no_minute_of_today_and_a_new_day_begins_at_nothing() -> None:
    yesterday = full(9_900, 0, stamp=OPEN - 70_000)
    assert seen(yesterday) == []
    minutes = seen(full(9_900, 700, stamp=OPEN - 70_000), full(10_000, 50, stamp=OPEN))
    assert [minute.volume for minute in minutes] == [700, 50]


def test_a_high_that_only_the_days_figures_tell_is_the_minutes() -> None:
    def with_high(price: int, volume: int, high: int, stamp: int) -> bytes:
        packet = full(price, volume, stamp=stamp)
        return packet[:32] + struct.pack(">I", high) + packet[36:]

    first, then = with_high(10_000, 50, 10_015, OPEN), with_high(10_000, 60, 10_040, OPEN + 5)
    assert [minute.high for minute in seen(first, then)] == [10_040]


def test_an_indexs_minute_has_no_volume() -> None:
    (minute,) = seen(index(), index()[:4] + struct.pack(">I", 2_500_100) + index()[8:], token=NIFTY)
    assert minute == Minute(OPEN + 60, 2_500_055, 2_500_100, 2_500_055, 2_500_100, 0)
