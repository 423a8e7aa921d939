"""Instruments by name on the command line: the broker's dump from a file, from the cache, or fetched (stage cli)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tickloom.cli import credentials
from tickloom.errors import TickloomError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tickloom.history import KiteHistory
    from tickloom.instruments import Instruments

__all__ = ["Named", "dump", "history", "named", "opened", "root", "tokens"]

Named = tuple[int | None, str]
"""A token and the name to show for it; without a token the name is to be looked up."""

dump = click.option(
    "--dump",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="The broker's instruments in a CSV file. [default: today's, fetched once with the account]",
)
root = click.option("--root", help="Another address of the broker's REST API.")


def named(value: str) -> Named:
    """`408065`, `408065=INFY`, or a name such as `NSE:INFY` or `NIFTY50`. Raises BadParameter."""
    token, equals, name = value.partition("=")
    if not token.isdecimal():
        if equals or not token.strip():
            raise click.BadParameter(f"an instrument is a token, TOKEN=NAME or a name such as NSE:INFY: {value}")
        return None, value
    if not 0 < int(token) < 2**32:
        raise click.BadParameter(f"a token is between 1 and {2**32 - 1}: {value}")
    return int(token), name or token


def opened(dump: Path | None, file: Path | None, root: str | None) -> Instruments:
    """Today's instruments. Raises ClickException without credentials or package, and for what is no dump."""
    # `tickloom --help` looks at every command: numpy and the dump's reader are not needed for that.
    from tickloom.instruments import Instruments  # noqa: PLC0415 - `--help` needs no tables

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if dump is not None:
                return Instruments.load(dump)
            return Instruments.today(lambda: _fetched(file, root))
        except (TickloomError, OSError) as error:
            raise click.ClickException(str(error)) from None
        finally:
            for each in caught:
                click.echo(f"warning: {each.message}", err=True)


def tokens(instruments: Sequence[Named], dump: Path | None, file: Path | None, root: str | None) -> list[int]:
    """Their tokens, those of a watchlist's members too. Raises ClickException for a name that nobody knows."""
    if all(token is not None for token, _ in instruments):
        return [token for token, _ in instruments if token is not None]
    from tickloom.watchlists import Watchlists  # noqa: PLC0415 - `--help` needs no lists

    known, found = opened(dump, file, root), dict[int, None]()
    try:
        lists = Watchlists()
        for token, name in instruments:
            if token is not None:
                found[token] = None
            elif name in known or name not in lists:
                found[known[name]] = None
            else:
                found |= dict.fromkeys(known[each] for each in lists.resolve(name, known).symbols)
    except TickloomError as error:
        raise click.ClickException(str(error)) from None
    return list(found)


def history(simulated: bool, file: Path | None, root: str | None) -> KiteHistory:
    """The account's past minutes. Raises ClickException: without credentials or package, or if there is no past."""
    if simulated:
        raise click.ClickException("a simulated market has no days before: leave --warmup out")
    try:
        return _account(file, root)
    except TickloomError as error:
        raise click.ClickException(str(error)) from None


def _account(file: Path | None, root: str | None) -> KiteHistory:
    from tickloom.history import KiteHistory  # noqa: PLC0415 - `--help` needs no sockets

    found = credentials.find(file)
    return KiteHistory(found.api_key, found.access_token, root=root)


def _fetched(file: Path | None, root: str | None) -> Iterable[Mapping[str, Any]]:
    try:
        account = _account(file, root)
    except credentials.CredentialsMissing as error:
        raise credentials.CredentialsMissing(f"names need the broker's instruments: --dump FILE, or {error}") from None
    click.echo("fetching today's instruments", err=True)
    return account.instruments()
