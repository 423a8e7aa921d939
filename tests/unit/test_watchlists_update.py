"""Updating watchlists from the exchange's files: the gates, and the command."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from tests.unit.test_cli import command
from tickloom import BadDump
from tickloom.watchlists import StaleWatchlist, Watchlists, dated, update

THEN = date(2026, 7, 1)
NOW = date(2026, 10, 1)
Table = list[list[str]]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command and the lists look if they are not told, empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/tickloom/watchlists"


def table() -> Table:
    """The rows of the exchange's file that the shipped NIFTY50 comes from."""
    found = Watchlists().get("NIFTY50", on=NOW).members
    return [["X Ltd.", "Things", member.symbol, "EQ", member.isin] for member in found]


def written(path: Path, rows: Table) -> Path:
    path.write_text(
        "\n".join(",".join(row) for row in [["Company Name", "Industry", "Symbol", "Series", "ISIN Code"], *rows])
    )
    return path


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda rows: rows[:-1], r"49 members where there should be 50"),
        (lambda rows: [*rows[:-1], [*rows[-1][:4], "INE009A01022"]], r"no ISIN, BSE 'INE009A01022'.*line 51"),
        (lambda rows: [*rows[:-1], rows[0]], r"that an earlier row has, ADANIENT.*line 51"),
        (lambda rows: [*rows[:-1], ["X", "Y", "=A1", *rows[-1][3:]]], r"no symbol, '=A1'.*line 51"),
        (lambda rows: [["a", "b", "DUMMYX", "EQ", "x"], *rows[1:]], r"no symbol, 'DUMMYX'.*line 2"),
        (lambda rows: [[*rows[0][:3], "BE", rows[0][4]], *rows[1:]], r"not of the series EQ.*line 2"),
        (lambda rows: [rows[0][:3], *rows[1:]], r"cells are missing.*line 2"),
    ],
)
def test_a_file_that_fails_a_gate_is_refused_with_file_and_line(
    tmp_path: Path, change: Callable[[Table], Table], words: str
) -> None:
    file = written(tmp_path / "ind_nifty50list.csv", change(table()))
    with pytest.raises(BadDump, match=words) as raised:
        update.parse(file, THEN)
    assert str(file) in str(raised.value)


