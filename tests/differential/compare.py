"""Plays one stream to the engine and to its oracle, and says where they differ."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from tests.machines import EngineMachine, OracleMachine, plain

INTERVALS = ("1m", "3m", "5m", "15m", "60m", "30s", "7s")
ACCOUNT = (
    "baseline", "last", "bars", "auction_open", "auction_close", "post", "unattributed", "dropped", "rebased",
)  # fmt: skip
# Counters that both keep.
COUNTERS = (
    "stale", "late", "late_dropped", "price_rejected", "bad_stamps", "without_volume", "outside",
    "untimed", "duplicates",
)  # fmt: skip


class Pair:
    """The engine and the oracle side by side."""

    def __init__(self, intervals: tuple[str, ...] = INTERVALS, **options: object) -> None:
        self.intervals = intervals
        self.oracle = OracleMachine(intervals, **options)
        self.engine = EngineMachine(intervals, **options)

    def track(self, token: int, session: str | None = None, **rest: object) -> None:
        """Names an instrument to both."""
        self.oracle.track(token, session, **rest)
        self.engine.track(token, session, **rest)

    def play(self, events: Iterable[tuple], peeks: int = 0, seed: int = 0) -> None:
        """Gives the stream to both; about one event in `peeks` is followed by a look at what forms."""
        rng = random.Random(seed)
        for kind, at, payload in events:
            for machine in (self.oracle, self.engine):
                if kind == "frame":
                    machine.apply(payload, at)
                elif kind == "push":
                    machine.push(**payload)
                else:
                    getattr(machine, kind)(at)
            if peeks and rng.randrange(peeks) == 0 and self.oracle.instruments:
                token = rng.choice(list(self.oracle.instruments))
                self.same_forming(token, rng.choice(self.intervals))
                self.same_account(token)

    def same(self) -> None:
        """Every column of every bar, the events in order, accounts and counters are equal."""
        for token in self.oracle.instruments:
            for interval in self.intervals:
                same_rows(self.oracle.rows(token, interval), self.engine.rows(token, interval), (token, interval))
                self.same_forming(token, interval)
            self.same_account(token)
        same_list(self.oracle.events, self.engine.events, lambda e: (*e[:4], plain(e[4])), "event")
        stats = self.engine.stats
        counted = {name: (self.oracle.stats.get(name, 0), stats[name]) for name in COUNTERS}
        differing = {name: pair for name, pair in counted.items() if pair[0] != pair[1]}
        assert not differing, f"counters (oracle, engine): {differing}"

    def same_forming(self, token: int, interval: str) -> None:
        """The bars that are not sealed are equal."""
        ours, theirs = self.oracle.unsealed(token, interval), self.engine.unsealed(token, interval)
        same_rows(ours, theirs, (token, interval, "unsealed"))
        newest = self.engine.forming(token, interval)
        assert (newest and plain(newest)) == (plain(ours[-1]) if ours else None), (token, interval, "forming")

    def same_account(self, token: int) -> None:
        """The accounts are equal, and balance (R11)."""
        ours, theirs = self.oracle.account(token), self.engine.account(token)
        differing = {name: (ours[name], theirs[name]) for name in ACCOUNT if ours[name] != theirs[name]}
        assert not differing, f"account of {token} (oracle, engine): {differing}"
        assert sum(theirs[name] for name in ACCOUNT[2:-1]) == theirs["last"] - theirs["baseline"]


def same_rows(ours: list[dict], theirs: list[dict], where: object) -> None:
    """Equal row by row; the first difference is shown column by column."""
    same_list(ours, theirs, plain, where)


def same_list(ours: list, theirs: list, show: Callable, where: object) -> None:
    """Equal item by item, saying which item differs first and how."""
    for at, (mine, other) in enumerate(zip(ours, theirs, strict=False)):
        mine, other = show(mine), show(other)  # noqa: PLW2901 - as they are compared
        if mine == other:
            continue
        if isinstance(mine, dict):
            differing = {name: (mine[name], other[name]) for name in mine if mine[name] != other[name]}
            raise AssertionError(f"{where} row {at} at {mine['time']}, (oracle, engine): {differing}")
        raise AssertionError(f"{where} {at}: oracle {mine}, engine {other}")
    assert len(ours) == len(theirs), (where, len(ours), len(theirs), [show(x) for x in (ours + theirs)[-1:]])
