"""Update: the exchange's CSV of an index to a dated list, if it passes the gates (stage watchlists)."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from typing import TYPE_CHECKING, Any

from tickloom.errors import BadDump
from tickloom.instruments.cache import write
from tickloom.watchlists import dated
from tickloom.watchlists.dated import INDEX_FILES
from tickloom.watchlists.model import Member, Watchlist

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

__all__ = ["changes", "check", "parse", "save"]

_COLUMNS = ("Symbol", "Series", "ISIN Code")
_CHURN = 0.2
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9&-]{0,19}")


def parse(path: Path, on: date) -> Watchlist:
    """The list of a file with the exchange's own name. Raises BadDump naming file and line if it is not an index that
    is known, or has the wrong number of members, a symbol or an ISIN twice, or an ISIN that is none."""
    name = next((name for name, (_, file, _) in INDEX_FILES.items() if file == path.name), None)
    if name is None:
        files = ", ".join(file for _, file, _ in INDEX_FILES.values())
        raise BadDump(f"the file's name tells the index, it is one of {files}: {path}, line 1")
    try:
        reader = csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True)
        header = next(reader, [])
        missing = [column for column in _COLUMNS if column not in header]
        if missing:
            raise BadDump(f"columns are missing ({', '.join(missing)}), download it again: {path}, line 1")
        places = [header.index(column) for column in _COLUMNS]
        members: list[Member] = []
        for row in reader:
            if not row:
                continue
            why = "cells are missing" if len(row) != len(header) else _fault([row[place] for place in places], members)
            if why:
                raise BadDump(f"{why}, download it again: {path}, line {reader.line_num}")
            members.append(Member(row[places[0]], row[places[2]]))
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadDump(f"no CSV ({error}), download it again: {path}, line 1") from None
    category, file, counts = INDEX_FILES[name]
    if len(members) not in counts:
        wanted = " or ".join(map(str, sorted(counts)))
        raise BadDump(f"{len(members)} members where there should be {wanted}: {path}, line {len(members) + 1}")
    return Watchlist(name, category, on, file, tuple(members))


def check(new: Watchlist, old: Watchlist | None, path: Path) -> None:
    """Raises BadDump if more than a fifth of the members changed since the last list, or if that one is newer."""
    if old is None:
        return
    if old.as_of is not None and new.as_of is not None and new.as_of < old.as_of:
        words = f"a file of {new.as_of}, and there is a list of {old.as_of}"
        raise BadDump(f"{words}, use --force if it is to be kept all the same: {path}, line 1")
    gone = {member.isin for member in old.members} - {member.isin for member in new.members}
    if len(gone) > _CHURN * len(old.members):
        words = f"{len(gone)} of {len(old.members)} members of {old.as_of} are gone, more than a fifth"
        raise BadDump(f"{words}, look at it and use --force if that is so: {path}, line 1")


def changes(new: Watchlist, old: Watchlist | None) -> tuple[list[str], list[str]]:
    """The symbols that came, and those that went."""
    before = [] if old is None else [member.symbol for member in old.members]
    after = [member.symbol for member in new.members]
    return [each for each in after if each not in before], [each for each in before if each not in after]


def save(found: Watchlist, raw: bytes, folder: Path) -> Path:
    """Writes the list into a folder, whole or not at all. What the folder had before stays as its earlier members."""
    path = folder / f"{found.name}.json"
    head: dict[str, Any] = {
        "name": found.name,
        "as_of": str(found.as_of),
        "since": str(found.as_of),
        "source": found.source,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "members": [member._asdict() for member in found.members],
        "changes": [],
    }
    if path.exists():
        dated.read(path)
        _keep(head, json.loads(path.read_bytes()))
    write(path, _text(head).encode())
    return path


def _keep(head: dict[str, Any], before: dict[str, Any]) -> None:
    """Puts the members of an older file, and the changes before it, behind those of a newer one."""
    came = [each for each in head["members"] if each not in before["members"]]
    went = [each for each in before["members"] if each not in head["members"]]
    changes = before.get("changes", [])
    if came or went:
        if before["as_of"] >= head["as_of"]:
            # It is put in its place, not before it.
            return
        source = f"seen in a file of {head['as_of']}"
        # On which day between the two files is not known.
        change = {"effective_from": head["as_of"], "known_to": before["as_of"], "source": source}
        changes = [change | {"in": came, "out": went}, *changes]
    head["as_of"] = max(before["as_of"], head["as_of"])
    head["since"], head["changes"] = before.get("since", before["as_of"]), changes


def _text(head: dict[str, Any]) -> str:
    """JSON with a line for each member and each change."""
    parts = {key: [json.dumps(each) for each in head[key]] for key in ("members", "changes")}
    rest = json.dumps({key: value for key, value in head.items() if key not in parts})
    lists = (f'"{key}": [\n  ' + ",\n  ".join(rows) + "\n]" for key, rows in parts.items() if rows)
    return f"{rest[:-1]}, {', '.join(lists)}}}\n"


def is_isin(text: str) -> bool:
    """Whether an Indian ISIN's check digit holds (ISO 6166: letters are numbers from 10, then Luhn)."""
    if not re.fullmatch(r"IN[A-Z0-9]{9}[0-9]", text):
        return False
    digits = [int(digit) for letter in text for digit in str(int(letter, 36))]
    doubled = [digit if n % 2 == 0 else digit * 2 for n, digit in enumerate(reversed(digits))]
    return sum(digit // 10 + digit % 10 for digit in doubled) % 10 == 0


def _fault(cells: list[str], members: list[Member]) -> str:
    symbol, series, isin = cells
    if not _SYMBOL.fullmatch(symbol) or symbol.startswith("DUMMY"):
        return f"no symbol, {symbol[:40]!r}"
    if series != "EQ":
        return f"not of the series EQ, {symbol}"
    if not is_isin(isin):
        return f"no ISIN, {symbol} {isin[:40]!r}"
    if any(symbol == each.symbol or isin == each.isin for each in members):
        return f"a symbol or an ISIN that an earlier row has, {symbol}"
    return ""
