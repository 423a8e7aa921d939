"""The rules a second time: slow, obvious, pure Python, and independent of the core (docs/bars.md)."""
