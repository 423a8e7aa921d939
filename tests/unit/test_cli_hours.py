"""`tickloom hours`, run as a user runs it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.test_cli import command


def test_the_hours_of_a_date_are_shown_class_by_class() -> None:
    run = command("hours", "--date", "2026-08-03")
    assert (run.returncode, run.stderr) == (0, "")
    line = next(line for line in run.stdout.splitlines() if "cash_cas" in line)
    assert re.findall(r"\d\d:\d\d-\d\d:\d\d", line) == ["09:00-09:08", "09:15-15:15", "15:15-15:35", "15:50-16:00"]
    assert "Monday, 03 August 2026" in run.stdout


def test_a_holiday_has_its_name_and_an_unknown_year_says_so() -> None:
    holiday = command("hours", "--date", "2026-01-26").stdout
    assert len(re.findall(r"closed .*Republic Day", holiday)) == 9
    assert "holidays not known" in command("hours", "--date", "2027-03-01").stdout


def test_a_bad_override_is_one_line_that_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("# one\ncash | 2026-12-01 | .. | - | 09:15-12:00 11:00-15:30 | - | -\n")
    run = command("hours", "--override", str(file))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (f'Error: {file}, line 2: a span begins before the one in front of it ends: "11:00-15:30"\n')


def test_an_override_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    run = command("hours", "--override", str(tmp_path / "none.txt"))
    assert run.returncode == 2
    assert "does not exist" in run.stderr
