"""What waits in the inbox becomes calls of the user's functions, in its order (drop-in)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tickloom._core import parse
from tickloom.errors import DecodeError
from tickloom.ticker.messages import parse_text

if TYPE_CHECKING:
    from tickloom.kite.dispatch import Callbacks
    from tickloom.kite.inbox import Inbox
    from tickloom.kite.ticker import KiteTicker

__all__ = ["HEARTBEAT_BYTES", "deliver"]

log = logging.getLogger("tickloom.kite")

HEARTBEAT_BYTES = 4
"""The vendor looks for ticks in messages longer than this."""


def deliver(ticker: KiteTicker, inbox: Inbox, callbacks: Callbacks) -> BaseException | None:
    """Call until the run has ended. Returns what ended it, if that was an error."""
    while True:
        callbacks.note_dropped(inbox.dropped)
        match inbox.get():
            case ("frame", (payload,), _):
                _frame(ticker, payload, callbacks)
            case ("text", (text,), _):
                _text(ticker, text, callbacks)
            case ("end", (failure,), _):
                ended_by: BaseException | None = failure
                return ended_by
            case (name, arguments, _):
                if name in {"on_error", "on_close"}:
                    log.error("%s: %s - %s", name.removeprefix("on_"), *arguments)
                callbacks.run(name, getattr(ticker, name), ticker, *arguments)


def _frame(ticker: KiteTicker, payload: bytes, callbacks: Callbacks) -> None:
    callbacks.run("on_message", ticker.on_message, ticker, payload, True)
    if ticker.on_ticks is None or len(payload) <= HEARTBEAT_BYTES:
        return
    try:
        batch = parse(payload)
    except DecodeError as error:
        log.debug("a frame could not be read: %s", error)
        return
    callbacks.run("on_ticks", ticker.on_ticks, ticker, batch.to_dicts())


def _text(ticker: KiteTicker, text: str, callbacks: Callbacks) -> None:
    callbacks.run("on_message", ticker.on_message, ticker, text.encode(), False)
    message = parse_text(text)
    if message.kind == "order" and message.data:
        callbacks.run("on_order_update", ticker.on_order_update, ticker, message.data)
    elif message.kind == "error":
        log.error("error: 0 - %s", message.data)
        callbacks.run("on_error", ticker.on_error, ticker, 0, message.data)
