"""What an exchange is asked to be, and the market that follows from it (stage sources)."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tickloom.sources import exchange_wire as wire
from tickloom.sources.simulator import Market

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from tickloom.sources.exchange_faults import Faults

IST = dt.timezone(dt.timedelta(hours=5, minutes=30))
OPENINGS = ("at once", "subscription", "told")
HOURS = ("simulated", "wall", "closed")
BROKERS = ("kite", "upstox")


@dataclass(frozen=True, slots=True)
class Rules:
    """What an exchange was asked to be; `Exchange` documents each."""

    instruments: int
    seed: int
    speed: float
    market: Mapping[str, Any]
    hours: str
    opens: str
    tokens: Mapping[str, str] | None = field(repr=False)
    max_tokens: int | None
    connections_per_key: int | None
    heartbeat: float
    greeting: bool
    preopen: bool
    faults: Faults
    host: str
    port: int
    ssl_context: ssl.SSLContext | None
    broker: str


def make_market(rules: Rules, now: dt.datetime | None) -> Market:
    """The market of these rules; under the wall's hours it is today's, from this minute on, unless `now` is None.

    Raises ValueError for what is no market.
    """
    options = dict(rules.market)
    if rules.hours == "wall" and now is not None:
        first = dt.time.fromisoformat(options.get("start", "09:15"))
        options |= {"date": now.date(), "start": max(first, now.time().replace(second=0, microsecond=0)).isoformat()}
        options |= {"auction": False, "days": 1}
    return Market(rules.seed, instruments=rules.instruments, **options)


def closed_now(rules: Rules, now: dt.datetime) -> bool:
    """Whether nothing is traded any more today."""
    end = dt.time.fromisoformat(rules.market.get("end", "15:30"))
    # In its last minute a market has no whole minute left to trade.
    last = (dt.datetime.combine(now.date(), end) - dt.timedelta(minutes=1)).time()
    return rules.hours == "closed" or (rules.hours == "wall" and (now.weekday() > 4 or now.time() >= last))


def yesterdays_board(rules: Rules) -> dict[int, bytes]:
    """The last packet of each instrument on the date before the market's first."""
    options = {**rules.market, "faults": {"stale_first": 1.0}}
    market = Market(rules.seed, instruments=rules.instruments, **options)
    missing = {instrument.token for instrument in market.instruments()}
    board: dict[int, bytes] = {}
    stamp = market.session_close_ns // 1_000_000_000 - 86_400
    for _, _, payload in market.events():
        for token, packet in wire.split(payload or b""):
            if token in missing:
                missing.discard(token)
                # An index begins with its base value, stamped today: that was yesterday's close.
                board[token] = wire.restamp_index(packet, stamp) if token & 0xFF == wire.INDEX_SEGMENT else packet
        if not missing:
            break
    return board
