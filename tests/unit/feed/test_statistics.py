"""Histograms and rates."""

from __future__ import annotations

import pytest

from tickloom.feed.listeners import Quiet
from tickloom.feed.statistics import Histogram, Rate


def test_a_quantile_is_never_less_than_the_truth_and_less_than_twice_it() -> None:
    histogram = Histogram()
    durations = [number * 10_000 for number in range(1, 1_001)]
    for duration in durations:
        histogram.add(duration)
    for share in (0.01, 0.5, 0.99, 1.0):
        truth = durations[int(share * 1_000) - 1] / 1e9
        assert truth <= histogram.quantile(share) <= 2 * truth
    assert histogram.quantile(1.0) == 0.01
    assert len(histogram) == 1_000


def test_an_empty_histogram_has_no_quantile_and_a_negative_duration_is_none() -> None:
    histogram = Histogram()
    assert histogram.quantile(0.5) is None
    assert repr(histogram) == "Histogram(empty)"
    histogram.add(-5)
    assert histogram.counts[0] == 1
    assert histogram.quantile(0.5) == pytest.approx(1e-6)
    histogram.add(10**30)
    assert len(histogram) == 2


def test_a_copy_does_not_change() -> None:
    histogram = Histogram()
    copy = histogram.copy()
    histogram.add(1_000)
    assert (len(copy), len(histogram)) == (0, 1)


def test_a_rate_is_that_of_the_last_seconds() -> None:
    rate = Rate(span=5)
    assert rate.per_second == 0
    for second in range(20):
        rate.sample(second, 100 * second if second < 10 else 1_000 + 10 * (second - 10))
    assert rate.per_second == 10


def test_one_line_in_ten_seconds_comes_through_and_says_how_many_did_not() -> None:
    now = [0.0]
    quiet = Quiet(10, lambda: now[0])
    assert quiet.admits() == 0
    assert [quiet.admits() for _ in range(5)] == [None] * 5
    now[0] = 10
    assert quiet.admits() == 5
    assert quiet.admits() is None
