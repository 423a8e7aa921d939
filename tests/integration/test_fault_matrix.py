"""The fault matrix, a few of each; the whole of it: `python -m tests.integration.fault_matrix`."""

from __future__ import annotations

import asyncio

from tests.integration.fault_matrix import table


def test_every_fault_of_the_matrix_is_survived() -> None:
    rows = asyncio.run(table(quick=True))
    assert len(rows) == 12
    assert [row for row in rows if not row.holds] == []
