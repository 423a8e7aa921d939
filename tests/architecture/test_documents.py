"""The documents say what is so: their code runs, their figures were measured, their links lead somewhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benches import table

FIGURE = re.compile(r"\d[\d.,]*\s?(?:ns|µs|ms|MB|x|times)\b")


@pytest.fixture(scope="module")
def results(repository: Path) -> dict[str, Any]:
    """The last measurements, as `make bench` wrote them."""
    return json.loads((repository / "benches/results/latest.json").read_text())


def split(text: str, name: str = "table") -> tuple[str, str]:
    """The text outside the marks of that name, and that between them."""
    before, rest = text.split(f"<!-- {name}: begin -->\n")
    inside, after = rest.split(f"<!-- {name}: end -->")
    return before + after, inside


def test_the_performance_page_shows_the_measured_table_and_no_other_figure(
    repository: Path, results: dict[str, Any]
) -> None:
    outside, inside = split((repository / "docs/performance.md").read_text())
    assert inside == table.page(results)
    outside, inside = split(outside, "live")
    assert inside == table.live_page(json.loads((repository / "benches/results/live.json").read_text()))
    assert FIGURE.findall(outside) == []


def test_the_front_page_shows_measured_figures_only(repository: Path, results: dict[str, Any]) -> None:
    outside, inside = split((repository / "README.md").read_text())
    assert inside == table.front(results)
    assert FIGURE.findall(outside) == []


def test_the_measurements_name_machine_interpreter_date_and_command(results: dict[str, Any]) -> None:
    assert results["command"] == "make bench"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", results["date"])
    assert {"cpu", "cores", "system", "python", "interpreter"} <= results["machine"].keys()


def test_every_figure_that_was_asked_for_was_measured(results: dict[str, Any]) -> None:
    assert [(line["row"], line.get("rival")) for line in results["lines"]] == [
        (wanted.row, wanted.rival) for wanted in table.WANTED
    ]


def test_the_code_of_the_front_page_runs(repository: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```", (repository / "README.md").read_text(), flags=re.MULTILINE | re.DOTALL
    )
    assert blocks
    for block in blocks:
        run = subprocess.run([sys.executable, "-W", "error", "-c", block], capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr
        assert run.stdout


def test_every_link_between_documents_leads_to_a_file(repository: Path) -> None:
    pages = [*repository.glob("*.md"), *(repository / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in [*pages, repository / "benches/README.md"]
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []
