"""A strategy on live candles: python examples/ten_lines.py 408065 884737

With KITE_API_KEY and KITE_ACCESS_TOKEN it runs on the account's feed; without them on a simulated exchange, at any hour
and at sixty times the pace. It stops by itself after twenty signals or bars.
"""

import itertools
import os
import sys

import tickloom as tl

if "KITE_API_KEY" in os.environ:
    source = tl.sources.Kite(os.environ["KITE_API_KEY"], os.environ["KITE_ACCESS_TOKEN"])
    instruments = [int(token) for token in sys.argv[1:]]
else:
    source = tl.sources.Simulator(instruments=20, speed=60)
    instruments = list(source.symbols)[:10]

feed = tl.Feed(source, intervals=["1m", "5m"])
bars = itertools.count(1)


def on_bar(event):
    closes = feed.candles(event.token, "1m").close[-5:]  # a numpy column, no copy
    signal = "above" if event.bar.close > closes.mean() else "below"
    print(tl.ist(event.bar.time).strftime("%H:%M"), event.symbol or event.token, event.bar.close, signal, "its mean")
    if next(bars) >= 20:
        feed.stop()


feed.on_bar(on_bar, interval="1m")
feed.subscribe(instruments, mode="full")
feed.run()
