"""Whatever arrives: no exception, the account adds up, bars are well formed, and the engine equals its oracle."""

from __future__ import annotations

from hypothesis import given

from tests.machines import Machine
from tests.oracle.sessions import SECOND
from tests.properties.feeds import OPEN, hostile_events, options, pairs, play

INTERVALS = ("1m", "3m", "60m", "30s", "7s")


def well_formed(machine: Machine, bounded: bool) -> None:
    """Bars ascend, do not overlap, and hold low <= open, close, vwap <= high."""
    for token in machine.it.instruments:
        for interval in INTERVALS:
            rows = machine.it.rows(token, interval)
            assert all(before["end"] <= after["time"] for before, after in pairs(rows))
            for row in [*rows, *machine.it.unsealed(token, interval)]:
                assert row["low"] <= min(row["open"], row["close"])
                assert max(row["open"], row["close"]) <= row["high"]
                assert row["volume"] >= 0
                if row["volume"] and bounded:
                    assert row["low"] <= row["vwap"] <= row["high"]
        assert machine.balanced(token)


@given(hostile_events, options)
def test_the_oracle_keeps_its_account_and_its_bars_in_shape(events, chosen):
    machine = Machine("oracle", INTERVALS, options=chosen)
    play(machine.it, events)
    well_formed(machine, chosen.get("vwap") not in {"atp", "hlc3"})
    machine.it.advance(OPEN + 90_000 * SECOND)
    well_formed(machine, chosen.get("vwap") not in {"atp", "hlc3"})
