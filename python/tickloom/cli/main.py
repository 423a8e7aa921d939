"""The group of commands (stage cli). A command's module is imported when it is asked for: `--help` stays quick."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import click

import tickloom

__all__ = ["tickloom_command"]

COMMANDS = {
    "bench": ("bench", "command"),
    "demo": ("demo", "demo"),
    "doctor": ("doctor", "command"),
    "hours": ("hours", "command"),
    "instruments": ("instruments", "command"),
    "live": ("live", "command"),
    "parity": ("parity", "command"),
    "record": ("record", "command"),
    "replay": ("replay", "command"),
    "simulate": ("simulate", "command"),
    "watchlists": ("watchlists", "command"),
}
"""A command's module in this folder, and the name of the click command in it."""


class Commands(click.Group):
    """Finds commands by name, and imports only the one that runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The commands whose modules are there."""
        return [name for name, (module, _) in COMMANDS.items() if find_spec(f"tickloom.cli.{module}") is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, or None: click says then which there are."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module, name = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(f"tickloom.cli.{module}"), name)
        return found


@click.group(cls=Commands)
@click.version_option(tickloom.__version__, prog_name="tickloom")
def tickloom_command() -> None:
    """A broker's live ticks in, exact candles out."""
