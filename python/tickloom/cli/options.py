"""What several commands ask for in the same words (stage cli)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from tickloom.cli import credentials

if TYPE_CHECKING:
    from tickloom.sources.kite import Kite

__all__ = ["URL", "account", "credentials_file", "mode", "seconds", "terminal", "url"]

URL = "wss://ws.kite.trade"

url = click.option("--url", default=URL, show_default=True, help="The server.")
mode = click.option("--mode", default="full", show_default=True, type=click.Choice(["ltp", "quote", "full"]))
seconds = click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="Stop after so long.")
credentials_file = click.option(
    "--credentials",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of mode 0600 with KITE_API_KEY=... and KITE_ACCESS_TOKEN=... [default: the environment]",
)


def account(file: Path | None, address: str) -> Kite:
    """The account's feed. Raises ClickException without credentials, or for an address that is none."""
    # `tickloom --help` looks at every command: the transport and its event loop are not needed for that.
    from tickloom.sources.kite import Kite  # noqa: PLC0415 - `--help` needs no sockets

    try:
        found = credentials.find(file)
        return Kite(found.api_key, found.access_token, url=address)
    except (credentials.CredentialsMissing, ValueError) as error:
        raise click.ClickException(str(error)) from None


def terminal(width: int = 120) -> Console:
    """The terminal; for a log of that width: it has none of its own, and rich would take it for a narrow one."""
    made = Console()
    if not made.is_terminal:
        made.width = width
    return made
