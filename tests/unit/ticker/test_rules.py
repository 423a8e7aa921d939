"""Back-off, failures, settings, credentials and shards."""

from __future__ import annotations

import copy
import itertools
import logging
import pickle
import random

import pytest

import tickloom
from tickloom.ticker import Credentials, Settings
from tickloom.ticker.backoff import Backoff
from tickloom.ticker.failures import Kind, from_close, from_status
from tickloom.ticker.shards import Shards, check_tokens

# Back-off.


def test_the_window_doubles_up_to_the_cap() -> None:
    assert [Backoff().window(n) for n in range(9)] == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert Backoff().window(10**9) == 60


def test_the_jitter_is_full_below_the_cap() -> None:
    assert Backoff().delay(3, 0.0) == 0.0
    assert Backoff().delay(3, 0.5) == 2.0
    assert Backoff().delay(30, 0.0) == 36.0
    assert Backoff().delay(30, 0.999_999) < 60.0


def test_clients_that_were_cut_off_together_come_back_spread_out() -> None:
    rng = random.Random(1)
    delays = sorted(Backoff().delay(20, rng.random()) for _ in range(1000))
    assert max(b - a for a, b in itertools.pairwise(delays)) < 1
    assert delays[-1] - delays[0] > 23


# Failures.


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Kind.AUTHENTICATION), (403, Kind.AUTHENTICATION), (429, Kind.LIMITED),
        *((status, Kind.REDIRECT) for status in (300, 301, 302, 303, 307, 308)),
        (400, Kind.REFUSED), (404, Kind.REFUSED), (426, Kind.REFUSED), (499, Kind.REFUSED),
        (408, Kind.SERVER), (425, Kind.SERVER), (500, Kind.SERVER), (502, Kind.SERVER), (503, Kind.SERVER),
        (599, Kind.SERVER), (200, Kind.SERVER), (999, Kind.SERVER),
    ],
)  # fmt: skip
def test_each_status_has_its_row(status: int, kind: Kind) -> None:
    failure = from_status(status, 7.0)
    assert (failure.kind, failure.code, failure.retry_after) == (kind, status, 7.0)
    assert str(status) in failure.reason


def test_a_close_says_what_it_means() -> None:
    assert from_close(1001).reason == "server going away"
    assert from_close(None).code == 1006
    assert from_close(4321, "because").reason == "closed: because"
    assert {from_close(code).kind for code in (None, 1000, 1006, 4000)} == {Kind.CLOSED}


# Settings.


