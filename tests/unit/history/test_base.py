"""Minutes as columns, and what is no minute."""

from __future__ import annotations

import pytest

from tickloom.history import Instrument, Minutes
from tickloom.history.base import MINUTE_NS, date_of, midnight
from tickloom.model import ist

INFY = Instrument(408065, "NSE:INFY")
AT = 29_640_000 * MINUTE_NS


def row(nth: int = 0, *, o=10.0, h=11.0, low=9.0, c=10.5, volume=5, oi=0) -> tuple:
    return AT + nth * MINUTE_NS, o, h, low, c, volume, oi


def test_rows_in_any_order_come_out_ascending_and_the_last_of_a_time_counts():
    minutes, bad = Minutes.of_rows([row(2), row(0), row(1), row(0, c=10.75)], INFY)
    assert bad == 0
    assert minutes.time.tolist() == [AT, AT + MINUTE_NS, AT + 2 * MINUTE_NS]
    assert minutes.close.tolist() == [10.75, 10.5, 10.5]


@pytest.mark.parametrize(
    "bad",
    [
        row(o=0.0), row(c=-1.0), row(h=float("nan")), row(h=float("inf")), row(low=None), row(o="10"), row(h=8.0),
        row(volume=-1), row(volume=2**54), row(oi=-1), row(volume=1.5), (AT + 1, *row()[1:]),
    ],
)  # fmt: skip
def test_what_no_broker_may_say_is_left_out_and_counted(bad):
    minutes, count = Minutes.of_rows([row(1), bad], INFY)
    assert (len(minutes), count) == (1, 1)


def test_an_index_has_no_volume_and_a_stock_no_open_interest():
    index, _ = Minutes.of_rows([row()], Instrument(256265, "NIFTY 50"))
    stock, _ = Minutes.of_rows([row()], INFY)
    future, _ = Minutes.of_rows([row(oi=7)], Instrument(7 << 8 | 2, "NFO:X"))
    assert (index.volume, stock.oi) == (None, None)
    assert stock.volume is not None
    assert future.oi is not None
    assert future.oi.tolist() == [7]


def test_a_span_is_half_open_and_parts_join():
    minutes, _ = Minutes.of_rows([row(nth) for nth in range(5)], INFY)
    head, tail = minutes.between(AT, AT + 2 * MINUTE_NS), minutes.between(AT + 2 * MINUTE_NS, AT + 99 * MINUTE_NS)
    assert (len(head), len(tail)) == (2, 3)
    whole = Minutes.joined([head, tail, Minutes.empty()])
    assert whole.time.tolist() == minutes.time.tolist()
    assert whole.volume is not None
    assert len(whole.volume) == 5
    assert whole.oi is None


def test_a_date_is_indias():
    at = midnight(date_of(AT))
    assert (ist(at).hour, ist(at).minute, ist(at).date()) == (0, 0, date_of(AT))
    assert date_of(at - 1) < date_of(at)