@pytest.mark.parametrize(
    "name, raw, words",
    [
        ("mine.csv", b"", r"the file's name tells the index"),
        ("ind_nifty50list.csv", b"<html>", r"columns are missing \(Symbol, Series, ISIN Code\).*line 1"),
        ("ind_nifty50list.csv", b"Symbol,Series,ISIN Code\n\xff", r"no CSV"),
    ],
)
def test_what_is_no_list_is_one_error(tmp_path: Path, name: str, raw: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(BadDump, match=words):
        update.parse(tmp_path / name, THEN)


def test_a_list_that_lost_over_a_fifth_is_refused(tmp_path: Path) -> None:
    old = Watchlists().get("NIFTY50", on=NOW)
    update.check(old._replace(members=old.members[10:]), old, tmp_path)
    with pytest.raises(BadDump, match="11 of 50 members of 2026-09-30 are gone"):
        update.check(old._replace(members=old.members[11:]), old, tmp_path)


@pytest.mark.parametrize(
    "isin, good", [("INE009A01021", True), ("INE009A01022", False), ("US0378331005", False), ("", False)]
)
def test_an_isin_has_a_digit_that_checks_it(isin: str, good: bool) -> None:
    assert update.is_isin(isin) is good


def test_the_command_writes_lists_that_win_over_the_shipped_ones(tmp_path: Path) -> None:
    folder = tmp_path / "lists"
    file = written(tmp_path / "ind_nifty50list.csv", with_abb_for("TRENT"))
    run = command("watchlists", "--folder", str(folder), "update", str(file), "--date", "2026-11-20")
    assert (run.returncode, run.stderr) == (0, "")
    assert "NIFTY50: 50 members, in ABB, out TRENT" in run.stdout
    found = Watchlists(folder=folder).get("NIFTY50", on=date(2026, 11, 21))
    assert (found.as_of, found.members[-1]) == (date(2026, 11, 20), ("ABB", "INE117A01022"))
    assert "50 members as of 2026-11-20\n" in command("watchlists", "--folder", str(folder)).stdout


def test_what_the_command_wrote_is_used_without_being_told(tmp_path: Path, cache: Path) -> None:
    file = written(tmp_path / "ind_nifty50list.csv", with_abb_for("TRENT"))
    run = command("watchlists", "update", str(file), "--date", "2026-11-20")
    assert (run.returncode, run.stderr) == (0, "")
    assert (cache / "NIFTY50.json").exists()
    assert Watchlists().get("NIFTY50", on=date(2026, 11, 21)).as_of == date(2026, 11, 20)
    assert Watchlists(folder=tmp_path).get("NIFTY50", on=date(2026, 11, 21)).as_of == date(2026, 9, 30)
    (cache / "NIFTY50.json").write_text("{")
    with pytest.raises(BadDump, match=r"NIFTY50\.json, line 1"):
        Watchlists()


def with_abb_for(gone: str) -> Table:
    return [row for row in table() if row[2] != gone] + [["ABB", "Things", "ABB", "EQ", "INE117A01022"]]


def test_what_the_folder_had_before_stays_as_its_past(tmp_path: Path) -> None:
    folder, file = tmp_path / "lists", tmp_path / "ind_nifty50list.csv"
    for day, rows in (
        (date(2026, 10, 5), table()),
        (date(2026, 10, 12), table()),
        (date(2026, 11, 2), with_abb_for("TRENT")),
        (date(2026, 11, 20), with_abb_for("TITAN")),
        # Once more on the same day: it is put right, not followed.
        (date(2026, 11, 20), with_abb_for("TATASTEEL")),
    ):
        update.save(update.parse(written(file, rows), day), file.read_bytes(), folder)
    found = Watchlists(folder=folder)
    gone = {
        day: {row[2] for row in [*table(), ["", "", "ABB"]]}
        - {member.symbol for member in found.get("NIFTY50", on=date.fromisoformat(day)).members}
        for day in ("2026-10-05", "2026-11-01", "2026-11-02", "2026-11-19", "2026-11-20")
    }
    assert gone["2026-11-20"] == {"TATASTEEL"}
    assert gone["2026-10-05"] == gone["2026-11-01"] == {"ABB"}


def test_members_that_came_and_went_between_two_files_are_told_day_by_day(tmp_path: Path) -> None:
    folder, file = tmp_path / "lists", tmp_path / "ind_nifty50list.csv"
    for day, rows in ((date(2026, 10, 12), table()), (date(2026, 11, 2), with_abb_for("TRENT")), (NOW, table())):
        raw = written(file, rows).read_bytes()
        update.save(update.parse(file, day), raw, folder)
    read = [(each.effective_from, each.as_of) for each in dated.read(folder / "NIFTY50.json")]
    # The last one, by force, is older than what there was: it stands alone.
    assert read == [(NOW, NOW)]
    update.save(update.parse(written(file, with_abb_for("TRENT")), date(2026, 11, 2)), raw, folder)
    read = [(each.effective_from, each.as_of) for each in dated.read(folder / "NIFTY50.json")]
    assert read == [(NOW, NOW), (date(2026, 11, 2), date(2026, 11, 2))]


def test_between_two_files_nobody_knows_on_which_day_a_list_changed(tmp_path: Path) -> None:
    folder, file = tmp_path / "lists", tmp_path / "ind_niftyitlist.csv"
    it = [["X", "Y", each.symbol, "EQ", each.isin] for each in Watchlists().get("IT", on=date(2026, 8, 1)).members]
    abb = [*it[1:], ["ABB", "Things", "ABB", "EQ", "INE117A01022"]]
    for day, rows in ((date(2026, 9, 1), it), (date(2026, 11, 2), abb)):
        update.save(update.parse(written(file, rows), day), file.read_bytes(), folder)
    found = Watchlists(folder=folder)
    with pytest.warns(StaleWatchlist, match="as of 2026-09-01, the indices changed on 2026-09-30"):
        found.get("IT", on=date(2026, 10, 15))
    assert found.get("IT", on=date(2026, 9, 15)).as_of == date(2026, 9, 1)
    assert found.get("IT", on=date(2026, 11, 2)).as_of == date(2026, 11, 2)


def test_an_older_file_with_the_same_members_makes_the_list_no_older(tmp_path: Path) -> None:
    file = written(tmp_path / "ind_nifty50list.csv", table())
    for day in (date(2026, 10, 12), NOW):
        update.save(update.parse(file, day), file.read_bytes(), tmp_path)
    (found,) = dated.read(tmp_path / "NIFTY50.json")
    assert found.as_of == date(2026, 10, 12)


def test_a_file_older_than_the_list_there_is_needs_force(tmp_path: Path) -> None:
    file = written(tmp_path / "ind_nifty50list.csv", table())
    run = command("watchlists", "--folder", str(tmp_path / "lists"), "update", str(file), "--date", "2026-07-01")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "Error: a file of 2026-07-01, and there is a list of 2026-09-30, use --force if it is to be kept all the same: "
        f"{file}, line 1\n"
    )
    run = command(
        "watchlists", "--folder", str(tmp_path / "lists"), "update", "--force", str(file), "--date", "2026-07-01"
    )
    assert run.returncode == 0


def test_one_bad_file_of_several_and_nothing_is_written(tmp_path: Path) -> None:
    good = written(tmp_path / "ind_nifty50list.csv", table())
    bad = written(tmp_path / "ind_niftyitlist.csv", table()[:3])
    run = command("watchlists", "--folder", str(tmp_path / "lists"), "update", str(good), str(bad))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == f"Error: 3 members where there should be 10: {bad}, line 4\n"
    assert not (tmp_path / "lists").exists()


def test_a_damaged_list_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "NIFTY50.json").write_text("{\n\n")
    run = command("watchlists", "--folder", str(tmp_path))
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr.startswith("Error: ")
    assert run.stderr.endswith("NIFTY50.json, line 3\n")
