"""Orders the benchmarks by turn: every contender of every row once, then all of them again."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from kiteconnect import KiteTicker

from benches.measure import TURNS

# Kite's users sit in India, and the vendor's parser makes local datetimes.
os.environ["TZ"] = "Asia/Kolkata"
time.tzset()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "turn" in metafunc.fixturenames:
        metafunc.parametrize("turn", range(TURNS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.callspec.params.get("turn", 0) if hasattr(item, "callspec") else 0)


@pytest.fixture(scope="session")
def vendor() -> Any:
    """The vendor's own parser. It needs no connection."""
    return KiteTicker("key", "token")._parse_binary
