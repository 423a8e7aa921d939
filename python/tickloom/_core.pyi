"""The compiled core. Written by hand, checked against the module by `make types`."""

from typing import Final

__all__ = ["DEBUG_BUILD"]

DEBUG_BUILD: Final[bool]
"""Whether debug assertions are compiled in: such a build is slow and no benchmark may use it."""
