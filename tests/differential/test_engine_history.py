"""A morning's minutes joined to a feed that came late: the engine equals the oracle on the seeded market (R12, R34)."""

from __future__ import annotations

import pytest

from tests.differential.compare import Pair, same_rows
from tests.machines import OracleMachine
from tests.oracle.history import folded, headless, joined
from tests.oracle.sessions import MINUTE, SECOND
from tickloom.sources.simulator import Market

INTERVALS = ("1m", "3m", "5m", "15m")


@pytest.mark.parametrize("authority", ["live", "broker"])
@pytest.mark.parametrize("seed", range(8))
def test_the_minutes_before_the_join_fill_the_morning(seed, authority):
    made = Market(seed, instruments=5, indices=0, end="09:29", mode="full")
    pair, whole = Pair(INTERVALS), OracleMachine(INTERVALS)
    events = list(made.events())
    # Eight minutes before the end, within a minute.
    late = made.session_close_ns - 8 * MINUTE + 20 * SECOND
    for event in [*events, ("advance", events[-1][1] + 30 * MINUTE, None)]:
        kind, at, body = event
        whole.apply(body, at) if kind == "frame" else getattr(whole, kind)(at)
        if at >= late:
            pair.play([event])
    pair.same()
    replaced = 0
    for token, instrument in pair.oracle.instruments.items():
        before = {interval: pair.oracle.rows(token, interval) for interval in INTERVALS}
        minutes = whole.rows(token, "1m")
        columns = {
            name: [row[name] for row in minutes] for name in ("time", "open", "high", "low", "close", "volume", "oi")
        }
        now = minutes[-1]["end"] + 20 * MINUTE
        pair.engine.core.join_history(token, **columns, now_ns=now, authority=authority)
        rows, changed = joined(before["1m"], minutes, authority=authority)
        replaced += len(changed)
        same_rows(rows, pair.engine.rows(token, "1m"), (token, "1m", "joined"))
        for interval in INTERVALS[1:]:
            held = {row["time"]: row for row in before[interval]}
            spans = {
                row["time"]: instrument.bases[0].span(instrument.day, row["time"], int(interval[:-1]) * MINUTE)
                for row in rows
            }
            touched = {spans[time] for time in changed}
            expected = dict(held)
            for span in touched:
                parts = [row for row in rows if spans[row["time"]] == span]
                partial = headless(span, minutes, instrument.joined)
                expected[span[0]] = folded(parts, span, held.get(span[0]), partial=partial)
            same_rows(
                [expected[time] for time in sorted(expected)],
                pair.engine.rows(token, interval),
                (token, interval, "joined"),
            )
    assert replaced > 10
