"""Masks: words of others without the credentials that they name (beside every stage, imports nothing)."""

from __future__ import annotations

import re

__all__ = ["masked"]

_SECRET = re.compile(
    r"""((?:api_key|api_secret|access_token|request_token|refresh_token|enctoken|authorization)["']?\s*[=:]\s*["']?"""
    r"""(?:token\s+|bearer\s+)?)[^&\s"',;}]+""",
    re.IGNORECASE,
)


def masked(text: str) -> str:
    """A text without the values of credentials that it names."""
    return _SECRET.sub(r"\1***", text)
