"""R41: a bar is a function of the set of snapshots; shuffling arrivals within 2 s changes nothing that counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machines import INFY, NAMES, Machine
from tests.oracle import frames
from tests.oracle.sessions import SECOND
from tests.properties.feeds import Snapshot, consistent

INTERVALS = ("1m", "5m", "30s", "7s")
# Whether an extreme came with the first snapshot to arrive in a bar depends on arrival, so the AMBIG flags do too.
# A bar that a late snapshot inserts may not know the OI as of its end any more (bars.md 5).
BY_ARRIVAL = 64 | 128 | 32
ARRIVED = 900_000_000


def bars(name: str, arrivals: list[tuple[int, Snapshot]], columns: tuple[str, ...]) -> list:
    """The bars after the arrivals (received, snapshot), once all are final."""
    machine = Machine(name, INTERVALS, options={"vwap": "ltp"})
    for received, snapshot in arrivals:
        machine.it.apply(frames.frame(snapshot.packet()), received)
    machine.it.advance(arrivals[-1][0] + 600 * SECOND)
    found = []
    for interval in INTERVALS:
        for row in machine.it.rows(INFY, interval):
            kept = [row[column] for column in columns]
            found.append((interval, *kept, row["flags"] & ~BY_ARRIVAL))
    assert machine.balanced()
    return found


jitters = st.lists(st.integers(0, 2_000), min_size=60, max_size=60)
CONSISTENT = ("time", "open", "high", "low", "close", "volume", "ticks")


@pytest.mark.parametrize("name", NAMES)
@given(snapshots=consistent(), jitter=jitters)
def test_r41_shuffling_arrivals_within_two_seconds_changes_no_bar(name, snapshots, jitter):
    first, *rest = snapshots
    in_order = [(snapshot.ets + ARRIVED, snapshot) for snapshot in snapshots]
    delayed = [(snapshot.ets + ARRIVED + ms * 1_000_000, snapshot) for snapshot, ms in zip(rest, jitter, strict=False)]
    shuffled = [in_order[0], *sorted(delayed, key=lambda item: item[0])]
    assert first is shuffled[0][1]
    assert bars(name, in_order, CONSISTENT) == bars(name, shuffled, CONSISTENT)


@pytest.mark.parametrize("name", NAMES)
@given(snapshots=consistent(), jitter=jitters, repeats=st.lists(st.integers(0, 59), max_size=20))
def test_r41_repeated_snapshots_among_the_shuffled_change_no_price_and_no_volume(name, snapshots, jitter, repeats):
    in_order = [(snapshot.ets + ARRIVED, snapshot) for snapshot in snapshots]
    delayed = [(at + ms * 1_000_000, s) for (at, s), ms in zip(in_order[1:], jitter, strict=False)]
    again = [(delayed[nth][0] + 500_000_000, delayed[nth][1]) for nth in repeats if nth < len(delayed)]
    shuffled = [in_order[0], *sorted(delayed + again, key=lambda item: item[0])]
    columns = ("time", "open", "high", "low", "close", "volume")
    assert bars(name, in_order, columns) == bars(name, shuffled, columns)
