"""`tickloom watchlists`: which there are, and newer ones from the exchange's files (stage cli)."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path

import click

from tickloom.errors import TickloomError
from tickloom.instruments import directory
from tickloom.model import IST
from tickloom.watchlists import StaleWatchlist, Watchlists, update

__all__ = ["command"]

folder_option = click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False), help="Where updated lists lie. [default: the cache]"
)


def lists_in(folder: Path) -> Watchlists:
    """The lists. Raises ClickException for a file that cannot be read."""
    try:
        return Watchlists(folder=folder)
    except TickloomError as error:
        raise click.ClickException(str(error)) from None


@click.group(invoke_without_command=True)
@folder_option
@click.pass_context
def command(context: click.Context, folder: Path | None) -> None:
    """Show the watchlists, or update them from the exchange's CSV files."""
    base = context.obj = folder or directory() / "watchlists"
    if context.invoked_subcommand is not None:
        return
    lists = lists_in(base)
    for name in lists.names():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", StaleWatchlist)
            found = lists.get(name)
        old = "   older than the last change of the indices" if caught else ""
        click.echo(f"{found.name:<14} {found.category:<8} {len(found.members):>3} members as of {found.as_of}{old}")


@command.command("update")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--date", "on", type=click.DateTime(["%Y-%m-%d"]), help="The files' date. [default: today]")
@click.option("--force", is_flag=True, help="Even if more than a fifth of the members changed.")
@click.pass_obj
def update_command(base: Path, files: tuple[Path, ...], on: dt.datetime | None, force: bool) -> None:
    """Take lists from files such as ind_nifty50list.csv. All are looked at before any is written."""
    lists = lists_in(base)
    day = on.date() if on else dt.datetime.now(IST).date()
    with warnings.catch_warnings():
        # That the old ones are old is why they are updated.
        warnings.simplefilter("ignore", StaleWatchlist)
        try:
            new = [(path, update.parse(path, day)) for path in files]
            old = [lists.get(found.name) if found.name in lists else None for _, found in new]
            for (path, found), before in zip(new, old, strict=True):
                if not force:
                    update.check(found, before, path)
        except TickloomError as error:
            raise click.ClickException(str(error)) from None
    for (path, found), before in zip(new, old, strict=True):
        written = update.save(found, path.read_bytes(), base)
        came, went = update.changes(found, before)
        moved = f"in {', '.join(came) or 'none'}, out {', '.join(went) or 'none'}"
        click.echo(f"{found.name}: {len(found.members)} members, {moved}")
        click.echo(f"  {written}")
