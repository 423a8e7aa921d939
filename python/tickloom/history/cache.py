"""Cache: days of minutes in files, one a day and instrument (stage history).

A day goes in when it is over: then it never changes, until its prices are adjusted and `forget` is called (R35). A
file appears whole or not at all; one that cannot be read is as good as absent.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from tickloom.history.base import MINUTE_NS, Instrument, Minutes, midnight
from tickloom.instruments.cache import directory

__all__ = ["Cache", "Kept"]

_VERSION = 1
# Whatever reading a file that is no cache of ours can end in.
_BROKEN = (
    OSError, ValueError, TypeError, AttributeError, KeyError, EOFError, OverflowError, MemoryError, RuntimeError,
    zipfile.BadZipFile, zlib.error, struct.error,
)  # fmt: skip
_COLUMNS = ("time", "open", "high", "low", "close")
_DAY_NS = 86_400_000_000_000
# A day of minutes is 80 kB.
_LARGEST = 1 << 20


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
        self.folder = Path(folder) if folder is not None else directory() / "minutes"

    def get(self, source: str, instrument: Instrument, day: dt.date, today: dt.date) -> Kept | None:
        """What is kept of this day. A token alone is believed on the date on which the file was written (R36)."""
        path = self._path(source, instrument, day)
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                if sum(member.file_size for member in file.zip.infolist()) > _LARGEST:
                    raise ValueError("more than a day of minutes")
                version, reads, written = (int(number) for number in file["about"])
                on = dt.date.fromordinal(written)
                if version != _VERSION or (not instrument.durable and on != today):
                    return None
                columns: list[Any] = [file[name] for name in _COLUMNS]
                counts = [file[name] if name in file.files else None for name in ("volume", "oi")]
            _check(columns, [count for count in counts if count is not None], midnight(day))
        except FileNotFoundError:
            return None
        except _BROKEN:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return Kept(Minutes(*columns, *counts), reads, on)

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


def _check(columns: list[Any], counts: list[Any], start: int) -> None:
    """Raises ValueError unless these are minutes of the date that starts then: files can be anybody's."""
    time, *prices = columns
    kinds = [(time, np.int64), *((price, np.float64) for price in prices), *((count, np.int64) for count in counts)]
    if any(column.shape != (len(time),) or column.dtype != kind for column, kind in kinds):
        raise ValueError("no columns of minutes")
    there = len(time) == 0 or (start <= time[0] and time[-1] < start + _DAY_NS)
    if not there or not (np.diff(time) > 0).all() or (time % MINUTE_NS).any():
        raise ValueError("no minutes of this date")
    if not all((price > 0).all() and np.isfinite(price).all() for price in prices):
        raise ValueError("a price that is none")
    if any((count < 0).any() for count in counts):
        raise ValueError("a count below 0")
