"""The group of commands (stage cli)."""

from __future__ import annotations

import click

import tickloom
from tickloom.cli.demo import demo


@click.group()
@click.version_option(tickloom.__version__, prog_name="tickloom")
def tickloom_command() -> None:
    """A broker's live ticks in, exact candles out."""


tickloom_command.add_command(demo)
