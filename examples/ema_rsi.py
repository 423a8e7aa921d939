"""EMA and RSI on candle close, the same lines on a simulated market, on a recorded day and live:

    python examples/ema_rsi.py simulator --record day.tlj
    python examples/ema_rsi.py replay day.tlj                # the same signals, one by one
    python examples/ema_rsi.py live 408065 884737            # KITE_API_KEY, KITE_ACCESS_TOKEN

It sends no orders: it prints when it would. It ends after --bars bars.
"""

import argparse
import os

import numpy as np
from indicators import ema, rsi

import tickloom as tl

FAST, SLOW, KEPT = 5, 13, 200


class Strategy:
    """Buys when the fast mean crosses the slow one upwards and the market is not overbought, and the other way round.

    It goes by the closes that the events bring: what a callback looks up may be newer than the bar that it is told of,
    by as much as it is late, and then a recorded day would not repeat what happened.
    """

    def __init__(self, feed, bars):
        self.feed = feed
        self.left = bars
        self.closes = {}

    def on_bar(self, event):
        if self.left == 0:
            return
        if event.token not in self.closes:
            # Whatever there is from before, a warm-up for instance, counts.
            candles = self.feed.candles(event.token, event.interval).columns()
            self.closes[event.token] = candles["close"][candles["time"] < event.bar.time]
        closes = self.closes[event.token] = np.append(self.closes[event.token], event.bar.close)[-KEPT:]
        side = self.decide(closes)
        if side:
            at = tl.ist(event.bar.time)
            print(f"{at:%Y-%m-%d %H:%M} {event.token} {side} {event.bar.close:.2f} rsi {rsi(closes)[-1]:.1f}")
        self.left -= 1
        if self.left == 0:
            self.feed.stop()

    @staticmethod
    def decide(closes):
        above = ema(closes, FAST) > ema(closes, SLOW)
        if len(closes) <= SLOW or above[-1] == above[-2]:
            return None
        strength = rsi(closes)[-1]
        if above[-1]:
            return "buy" if strength < 70 else None
        return "sell" if strength > 30 else None


def source_of(options):
    """The one thing that differs."""
    if options.source == "simulator":
        return tl.sources.Simulator(instruments=8, seed=11, speed=1200)
    if options.source == "replay":
        return tl.sources.Replay(options.what[0], speed=None)
    root = os.environ.get("KITE_ROOT", "wss://ws.kite.trade")
    return tl.sources.Kite(os.environ["KITE_API_KEY"], os.environ["KITE_ACCESS_TOKEN"], url=root)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", choices=["simulator", "replay", "live"])
    parser.add_argument("what", nargs="*", help="a journal, or tokens")
    parser.add_argument("--bars", type=int, default=500)
    parser.add_argument("--record")
    options = parser.parse_args()
    if options.source != "simulator" and not options.what:
        parser.error(f"{options.source} needs a journal, or tokens")

    source = source_of(options)
    # A journal can wait for a slow callback, a broker cannot.
    policy = "conflate" if source.live else "block"
    feed = tl.Feed(source, intervals=["1m"], policy=policy, record=options.record)
    strategy = Strategy(feed, options.bars)
    feed.on_bar(strategy.on_bar, interval="1m")
    instruments = {"simulator": lambda: list(source.symbols), "live": lambda: [int(token) for token in options.what]}
    feed.subscribe(instruments.get(options.source, list)())
    feed.run()
    if strategy.left:
        print(f"the source ended {strategy.left} bars early")


if __name__ == "__main__":
    main()
