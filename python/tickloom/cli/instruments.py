"""`tickloom instruments`: look for instruments, option chains and expiries in the broker's dump (stage cli)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click
from rich.table import Table

from tickloom.cli import options, symbols
from tickloom.errors import UnknownInstrument

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tickloom.instruments import Instrument, Instruments

    Opened = Callable[[], Instruments]

__all__ = ["command"]

HEADS = ("name", "token", "kind", "expiry", "strike", "tick", "lot", "hours", "company or underlying")
day = click.DateTime(["%Y-%m-%d"])


def table(found: Iterable[Instrument], instruments: Instruments) -> Table:
    """One line an instrument."""
    grid = Table(box=None, pad_edge=False)
    for head in HEADS:
        right = head in {"token", "strike", "tick", "lot"}
        grid.add_column(head, justify="right" if right else "left", no_wrap=True)
    for each in found:
        strike = f"{each.strike:g}" if each.strike else ""
        grid.add_row(
            each.full_symbol, str(each.token), each.kind, str(each.expiry or ""), strike, f"{each.tick_size:g}",
            str(each.lot_size), instruments.session_class(each.token), each.name,
        )  # fmt: skip
    return grid


@click.group(invoke_without_command=True)
@symbols.dump
@symbols.root
@options.credentials_file
@click.pass_context
def command(context: click.Context, dump: Path | None, root: str | None, file: Path | None) -> None:
    """Look for instruments in the broker's dump, which is fetched once a day with the account."""
    # Opened by who needs it: the help of a command needs no account.
    context.obj = partial(symbols.opened, dump, file, root)
    if context.invoked_subcommand is None:
        instruments = context.obj()
        old = ", older than today" if instruments.stale else ""
        click.echo(f"{len(instruments):,} instruments of {instruments.on}{old}   try: tickloom instruments search infy")


@command.command()
@click.argument("text")
@click.option("--exchange", help="Only there: NSE, NFO, BSE, MCX ...")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.pass_obj
def search(opened: Opened, text: str, exchange: str | None, limit: int) -> None:
    """Those that TEXT means, best first: a symbol, its beginning, a company's name, or nearly."""
    instruments = opened()
    found = instruments.search(text, limit=limit, exchange=exchange)
    if not found:
        raise click.ClickException(f"nothing is called so: {text}")
    options.terminal(160).print(table(found, instruments))


@command.command()
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def show(opened: Opened, names: tuple[str, ...]) -> None:
    """All about NAMES: NSE:INFY, INFY, or a token."""
    instruments = opened()
    try:
        found = [instruments.find(int(name) if name.isdecimal() else name) for name in names]
    except UnknownInstrument as error:
        raise click.ClickException(str(error)) from None
    options.terminal(160).print(table(found, instruments))


@command.command()
@click.argument("underlying")
@click.option("--expiry", type=day, help="[default: the next]")
@click.option("--exchange", default="NFO", show_default=True)
@click.pass_obj
def chain(opened: Opened, underlying: str, expiry: dt.datetime | None, exchange: str) -> None:
    """The options of an UNDERLYING such as NIFTY, the lowest strike first."""
    name = underlying.upper()
    try:
        rows = opened().option_chain(name, expiry and expiry.date(), exchange=exchange)
    except UnknownInstrument as error:
        raise click.ClickException(str(error)) from None
    one = next(each for row in rows for each in (row.call, row.put) if each is not None)
    grid = Table(title=f"{exchange}:{name} {one.expiry}   lot {one.lot_size}", title_justify="left", box=None)
    for head in ("call", "token", "strike", "token", "put"):
        grid.add_column(head, justify="left" if head == "put" else "right", no_wrap=True)
    for row in rows:
        sides = [("", "") if each is None else (each.symbol, str(each.token)) for each in (row.call, row.put)]
        grid.add_row(*sides[0], f"{row.strike:g}", *reversed(sides[1]))
    options.terminal(160).print(grid)


@command.command()
@click.argument("underlying")
@click.option("--exchange", default="NFO", show_default=True)
@click.pass_obj
def expiries(opened: Opened, underlying: str, exchange: str) -> None:
    """When contracts on an UNDERLYING expire: futures and options."""
    name, instruments = underlying.upper(), opened()
    kinds = {kind: instruments.expiries(name, exchange=exchange, kind=kind) for kind in ("FUT", "CE")}
    days = sorted({each for found in kinds.values() for each in found})
    if not days:
        raise click.ClickException(f"no contracts on it, try search: {exchange}:{name}")
    for each in days:
        words = [word for word, kind in (("futures", "FUT"), ("options", "CE")) if each in kinds[kind]]
        click.echo(f"{each}  {each:%a}  {', '.join(words)}")
