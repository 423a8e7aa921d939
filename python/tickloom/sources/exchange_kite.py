"""Kite's protocol at the simulated exchange: its door, its requests, its frames (stage sources).

kite-protocol.md. Runs on the exchange's event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from tickloom.sources import exchange_wire as wire
from tickloom.sources.exchange_client import Client

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence
    from typing import ClassVar

    from picows import WSUpgradeRequest, WSUpgradeResponseWithListener

    from tickloom.sources.exchange_client import Floor
    from tickloom.sources.exchange_door import Door
    from tickloom.sources.simulator import Market

__all__ = ["KiteClient", "KiteProtocol"]


class KiteProtocol:
    """How Kite is spoken."""

    schemes: ClassVar[tuple[str, str]] = ("ws", "wss")
    path: ClassVar[str] = ""
    max_tokens: ClassVar[int] = 3_000
    hostile_kinds: ClassVar[Sequence[str]] = wire.HOSTILE

    def __init__(self, market: Market) -> None:
        """Whatever the market."""

    def admit(self, request: WSUpgradeRequest, door: Door) -> WSUpgradeResponseWithListener | Client:
        """The key and the token are in the query."""
        query = parse_qs(urlsplit(request.path.decode("latin-1")).query)
        key, token = query.get("api_key", [""])[0], query.get("access_token", [""])[0]
        if (refused := door.knock()) is not None:
            return refused
        if not key or not token:
            return door.refuse(400)
        tokens = door.rules.tokens
        if tokens is not None and tokens.get(key) != token:
            return door.refuse(403)
        if not door.has_room(key):
            return door.refuse(429)
        return door.let_in(KiteClient, key, query)

    def watch(self, packets: Iterable[tuple[int, bytes]]) -> None:
        """Nothing has to be kept of what the market shows."""

    def hostile(self, kind: str, rng: random.Random) -> str | bytes:
        """A message that breaks the protocol."""
        return wire.hostile(kind, rng)


class KiteClient(Client):
    """A client that speaks Kite's protocol."""

    heartbeat = wire.HEARTBEAT

    def __init__(self, floor: Floor, number: int, account: str, *, timed: bool) -> None:
        super().__init__(floor, number, account, timed=timed)
        self._sizes: dict[int, int] = {}

    def greet(self) -> None:
        """How many instruments there are."""
        if self.floor.rules.greeting:
            self.send_text(wire.text("instruments_meta", {"count": len(self.floor.board), "etag": "simulated"}))

    def hear(self, message: bytes, *, binary: bool) -> None:  # noqa: ARG002 - either will do
        """A request; what is none is answered with an error text."""
        try:
            self._obey(message.decode())
        except UnicodeDecodeError:
            self.send_text(wire.text("error", "not a text message"))
        except wire.BadRequest as error:
            self.send_text(wire.text("error", str(error)))

    def _obey(self, message: str) -> None:
        action, mode, tokens = wire.request_of(message)
        if action == "unsubscribe":
            for token in tokens:
                self.modes.pop(token, None)
                self._sizes.pop(token, None)
            self.forget(tokens)
            return
        if action == "subscribe":
            tokens, refused = wire.within(tokens, self.modes, self.floor.max_tokens - len(self.modes))
            # A bare subscribe streams in quote mode, whatever the mode was before.
            mode = "quote"
        else:
            tokens, refused = [token for token in tokens if token in self.modes], 0
        for token in tokens:
            self.modes[token] = mode
            self._sizes[token] = wire.size_in(mode, token)
            self._shown.pop(token, None)
        if refused:
            limit = f"{self.floor.max_tokens} instruments a connection"
            self.send_text(wire.text("error", f"limit of {limit} reached, tokens left out: {refused}"))
        board = self.floor.board
        self.offer([(token, board[token]) for token in tokens if token in board])
        if action == "subscribe":
            self.floor.subscribed(self)

    def choose(self, packets: Iterable[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
        """The beginning of a full packet is that of a lesser mode."""
        sizes, shown = self._sizes, self._shown
        chosen: list[tuple[int, bytes]] = []
        for token, packet in packets:
            if (size := sizes.get(token)) is not None:
                piece = packet[:size]
                # The feed sends what changed in any field of the mode, and nothing else.
                if shown.get(token) != piece:
                    shown[token] = piece
                    chosen.append((token, piece))
        return chosen

    def pack(self, chosen: list[tuple[int, bytes]]) -> Iterable[bytes]:
        """One frame."""
        return [wire.join([piece for _, piece in chosen])]
