"""What every test here answers for: packets received = ticks + rejected."""

from __future__ import annotations

from tests.conservation import conservation

__all__ = ["conservation"]