@pytest.mark.parametrize(
    "wrong",
    [
        {"silence_timeout": 0}, {"silence_timeout": float("nan")}, {"chunk": 0}, {"max_tokens": -1},
        {"ping_interval": 5.0}, {"backoff_base": 61.0}, {"glance": 0.0},
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Settings(**wrong)


def test_the_password_of_a_proxy_is_not_shown() -> None:
    assert "canary" not in repr(Settings(proxy="http://user:canary@host:1"))


# Credentials.

KEY, TOKEN = "canarykey0123456", "canary+token/ü&=0123456789"


def test_credentials_show_nothing(caplog: pytest.LogCaptureFixture) -> None:
    secret = Credentials(KEY, TOKEN)
    with caplog.at_level(logging.DEBUG):
        logging.getLogger("x").debug("%s %r", secret, secret)
    shown = [repr(secret), str(secret), f"{secret}", f"{[secret]}", caplog.text]
    assert not any("canary" in text for text in shown)
    for make in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError) as caught:
            make(secret)
        assert "canary" not in str(caught.value)


@pytest.mark.parametrize(("key", "token"), [("", "canary"), ("canary", ""), (" canary", "x"), ("x", "canary\n")])
def test_what_cannot_be_a_secret_is_refused_without_quoting_it(key: str, token: str) -> None:
    with pytest.raises(ValueError, match="must not be empty") as caught:
        Credentials(key, token)
    assert "canary" not in str(caught.value)
    with pytest.raises(TypeError, match="access_token must be a string: bytes"):
        Credentials("key", b"canary")


def test_the_url_holds_both() -> None:
    assert (
        Credentials("key", "token").url("wss://ws.kite.trade") == "wss://ws.kite.trade?api_key=key&access_token=token"
    )
    assert Credentials("key", "a&b=c").url("ws://h:1/p?x=1") == "ws://h:1/p?x=1&api_key=key&access_token=a%26b%3Dc"


def test_redaction_takes_out_both_spellings() -> None:
    secret = Credentials(KEY, TOKEN)
    text = secret.redact(f"{KEY} {TOKEN} {secret.url('ws://h')}")
    assert "canary" not in text
    assert Credentials("a", "b").redact("a bad day") == "a bad day"


def test_redaction_takes_out_what_a_text_has_no_more_room_for() -> None:
    secret = Credentials(KEY, "a token/of-some+length")
    whole = secret.url("ws://h")
    for end in range(len(whole)):
        assert "a+toke" not in secret.redact(whole[:end])
    assert secret.redact(f"refused: {whole}"[:-3]) == "refused: ws://h?api_key=***&access_token=***"
    assert secret.redact("a token in the middle") == "a token in the middle"


def test_credentials_are_equal_by_value() -> None:
    assert Credentials("a", "b") == Credentials("a", "b")
    assert len({Credentials("a", "b"), Credentials("a", "b"), Credentials("ab", "c")}) == 2
    assert Credentials("a", "b") != Credentials("a", "c")
    assert Credentials("a", "b") != ("a", "b")


# Shards.


def test_tokens_fill_one_connection_after_the_other() -> None:
    shards = Shards(3, 3000)
    assert {n: len(t) for n, t in shards.add(range(1, 7002), "full").items()} == {0: 3000, 1: 3000, 2: 1001}
    assert len(shards) == 7001
    assert shards.subscriptions() == dict.fromkeys(range(1, 7002), "full")


def test_a_token_stays_where_it_is_and_comes_back_to_where_it_was() -> None:
    shards = Shards(3, 2)
    shards.add([1, 2, 3, 4, 5], "ltp")
    assert shards.add([3, 5], "full") == {1: [3], 2: [5]}
    assert shards.remove([1, 4, 99]) == {0: [1], 1: [4]}
    assert shards.add([4], "full") == {1: [4]}
    assert shards.add([6], "full") == {0: [6]}
    assert shards.add([1], "full") == {2: [1]}  # its place was taken
    assert dict(shards.on(2)) == {5: "full", 1: "full"}


def test_placement_is_the_same_for_the_same_calls() -> None:
    def play() -> list:
        rng = random.Random(7)
        shards = Shards(3, 20)
        return [
            shards.remove([rng.randrange(1, 60)]) if rng.random() < 0.4 else shards.add([rng.randrange(1, 60)], "full")
            for _ in range(500)
        ]

    assert play() == play()


def test_one_token_too_many_is_refused_and_nothing_changes() -> None:
    shards = Shards(2, 10)
    shards.add(range(1, 19), "full")
    with pytest.raises(tickloom.SubscriptionLimit, match=r"2 connections hold 20 tokens .* no room for more: 3"):
        shards.add([18, 19, 20, 21], "ltp")
    assert shards.subscriptions() == dict.fromkeys(range(1, 19), "full")
    shards.add([18, 19, 20], "ltp")


def test_random_changes_keep_every_token_once_and_no_connection_too_full() -> None:
    rng = random.Random(11)
    shards, desired, home = Shards(3, 30), {}, {}
    for _ in range(3000):
        tokens = [rng.randrange(1, 120) for _ in range(rng.randint(1, 12))]
        mode = rng.choice(["ltp", "quote", "full"])
        if rng.random() < 0.5:
            for number, removed in shards.remove(tokens).items():
                assert all(home.pop(token) == number for token in removed)
            desired = {token: m for token, m in desired.items() if token not in tokens}
        elif len(desired.keys() | set(tokens)) > 90:
            with pytest.raises(tickloom.SubscriptionLimit):
                shards.add(tokens, mode)
        else:
            for number, placed in shards.add(tokens, mode).items():
                for token in placed:
                    assert home.setdefault(token, number) == number
            desired.update(dict.fromkeys(tokens, mode))
        assert shards.subscriptions() == desired
        assert max(len(shards.on(number)) for number in range(3)) <= 30


@pytest.mark.parametrize("wrong", ["408065", 4.0, True, None])
def test_what_is_no_integer_is_no_token(wrong: object) -> None:
    with pytest.raises(TypeError, match="a token must be an integer"):
        check_tokens([1, wrong])


@pytest.mark.parametrize("wrong", [0, -1, 2**32])
def test_a_token_has_32_bits(wrong: int) -> None:
    with pytest.raises(ValueError, match="a token must be from 1 to"):
        check_tokens([wrong])
