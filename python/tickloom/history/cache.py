"""Cache: days of minutes in files, one a day and instrument (stage history).

A day goes in when it is over: then it never changes, until its prices are adjusted and `forget` is called (R35). A
file appears whole or not at all; one that cannot be read is as good as absent.
"""

from __future__ import annotations

import datetime as dt
import os
import shutil
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from tickloom.history.base import Instrument, Minutes

__all__ = ["Cache", "Kept", "default_folder"]

_VERSION = 1
_BROKEN = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def default_folder() -> Path:
    """Where files of this package go that can be made again: `$XDG_CACHE_HOME/tickloom` or `~/.cache/tickloom`."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "tickloom"


@dataclass(frozen=True, slots=True)
class Kept:
    """A day that was kept."""

    minutes: Minutes
    reads: int
    """How often the broker was asked for it: twice, if minutes were absent; then nobody traded in them (R37)."""
    on: dt.date
    """When it was asked last."""


class Cache:
    """Days of minutes under `folder`; by default under the user's cache folder. Any thread and process may use it."""

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = Path(folder) if folder is not None else default_folder() / "minutes"

    def get(self, source: str, instrument: Instrument, day: dt.date, today: dt.date) -> Kept | None:
        """What is kept of this day. A token alone is believed on the date on which the file was written (R36)."""
        path = self._path(source, instrument, day)
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                version, reads, written = (int(number) for number in file["about"])
                on = dt.date.fromordinal(written)
                if version != _VERSION or (not instrument.durable and on != today):
                    return None
                columns: list[Any] = [file[name] for name in ("time", "open", "high", "low", "close")]
                volume, oi = (file[name] if name in file.files else None for name in ("volume", "oi"))
            if any(len(column) != len(columns[0]) for column in (*columns, *filter(_there, (volume, oi)))):
                return None
        except FileNotFoundError:
            return None
        except _BROKEN:
            path.unlink(missing_ok=True)
            return None
        columns += [volume, oi]
        return Kept(Minutes(*columns), reads, on)

    def put(
        self, source: str, instrument: Instrument, day: dt.date, minutes: Minutes, *, reads: int, today: dt.date
    ) -> None:
        """Keeps a day that is over. Raises OSError if the folder cannot be written."""
        if day >= today:
            raise ValueError(f"a day is kept when it is over: {day}")
        path = self._path(source, instrument, day)
        path.parent.mkdir(parents=True, exist_ok=True)
        columns = {name: column for name, column in minutes.columns().items() if column is not None}
        about = np.array([_VERSION, reads, today.toordinal()])
        descriptor, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez(file, allow_pickle=False, about=about, **columns)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise

    def forget(self, source: str, instrument: Instrument) -> None:
        """Throws away every day of an instrument."""
        shutil.rmtree(self._path(source, instrument, dt.date.min).parent, ignore_errors=True)

    def _path(self, source: str, instrument: Instrument, day: dt.date) -> Path:
        # Quoted whole: a symbol has no say in where a file goes. A dot of its own would be a folder's name.
        name = quote(instrument.key, safe="").replace(".", "%2E")
        return self.folder / quote(source, safe="") / name / f"{day.isoformat()}.npz"


def _there(column: object) -> bool:
    return column is not None
