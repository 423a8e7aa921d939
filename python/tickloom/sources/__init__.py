"""Sources: where frames come from (stage sources, knows only what stands left of it)."""

from __future__ import annotations

from tickloom.sources.simulator import Market

__all__ = ["Market"]
