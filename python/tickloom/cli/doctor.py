"""`tickloom doctor`: is everything there for a live feed, and if not, what to do (stage cli)."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import click
from rich.table import Table

from tickloom.cli import checks, options

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["command"]

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}


def examine(url: str, file: Path | None, *, offline: bool) -> list[checks.Check]:
    """Every check, the cheap ones first; a step that another one needs is skipped with it."""
    found = [checks.versions(), checks.core(), checks.limits()]
    token, secret = checks.token(file, dt.datetime.now(dt.UTC))
    found.append(token)
    if offline:
        return [*found, checks.clock(), checks.Check("skip", "server", "not asked: --offline")]
    server, skew = checks.link(url)
    found += [checks.clock(skew), server]
    if secret is None or server.state == "fail":
        why = "no token" if secret is None else "no server"
        return [*found, checks.Check("skip", "login", f"not tried: {why}")]
    return [*found, checks.login(url, secret)]


def table(found: list[checks.Check]) -> Table:
    """One line a check; what to do stands below what is not well."""
    grid = Table.grid(padding=(0, 2))
    for check in found:
        grid.add_row(f"[{STYLES[check.state]}]{check.state}[/]", check.name, check.found)
        if check.advice:
            grid.add_row("", "", f"[bold]do[/] {check.advice}")
    return grid


@click.command()
@options.url
@click.option("--offline", is_flag=True, help="Ask no server.")
@options.credentials_file
def command(url: str, offline: bool, file: Path | None) -> None:
    """Check versions, the wheel, limits, the token, the clock and the connection.

    Ends with 1 if something must be mended first, with 0 if there are at most warnings.
    """
    found = examine(url, file, offline=offline)
    options.terminal(160).print(table(found))
    if any(check.state == "fail" for check in found):
        raise SystemExit(1)
