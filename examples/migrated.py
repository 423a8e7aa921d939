"""The vendor's own example with one import changed: python examples/migrated.py 408065 884737

Key and token come from KITE_API_KEY and KITE_ACCESS_TOKEN. With KITE_ROOT=ws://127.0.0.1:PORT it runs against
`tickloom simulate`, at any hour. It stops by itself after a hundred ticks.
"""

import logging
import os
import sys

from tickloom.kite import KiteTicker  # was: from kiteconnect import KiteTicker

logging.basicConfig(level=logging.INFO)
tokens = [int(token) for token in sys.argv[1:]]
kws = KiteTicker(os.environ["KITE_API_KEY"], os.environ["KITE_ACCESS_TOKEN"], root=os.environ.get("KITE_ROOT"))
seen = []


def on_ticks(ws, ticks):
    for tick in ticks:
        print(tick["instrument_token"], tick["last_price"], tick.get("exchange_timestamp"))
    seen.extend(ticks)
    if len(seen) >= 100:
        ws.stop()


def on_connect(ws, response):
    ws.subscribe(tokens)
    ws.set_mode(ws.MODE_FULL, tokens)


kws.on_ticks = on_ticks
kws.on_connect = on_connect
kws.on_close = lambda ws, code, reason: print("closed:", code, reason)
kws.connect()
