"""A broker of your own as a source: python examples/own_broker.py HOST PORT INFY=408065

This one takes `{"want": ["INFY"]}` over a plain socket and sends every trade as a line of JSON, t in milliseconds:
`{"s": "INFY", "p": 1500.05, "q": 10, "t": 1782877500123}`. So its volumes are declared "delta". `{}` ends the day.
docs/sources.md says what each call means, tests/integration/test_own_broker.py has such a broker.
"""

import asyncio
import json
import random
import sys
import time

import tickloom as tl
from tickloom.sources import PushedTicks, Quote
from tickloom.ticker.messages import ConnectionEvent


class OwnBroker:
    """Implements `tickloom.sources.Source`: a name, `run`, and what is wanted."""

    name = "own"

    def __init__(self, host, port, symbols, clock=time.time_ns):
        self.address = host, port
        self.symbols = dict(symbols)  # lets a feed subscribe by name
        self.clock = clock
        self.wanted = {}
        self.writer = None

    def subscribe(self, tokens, mode="full"):
        # Replaced, not changed: any thread may be reading it.
        self.wanted = {**self.wanted, **dict.fromkeys(tokens, mode)}
        if self.writer is not None:  # connected, so this is the loop's thread
            self.ask()

    def unsubscribe(self, tokens):
        self.wanted = {token: mode for token, mode in self.wanted.items() if token not in set(tokens)}
        if self.writer is not None:
            self.ask()

    def subscriptions(self):
        return self.wanted

    def ask(self):
        names = [name for name, token in self.symbols.items() if token in self.wanted]
        self.writer.write(json.dumps({"want": names}).encode() + b"\n")

    async def run(self, sink):
        """Delivers until it is cancelled, or the broker says that the day is over."""
        failures = 0
        while True:
            self.tell(sink, "connecting", attempt=failures)
            try:
                reader, self.writer = await asyncio.open_connection(*self.address)
                self.tell(sink, "connected")
                failures = 0
                self.ask()
                while line := await reader.readline():
                    if line == b"{}\n":
                        return
                    sink.on_ticks(self.ticks(line), 0)
                reason = "the broker hung up"
            except (OSError, ValueError, LookupError, TypeError) as error:
                # A line that is no trade of ours is a broker that is not there; the feed is not to end of it.
                reason = repr(error)
            finally:
                if self.writer is not None:
                    self.writer.close()
                    self.writer = None
            # What trades until the next tick is in a gap, and the bars say so.
            self.tell(sink, "disconnected", reason=reason)
            wait = random.uniform(0, min(60, 0.5 * 2**failures))
            failures += 1
            self.tell(sink, "waiting", attempt=failures, reason=reason, retry_in=wait)
            await asyncio.sleep(wait)

    def ticks(self, line):
        trade = json.loads(line)
        at_ns = trade["t"] * 1_000_000
        quote = Quote(self.symbols[trade["s"]], trade["p"], time_ns=at_ns, volume=trade["q"])
        return PushedTicks([quote], volume="delta", received_ns=self.clock())

    def tell(self, sink, state, **more):
        sink.on_connection(ConnectionEvent(state, 0, self.clock(), **more))


def main(host, port, *instruments):
    symbols = {name: int(token) for name, token in (instrument.split("=") for instrument in instruments)}
    feed = tl.Feed(OwnBroker(host, int(port), symbols), intervals=["1m"])
    feed.on_status(print)
    feed.on_tick(lambda event: [print(tick.instrument_token, tick.last_price) for tick in event])
    feed.on_bar(lambda event: print(event.symbol, event.bar), interval="1m")
    feed.subscribe(list(symbols))
    feed.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
