"""Retries: how often, how far apart, and what is never tried again."""

from __future__ import annotations

import pytest

from tickloom.errors import AuthenticationFailed, ConnectionFailed
from tickloom.history import Limiter, Retries
from tickloom.history.pace import Pacer, TryAgain, retry_after


def pacer(tmp_path, **options) -> Pacer:
    return Pacer(Limiter(tmp_path / "limit.json", 1_000), Retries(**options))


def failing(*errors: Exception):
    left = list(errors)

    def request() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return request


def test_the_wait_doubles_up_to_a_cap_and_chance_has_all_of_it():
    most = Retries(base=0.5, cap=4, chance=lambda: 1.0)
    assert [most.delay(nth) for nth in range(1, 7)] == [0.5, 1, 2, 4, 4, 4]
    assert Retries(chance=lambda: 0.0).delay(5) == 0
    assert Retries(base=1, chance=lambda: 0.25).delay(3) == 1.0


def test_a_failure_that_may_pass_is_tried_again_after_a_wait(tmp_path):
    waited: list[float] = []
    paced = pacer(tmp_path, chance=lambda: 1.0)
    given = paced.call(failing(TryAgain("500"), TryAgain("cut")), lambda seconds: waited.append(seconds) is not None)
    assert (given, paced.requests, waited) == ("answer", 3, [0.5, 1.0])


def test_after_the_last_attempt_it_says_what_went_wrong(tmp_path):
    with pytest.raises(ConnectionFailed, match="failed 2 times, try later: 503"):
        pacer(tmp_path, attempts=2).call(failing(TryAgain("500"), TryAgain("503")), lambda _: False)


def test_what_no_attempt_can_help_is_not_tried_again(tmp_path):
    paced = pacer(tmp_path)
    with pytest.raises(AuthenticationFailed):
        paced.call(failing(AuthenticationFailed("no")), lambda _: False)
    assert paced.requests == 1


def test_it_gives_up_between_two_attempts_when_it_is_told(tmp_path):
    paced = pacer(tmp_path)
    with pytest.raises(ConnectionFailed, match="give up"):
        paced.call(failing(TryAgain("500")), lambda _: True)
    assert paced.requests == 1


@pytest.mark.parametrize(("header", "seconds"), [("2", 2.0), ("0.5", 0.5), ("-1", 0.0), (None, None), ("soon", None)])
def test_retry_after_is_seconds_or_nothing(header, seconds):
    assert retry_after(header) == seconds
