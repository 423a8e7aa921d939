"""A made-up dump of instruments of the real one's size and shape, and how long it takes to load.

Run `python -m benches.dump`: it writes the dump to a file, loads it in fresh interpreters and prints the times.
The names are made up but for a few that the tests look for; tokens end in the byte of their segment.
"""

from __future__ import annotations

import itertools
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from tickloom.instruments.dump import to_csv

ON = date(2026, 11, 20)
ROWS = 86_000
LIMIT_S = 0.3
SEGMENTS = {"NSE": 1, "NFO": 2, "CDS": 3, "BSE": 4, "BFO": 5, "MCX": 7, "INDICES": 9}
KNOWN = {
    "INFY": ("INFOSYS", 408065), "RELIANCE": ("RELIANCE INDUSTRIES", 738561), "TCS": ("TATA CONSULTANCY", 2953217),
    "M&M": ("MAHINDRA & MAHINDRA", 519937), "BAJAJ-AUTO": ("BAJAJ AUTO", 4267265),
}  # fmt: skip
INDICES = {"NIFTY 50": ("NIFTY 50", 256265), "NIFTY BANK": ("NIFTY BANK", 260105)}
MONTHS = [date(2026, 11, 24), date(2026, 12, 29), date(2027, 1, 25)]
PROBE = """
import time, sys
from datetime import date
from tickloom.instruments import Instruments
start = time.perf_counter()
made = Instruments.load(sys.argv[1], on=date(2026, 11, 20))
made["NSE:INFY"], made.symbol(408065)
print(time.perf_counter() - start, len(made))
"""


def rows(count: int = ROWS, seed: int = 1) -> Iterator[dict[str, Any]]:
    """The first `count` rows of a day: indices, shares, commodities, currency, then futures and options."""
    return itertools.islice(_all(random.Random(seed)), count)


def _all(rng: random.Random) -> Iterator[dict[str, Any]]:
    numbers = itertools.count(20_000)

    def row(exchange: str, symbol: str, name: str, kind: str, **more: Any) -> dict[str, Any]:
        segment = more.pop("segment", exchange)
        token = more.pop("token", None) or next(numbers) << 8 | SEGMENTS[segment.partition("-")[0]]
        return {
            "instrument_token": token, "exchange_token": token >> 8, "tradingsymbol": symbol, "name": name,
            "last_price": 0.0, "expiry": "", "strike": 0.0, "tick_size": 0.05, "lot_size": 1, "instrument_type": kind,
            "segment": segment, "exchange": exchange, **more,
        }  # fmt: skip

    for symbol, (name, token) in INDICES.items():
        yield row("NSE", symbol, name, "EQ", segment="INDICES", token=token, tick_size=0.0)
    for symbol, (name, token) in KNOWN.items():
        yield row("NSE", symbol, name, "EQ", token=token, tick_size=0.1)
    made = sorted({"".join(rng.choices("ABCDEFGHIKLMNOPRSTUVY", k=rng.randint(4, 9))) for _ in range(2_400)})
    for exchange in ("NSE", "BSE"):
        for symbol in made:
            yield row(exchange, symbol, f"{symbol} INDUSTRIES", "EQ")
    for symbol in KNOWN:
        yield row("BSE", symbol, KNOWN[symbol][0], "EQ")
    for name, expiry in itertools.product(("GOLD", "CRUDEOIL", "MENTHAOIL", "COTTONCNDY"), MONTHS):
        more: dict[str, Any] = {"segment": "MCX-FUT", "expiry": expiry, "tick_size": 1.0}
        yield row("MCX", f"{name}{expiry:%y%b}FUT".upper(), name, "FUT", **more)
    for expiry in MONTHS:
        more = {"segment": "CDS-FUT", "expiry": expiry, "tick_size": 0.0025}
        yield row("CDS", f"USDINR{expiry:%y%b}FUT".upper(), "USDINR", "FUT", **more)
    names = ["NIFTY", "BANKNIFTY", *KNOWN, *made[:190]]
    for name, expiry in itertools.product(names, MONTHS):
        more = {"segment": "NFO-FUT", "expiry": expiry, "lot_size": 75}
        yield row("NFO", f"{name}{expiry:%y%b}FUT".upper(), name, "FUT", **more)
    for expiry, name, strike in itertools.product(MONTHS, names, range(20_000, 20_000 + 70 * 50, 50)):
        for kind in ("CE", "PE"):
            more = {"segment": "NFO-OPT", "expiry": expiry, "strike": float(strike), "lot_size": 75}
            yield row("NFO", f"{name}{expiry:%y%b}{strike}{kind}".upper(), name, kind, **more)


def main() -> int:
    """Print the times of five fresh interpreters; 1 if the median is over the limit."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instruments.csv"
        path.write_bytes(to_csv(rows()))
        print(f"{ROWS:,} rows, {path.stat().st_size / 1e6:.1f} MB, generated")
        times = []
        for _ in range(5):
            run = subprocess.run([sys.executable, "-c", PROBE, path], capture_output=True, text=True, check=True)
            seconds, count = run.stdout.split()
            assert int(count) == ROWS
            times.append(float(seconds))
    median = statistics.median(times)
    each = ", ".join(f"{seconds:.3f}" for seconds in times)
    print(f"load and two look-ups: median {median:.3f} s of {each}; limit {LIMIT_S} s")
    return int(median > LIMIT_S)


if __name__ == "__main__":
    raise SystemExit(main())
