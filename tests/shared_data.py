"""Finds the captured frames that lie beside the repository, and skips, counted, where they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
FRAMES = SHARED / "data" / "frames"


def frame(name: str) -> bytes:
    """The bytes of one captured frame. Skips the calling test when the folder is absent."""
    path = FRAMES / name
    if not path.is_file():
        pytest.skip(f"captured frames are not beside the repository: {name}")
    return path.read_bytes()


def frames() -> dict[str, bytes]:
    """All captured frames by file name. Skips the calling test when the folder is absent."""
    if not FRAMES.is_dir():
        pytest.skip("captured frames are not beside the repository")
    return {path.name: path.read_bytes() for path in sorted(FRAMES.iterdir()) if path.is_file()}
