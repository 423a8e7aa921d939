"""R27: an n-minute bar is the fold of its minutes, for any n and whatever arrives."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machines import NAMES, Machine
from tests.oracle.sessions import SECOND
from tests.properties.feeds import OPEN, hostile_events, options, play

SEPARATE = 16 | 32  # NO_VOLUME and NO_OI stay only if every minute has them


@pytest.mark.parametrize("name", NAMES)
@given(events=hostile_events, chosen=options, n=st.integers(2, 400))
def test_r27_any_number_of_minutes_is_the_fold_of_its_minutes(name, events, chosen, n):
    many = f"{n}m"
    machine = Machine(name, ("1m", many), options=chosen)
    play(machine.it, events)
    machine.it.advance(OPEN + 200_000 * SECOND)
    folded = 0
    for token in (408065, 12345602, 256265, 12345607, 12345606):
        try:
            minutes, rows = machine.it.rows(token, "1m"), machine.it.rows(token, many)
        except KeyError:
            continue
        for row in rows:
            parts = [minute for minute in minutes if row["time"] <= minute["time"] < row["end"]]
            folded += len(parts)
            assert row["open"] == parts[0]["open"]
            assert row["high"] == max(part["high"] for part in parts)
            assert row["low"] == min(part["low"] for part in parts)
            assert row["close"] == parts[-1]["close"]
            assert row["volume"] == sum(part["volume"] for part in parts)
            assert row["ticks"] == sum(part["ticks"] for part in parts)
            assert row["time_source"] == max(part["time_source"] for part in parts)
            with_oi = [part["oi"] for part in parts if not part["flags"] & 32]
            assert row["oi"] == (with_oi[-1] if with_oi else 0)
            united = 0
            for part in parts:
                united |= part["flags"]
            assert row["flags"] & ~SEPARATE & ~1 == united & ~SEPARATE & ~1
            assert row["flags"] & 1 >= united & 1
            if row["volume"] and chosen.get("vwap") != "hlc3":
                value = sum(part["vwap"] * part["volume"] for part in parts if part["volume"])
                scale = max(abs(part["vwap"]) for part in parts if part["volume"])
                assert math.isclose(
                    row["vwap"] * row["volume"], value, rel_tol=1e-9, abs_tol=1e-9 * scale * row["volume"]
                )
        assert folded >= len(rows)
        assert sum(row["volume"] for row in rows) == sum(minute["volume"] for minute in minutes)
