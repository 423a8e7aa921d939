"""The drop-in's surface is the vendor's: names, signatures, constants, attributes and their defaults."""

from __future__ import annotations

import inspect
import logging
import random
import warnings
from typing import Any

import numpy as np
import pytest

from tests.differential.packets import exact, vendor
from tests.random_frames import frame
from tickloom.kite import KiteTicker

with warnings.catch_warnings():
    # The package's own dependencies warn on import.
    warnings.simplefilter("ignore")
    from kiteconnect import KiteTicker as Vendors

METHODS = sorted(name for name in vars(Vendors) if not name.startswith("_") and callable(getattr(Vendors, name)))
CONSTANTS = sorted(name for name in vars(Vendors) if name.isupper())


def test_every_public_method_of_the_vendor_is_looked_at() -> None:
    assert len(METHODS) == 9
    assert len(CONSTANTS) == 8


@pytest.mark.parametrize("name", ["__init__", *METHODS])
def test_a_methods_signature_is_the_vendors(name: str) -> None:
    assert inspect.signature(getattr(KiteTicker, name)) == inspect.signature(getattr(Vendors, name))


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_the_vendors(name: str) -> None:
    assert getattr(KiteTicker, name) == getattr(Vendors, name)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"root": "ws://here", "debug": True},
        {"reconnect_max_tries": 1000, "reconnect_max_delay": 1},
        {"reconnect": False},
    ],
)
def test_an_attribute_of_a_new_ticker_is_the_vendors(options: dict[str, Any]) -> None:
    theirs, ours = Vendors("key", "token", **options), KiteTicker("key", "token", **options)
    public = {name: value for name, value in vars(theirs).items() if not name.startswith("_")}
    assert len(public) > 15
    assert {name: getattr(ours, name) for name in public} == public
    assert ours.is_connected() == theirs.is_connected() == False  # noqa: E712 - the value, not its truth


def test_a_ticker_shows_its_secret_only_where_the_vendor_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ticker = KiteTicker("key", "canary", reconnect_max_tries=9_999, debug=True)
    assert "canary" not in repr(ticker) + str(vars(ticker)) + caplog.text
    assert ticker.socket_url.endswith("canary")


def test_a_new_address_brings_a_new_token() -> None:
    ticker = KiteTicker("key", "old")
    ticker.socket_url = "wss://other?api_key=k&access_token=n%26w"
    assert (ticker.root, ticker.socket_url) == ("wss://other", "wss://other?api_key=k&access_token=n%26w")
    with pytest.raises(ValueError, match="access_token") as refused:
        ticker.socket_url = "wss://other?api_key=canary"
    assert "canary" not in str(refused.value)


def test_subscriptions_are_kept_before_there_is_a_connection() -> None:
    ticker = KiteTicker("key", "token")
    assert ticker.subscribe([1, 2, np.uint32(3)]) is True
    assert ticker.set_mode(ticker.MODE_FULL, [2, 4]) is True
    assert ticker.unsubscribe([3, 99]) is True
    assert ticker.subscribed_tokens == {1: "quote", 2: "full", 4: "full"}


def test_a_repeated_subscribe_does_not_take_the_mode_away() -> None:
    ticker = KiteTicker("key", "token")
    ticker.set_mode("full", [1])
    ticker.subscribe([1])
    assert ticker.subscribed_tokens == {1: "full"}


@pytest.mark.parametrize("tokens", [["408065"], [1.5], [None], 7])
def test_what_is_no_token_is_refused_where_it_is_said(tokens: Any) -> None:
    ticker = KiteTicker("key", "token")
    for method in (ticker.subscribe, ticker.unsubscribe, lambda wrong: ticker.set_mode("full", wrong)):
        with pytest.raises(TypeError, match="integers"):
            method(tokens)
    assert ticker.subscribed_tokens == {}


def test_what_a_connection_does_not_take_is_refused_before_the_server_is_asked() -> None:
    ticker = KiteTicker("key", "token")
    ticker.subscribe(range(1, 3001))
    ticker.subscribe([1, 2])
    for call in (lambda: ticker.subscribe([3001]), lambda: ticker.set_mode("full", [3001])):
        with pytest.raises(ValueError, match="3000"):
            call()
    assert len(ticker.subscribed_tokens) == 3000
    with pytest.raises(ValueError, match="no such mode"):
        ticker.set_mode("depth", [1])


def test_what_has_nothing_to_act_on_does_nothing() -> None:
    ticker = KiteTicker("key", "token")
    ticker.stop()
    ticker.stop_retry()
    ticker.close()
    ticker.resubscribe()
    assert ticker.frames_dropped == 0


def test_recorded_frames_are_read_as_by_the_vendor() -> None:
    for seed in range(20):
        payload = frame(random.Random(seed), 30)
        assert exact(KiteTicker._parse_binary(payload)) == exact(vendor()(payload))
    assert KiteTicker._parse_binary(b"\x00") == vendor()(b"\x00") == []
