"""What a user's callback raises stays with it."""

from __future__ import annotations

import logging
import os
import signal

import pytest

from tickloom.kite.dispatch import QUIET_S, Callbacks, Signals


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def boom(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("y")])
def test_an_exception_is_logged_with_its_trace_and_goes_no_further(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    callbacks = Callbacks(exits=True)
    callbacks.run("on_ticks", boom, error)
    assert callbacks.raised == 1
    assert caplog.records[0].exc_info is not None
    assert "on_ticks raised" in caplog.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_an_exit_goes_through_where_it_can_end_the_process_and_only_there(error: BaseException) -> None:
    with pytest.raises(type(error)):
        Callbacks(exits=True).run("on_ticks", boom, error)
    threaded = Callbacks(exits=False)
    threaded.run("on_ticks", boom, error)
    assert threaded.raised == 1


def test_a_callback_that_always_raises_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    callbacks = Callbacks(exits=True, clock=clock)
    for _ in range(1000):
        callbacks.run("on_ticks", boom, ValueError())
    callbacks.run("on_close", boom, ValueError())
    assert len(caplog.records) == 2
    clock.now = QUIET_S
    callbacks.run("on_ticks", boom, ValueError())
    assert "not logged since the last time: 999" in caplog.records[-1].getMessage()
    assert callbacks.raised == 1002


def test_dropped_frames_are_told_at_once_and_then_now_and_again(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    callbacks = Callbacks(exits=True, clock=clock)
    for total in (0, 0, 3, 5, 9):
        callbacks.note_dropped(total)
    assert [record.args for record in caplog.records] == [(3,)]
    clock.now = QUIET_S
    callbacks.note_dropped(9)
    callbacks.note_dropped(9)
    assert [record.args for record in caplog.records] == [(3,), (6,)]


def test_a_callback_that_is_not_there_is_not_called() -> None:
    Callbacks(exits=True).run("on_ticks", None, 1, 2)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_the_first_signal_stops_and_is_raised_at_the_end_and_the_second_does_what_it_always_did(
    number: int, raised: type[BaseException]
) -> None:
    before, stops = signal.getsignal(number), []

    def run() -> None:
        with Signals(lambda: stops.append(1)):
            os.kill(os.getpid(), number)
            assert stops == [1]
            assert signal.getsignal(number) is before

    with pytest.raises(raised) as caught:
        run()
    assert signal.getsignal(number) is before
    assert getattr(caught.value, "code", 143) == 143


def test_what_ended_the_run_itself_is_not_hidden_by_a_signal() -> None:
    def exit_after_a_signal() -> None:
        with Signals(lambda: None):
            os.kill(os.getpid(), signal.SIGINT)
            raise SystemExit(7)

    with pytest.raises(SystemExit, match="7"):
        exit_after_a_signal()


def test_a_handler_of_the_program_is_left_alone() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with Signals(lambda: None):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_nothing_is_logged_without_a_handler_that_wants_it() -> None:
    assert logging.getLogger("tickloom.kite").handlers == []
