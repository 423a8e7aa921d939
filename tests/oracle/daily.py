"""Oracle, stage aggregate: a date's bar from its minutes and from what the broker says of the day (docs/bars.md 11)."""

from __future__ import annotations

from tests.oracle.book import GAP, H_AMBIG, L_AMBIG, NAN, NO_OI, PARTIAL, fold, row
from tests.oracle.instrument import Instrument
from tests.oracle.sessions import DAY, IST_NS

MISSING = 4
HEALED = PARTIAL | GAP | MISSING | H_AMBIG | L_AMBIG


def day_row(of: Instrument) -> dict | None:
    """The day of an instrument's current date; None before its first continuous trade."""
    if of.date is None:
        return None
    midnight = of.date * DAY - IST_NS
    said = of.bases[0].contents()
    minutes = [said[start] for start in sorted(said) if of.day.phase(start) == "continuous"]
    if not minutes:
        return None
    end = max(span[1] for span in (of.day.legs[-1], of.day.auction, of.day.post) if span)
    joined = of.joined is not None and midnight <= of.joined < end
    made = row(fold((midnight, end), minutes, joined), 0, of.divisor, of.options)

    def money(units: int) -> float:
        return float(units) / float(of.divisor)

    known = [units for units in (of.high, of.low, of.day_open) if units]
    auction = of.auction["close"]
    if auction:
        known.append(auction["price"])
        made["close"] = money(auction["price"])
    made["high"] = max([made["high"], *map(money, known)])
    made["low"] = min([made["low"], *map(money, known)])
    if of.day_open:
        made["open"] = money(of.day_open)
        made["flags"] &= ~HEALED
    if of.has_volume:
        made["volume"] = of.top
    if of.has_volume and of.average:
        made["vwap"], made["vwap_err"] = money(of.average), NAN
    if of.oi_key is not None and of.oi_key[0] >= midnight:
        made["oi"] = of.oi
        made["flags"] &= ~NO_OI
    return made
