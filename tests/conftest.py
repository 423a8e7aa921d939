"""What every test shares: hypothesis profiles, and the paths of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

# A property that fails must fail again on the next machine: the examples are derived, never drawn anew.
hypothesis.settings.register_profile("check", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("explore", deadline=None, max_examples=2_000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "check"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return Path(__file__).resolve().parent.parent
