"""Oracle, stage session: hours written down by hand for the tests (R5), and bars cut from them (R6, R7)."""

from __future__ import annotations

import functools
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
IST = timezone(timedelta(seconds=19_800))
IST_NS = 19_800 * SECOND

Span = tuple[int, int]


def ist_day(at: int) -> int:
    """The Indian calendar day of an instant, counted from 1970-01-01."""
    return (at + IST_NS) // DAY


def ist(text: str) -> int:
    """UTC nanoseconds of an Indian wall time such as 2026-07-01 09:15:00.25."""
    parsed = datetime.fromisoformat(text).replace(tzinfo=IST)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (parsed - epoch) // timedelta(microseconds=1) * 1000


@dataclass(frozen=True)
class Schedule:
    """One class's day as instants."""

    day: int
    preopen: Span | None
    legs: tuple[Span, ...]
    auction: Span | None
    post: Span | None

    def phase(self, t: int) -> str:
        """Where t lies; a stamp at the end of a part belongs to it unless the next part begins there (R3)."""
        if not self.legs:
            return "after"
        if t < self.legs[0][0]:
            return "preopen" if self.preopen and t >= self.preopen[0] else "before"
        begun = [leg for leg in self.legs if leg[0] <= t]
        if t <= begun[-1][1]:
            return "continuous"
        if len(begun) < len(self.legs):
            return "break"
        if self.post and t >= self.post[0]:
            return "post" if t <= self.post[1] else "after"
        if self.auction and self.auction[0] <= t <= self.auction[1]:
            return "auction"
        between = self.post is not None or (self.auction is not None and t < self.auction[0])
        return "break" if between else "after"

    def bucket(self, t: int, step: int, anchor: str = "leg", tail: str = "stub") -> Span | None:
        """The bar of t, None outside continuous trading."""
        if self.phase(t) != "continuous":
            return None
        leg = [leg for leg in self.legs if leg[0] <= t][-1]
        cuts = self.cuts(leg, step, anchor, tail)
        index = min(bisect_right(cuts, t), len(cuts) - 1)
        return cuts[index - 1], cuts[index]

    @functools.lru_cache(maxsize=4096)  # noqa: B019 - schedules are few and live as long as the tests
    def cuts(self, leg: Span, step: int, anchor: str, tail: str) -> list[int]:
        """Where the bars of a leg begin, and its end."""
        origin = {"leg": leg[0], "day": self.legs[0][0], "midnight": self.day * DAY - IST_NS, "epoch": 0}[anchor]
        inner = range(origin + ((leg[0] - origin) // step + 1) * step, leg[1], step)
        cuts = [leg[0], *inner, leg[1]]
        if tail == "merge" and len(cuts) > 2 and cuts[-1] - cuts[-2] < step:
            del cuts[-2]
        return cuts


def _at(day: int, clock: str) -> int:
    hours, minutes = clock.split(":")
    return day * DAY - IST_NS + (int(hours) * 60 + int(minutes)) * MINUTE


def _span(day: int, text: str) -> Span | None:
    if not text:
        return None
    start, end = text.split("-")
    return _at(day, start), _at(day, end)


SEGMENT_CLASS = {1: "cash", 4: "cash", 2: "derivatives", 5: "derivatives", 3: "currency", 6: "currency"}
SEGMENT_CLASS |= {7: "commodity", 8: "commodity", 12: "commodity", 9: "index"}

# Class, first date, last date, pre-open, legs, closing auction, post-close. The last row that fits holds.
_ROWS = [
    ("cash cash_cas", "", "", "09:00-09:08", "09:15-15:30", "", "15:40-16:00"),
    ("index derivatives futures_near", "", "", "", "09:15-15:30", "", ""),
    ("currency commodity_agri", "", "", "", "09:00-17:00", "", ""),
    ("commodity", "", "", "", "09:00-23:30", "", ""),
    ("commodity", "2025-11-03", "2026-03-07", "", "09:00-23:55", "", ""),
    ("cash", "2026-08-03", "", "09:00-09:08", "09:15-15:30", "", "15:50-16:00"),
    ("cash_cas", "2026-08-03", "", "09:00-09:08", "09:15-15:15", "15:15-15:35", "15:50-16:00"),
    ("derivatives", "2026-08-03", "", "", "09:15-15:40", "", ""),
    ("futures_near", "2026-08-03", "", "09:00-09:08", "09:15-15:40", "", ""),
    ("cash", "2024-11-01", "2024-11-01", "17:45-18:00", "18:00-19:00", "", "19:10-19:20"),
    ("cash", "2024-03-02", "2024-03-02", "09:00-09:08", "09:15-10:00 11:30-12:30", "", "12:40-12:50"),
]


@functools.lru_cache(maxsize=1024)
def schedule(kind: str, day: int) -> Schedule:
    """The hours of a class on an Indian calendar day."""
    text = (date(1970, 1, 1) + timedelta(days=day)).isoformat() if -700_000 < day < 2_900_000 else None
    for kinds, first, last, preopen, legs, auction, post in reversed(_ROWS):
        if text and kind in kinds.split() and first <= text and (not last or text <= last):
            spans = tuple(span for leg in legs.split() if (span := _span(day, leg)))
            return Schedule(day, _span(day, preopen), spans, _span(day, auction), _span(day, post))
    return Schedule(day, None, (), None, None)
