"""Rules run on the oracle and on the engine alike."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest

from tests.machines import NAMES, Machine


@pytest.fixture(params=NAMES)
def machine(request: pytest.FixtureRequest) -> Callable[..., Machine]:
    """Makes a machine: machine(intervals=("1m",), date="2026-07-01", options={})."""
    return functools.partial(Machine, request.param)


@pytest.fixture
def engine() -> Callable[..., Machine]:
    """Makes an engine, for what only it does."""
    return functools.partial(Machine, "engine")
