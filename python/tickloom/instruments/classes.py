"""Classes: which hours an instrument has, as far as the dump tells (R5, stage instruments)."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from tickloom import market_hours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tickloom.instruments.names import Instrument

__all__ = ["class_of", "near_months"]

COTTON = frozenset({"COTTON", "COTTONCNDY", "COTTONOIL", "COTWASOIL", "KAPAS"})
FARM = frozenset({"CARDAMOM", "CASTOR", "CASTORSEED", "CPO", "MENTHAOIL", "PEPPER", "RBDPMOLEIN", "RUBBER"})
_NEXT_TOO = 5


def near_months(expiries: Sequence[date], on: date) -> frozenset[date]:
    """The expiries whose futures have a pre-open: the nearest, and the next in its last five trading days."""
    coming = [expiry for expiry in sorted(expiries) if expiry >= on]
    if not coming:
        return frozenset()
    # Ten days hold five trading days in any but a festive fortnight.
    soon = (coming[0] - on).days <= 10
    last = soon and len(_quiet_days(on, coming[0])) <= _NEXT_TOO
    return frozenset(coming[: 2 if last else 1])


def class_of(instrument: Instrument, with_derivatives: frozenset[str], near: Mapping[str, frozenset[date]]) -> str:
    """The class of docs/sessions.md. `near`: the near months of each exchange:name that has futures."""
    segment = market_hours.class_of(instrument.token & 0xFF)
    exchange, name = instrument.exchange, instrument.name.upper()
    if segment == "cash" and exchange in ("NSE", "BSE"):
        return "cash_cas" if instrument.symbol in with_derivatives else "cash"
    if segment == "derivatives" and instrument.kind == "FUT":
        return "futures_near" if instrument.expiry in near.get(f"{exchange}:{name}", ()) else segment
    if segment == "commodity":
        return "commodity_cotton" if name in COTTON else "commodity_agri" if name in FARM else segment
    return segment


def _quiet_days(first: date, last: date) -> list[date]:
    hours = market_hours.default()
    days = (date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1))
    return [day for day in days if hours.trades(day, "futures_near")]
