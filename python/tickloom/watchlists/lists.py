"""Lists: dated members by symbol and ISIN, and your own in YAML (stage watchlists)."""

from __future__ import annotations

import importlib
import json
import warnings
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tickloom.errors import BadDump, MissingExtra
from tickloom.model import IST

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["INDEX_FILES", "Member", "Resolved", "StaleWatchlist", "UnresolvedSymbols", "Watchlist", "Watchlists"]

_SHIPPED = Path(__file__).with_name("data")
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
_ALIASES = {"NIFTY": "NIFTY50", "NIFTYBANK": "BANKNIFTY", "NEXT50": "NIFTYNEXT50", "MIDCAP50": "NIFTYMIDCAP50"}
_ALIASES |= {name.removeprefix("NIFTY"): name for name, (category, *_) in INDEX_FILES.items() if category == "sectors"}


class StaleWatchlist(UserWarning):
    """A list is older than the last date on which the exchange changes its indices."""


class UnresolvedSymbols(UserWarning):
    """Members of a list that today's instruments do not have: renamed, merged or suspended."""


class Member(NamedTuple):
    """One of a list. `isin` is "" where it is not known."""

    symbol: str
    isin: str


class Watchlist(NamedTuple):
    """A list with its date; `as_of` is None for one of your own."""

    name: str
    category: str
    as_of: date | None
    source: str
    members: tuple[Member, ...]


class Resolved(NamedTuple):
    """What of a list can be subscribed today, as `NSE:INFY`, and what cannot."""

    symbols: list[str]
    missing: list[str]


class Watchlists:
    """The shipped lists, newer ones in `folder` (`tickloom watchlists update` writes them), and `user`, a YAML file.

    The YAML file has a list of symbols a name: `mine: [NSE:INFY, TCS]`; its lists win over others of that name. Raises
    BadDump naming file and line, and MissingExtra without the extra `yaml`.
    """

    def __init__(
        self, user: str | os.PathLike[str] | None = None, *, folder: str | os.PathLike[str] | None = None
    ) -> None:
        self._lists: dict[str, Watchlist] = {}
        for base in (_SHIPPED, *([Path(folder)] if folder is not None else [])):
            for path in sorted(base.glob("*.json")):
                found = read(path)
                self._lists[found.name] = found
        if user is not None:
            self._lists |= _yaml(Path(user))

    def names(self) -> list[str]:
        """All lists that are there, in order of category and name."""
        return [name for names in self.categories().values() for name in names]

    def categories(self) -> dict[str, list[str]]:
        """The names by category: `indices`, `sectors`, `mine`."""
        found: dict[str, list[str]] = {"indices": [], "sectors": [], "mine": []}
        for each in self._lists.values():
            found[each.category].append(each.name)
        return {category: sorted(names) for category, names in found.items() if names}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._name(name) in self._lists

    def get(self, name: str, *, on: date | None = None) -> Watchlist:
        """A list. Blanks and case do not matter. Warns StaleWatchlist if the indices were changed since, as of `on`
        or today. Raises KeyError with the names there are, or with the file that an index is made from."""
        known = self._name(name)
        found = self._lists.get(known)
        if found is None and known in INDEX_FILES:
            file = INDEX_FILES[known][1]
            raise KeyError(f"no list is shipped, make it with: tickloom watchlists update {file}: {name}")
        if found is None:
            raise KeyError(f"no such watchlist, there are {', '.join(self.names())}: {name}")
        changed = last_change(on or datetime.now(IST).date())
        if found.as_of is not None and found.as_of < changed:
            message = f"as of {found.as_of}, the indices changed after {changed}, run tickloom watchlists update"
            warnings.warn(f"{message}: {known}", StaleWatchlist, stacklevel=2)
        return found

    def merge(self, *names: str, on: date | None = None) -> list[str]:
        """The symbols of several lists, each once, in the order of the lists."""
        return list(dict.fromkeys(member.symbol for name in names for member in self.get(name, on=on).members))

    def resolve(self, name: str, instruments: Mapping[str, int], *, on: date | None = None) -> Resolved:
        """The members that today's instruments have. Warns UnresolvedSymbols, naming those that are missing."""
        symbols: list[str] = []
        missing: list[str] = []
        for member in self.get(name, on=on).members:
            full = member.symbol if ":" in member.symbol else f"NSE:{member.symbol}"
            (symbols if full in instruments else missing).append(full)
        if missing:
            words = f"{len(missing)} of {len(missing) + len(symbols)} members are not among the instruments of today"
            warnings.warn(f"{words}, {name}: {', '.join(missing)}", UnresolvedSymbols, stacklevel=2)
        return Resolved(symbols, missing)

    def _name(self, name: str) -> str:
        if name in self._lists:
            return name
        plain = "".join(name.upper().replace("-", "").replace("_", "").split())
        return _ALIASES.get(plain, plain)


def last_change(on: date) -> date:
    """The last date up to `on` after which the exchange changes its broad indices: the end of March and September."""
    ends = [date(year, month, day) for year in (on.year - 1, on.year) for month, day in ((3, 31), (9, 30))]
    ends = [end - timedelta(days=max(0, end.weekday() - 4)) for end in ends]
    return max(end for end in ends if end < on)


def read(path: Path) -> Watchlist:
    """A dated list. Raises BadDump naming the file, and the line where it is no JSON."""
    try:
        raw: dict[str, Any] = json.loads(path.read_bytes())
        members = tuple(Member(str(each["symbol"]), str(each["isin"])) for each in raw["members"])
        category = INDEX_FILES[raw["name"]][0]
        return Watchlist(raw["name"], category, date.fromisoformat(raw["as_of"]), str(raw["source"]), members)
    except json.JSONDecodeError as error:
        raise BadDump(f"{error.msg}, update the list again: {path}, line {error.lineno}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise BadDump(f"no watchlist ({error!r}), update the list again: {path}, line 1") from None


def _yaml(path: Path) -> dict[str, Watchlist]:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise MissingExtra("yaml", "PyYAML") from None
    raw = path.read_bytes()
    try:
        node = yaml.compose(raw, Loader=yaml.SafeLoader)
        pairs = [] if node is None else node.value if node.id == "mapping" else None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise BadDump(f"no YAML ({getattr(error, 'problem', None) or error}): {path}, line {line}") from None
    if pairs is None:
        raise BadDump(f"a file of watchlists has a list of symbols a name: {path}, line 1")
    found: dict[str, Watchlist] = {}
    for key, value in pairs:
        items = value.value if value.id == "sequence" else [value]
        for each in (key, *items):
            if each.id != "scalar" or not each.value.strip():
                words = "a file of watchlists has a list of symbols a name"
                raise BadDump(f"{words}: {path}, line {each.start_mark.line + 1}")
        if value.id != "sequence" or key.value in found:
            words = "a name stands twice" if key.value in found else "a watchlist is a list of symbols"
            raise BadDump(f"{words}, {key.value}: {path}, line {key.start_mark.line + 1}")
        members = tuple(Member(each, "") for each in dict.fromkeys(item.value.strip() for item in items))
        found[key.value] = Watchlist(key.value, "mine", None, str(path), members)
    return found
