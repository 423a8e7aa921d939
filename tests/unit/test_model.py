"""Words and instants: the enumerations agree with the core, and Indian time with the calendar."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tickloom as tl


def constants(repository: Path, module: str) -> dict[str, int]:
    """The constants of one module of the core's bar.rs, as the compiler sees them."""
    text = (repository / "rust/core/src/bar.rs").read_text()
    body = re.search(rf"^pub mod {module} \{{\n(.*?)^\}}", text, flags=re.MULTILINE | re.DOTALL)
    assert body is not None
    found = re.findall(r"pub const (\w+): \w+ = (\d+)(?: << (\d+))?;", body[1])
    return {name: int(value) << int(shift or 0) for name, value, shift in found}


def test_flags_are_the_bits_of_the_core(repository: Path) -> None:
    assert {flag.name: flag.value for flag in tl.Flags} == constants(repository, "flags")


def test_time_sources_are_the_numbers_of_the_core(repository: Path) -> None:
    assert {source.name: source.value for source in tl.TimeSource} == constants(repository, "source")


def test_bar_sources_are_the_numbers_of_the_core(repository: Path) -> None:
    assert {source.name: source.value for source in tl.BarSource} == constants(repository, "src")


def test_r1_a_stamp_is_indian_time_on_any_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert tl.ist(1_625_461_887 * 10**9).isoformat() == "2021-07-05T10:41:27+05:30"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_what_a_datetime_cannot_hold_is_cut_off_downwards() -> None:
    assert tl.ist(1_999) == tl.ist(1_000)
    assert tl.to_ns(tl.ist(-1)) == -1_000


@given(st.integers(-(2**55), 2**62))
def test_an_instant_survives_the_way_there_and_back_to_the_microsecond(ns: int) -> None:
    assert tl.to_ns(tl.ist(ns)) == ns // 1000 * 1000
    assert tl.ist(ns).utcoffset() == timedelta(hours=5, minutes=30)


def test_nanoseconds_of_a_datetime_do_not_depend_on_its_zone() -> None:
    noon = datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    assert tl.to_ns(noon) == tl.to_ns(noon.astimezone(tl.ist(0).tzinfo)) == 1_782_907_200_250_000_000


def test_a_naive_datetime_is_refused_because_it_could_mean_any_zone() -> None:
    with pytest.raises(
        ValueError, match=r"a datetime needs a time zone, such as tickloom.model.IST: 2026-07-01 00:00:00"
    ):
        tl.to_ns(datetime(2026, 7, 1))
