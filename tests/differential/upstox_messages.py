"""Random Upstox messages, decoded by us and by protobuf: `python -m tests.differential.upstox_messages [COUNT] [SEED]`.

Compares every field of COUNT messages (100,000 if not given), a third of them with fields that are unknown, sent twice
or of a shape that another one replaces, and as many with damaged bytes that protobuf may still take.
"""

from __future__ import annotations

import random
import sys
from typing import Any

from google.protobuf.message import DecodeError as ProtobufError

from tests.upstox_schema import FeedResponse
from tickloom import DecodeError
from tickloom._core import parse_upstox

LAST = ("ltp", "ltt", "ltq", "cp")
GREEKS = ("delta", "theta", "gamma", "vega", "rho")
KINDS = {0: "initial_feed", 1: "live_feed", 2: "market_info"}


def price(rng: random.Random) -> float:
    match rng.randrange(8):
        case 0:
            return 0.0
        case 1:
            return rng.uniform(-1e12, 1e12)
        case _:
            return rng.randrange(1, 10**7) * 5 / 100


def integer(rng: random.Random) -> int:
    return rng.choice((0, rng.randrange(2**7), rng.randrange(2**33), rng.randrange(-(2**63), 2**63)))


def fill(rng: random.Random, target: Any, doubles: tuple[str, ...], integers: tuple[str, ...]) -> None:
    for name in doubles:
        if rng.random() < 0.7:
            setattr(target, name, price(rng))
    for name in integers:
        if rng.random() < 0.7:
            setattr(target, name, integer(rng))


def ltpc(rng: random.Random, target: Any) -> None:
    target.SetInParent()
    fill(rng, target, ("ltp", "cp"), ("ltt", "ltq"))


def candles(rng: random.Random, target: Any) -> None:
    target.SetInParent()
    for _ in range(rng.randrange(5)):
        candle = target.ohlc.add(interval=rng.choice(("1d", "I1", "I30", "")))
        fill(rng, candle, ("open", "high", "low", "close"), ("vol", "ts"))


def greeks(rng: random.Random, target: Any) -> None:
    target.SetInParent()
    fill(rng, target, GREEKS, ())


