"""The public names are a promise: the list changes on purpose or not at all."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

import tickloom
from tickloom import errors

ERRORS = {
    "AuthenticationFailed",
    "BadDump",
    "ConnectionFailed",
    "DecodeError",
    "FeedStale",
    "MissingExtra",
    "StoreError",
    "SubscriptionLimit",
    "TickloomError",
    "UnknownInstrument",
}
PUBLIC = ERRORS | {
    "__version__", "parse", "Bar", "BarSource", "Candles", "ClosedBar", "Engine", "Feed", "Flags", "Instruments",
    "MarketHours", "Panel", "PriceScales", "Tick", "TickBatch", "TimeSource", "events", "history", "ist",
    "signed_volume", "sources", "to_ns", "watchlists",
}  # fmt: skip


def test_the_package_exports_exactly_the_promised_names() -> None:
    assert set(tickloom.__all__) == PUBLIC


def test_every_promised_name_exists_and_says_what_it_is() -> None:
    for name in PUBLIC - {"__version__"}:
        assert getattr(tickloom, name).__doc__, name


def test_the_export_list_is_sorted() -> None:
    assert list(tickloom.__all__) == sorted(tickloom.__all__)


def test_the_package_says_that_it_is_typed() -> None:
    assert Path(tickloom.__file__).with_name("py.typed").is_file()


def test_every_error_is_a_tickloom_error() -> None:
    assert set(errors.__all__) == ERRORS
    for name in ERRORS:
        assert issubclass(getattr(errors, name), tickloom.TickloomError), name


@pytest.mark.parametrize(
    ("error", "builtin"),
    [
        ("BadDump", ValueError),
        ("DecodeError", ValueError),
        ("SubscriptionLimit", ValueError),
        ("UnknownInstrument", KeyError),
        ("MissingExtra", ImportError),
    ],
)
def test_an_error_can_be_caught_as_the_builtin_it_resembles(error: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, error), builtin)


def test_code_that_retries_failed_connections_does_not_retry_a_refused_token() -> None:
    assert not issubclass(errors.AuthenticationFailed, errors.ConnectionFailed)


def test_a_decode_error_says_what_and_where() -> None:
    error = errors.DecodeError("truncated_body", 188)
    assert (error.kind, error.offset, str(error)) == ("truncated_body", 188, "truncated_body at byte 188")


def test_a_missing_extra_names_what_to_install() -> None:
    error = errors.MissingExtra("cli", "rich")
    assert "tickloom[cli]" in str(error)
    assert "rich" in str(error)


def test_an_unknown_instrument_reads_like_a_sentence_without_quotes() -> None:
    assert str(errors.UnknownInstrument("no such token: 7")) == "no such token: 7"


@pytest.mark.parametrize(
    "error",
    [errors.DecodeError("short_header", 1), errors.MissingExtra("cli", "rich"), errors.UnknownInstrument("x")],
)
def test_errors_survive_the_trip_between_processes(error: Exception) -> None:
    # Round trip of our own objects only.
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes made one call earlier
    assert type(copy) is type(error)
    assert str(copy) == str(error)
