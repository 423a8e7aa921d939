"""The fault matrix, a few of each; the whole of it: `python -m tests.integration.fault_matrix`."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.fault_matrix import table
from tests.integration.fault_sides import SIDES


@pytest.mark.parametrize(("source", "faults"), [("kite", 12), ("upstox", 13)])
def test_every_fault_of_the_matrix_is_survived(source: str, faults: int) -> None:
    rows = asyncio.run(table(SIDES[source](), quick=True))
    assert len(rows) == faults
    assert [row for row in rows if not row.holds] == []
