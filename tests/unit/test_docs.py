"""The pages for users run from top to bottom, as a reader would type them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize(
    "page",
    [
        "candles.md",
        "feed.md",
        "history.md",
        "instruments.md",
        "journal.md",
        "sessions.md",
        "sources.md",
        "upstox.md",
        "watchlists.md",
    ],
)
def test_the_code_of_a_page_runs_block_after_block(
    repository: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / "docs" / page
    blocks = list(re.finditer(r"^```python\n(.*?)^```", path.read_text(), flags=re.MULTILINE | re.DOTALL))
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        line = path.read_text()[: block.start()].count("\n") + 1
        # The lines of the page are the lines of a traceback.
        exec(compile("\n" * line + block[1], str(path), "exec"), names)  # noqa: S102 - our own page
    assert capsys.readouterr().out
