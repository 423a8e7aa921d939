"""Oracle, stage aggregate: `gap_volume="spread"` (docs/bars.md 7): a gap's volume over the time of the gap."""

from __future__ import annotations

from dataclasses import replace

from tests.oracle.base import Base
from tests.oracle.book import GAP, Level, Shot
from tests.oracle.sessions import SECOND, Schedule

MISSING = 4


def traded(day: Schedule, start: int, end: int) -> int:
    """How much of [start, end) is continuous trading."""
    return sum(max(0, min(end, leg[1]) - max(start, leg[0])) for leg in day.legs)


def buckets(base: Base, day: Schedule, start: int, end: int) -> list[tuple[int, int]]:
    """The bars that begin before `end` and hold trading from `start` on, oldest first."""
    found = []
    for leg in day.legs:
        at = max(start, leg[0])
        while at < min(leg[1], end):
            found.append(day.bucket(at, base.step, base.options["anchor"], base.options["tail"]))
            at = found[-1][1]
    return found


def lay_out(base: Base, day: Schedule, clock: int | None, state, hit) -> tuple[int, int | None]:
    """Places the shares of the bars before the gap tick's; gives their sum, and a bar opened where the gap began."""
    t, top = hit.shot.t, hit.before.volume
    begin = max(hit.gap[0], state.trade_time or 0) + SECOND
    own = base.span(day, t)
    whole = traded(day, begin, t + SECOND)
    placed, opened = 0, None
    if whole == 0:
        return placed, opened
    for span in buckets(base, day, begin, own[0]):
        reached = hit.delta * traded(day, begin, min(span[1], t + SECOND)) // whole
        share = reached - placed
        if share <= 0:
            continue
        bar = base.find(span[0])
        if bar is not None and not base.is_final(bar.end, clock):
            level = next(end.volume for other, _, end in base.walk() if other is bar)
            bar.top = level + share, 0
        elif bar is None and (base.newest is None or base.newest.start < span[0]):
            before = Level(top + placed, hit.before.average, hit.before.high, hit.before.low)
            bar = base.begin(day, span, state, replace(hit, before=before))
            bar.flags |= GAP | (MISSING if hit.gap[0] <= span[0] else 0)
            bar.gaps.append(hit.gap)
            bar.show(Shot(span[1] - 1, top + reached, hit.shot.price, open=hit.shot.open))
            bar.top = top + reached, 0
            bar.source = max(bar.source, hit.source)
            opened = span[0] if span[0] <= hit.gap[0] < span[1] else opened
        else:
            continue
        bar.value2 += 2 * hit.shot.price * share
        bar.clamp = False
        bar.gap_volume += share
        placed = reached
    return placed, opened
