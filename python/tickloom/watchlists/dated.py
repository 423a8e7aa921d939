"""Dated: the members of an index through time: a copy of the exchange's file, and what it announced (stage watchlists).

A file holds the members as of a date, and the changes before it, the newest first. Taken back one by one, those give
the members of earlier days, in the symbols of the copy: what was renamed since bears its new name. They were in force
until the day before a change, or are known to an earlier date if that is all that two copies tell.
"""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from tickloom import market_hours
from tickloom.errors import BadDump
from tickloom.watchlists.model import Member, Watchlist

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["INDEX_FILES", "in_force", "last_change", "read"]

INDEX_FILES = {
    "NIFTY50": ("indices", "ind_nifty50list.csv", {50}),
    "BANKNIFTY": ("indices", "ind_niftybanklist.csv", {12, 14}),
    "NIFTYNEXT50": ("indices", "ind_niftynext50list.csv", {50}),
    "NIFTYMIDCAP50": ("indices", "ind_niftymidcap50list.csv", {50}),
    "NIFTYIT": ("sectors", "ind_niftyitlist.csv", {10}),
    "NIFTYPHARMA": ("sectors", "ind_niftypharmalist.csv", {20}),
    "NIFTYAUTO": ("sectors", "ind_niftyautolist.csv", {15}),
    "NIFTYMETAL": ("sectors", "ind_niftymetallist.csv", {15}),
    "NIFTYENERGY": ("sectors", "ind_niftyenergylist.csv", {10, 40}),
    "NIFTYFMCG": ("sectors", "ind_niftyfmcglist.csv", {15}),
    "NIFTYREALTY": ("sectors", "ind_niftyrealtylist.csv", {10}),
    "NIFTYMEDIA": ("sectors", "ind_niftymedialist.csv", {10}),
}
"""Category, the exchange's file, and how many members the index can have."""


def read(path: Path) -> list[Watchlist]:
    """The versions of a list, the oldest first. Raises BadDump naming the file, and the line where it is no JSON."""
    try:
        return _versions(json.loads(path.read_bytes()))
    except json.JSONDecodeError as error:
        raise BadDump(f"{error.msg}, update the list again: {path}, line {error.lineno}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BadDump(f"no watchlist ({error!r}), update the list again: {path}, line 1") from None


def _versions(raw: dict[str, Any]) -> list[Watchlist]:
    name, as_of, members = raw["name"], date.fromisoformat(raw["as_of"]), _members(raw["members"])
    since, category, source = date.fromisoformat(raw.get("since", raw["as_of"])), INDEX_FILES[name][0], raw["source"]
    found: list[Watchlist] = []
    for change in raw.get("changes", []):
        effective = date.fromisoformat(change["effective_from"])
        known_to = date.fromisoformat(change.get("known_to", str(effective - timedelta(days=1))))
        if not since <= known_to < effective <= as_of:
            raise ValueError(f"a change of {effective} in a list of {since} to {as_of}")
        found.append(Watchlist(name, category, as_of, str(source), members, effective))
        came, went = _members(change["in"]), _members(change["out"])
        if set(came) - set(members) or set(went) & set(members):
            raise ValueError(f"the change of {effective} does not fit the members after it")
        members = (*(each for each in members if each not in came), *went)
        as_of, source = known_to, f"{raw['source']}, before what was {change['source']}"
    found.append(Watchlist(name, category, as_of, str(source), members, since))
    return found[::-1]


def _members(rows: Iterable[dict[str, Any]]) -> tuple[Member, ...]:
    return tuple(Member(str(each["symbol"]), str(each["isin"])) for each in rows)


def in_force(versions: Sequence[Watchlist], on: date) -> tuple[Watchlist, str]:
    """The version of a day, the versions being in order, and in which way it may be the wrong one, or nothing."""
    found = [each for each in versions if each.effective_from is None or each.effective_from <= on]
    if not found:
        first = versions[0]
        return first, f"known from {first.effective_from} on, not for {on}"
    newest, changed = found[-1], last_change(on)
    if newest.as_of is None or newest.as_of >= changed:
        return newest, ""
    return newest, f"as of {newest.as_of}, the indices changed on {changed}, run tickloom watchlists update"


def last_change(on: date) -> date:
    """The last date up to `on` on which the exchange changed its broad indices: the last trading day of March and of
    September is the first of the new members."""
    days = []
    for year in (on.year - 1, on.year):
        for month, last in ((3, 31), (9, 30)):
            day = date(year, month, last)
            while not market_hours.default().trades(day, "NSE"):
                day -= timedelta(days=1)
            days.append(day)
    return max(day for day in days if day <= on)
