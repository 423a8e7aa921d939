"""`tickloom hours`: when each kind of instrument trades on a date, and what is open now (stage cli)."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from tickloom._core import Sessions
from tickloom.cli import options
from tickloom.market_hours import MarketHours, TradingDay, UnknownHolidays
from tickloom.model import IST

if TYPE_CHECKING:
    from tickloom.market_hours import Span

__all__ = ["command"]


def times(span: Span | None) -> str:
    """`09:15-15:30`, or nothing."""
    return "" if span is None else f"{span.start:%H:%M}-{span.end:%H:%M}"


def next_change(hours: MarketHours, day: TradingDay, now: dt.datetime) -> str:
    """What happens next, seen from `now`."""
    name = day.session_class
    word, when = (
        ("closes", hours.next_close(now, name)) if hours.is_open(now, name) else ("opens", hours.next_open(now, name))
    )
    return f"{word} {when:%H:%M}" if when.date() == now.date() else f"{word} {when:%a %d %b %H:%M}"


def table(hours: MarketHours, on: dt.date, now: dt.datetime) -> Table:
    """One line a class."""
    grid = Table(title=f"{on:%A, %d %B %Y}   now {now:%Y-%m-%d %H:%M:%S} IST", title_justify="left")
    for head in ("class", "pre-open", "trading", "closing auction", "post-close", "now", "next", "day"):
        grid.add_column(head, no_wrap=True)
    for name in Sessions.classes():
        day = hours.sessions(on, name)
        legs = " ".join(times(leg) for leg in day.legs) or "closed"
        known = "" if hours.is_known(on.year, name) else "holidays not known"
        parts = [times(day.preopen), legs, times(day.closing_auction), times(day.post_close)]
        grid.add_row(name, *parts, hours.phase(now, name), next_change(hours, day, now), day.name or known)
    return grid


@click.command()
@click.option("--date", "on", type=click.DateTime(["%Y-%m-%d"]), help="Another date than today.")
@click.option(
    "--override",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Rows of your own on top (docs/sessions.md).",
)
def command(on: dt.datetime | None, override: Path | None) -> None:
    """When each kind of instrument trades today, by the shipped hours and holidays, in Indian time."""
    try:
        hours = MarketHours(override)
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None
    now = dt.datetime.now(IST)
    with warnings.catch_warnings():
        # The table says so itself.
        warnings.simplefilter("ignore", UnknownHolidays)
        shown = table(hours, on.date() if on else now.date(), now)
    options.terminal(160).print(shown)
