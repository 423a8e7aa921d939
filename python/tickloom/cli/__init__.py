"""The command line, the last stage: it may use every other one. Needs the extra `cli` (click and rich)."""

from __future__ import annotations

from importlib.util import find_spec

from tickloom.errors import MissingExtra

__all__ = ["run"]


def run() -> None:
    """Run the command line with the process's arguments. Raises MissingExtra without click or rich."""
    for package in ("click", "rich"):
        if find_spec(package) is None:
            raise MissingExtra("cli", package)
    from tickloom.cli.main import tickloom_command  # noqa: PLC0415 - it imports the extra

    tickloom_command(prog_name="tickloom")