def feed(rng: random.Random, target: Any) -> None:
    likely = rng.random()
    match rng.randrange(7):
        case 0:
            pass
        case 1:
            ltpc(rng, target.ltpc)
        case 2:
            index = target.fullFeed.indexFF
            index.SetInParent()
            if likely < 0.8:
                ltpc(rng, index.ltpc)
            if rng.random() < 0.7:
                candles(rng, index.marketOHLC)
        case 3:
            first = target.firstLevelWithGreeks
            first.SetInParent()
            if likely < 0.8:
                ltpc(rng, first.ltpc)
            if rng.random() < 0.7:
                first.firstDepth.SetInParent()
                fill(rng, first.firstDepth, ("bidP", "askP"), ("bidQ", "askQ"))
            if rng.random() < 0.7:
                greeks(rng, first.optionGreeks)
            fill(rng, first, ("oi", "iv"), ("vtt",))
        case 4 if likely < 0.2:
            target.fullFeed.SetInParent()
        case _:
            market = target.fullFeed.marketFF
            market.SetInParent()
            if likely < 0.8:
                ltpc(rng, market.ltpc)
            if rng.random() < 0.7:
                market.marketLevel.SetInParent()
                for _ in range(rng.choice((0, 5, 5, 30))):
                    quote = market.marketLevel.bidAskQuote.add()
                    fill(rng, quote, ("bidP", "askP"), ("bidQ", "askQ"))
            if rng.random() < 0.3:
                greeks(rng, market.optionGreeks)
            if rng.random() < 0.7:
                candles(rng, market.marketOHLC)
            fill(rng, market, ("atp", "oi", "iv", "tbq", "tsq"), ("vtt",))
    if rng.random() < 0.7:
        target.requestMode = rng.choice((0, 1, 2, 3, 17, -1))


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def run(number: int, payload: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def unknown(rng: random.Random) -> bytes:
    number = rng.choice((15, 16, 90, 2**29 - 1))
    return rng.choice((
        varint(number << 3) + varint(rng.randrange(2**63)),
        varint(number << 3 | 1) + rng.randbytes(8),
        run(number, rng.randbytes(rng.randrange(40))),
        varint(number << 3 | 5) + rng.randbytes(4),
    ))  # fmt: skip


def message(rng: random.Random) -> bytes:
    """One message as protobuf writes it, or as some other writer might."""
    made = FeedResponse(type=rng.choice((0, 1, 1, 1, 2, 9)), currentTs=integer(rng))
    keys = [f"NSE_FO|{rng.randrange(10**6)}" for _ in range(rng.randrange(4))] + [""] * (rng.random() < 0.05)
    for key in keys:
        feed(rng, made.feeds[key])
    for segment in ("NSE_EQ", "NSE_FO")[: rng.choice((0, 0, 0, 1, 2))]:
        made.marketInfo.segmentStatus[segment] = rng.choice((0, 1, 2, 3, 5, 6, -4))
    whole = bytes(made.SerializeToString())
    if rng.random() < 0.3:
        parts = []
        for _ in range(rng.choice((1, 2, 2, 3))):
            part = type(made.feeds["_"])()
            feed(rng, part)
            parts.append(bytes(part.SerializeToString()))
            if rng.random() < 0.5:
                parts.append(unknown(rng))
        # The same key a second time, and a key behind its value. An unknown field beside them is left out: protobuf
        # then keeps the whole entry as unknown, we give it.
        key = run(1, rng.choice((*keys, "NSE_EQ|X")).encode())
        value = run(2, b"".join(parts))
        entry = rng.choice((key + value, value + key))
        whole = rng.choice((whole + run(2, entry), run(2, entry) + whole)) + unknown(rng)
    return whole


def expected(bytes_: bytes) -> Any:
    """What protobuf reads, with every field of every shape, as far as we have room for levels and candles."""
    read = FeedResponse()
    read.ParseFromString(bytes_)
    feeds = {key: _expected_feed(value) for key, value in read.feeds.items()}
    return KINDS.get(read.type, str(read.type)), read.currentTs, dict(read.marketInfo.segmentStatus), feeds


def _last(of: Any) -> Any:
    return {name: getattr(of.ltpc, name) for name in LAST} if of.HasField("ltpc") else {}


def _expected_feed(read: Any) -> dict[str, Any]:
    shape = read.WhichOneof("shape")
    found: dict[str, Any] = {"requestMode": read.requestMode, "kind": "none"}
    if shape == "ltpc":
        return found | {"kind": "ltpc"} | _last(read)
    if shape == "fullFeed":
        shape = read.fullFeed.WhichOneof("shape")
        if shape is None:
            return found | {"kind": "full"}
        of = getattr(read.fullFeed, shape)
    elif shape is None:
        return found
    else:
        of = read.firstLevelWithGreeks
    found |= _last(of)
    found["kind"] = {"marketFF": "market", "indexFF": "index"}.get(shape, "first_level")
    for name in ("atp", "vtt", "oi", "iv", "tbq", "tsq"):
        if name in of.DESCRIPTOR.fields_by_name:
            found[name] = getattr(of, name)
    present = {field.name for field, _ in of.ListFields()}
    if "marketLevel" in present:
        found["levels"] = [(q.bidQ, q.bidP, q.askQ, q.askP) for q in of.marketLevel.bidAskQuote][:30]
    if "firstDepth" in present:
        q = of.firstDepth
        found["levels"] = [(q.bidQ, q.bidP, q.askQ, q.askP)]
    if "marketOHLC" in present:
        found["ohlc"] = [(c.interval, c.open, c.high, c.low, c.close, c.vol, c.ts) for c in of.marketOHLC.ohlc][:8]
    if "optionGreeks" in present:
        found["greeks"] = {name: getattr(of.optionGreeks, name) for name in GREEKS}
    return found


def every(bytes_: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The feeds that we read, in the same form: a number that was absent is protobuf's zero."""
    feeds = []
    for found in parse_upstox(bytes_).to_dicts():
        # Their defaults show whether the shape has them, the submessage's own whether it was there.
        shape = {"market": ("atp", "vtt", "oi", "iv", "tbq", "tsq"), "first_level": ("vtt", "oi", "iv")}
        full: dict[str, Any] = {name: 0 if name == "vtt" else 0.0 for name in shape.get(found["kind"], ())}
        if "greeks" in found:
            found["greeks"] = dict.fromkeys(GREEKS, 0.0) | found["greeks"]
        feeds.append((found.pop("key"), {"requestMode": 0} | full | found))
    return feeds


def ours(bytes_: bytes) -> Any:
    """What we read of a message that is whole, in the same form."""
    read = parse_upstox(bytes_)
    if read.rejected:
        raise DecodeError("rejected", 0)
    return read.kind, read.current_ts, read.market, dict(every(bytes_))


def _text(found: dict[str, Any]) -> str:
    # An LTPC without a field and none at all differ only in what is zero.
    last = {name: 0.0 if name in {"ltp", "cp"} else 0 for name in LAST}
    # As text, so that a NaN equals itself and zero has a sign.
    return repr(sorted((last | found).items()))


def _comparable(read: Any) -> Any:
    kind, current, market, feeds = read
    return kind, current, market, {key: _text(found) for key, found in feeds.items()}


def damaged(rng: random.Random, whole: bytes) -> bytes:
    changed = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.choice((len(changed), len(changed), rng.randrange(len(changed) + 1)))])


def compare(count: int, seed: int) -> dict[str, int]:
    """Counts: messages compared, feeds in them, damaged ones that both took, that only protobuf took. Raises
    AssertionError for the first that differs."""
    rng = random.Random(seed)
    counts = {"messages": 0, "feeds": 0, "damaged": 0, "only_protobuf": 0}
    for number in range(count):
        whole = message(rng)
        theirs = expected(whole)
        assert _comparable(ours(whole)) == _comparable(theirs), (number, whole.hex())
        counts["messages"] += 1
        counts["feeds"] += len(theirs[3])
        if number % 3 == 0:
            hurt = damaged(rng, whole)
            try:
                theirs = expected(hurt)
            except ProtobufError:
                continue
            try:
                own = ours(hurt)
            except DecodeError:
                # Unknown groups: protobuf skips them, the schema has none.
                counts["only_protobuf"] += 1
                continue
            # An entry with an unknown field beside key and value is unknown to protobuf as a whole: we have more.
            assert own[:2] == theirs[:2], (number, hurt.hex())
            assert own[2].keys() >= theirs[2].keys(), (number, hurt.hex())
            given = {(key, _text(found)) for key, found in every(hurt)}
            assert given >= {(key, _text(found)) for key, found in theirs[3].items()}, (number, hurt.hex())
            counts["damaged"] += 1
    return counts


def main() -> int:
    arguments = [int(argument) for argument in sys.argv[1:]]
    count, seed = (*arguments, *(100_000, 1)[len(arguments) :])
    counts = compare(count, seed)
    sys.stdout.write(", ".join(f"{number} {name}" for name, number in counts.items()) + ", no difference\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
