"""Cache: one dump a day on disk, written whole or not at all (stage instruments)."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from datetime import date
from pathlib import Path

__all__ = ["directory", "newest", "path_of", "prune", "write"]

_NAME = re.compile(r"instruments-(\d{4}-\d\d-\d\d)\.csv")
_KEPT = 7


def directory() -> Path:
    """The user's cache: `$XDG_CACHE_HOME/tickloom`, or `~/.cache/tickloom`."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # A relative one is to be ignored, by the specification of that variable.
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "tickloom"


def path_of(folder: Path, on: date) -> Path:
    """The file of a day."""
    return folder / f"instruments-{on.isoformat()}.csv"


def newest(folder: Path, before: date) -> list[tuple[date, Path]]:
    """The files of earlier days, the newest first."""
    found = []
    for path in folder.glob("instruments-*.csv"):
        match = _NAME.fullmatch(path.name)
        with contextlib.suppress(ValueError):
            if match and (day := date.fromisoformat(match[1])) < before:
                found.append((day, path))
    return sorted(found, reverse=True)


def write(path: Path, raw: bytes) -> None:
    """Writes a file whole: a reader sees the old one or the new one, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def prune(folder: Path, on: date) -> None:
    """Takes away all but the newest files."""
    for _, path in newest(folder, on)[_KEPT - 1 :]:
        path.unlink(missing_ok=True)
