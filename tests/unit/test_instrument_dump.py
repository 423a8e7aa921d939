"""Dumps of instruments as they should not be: one error with file and line, or rows that are left out and counted."""

from __future__ import annotations

import random

import pytest

from benches.dump import rows
from tickloom import BadDump
from tickloom.instruments import dump

GOOD = dump.to_csv(rows(400))
ROW = "9999873,39062,ABC,ABC LTD,0,,0,0.05,1,EQ,NSE,NSE"


def changed(cells: dict[str, str]) -> str:
    found = dict(zip(dump.COLUMNS, ROW.split(","), strict=True)) | cells
    return ",".join(found.values())


@pytest.mark.parametrize(
    "row, why",
    [
        (changed({"instrument_token": "x"}), "invalid literal"),
        (changed({"instrument_token": "0"}), "out of range"),
        (changed({"instrument_token": str(2**32 + 1)}), "out of range"),
        (changed({"instrument_token": "9" * 30}), "out of range"),
        (changed({"tick_size": "-1"}), "out of range"),
        (changed({"strike": "nan"}), "out of range"),
        (changed({"strike": "1e400"}), "out of range"),
        (changed({"lot_size": "1.5"}), "invalid literal"),
        (changed({"last_price": "inf"}), "a last_price"),
        (changed({"exchange_token": "-4"}), "an exchange_token"),
        (changed({"expiry": "2026-02-30"}), "day is out of range"),
        (changed({"expiry": "soon"}), "Invalid isoformat"),
        (changed({"tradingsymbol": ""}), "no exchange or no tradingsymbol"),
        (changed({"exchange": ""}), "no exchange or no tradingsymbol"),
        (changed({"tradingsymbol": "INFY"}), "a symbol that an earlier row has, NSE:INFY"),
        (changed({"instrument_token": "408065"}), "a token that an earlier row has"),
        (changed({"name": "x" * 5_000}), "a name of 5000 characters"),
        (changed({"name": "A\0B"}), "control character"),
        (changed({"tradingsymbol": "A\x1b[2J"}), "control character"),
        (changed({"tradingsymbol": "A\u202eB"}), "control character"),
        (changed({"name": "A\u200bB"}), "control character"),
        (changed({"instrument_token": "70_0001"}), "an instrument_token that is no number"),
        (changed({"instrument_token": "\u0667\u0660\u0660"}), "an instrument_token that is no number"),
        (changed({"strike": "1_000.5"}), "a strike that is no number"),
        (changed({"tradingsymbol": "=HYPERLINK(1)"}), "like a formula"),
        (changed({"name": "@SUM(A1)"}), "like a formula"),
        (changed({"name": "-2+3"}), "like a formula"),
        (changed({"segment": "+1"}), "like a formula"),
        (changed({"name": '"two\nlines"'}), "control character"),
        (ROW + ",more", "13 cells in place of 12"),
        (ROW[: ROW.rindex(",")], "11 cells in place of 12"),
    ],
)
def test_a_broken_row_is_left_out_and_says_why(row: str, why: str) -> None:
    found = dump.parse(GOOD + row.encode() + b"\n", "file.csv")
    assert len(found.symbol) == 400
    assert [why in each.why and each.line >= 402 for each in found.rejected] == [True]


@pytest.mark.parametrize(
    "raw, words",
    [
        (b"", "columns are missing"),
        (GOOD.replace(b"lot_size", b"lots", 1), r"columns are missing \(lot_size\).*file.csv, line 1"),
        (GOOD.splitlines()[0], "no instruments.*line 1"),
        (GOOD + b"1,2,caf\xe9", "not UTF-8.*file.csv, line 402"),
        (GOOD + b'1,2,"open,', "unexpected end of data.*file.csv, line 402"),
        (GOOD + b'1,"' + b"x" * 200_000, "field larger than field limit.*file.csv, line 402"),
        (GOOD + b"1,2,3\n" * 20, "20 of 420 rows are broken, the first by 3 cells .*file.csv, line 402"),
        (b"\x00" * 50_000, "columns are missing"),
        (b"\x1f\x8b\x08" + bytes(range(256)), "not UTF-8.*line 1"),
    ],
)
def test_what_is_no_dump_is_one_error_with_file_and_line(raw: bytes, words: str) -> None:
    with pytest.raises(BadDump, match=words):
        dump.parse(raw, "file.csv")


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_quotes_commas_and_line_ends_are_read_as_csv_says(ends: str) -> None:
    rows_ = [
        changed({"name": '"A, B ""C"" LTD"'}),
        changed({"name": '"ABC"', "instrument_token": "1", "tradingsymbol": "D"}),
        changed(
            {"name": '"X, Y"', "instrument_token": "2", "tradingsymbol": "E", "strike": "", "expiry": "2026-12-29"}
        ),
    ]
    for some in (rows_, rows_[1:]):
        found = dump.parse(("\ufeff" + ends.join([",".join(dump.COLUMNS), *some])).encode(), "x")
        assert list(found.name) == ['A, B "C" LTD', "ABC", "X, Y"][3 - len(some) :]
        assert (found.strike[-1], found.expiry[-1]) == (0, 739979)


def test_columns_may_stand_in_any_order_and_two_may_be_missing() -> None:
    lines = [line.split(",") for line in GOOD.decode().splitlines()]
    order = [n for n, name in enumerate(lines[0]) if name not in ("exchange_token", "last_price")][::-1]
    found = dump.parse("\n".join(",".join(line[n] for n in order) for line in lines).encode(), "x")
    straight = dump.parse(GOOD, "x")
    assert (found.keys, found.token.tolist()) == (straight.keys, straight.token.tolist())


def test_the_quick_way_and_the_slow_way_agree() -> None:
    quick, slow = dump.parse(GOOD, "x"), dump.parse(GOOD + b"\n", "x")
    for one, other in zip(quick, slow, strict=True):
        assert [str(each) for each in one] == [str(each) for each in other]


def test_damaged_bytes_give_a_dump_or_an_error_and_nothing_else() -> None:
    rng = random.Random(7)
    seen = set()
    for _ in range(300):
        raw = bytearray(GOOD[: rng.randint(0, len(GOOD))])
        for _ in range(rng.randint(0, 3)):
            if raw:
                raw[rng.randrange(len(raw))] = rng.choice(b'",\n\r\0=9a\xff')
        try:
            seen.add(bool(dump.parse(bytes(raw), "x").rejected))
        except BadDump:
            seen.add("refused")
    assert seen == {True, False, "refused"}
