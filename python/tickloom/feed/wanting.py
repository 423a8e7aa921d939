"""Wanting: the half of `Feed` that says which instruments are wanted, by token, name, list or movement (stage feed)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tickloom.errors import UnknownInstrument
from tickloom.feed.symbols import several
from tickloom.feed.warming import Warming
from tickloom.watchlists import Mover, mover_name, movers

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tickloom.feed.moved import Moved
    from tickloom.sources.base import Source

__all__ = ["Wanting"]


class Wanting(Warming):
    """Subscriptions. Not made by itself: `Feed` is one."""

    source: Source
    _moved: Moved

    def subscribe(self, instruments: Iterable[int | str] | int | str, mode: str = "full") -> None:
        """Wants these, by token or name. Raises UnknownInstrument, and ValueError for what the broker would refuse.

        Candles need mode "full" to be exact (R2). `"TOP_GAINERS"`, `"TOP_LOSERS"` and `"MOST_ACTIVE"` are the ten of
        this moment among what is subscribed, and put those into the mode; asked for again they are looked up anew, and
        who fell out goes back to the mode in which it was. UnknownInstrument if there is none yet.
        """
        names, lists = self._apart(instruments)
        tokens = self._symbols.tokens(names, track=True)
        chosen = {which: [mover.token for mover in self._movers(which)] for which in lists}

        def want() -> None:
            if tokens or not chosen:
                self.source.subscribe(tokens, mode)
                self._moved.forget(tokens)
            for which, members in chosen.items():
                before = dict(self.source.subscriptions())
                self.source.subscribe(members, mode)
                self._set(self._moved.want(which, members, mode, before))

        self._on_source(want)

    def unsubscribe(self, instruments: Iterable[int | str] | int | str) -> None:
        """Wants these no longer. Their candles stay. Members of a list of movers go back to the mode in which they were
        before. Raises UnknownInstrument."""
        names, lists = self._apart(instruments)
        tokens = self._symbols.tokens(names)

        def drop() -> None:
            self.source.unsubscribe(tokens)
            self._moved.forget(tokens)
            for which in lists:
                self._set(self._moved.drop(which, self.source.subscriptions()))

        self._on_source(drop)

    def subscriptions(self) -> dict[int, str]:
        """The wanted mode of each token."""
        self._check_process()
        return dict(self.source.subscriptions())

    def movers(
        self, which: str, count: int = 10, *, among: Iterable[int | str] | int | str | None = None
    ) -> list[Mover]:
        """Who rises most (`"TOP_GAINERS"`), falls most (`"TOP_LOSERS"`) or trades most (`"MOST_ACTIVE"`) right now.

        Of what is subscribed, in mode quote or full, or of `among`: tokens, names or a watchlist. Indices are left
        out, and what has had no tick yet. Raises ValueError for another word, and UnknownInstrument.
        """
        self._check_process()
        # A source that gives what it has without being asked: then all of it.
        tokens = self.source.subscriptions() or None if among is None else self._symbols.tokens(among)
        return [self._named(each) for each in movers(self._engine, which, count, among=tokens)]

    def _movers(self, which: str) -> list[Mover]:
        found = self.movers(which)
        if not found:
            words = "subscribe the instruments to choose from in mode quote or full, and wait for their ticks"
            raise UnknownInstrument(f"no movers yet, {words}: {which}")
        return found

    def _named(self, mover: Mover) -> Mover:
        return mover if mover.symbol is not None else mover._replace(symbol=self._symbols.name(mover.token))

    def _apart(self, instruments: Iterable[int | str] | int | str) -> tuple[list[int | str], list[str]]:
        """The names, and the lists of movers among them."""
        names: list[int | str] = []
        lists: dict[str, None] = {}
        for each in several(instruments):
            which = mover_name(each) if isinstance(each, str) else None
            # An instrument or a list of the user's own may be called so.
            if which is None or self._symbols.is_known(str(each)):
                names.append(each)
            else:
                lists[which] = None
        return names, list(lists)

    def _set(self, modes: Mapping[int, str | None]) -> None:
        for mode in dict.fromkeys(modes.values()):
            tokens = [token for token, wanted in modes.items() if wanted == mode]
            if mode is None:
                self.source.unsubscribe(tokens)
            else:
                self.source.subscribe(tokens, mode)
