"""Mine: lists of one's own, in YAML (stage watchlists)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, NamedTuple

from tickloom.errors import BadDump, MissingExtra
from tickloom.watchlists.model import Member, Watchlist

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Mine", "read"]

_SHAPE = "a file of watchlists has a list of symbols a name"


class Mine(NamedTuple):
    """The lists of a file, and the line of each member."""

    lists: dict[str, Watchlist]
    lines: dict[tuple[str, str], int]


def read(path: Path) -> Mine:
    """The lists of a YAML file. Raises OSError, BadDump naming file and line, and MissingExtra without PyYAML."""
    found, lines = Mine({}, {})
    for key, value in _pairs(path):
        name = key.value.strip() if key.id == "scalar" else ""
        items = value.value if value.id == "sequence" else [value]
        for each in (key, *items):
            if each.id != "scalar" or not each.value.strip():
                raise BadDump(f"{_SHAPE}: {path}, line {each.start_mark.line + 1}")
        if value.id != "sequence" or name in found:
            words = "a name stands twice" if name in found else "a watchlist is a list of symbols"
            raise BadDump(f"{words}, {name}: {path}, line {key.start_mark.line + 1}")
        for item in items:
            lines.setdefault((name, item.value.strip()), item.start_mark.line + 1)
        members = tuple(Member(each, "") for each in dict.fromkeys(item.value.strip() for item in items))
        found[name] = Watchlist(name, "mine", None, str(path), members)
    return Mine(found, lines)


def _pairs(path: Path) -> list[Any]:
    """The nodes of the names and of what they stand for: nodes know their lines, and nothing is constructed."""
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        raise MissingExtra("yaml", "PyYAML") from None
    raw = path.read_bytes()
    try:
        node = yaml.compose(raw, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else _line(raw, error)
        words = getattr(error, "problem", None) or str(error).partition("\n")[0]
        raise BadDump(f"no YAML ({words}): {path}, line {line}") from None
    except RecursionError:
        raise BadDump(f"no YAML (nested too deep): {path}, line 1") from None
    if node is None:
        return []
    if node.id != "mapping":
        raise BadDump(f"{_SHAPE}: {path}, line 1")
    pairs: list[Any] = node.value
    return pairs


def _line(raw: bytes, error: Exception) -> int:
    """Of bytes that are no text, or of characters that YAML does not allow."""
    place = getattr(error, "start", None) or getattr(error, "position", None) or 0
    return raw.count(b"\n", 0, place) + 1
