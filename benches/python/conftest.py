"""Orders the benchmarks by turn: every contender of every row once, then all of them again."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from kiteconnect import KiteTicker

# Kite's users sit in India, and the vendor's parser makes local datetimes.
os.environ["TZ"] = "Asia/Kolkata"
time.tzset()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "turn" in metafunc.fixturenames:
        metafunc.parametrize("turn", range(metafunc.module.TURNS))


def place(item: pytest.Item) -> tuple[object, ...]:
    """By turn, and within it the contenders of one row side by side, so that their ratio is of one moment."""
    params = dict(item.callspec.params) if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    row = item.name.partition("[")[0].partition("_by_")[0]
    size = params.get("packets", params.get("instruments", params.get("length", 0)))
    return params.get("turn", 0), item.path.name, row, size


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=place)


@pytest.fixture(scope="session")
def vendor() -> Any:
    """The vendor's own parser. It needs no connection."""
    return KiteTicker("key", "token")._parse_binary
