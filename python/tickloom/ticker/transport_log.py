"""Transport log: what the WebSocket library says, never below INFO (stage ticker)."""

from __future__ import annotations

import logging

__all__ = ["TransportLog"]


class TransportLog(logging.Logger):
    """Below INFO the library writes down its requests, and so the token. This logger is in no registry, so nobody can
    lower its level; who wants to hear less says so to the logger above it."""

    def __init__(self, above: logging.Logger) -> None:
        super().__init__(f"{above.name}.transport")
        self.parent = above

    @property
    def level(self) -> int:
        """The level of the logger above, INFO at least."""
        return logging.INFO if self.parent is None else max(logging.INFO, self.parent.getEffectiveLevel())

    @level.setter
    def level(self, level: int) -> None:
        """Stays as it is."""
