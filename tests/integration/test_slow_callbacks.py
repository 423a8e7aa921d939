"""Callbacks that sleep or raise, a moment each; the figures: `python -m tests.integration.slow_callbacks`."""

from __future__ import annotations

from tests.integration.slow_callbacks import AT_MOST, Row, table

NAMES = ["sleeps a second", "raises ValueError", "raises SystemExit", "raises a BaseException"]


def test_no_callback_costs_the_candles_time_or_the_connection_and_every_event_is_accounted_for() -> None:
    rows: list[Row] = list(table(["conflate", "drop_oldest"], NAMES, 0.5, 1_000))
    assert len(rows) == 8
    for row in rows:
        assert row.sent == row.engine > 200, row
        assert row.offered == row.sent, row
        assert row.delivered + row.dropped == row.offered, row
        assert row.disconnections == 0, row
        assert row.p99 <= AT_MOST, row
        assert (row.dropped > 100) == (row.callback == "sleeps a second"), row
        assert (row.errors == row.sent) == (row.callback != "sleeps a second"), row
