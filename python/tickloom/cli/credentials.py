"""Where the command line finds API key and access token: the environment or a private file (stage cli).

Never an argument: those are in the process list and in the shell's history.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tickloom.errors import TickloomError
from tickloom.ticker.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_FILE", "KEY", "TOKEN", "UPSTOX", "CredentialsMissing", "Found", "find", "read_file", "upstox_token"]

KEY, TOKEN = "KITE_API_KEY", "KITE_ACCESS_TOKEN"
UPSTOX = "UPSTOX_ACCESS_TOKEN"
DEFAULT_FILE = Path("~/.config/tickloom/kite.env")
MOST_BYTES = 4096


class CredentialsMissing(TickloomError):
    """There is no key and token, or their file is readable by others. The message says what to do, never a value."""


@dataclass(frozen=True, slots=True)
class Found:
    """Key and token, and where they were. Neither is in its repr."""

    api_key: str = field(repr=False)
    access_token: str = field(repr=False)
    where: str
    changed: float | None
    """When the file was changed, in seconds; None for the environment."""

    @property
    def credentials(self) -> Credentials:
        """Both as the secret type. Raises ValueError for what cannot be a key or a token."""
        return Credentials(self.api_key, self.access_token)


def find(file: Path | None = None, environment: Mapping[str, str] | None = None) -> Found:
    """The environment first, then the file. Raises CredentialsMissing."""
    environment = os.environ if environment is None else environment
    key, token = environment.get(KEY), environment.get(TOKEN)
    if key and token and file is None:
        return Found(key, token, "environment", None)
    path = (file or DEFAULT_FILE).expanduser()
    if file is None and not path.exists():
        missing = " and ".join(name for name, value in ((KEY, key), (TOKEN, token)) if not value)
        raise CredentialsMissing(f"no credentials: set {missing}, or write both to a file of mode 0600: {path}")
    return read_file(path)


def upstox_token(file: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Upstox's access token: that of the file, or of the environment. Raises CredentialsMissing."""
    environment = os.environ if environment is None else environment
    found = environment.get(UPSTOX) if file is None else _read(file.expanduser())[0].get(UPSTOX)
    if not found:
        where = "in the environment" if file is None else f"in {file}"
        raise CredentialsMissing(f"no credentials: set {UPSTOX} {where}")
    return found


def read_file(path: Path) -> Found:
    """Read lines `NAME=value`. Raises CredentialsMissing if another user could have read or written them."""
    values, changed = _read(path)
    missing = [name for name in (KEY, TOKEN) if not values.get(name)]
    if missing:
        raise CredentialsMissing(f"the file of credentials lacks {' and '.join(missing)}: {path}")
    return Found(values[KEY], values[TOKEN], str(path), changed)


def _read(path: Path) -> tuple[dict[str, str], float]:
    """The values of a private file, and when it was changed."""
    try:
        with path.open("rb") as opened:
            # Of the opened file, not of the name: the name may be exchanged in between.
            status = os.fstat(opened.fileno())
            content = opened.read(MOST_BYTES)
    except OSError as error:
        raise CredentialsMissing(f"the file of credentials cannot be read: {path}: {error.strerror}") from None
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        raise CredentialsMissing(f"others may read the credentials, do: chmod 600 {path} (its mode is {mode:04o})")
    if status.st_uid not in {os.getuid(), 0}:
        raise CredentialsMissing(f"the file of credentials belongs to another user: {path}")
    values = {}
    for line in content.decode("utf-8", errors="replace").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and not name.startswith("#"):
            values[name.strip()] = value.strip().strip("\"'")
    return values, status.st_mtime
