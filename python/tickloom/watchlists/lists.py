"""Lists: `Watchlists`, by name and by date, and what of them today's instruments have (stage watchlists)."""

from __future__ import annotations

import warnings
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tickloom.errors import UnknownInstrument
from tickloom.instruments import Instruments, directory
from tickloom.model import IST
from tickloom.watchlists import dated, mine
from tickloom.watchlists.dated import INDEX_FILES
from tickloom.watchlists.model import Resolved, StaleWatchlist, UnresolvedSymbols, Watchlist
from tickloom.watchlists.movers import mover_name

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

__all__ = ["Watchlists"]

_SHIPPED = Path(__file__).with_name("data")
_ALIASES = {
    "NIFTY": "NIFTY50", "BANK": "BANKNIFTY", "NIFTYBANK": "BANKNIFTY", "NEXT50": "NIFTYNEXT50",
    "NIFTYNXT50": "NIFTYNEXT50", "MIDCAP50": "NIFTYMIDCAP50",
}  # fmt: skip
_ALIASES |= {name.removeprefix("NIFTY"): name for name, (category, *_) in INDEX_FILES.items() if category == "sectors"}
_POPULAR = "POPULAR"
_POPULAR_OF = ("NIFTY50", "BANKNIFTY")
_CATEGORIES = ("indices", "sectors", "popular", "mine")


class Watchlists:
    """The shipped lists, newer ones in `folder`, and `user`, a YAML file.

    Without a folder it is the one in the cache to which `tickloom watchlists update` writes.

    The YAML file has a list of symbols a name: `mine: [NSE:INFY, TCS]`; its lists win over others of that name.
    `POPULAR` is made of others: the members of NIFTY50 and of BANKNIFTY, when resolved those that have derivatives.
    Raises BadDump naming file and line, and MissingExtra without the extra `yaml`.
    """

    def __init__(
        self, user: str | os.PathLike[str] | None = None, *, folder: str | os.PathLike[str] | None = None
    ) -> None:
        self._versions: dict[str, list[Watchlist]] = {}
        for base in (_SHIPPED, directory() / "watchlists" if folder is None else Path(folder)):
            for path in sorted(base.glob("*.json")):
                for found in dated.read(path):
                    self._versions.setdefault(found.name, []).append(found)
        for versions in self._versions.values():
            # Of two from one day the later read one, the folder's, wins: the sort is stable.
            versions.sort(key=lambda each: each.effective_from or date.min)
        self._mine = mine.read(Path(user)) if user is not None else mine.Mine({}, {})
        self._own = {_plain(name): name for name in reversed(self._mine.lists)}

    def names(self) -> list[str]:
        """All lists that are there, in order of category and name."""
        return [name for names in self.categories().values() for name in names]

    def categories(self) -> dict[str, list[str]]:
        """The names by category: `indices`, `sectors`, `popular`, `mine`."""
        found: dict[str, list[str]] = {category: [] for category in _CATEGORIES}
        found["mine"] = sorted(self._mine.lists)
        for name in sorted(self._versions.keys() - self._own.keys()):
            found[self._versions[name][-1].category].append(name)
        if _POPULAR not in self._own:
            found["popular"] = [_POPULAR]
        return {category: names for category, names in found.items() if names}

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        known = self._name(name)
        return known in self._mine.lists or known in self._versions or known == _POPULAR

    def get(self, name: str, *, on: date | None = None) -> Watchlist:
        """A list as it was in force on a date, or is today. Blanks and case do not matter.

        Warns StaleWatchlist if the indices were changed between its date and that one, and if the date lies before the
        oldest that is known. Raises KeyError with the names there are, or with the file that an index is made from.
        """
        found, doubt = self._find(name, on)
        if doubt:
            warnings.warn(f"{doubt}: {found.name}", StaleWatchlist, stacklevel=2)
        return found

    def merge(self, *names: str, on: date | None = None) -> list[str]:
        """The symbols of several lists, each once, in the order of the lists. Warns and raises as `get`."""
        return list(dict.fromkeys(member.symbol for name in names for member in self.get(name, on=on).members))

    def resolve(self, name: str, instruments: Mapping[str, int], *, on: date | None = None) -> Resolved:
        """The members that today's instruments have.

        Warns UnresolvedSymbols, naming those that are missing, with file and line if the list is your own, and as
        `get`. Raises UnknownInstrument if they have none of them.
        """
        found, doubt = self._find(name, on)
        if doubt:
            warnings.warn(f"{doubt}: {found.name}", StaleWatchlist, stacklevel=2)
        symbols: list[str] = []
        missing: list[str] = []
        places: list[int] = []
        for member in found.members:
            full = member.symbol if ":" in member.symbol else f"NSE:{member.symbol}"
            # A mapping of one's own may have bare symbols.
            known = next((each for each in (full, member.symbol) if each in instruments), None)
            if known is None:
                missing.append(full)
                places.append(self._mine.lines.get((found.name, member.symbol), 0))
            else:
                symbols.append(instruments.find(known).full_symbol if isinstance(instruments, Instruments) else known)
        if missing:
            own = found.category == "mine"
            named = [f"{full} (line {line})" if own else full for full, line in zip(missing, places, strict=True)]
            where = f": {found.source}, line {places[0]}" if own else ""
            words = f"not among the instruments of today, {found.name}: {', '.join(named)}{where}"
            if not symbols:
                raise UnknownInstrument(f"all {len(missing)} members are {words}")
            count = f"{len(missing)} of {len(missing) + len(symbols)} members are"
            warnings.warn(f"{count} {words}", UnresolvedSymbols, stacklevel=2)
        if found.category == "popular" and isinstance(instruments, Instruments):
            # A dump without futures cannot tell.
            symbols = [each for each in symbols if instruments.session_class(each) == "cash_cas"] or symbols
        return Resolved(symbols, missing)

    def _find(self, name: str, on: date | None) -> tuple[Watchlist, str]:
        known = self._name(name)
        if known in self._mine.lists:
            return self._mine.lists[known], ""
        if known in self._versions:
            return dated.in_force(self._versions[known], on or datetime.now(IST).date())
        if known == _POPULAR:
            return self._popular(on)
        if mover_name(name):
            raise KeyError(f"movers are of the moment, ask feed.movers() or movers(engine, ...): {name}")
        if known in INDEX_FILES:
            file = INDEX_FILES[known][1]
            raise KeyError(f"no list is shipped, make it with: tickloom watchlists update {file}: {name}")
        raise KeyError(f"no such watchlist, there are {', '.join(self.names())}: {name}")

    def _popular(self, on: date | None) -> tuple[Watchlist, str]:
        parts = [self._find(name, on) for name in _POPULAR_OF]
        oldest = min((part for part, _ in parts), key=lambda part: part.as_of or date.max)
        members = dict.fromkeys(member for part, _ in parts for member in part.members)
        source = f"the members of {' and '.join(_POPULAR_OF)}"
        doubt = next((f"{doubt}: {part.name}" for part, doubt in parts if doubt), "")
        return Watchlist(_POPULAR, "popular", oldest.as_of, source, tuple(members), oldest.effective_from), doubt

    def _name(self, name: str) -> str:
        if name in self._mine.lists:
            return name
        plain = _plain(name)
        return self._own.get(plain) or _ALIASES.get(plain, plain)


def _plain(name: str) -> str:
    return "".join(name.upper().replace("-", "").replace("_", "").split())
