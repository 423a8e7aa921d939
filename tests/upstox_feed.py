"""Messages of Upstox's feed for tests, written by protobuf from plain numbers."""

from __future__ import annotations

from typing import Any

from tests.upstox_schema import FeedResponse

KINDS = {"initial_feed": 0, "live_feed": 1, "market_info": 2}
# 2026-07-01 09:15:00 IST, a Wednesday, in seconds.
OPEN = 1_782_877_500
NS = 1_000_000_000


def feed(into: Any, *, mode: int = 1, index: bool = False, **fields: Any) -> None:
    """Fills a feed. Without `ltp`, `ltt` and their like it has no LTPC; `ltt` is in seconds, fractions included."""
    into.requestMode = mode
    full = into.fullFeed.indexFF if index else into.fullFeed.marketFF
    full.SetInParent()
    for name, value in fields.items():
        match name:
            case "ltp" | "ltq" | "cp":
                setattr(full.ltpc, name, value)
            case "ltt":
                full.ltpc.ltt = round(value * 1000)
            case "levels":
                for bid, ask in value:
                    full.marketLevel.bidAskQuote.add(bidQ=75, bidP=bid, askQ=50, askP=ask)
            case "ohlc":
                for interval, ts, prices, volume in value:
                    first, high, low, last = prices
                    full.marketOHLC.ohlc.add(
                        interval=interval, ts=round(ts * 1000), open=first, high=high, low=low, close=last, vol=volume
                    )  # fmt: skip
            case _:
                setattr(full, name, value)


def message(kind: str, at: float, feeds: dict[str, dict[str, Any]] | None = None, **market: int) -> bytes:
    """One message; `at` is the server's clock in seconds, `market` the status of segments."""
    made = FeedResponse(type=KINDS[kind], currentTs=round(at * 1000))
    for key, fields in (feeds or {}).items():
        feed(made.feeds[key], **fields)
    for segment, status in market.items():
        made.marketInfo.segmentStatus[segment] = status
    return bytes(made.SerializeToString())
