# ruff: noqa: T201 - a report is printed
"""Prints how often open, high, low, close and volume are exact against the truth, by clock and by liquidity (R2).

Run: python -m tests.differential.exactness [--seed 1] [--end 10:15] [--interval 1m]
"""

from __future__ import annotations

import argparse
from collections import defaultdict

from tests.machines import EngineMachine
from tests.oracle.sessions import SECOND
from tickloom.sources.simulator import Market

COLUMNS = ("open", "high", "low", "close", "volume")


def main() -> None:
    """One market through three engines that differ in `bucket_by`; one line for each clock and liquidity."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--end", default="10:15", help="when the compressed session ends, IST")
    parser.add_argument("--interval", default="1m")
    asked = parser.parse_args()
    market = Market(asked.seed, liquid=20, middling=20, thin=60, indices=0, end=asked.end)
    engines = {by: EngineMachine((asked.interval,), bucket_by=by) for by in ("ltt", "exchange", "receive")}
    for engine in engines.values():
        for name in market.instruments():
            engine.track(name.token, session="futures_near" if name.kind == "future" else None)
    last = 0
    for kind, at, body in market.events():
        last = max(last, at)
        for engine in engines.values():
            engine.apply(body, at) if kind == "frame" else getattr(engine, kind)(at)
    print(f"share of {asked.interval} bars that equal the truth, seed {asked.seed}, 09:15 to {asked.end}")
    print(f"{'bucket_by':10} {'names':9} {'bars':>6} " + " ".join(f"{name:>7}" for name in COLUMNS) + "  vwap error")
    for by, engine in engines.items():
        engine.advance(last + 60 * SECOND)
        exact: dict[str, list[int]] = defaultdict(lambda: [0] * (len(COLUMNS) + 1))
        errors: dict[str, list[float]] = defaultdict(list)
        for name in market.instruments():
            compare(market, engine, name.token, asked.interval, exact[name.liquidity], errors[name.liquidity])
        for liquidity in ("liquid", "middling", "thin"):
            *hits, bars = exact[liquidity]
            shares = " ".join(f"{hit / bars:7.1%}" for hit in hits)
            mean = sum(errors[liquidity]) / len(errors[liquidity])
            print(f"{by:10} {liquidity:9} {bars:6} {shares}  {mean:.4f}")


def compare(market: Market, engine: EngineMachine, token: int, interval: str, exact: list[int], errors: list) -> None:
    """Counts a name's exact columns into `exact`, its true bars into the last place; a missing bar is never exact."""
    rows = {row["time"]: row for row in engine.rows(token, interval)}
    truth = market.truth(token, interval)
    for at, start in enumerate(truth["time"].tolist()):
        exact[-1] += 1
        row = rows.get(start)
        if row is None:
            continue
        for place, column in enumerate(COLUMNS):
            exact[place] += bool(row[column] == truth[column][at])
        if row["volume"]:
            errors.append(abs(row["vwap"] - float(truth["vwap"][at])))


if __name__ == "__main__":
    main()
