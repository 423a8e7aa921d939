"""States of a connection become the vendor's callbacks: the counts and the order that its class shows on a socket."""

from __future__ import annotations

from typing import Any

import pytest

from tickloom.kite.translate import Translator
from tickloom.ticker.messages import ConnectionEvent


def translator(**options: Any) -> Translator:
    return Translator("ws://here", **({"reconnect": True, "max_tries": 50} | options))


def names(machine: Translator, *events: tuple[Any, ...]) -> list[Any]:
    """The callbacks that events lead to, those with a number with it."""
    found: list[Any] = []
    for state, *rest in events:
        code, reason = (*rest, None, "")[:2] if rest else (None, "")
        calls = machine.handle(ConnectionEvent(state, 0, 0, code=code, reason=reason or ""))
        found += [(call.kind, call.arguments[0]) if call.kind in NUMBERED else call.kind for call in calls]
    return found


NUMBERED = {"on_reconnect", "on_close"}
UP = [("connecting",), ("connected",)]
LOST = [("disconnected", 1006, "lost without a close"), ("waiting", 1006, "lost without a close")]
BUSY = [("connecting",), ("waiting", 503, "the server failed: HTTP 503")]


def test_a_connection_that_stands_opens() -> None:
    assert names(translator(), *UP) == ["on_connect", "on_open"]


def test_a_close_with_a_code_is_no_error() -> None:
    assert names(translator(), *UP, ("disconnected", 1001, "server going away: bye")) == [
        "on_connect", "on_open", ("on_close", 1001),
    ]  # fmt: skip


def test_the_reason_is_the_servers_own_words() -> None:
    machine = translator()
    names(machine, *UP)
    assert machine.handle(ConnectionEvent("disconnected", 0, 0, code=1001, reason="server going away: bye: now"))[
        0
    ].arguments == (1001, "bye: now")
    names(machine, *UP)
    assert machine.handle(ConnectionEvent("disconnected", 0, 0, code=1011, reason="server error"))[0].arguments == (
        1011,
        None,
    )


def test_a_link_that_breaks_is_an_error_and_a_close() -> None:
    assert names(translator(), *UP, *LOST)[2:] == ["on_error", ("on_close", 1006)]


def test_retries_are_counted_from_the_second_failure_and_anew_after_a_success() -> None:
    machine = translator()
    assert names(machine, *UP, *LOST, *BUSY)[2:] == [
        "on_error", ("on_close", 1006), "on_error", ("on_close", 1006), ("on_reconnect", 1),
    ]  # fmt: skip
    assert names(machine, *BUSY)[-1] == ("on_reconnect", 2)
    assert names(machine, *UP, *LOST, *BUSY)[-1] == ("on_reconnect", 1)


def test_after_the_last_retry_the_script_is_told_and_nothing_follows() -> None:
    machine = translator(max_tries=1)
    assert names(machine, *UP, *LOST)[-1] == ("on_close", 1006)
    assert not machine.over
    assert names(machine, *BUSY)[-2:] == [("on_reconnect", 1), "on_noreconnect"]
    assert machine.over


def test_nobody_who_answers_is_no_error_but_counts() -> None:
    refused = [("connecting",), ("waiting", None, "connection refused")]
    assert names(translator(), *refused) == []
    assert names(translator(), *refused, *refused) == [("on_reconnect", 1)]


def test_without_reconnect_the_first_loss_is_the_end() -> None:
    machine = translator(reconnect=False)
    assert names(machine, *UP, *LOST)[2:] == ["on_error", ("on_close", 1006)]
    assert machine.over


def test_stop_retry_leaves_a_connection_alone_and_ends_a_wait() -> None:
    standing, waiting = translator(), translator()
    names(standing, *UP)
    standing.stop_retrying()
    assert not standing.over
    names(standing, *LOST)
    assert standing.over
    names(waiting, *BUSY)
    waiting.stop_retrying()
    assert waiting.over


def test_a_close_of_ones_own_is_clean_and_says_what_was_said() -> None:
    machine = translator()
    names(machine, *UP)
    machine.close(1000, "bye")
    assert machine.handle(ConnectionEvent("stopped", 0, 0))[0].arguments == (1000, "bye")


def test_a_stop_is_an_unclean_end_as_in_the_vendors_class() -> None:
    machine = translator()
    names(machine, *UP)
    machine.stop()
    assert names(machine, ("stopped",)) == ["on_error", ("on_close", 1006)]
    assert machine.finish() == []


def test_what_the_client_did_not_say_is_said_at_the_end() -> None:
    machine = translator()
    names(machine, *UP)
    machine.stop()
    assert [call.kind for call in machine.finish()] == ["on_error", "on_close"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_told_at_once_and_never_tried_again(status: int) -> None:
    machine = translator()
    calls = names(machine, ("connecting",), ("authentication_failed", status, "refused"))
    assert calls == ["on_error", ("on_close", 1006), "on_noreconnect"]
    assert machine.over


def test_a_refused_token_that_somebody_will_replace_is_not_the_end() -> None:
    machine = translator(waits_for_token=True)
    assert names(machine, ("connecting",), ("authentication_failed", 403, "")) == ["on_error", ("on_close", 1006)]
    assert not machine.over
    assert names(machine, *UP) == ["on_connect", "on_open"]


def test_scripts_find_the_status_in_the_reason() -> None:
    machine = translator()
    calls = [
        *machine.handle(ConnectionEvent("connecting", 0, 0)),
        *machine.handle(ConnectionEvent("waiting", 0, 0, code=503, reason="")),
    ]
    assert "503 - Service Unavailable" in calls[0].arguments[1]
