"""Days in files: whole or not at all, by name and not by token, and forgotten when their prices are adjusted."""

from __future__ import annotations

import datetime as dt
import os

import numpy as np
import pytest

from tickloom.history import Cache, Instrument, Minutes
from tickloom.history.base import MINUTE_NS, midnight

DAY = dt.date(2026, 7, 1)
TODAY = dt.date(2026, 7, 2)
INFY = Instrument(408065, "NSE:INFY")


def some(day: dt.date = DAY, count: int = 3, volume: int | None = 5) -> Minutes:
    start = midnight(day) + 555 * MINUTE_NS
    rows = [(start + nth * MINUTE_NS, 10.0, 11.0, 9.0, 10.5 + nth, volume, 0) for nth in range(count)]
    return Minutes.of_rows(rows, INFY)[0]


def test_a_day_comes_back_to_the_last_bit(tmp_path):
    cache = Cache(tmp_path)
    assert cache.get("kite", INFY, DAY, TODAY) is None
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)
    kept = cache.get("kite", INFY, DAY, TODAY)
    assert kept is not None
    assert kept.reads == 1
    for name, column in some().columns().items():
        assert column is None or (kept.minutes.columns()[name] == column).all()
    assert kept.minutes.oi is None
    assert cache.get("upstox", INFY, DAY, TODAY) is None


def test_a_day_that_is_not_over_is_not_kept(tmp_path):
    with pytest.raises(ValueError, match="when it is over"):
        Cache(tmp_path).put("kite", INFY, TODAY, some(TODAY), reads=1, today=TODAY)


def test_a_name_outlives_its_token_and_a_token_alone_its_day_only(tmp_path):
    cache = Cache(tmp_path)
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)
    later = TODAY + dt.timedelta(days=40)
    assert cache.get("kite", Instrument(999 << 8 | 1, "NSE:INFY"), DAY, later) is not None
    # The token belongs to somebody else by now.
    assert cache.get("kite", Instrument(408065, "NSE:OTHER"), DAY, later) is None
    bare = Instrument(408065)
    cache.put("kite", bare, DAY, some(), reads=1, today=TODAY)
    assert cache.get("kite", bare, DAY, TODAY) is not None
    assert cache.get("kite", bare, DAY, later) is None


def test_contracts_of_one_name_and_two_expiries_are_two():
    first, second = (Instrument(2, "NFO:ABC", dt.date(2026, 7, day)) for day in (30, 31))
    assert first.key == "NFO:ABC@2026-07-30" != second.key
    assert Instrument(408065, "INFY").key == "NSE:INFY"
    assert Instrument(408065).key == "token:408065"


