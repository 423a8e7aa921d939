"""`tickloom parity`: how far a recording's candles agree with the broker's, and under which options (stage cli)."""

from __future__ import annotations

import csv
import datetime as dt
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

import tickloom as tl
from tickloom.cli import credentials, options
from tickloom.feed.parity import Match, match_ways, total
from tickloom.history import Instrument, Minutes
from tickloom.model import IST

if TYPE_CHECKING:
    from tickloom.history import History
    from tickloom.history.base import Wait

__all__ = ["FileHistory", "command"]

COLUMNS = ("token", "time", "open", "high", "low", "close", "volume")
RATES = ("open", "high", "low", "close", "volume", "whole")


class FileHistory:
    """Implements `History`: minutes of a CSV file with the columns of `COLUMNS`, times in ISO format, Indian without a
    zone; in place of a token there may be Upstox's instrument key. Raises ValueError naming file and line for what
    cannot be read, OSError for no file."""

    name = "file"
    requests = 0

    def __init__(self, path: Path) -> None:
        self._rows: dict[int | str, list[tuple[Any, ...]]] = {}
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            absent = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if absent:
                raise ValueError(f"{path}: the first line lacks {', '.join(absent)}")
            for row in reader:
                try:
                    name, made = _row(row)
                except (ValueError, TypeError) as error:
                    raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
                self._rows.setdefault(name, []).append(made)

    def trading_day(self, date: dt.date) -> bool:
        """A file knows no calendar."""
        return date.weekday() < 5

    def fetch(
        self, instrument: Instrument, start_ns: int, end_ns: int, *, now_ns: int | None = None, wait: Wait | None = None
    ) -> Minutes:
        """As `History.fetch`; raises UnknownInstrument for a token that is not in the file."""
        del now_ns, wait
        rows = self._rows.get(instrument.token) or self._rows.get(instrument.symbol or "")
        if rows is None:
            raise tl.UnknownInstrument(f"not in the file: {instrument.symbol or instrument.token}")
        return Minutes.of_rows(rows, instrument)[0].between(start_ns, end_ns)

    def forget(self, instrument: Instrument) -> None:
        """Nothing is kept."""


def _row(row: dict[str, str]) -> tuple[int | str, tuple[Any, ...]]:
    when = dt.datetime.fromisoformat(row["time"])
    at = tl.to_ns(when if when.tzinfo is not None else when.replace(tzinfo=IST))
    prices = [float(row[name]) for name in ("open", "high", "low", "close")]
    name = row["token"] if "|" in row["token"] else int(row["token"])
    return name, (at, *prices, int(row["volume"] or 0), 0)


def history_of(source: str, file: Path | None, root: str | None) -> History:
    """`kite` or `upstox`, with the account's credentials, or a CSV file."""
    if source not in {"kite", "upstox"}:
        return FileHistory(Path(source))
    # Who compares with a file needs no extra.
    from tickloom.history import KiteHistory, UpstoxHistory  # noqa: PLC0415 - `--help` needs no sockets

    if source == "upstox":
        token = credentials.upstox_token(file)
        return UpstoxHistory(token) if root is None else UpstoxHistory(token, root=root)
    found = credentials.find(file)
    return KiteHistory(found.api_key, found.access_token, root=root)


def percent(share: float) -> str:
    """A share for people."""
    return "-" if math.isnan(share) else f"{100 * share:.2f} %"


def line(match: Match) -> list[str]:
    """The cells of a match."""
    return [f"{match.minutes:,}", *(percent(match.rate(name)) for name in RATES), percent(match.volume_off),
            f"{match.ours:,}", f"{match.theirs:,}"]  # fmt: skip


@click.command()
@click.argument("journals", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--history", "source", required=True, metavar="kite|upstox|FILE",
              help=f"The broker's minutes: kite, upstox, or a CSV file with {','.join(COLUMNS)}.")  # fmt: skip
@click.option("--instruments", "each", is_flag=True, help="Each instrument of the best way too.")
@click.option("--root", help="Another address of the broker's REST API.")
@options.credentials_file
def command(journals: tuple[str, ...], source: str, each: bool, root: str | None, file: Path | None) -> None:
    """Replay JOURNALS under the options that decide what a candle is, and compare with the broker's minutes.

    `off` is the error of volume as a share of the broker's; `ours` and `theirs` are minutes that only one has.
    """
    console = options.terminal()
    # Without lines between the columns it fits a log's width.
    table = Table(title="share of minutes that are the broker's to the last bit", title_justify="left", box=None)
    table.add_column("bucket_by preopen open_source", no_wrap=True)
    for name in ("minutes", *RATES, "off", "ours", "theirs"):
        table.add_column(name, justify="right", no_wrap=True)
    ways: list[tuple[dict[str, str], dict[int, Match]]] = []
    try:
        history = history_of(source, file, root)
        for way, matches in match_ways(journals, history, told=lambda why: console.print(why, soft_wrap=True)):
            ways.append((way, matches))
            table.add_row(" ".join(way.values()), *line(total(matches)))
    except (tl.TickloomError, credentials.CredentialsMissing, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    console.print(table)
    best, matches = max(ways, key=lambda pair: total(pair[1]).whole)
    if not total(matches).minutes:
        raise click.ClickException("no minute is in both the recording and the history")
    console.print("best: " + " ".join(f"{name}={value}" for name, value in best.items()), soft_wrap=True)
    if each:
        for token, match in matches.items():
            console.print(f"{token}: " + "  ".join(line(match)), soft_wrap=True)