@pytest.mark.parametrize("name", ["../../outside", "a/b", "..", "M&M", "NSE:X.Y"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    cache = Cache(tmp_path / "inside")
    cache.put("kite", Instrument(1, name), DAY, some(), reads=1, today=TODAY)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert len(list((tmp_path / "inside" / "kite").iterdir())) == 1
    assert cache.get("kite", Instrument(1, name), DAY, TODAY) is not None


def test_a_file_that_is_damaged_in_any_place_is_as_good_as_absent(tmp_path):
    cache = Cache(tmp_path)
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)
    [path] = tmp_path.rglob("*.npz")
    whole = path.read_bytes()
    for length in range(0, len(whole), 97):
        path.write_bytes(whole[:length])
        assert cache.get("kite", INFY, DAY, TODAY) is None
        assert not path.exists()
    np.savez(path, about=np.array([1, 1, TODAY.toordinal()]), time=np.arange(3))
    assert cache.get("kite", INFY, DAY, TODAY) is None


def hostile(path, **columns: object) -> None:
    start = midnight(DAY) + 555 * MINUTE_NS
    time = np.arange(3) * MINUTE_NS + start
    whole: dict[str, object] = {"about": np.array([1, 1, TODAY.toordinal()]), "time": time, "volume": np.arange(3)}
    whole |= {name: np.ones(3) for name in ("open", "high", "low", "close")}
    np.savez_compressed(path, allow_pickle=True, **(whole | columns))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "columns",
    [
        {"about": np.array([1, 1, 10**12])}, {"about": np.array([1, 1, -5])}, {"about": np.array([1, 1])},
        {"about": np.array(["a", "b", "c"])}, {"about": np.array([1.0, 1.0, np.nan])},
        {"about": np.array([2, 1, 739000])},
        {"time": np.array(["x", "y", "z"])}, {"time": np.array([1.0, 2.0, 3.0])}, {"time": np.zeros((3, 1), np.int64)},
        {"time": np.array([3, 2, 1]) * MINUTE_NS + midnight(DAY)}, {"time": np.zeros(3, np.int64) + midnight(DAY)},
        {"time": np.arange(3) * MINUTE_NS}, {"time": np.arange(3) * MINUTE_NS + midnight(TODAY)},
        {"close": np.array([1, 2, 3])}, {"close": np.array([object()] * 3)}, {"close": np.ones((3, 3))},
        {"close": np.ones(2)}, {"close": np.array([1.0, np.nan, 1.0])}, {"volume": np.array([1, -1, 1])},
        {"volume": np.ones(3)}, {"oi": np.array(["a"] * 3)},
        # Small on the disk and much in memory.
        {"time": np.zeros(50_000_000, np.int8)}, {"extra": np.zeros(50_000_000, np.int8)},
    ],
)  # fmt: skip
def test_a_file_that_somebody_else_made_is_as_good_as_absent(tmp_path, columns):
    cache = Cache(tmp_path)
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)
    [path] = tmp_path.rglob("*.npz")
    hostile(path)
    kept = cache.get("kite", INFY, DAY, TODAY)
    assert kept is not None
    assert len(kept.minutes) == 3
    hostile(path, **columns)
    assert cache.get("kite", INFY, DAY, TODAY) is None
    cache.put("kite", INFY, DAY, some(), reads=2, today=TODAY)
    assert cache.get("kite", INFY, DAY, TODAY) is not None


@pytest.mark.parametrize("at", range(0, 1_600, 61))
def test_a_file_with_a_wrong_byte_is_absent_or_what_it_was(tmp_path, at):
    cache = Cache(tmp_path)
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)
    [path] = tmp_path.rglob("*.npz")
    raw = bytearray(path.read_bytes())
    raw[at % len(raw)] ^= 0x55
    path.write_bytes(bytes(raw))
    kept = cache.get("kite", INFY, DAY, TODAY)
    assert kept is None or kept.minutes.close.tolist() == some().close.tolist()


def test_a_folder_or_a_link_to_nowhere_in_the_place_of_a_file_is_as_good_as_absent(tmp_path):
    cache = Cache(tmp_path)
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)
    [path] = tmp_path.rglob("*.npz")
    path.unlink()
    path.mkdir()
    assert cache.get("kite", INFY, DAY, TODAY) is None
    path.rmdir()
    path.symlink_to(tmp_path / "nowhere")
    assert cache.get("kite", INFY, DAY, TODAY) is None


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    cache = Cache(tmp_path)
    cache.put("kite", INFY, DAY, some(), reads=1, today=TODAY)

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        cache.put("kite", INFY, DAY, some(count=1), reads=2, today=TODAY)
    kept = cache.get("kite", INFY, DAY, TODAY)
    assert kept is not None
    assert len(kept.minutes) == 3
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_what_is_forgotten_is_gone_of_that_instrument_alone(tmp_path):
    cache = Cache(tmp_path)
    other = Instrument(1 << 8 | 1, "NSE:TCS")
    for instrument in (INFY, other):
        cache.put("kite", instrument, DAY, some(), reads=1, today=TODAY)
    cache.forget("kite", INFY)
    assert cache.get("kite", INFY, DAY, TODAY) is None
    assert cache.get("kite", other, DAY, TODAY) is not None
