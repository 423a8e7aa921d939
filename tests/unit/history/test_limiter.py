"""One rate a key: over threads, over processes, over a broker that complains."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from tickloom.errors import ConnectionFailed
from tickloom.history import Limiter

PROGRAM = """
import sys, time
from tickloom.history import Limiter
limiter = Limiter(sys.argv[1], 5, window=0.2)
for _ in range(10):
    with limiter.slot():
        print(time.monotonic(), flush=True)
"""


def most_in(times: list[float], window: float) -> int:
    times = sorted(times)
    return max(sum(at <= other < at + window for other in times[nth:]) for nth, at in enumerate(times))


class Clock:
    """A time that passes only by waiting."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        assert seconds > 0
        self.now += seconds
        return False


def test_no_more_than_so_many_in_any_second_whenever_the_answers_come(tmp_path):
    clock = Clock()
    limiter = Limiter(tmp_path / "limit.json", 3, clock=clock)
    held: list[tuple[float, float]] = []
    for nth in range(30):
        with limiter.slot(clock.wait):
            sent = clock.now
            clock.now += (0.0, 0.05, 0.7)[nth % 3]
            held.append((sent, clock.now))
    # Whenever the broker counted each: the fourth was sent a second after the first's answer.
    assert all(later[0] >= earlier[1] + 1 for earlier, later in zip(held, held[3:], strict=False))


def test_an_answer_that_takes_long_does_not_hold_its_slot_for_ever(tmp_path):
    clock = Clock()
    limiter = Limiter(tmp_path / "limit.json", 1, clock=clock)
    with limiter.slot(clock.wait):
        began = clock.now
        with Limiter(tmp_path / "limit.json", 1, clock=clock).slot(clock.wait):
            assert clock.now == pytest.approx(began + 2, abs=0.06)


def test_two_processes_and_four_threads_share_one_rate(tmp_path):
    path = tmp_path / "limit.json"
    others = [subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True)
              for _ in range(2)]  # fmt: skip
    times: list[float] = []

    def work() -> None:
        limiter = Limiter(path, 5, window=0.2)
        for _ in range(4):
            with limiter.slot():
                times.append(time.monotonic())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    for other in others:
        out, _ = other.communicate(timeout=20)
        times += [float(line) for line in out.splitlines()]
    assert len(times) == 36
    assert most_in(times, 0.2) <= 5


def test_after_a_429_everybody_waits_as_long_as_the_broker_said_and_is_slower_for_a_while(tmp_path):
    clock = Clock()
    path = tmp_path / "limit.json"
    limiter, other = Limiter(path, 3, clock=clock), Limiter(path, 3, clock=clock)
    began = clock.now
    assert limiter.throttled(7.0) == 7.0
    with other.slot(clock.wait):
        assert clock.now == pytest.approx(began + 7)
    assert other.factor == 2
    assert limiter.throttled(None) == 4
    for _ in range(3):
        limiter.throttled(0)
    assert limiter.factor == 8
    for _ in range(20):
        other.went_well()
    assert limiter.factor == 4
    for _ in range(60):
        other.went_well()
    assert limiter.factor == 1


def test_a_waiting_thread_gives_up_when_it_is_told(tmp_path):
    limiter = Limiter(tmp_path / "limit.json", 1)
    stop = threading.Event()
    with limiter.slot():
        threading.Timer(0.05, stop.set).start()
        with pytest.raises(ConnectionFailed, match="give up"), limiter.slot(stop.wait):
            pass


def test_a_torn_file_costs_a_window_and_one_of_before_the_last_start_nothing(tmp_path):
    clock = Clock()
    path = tmp_path / "limit.json"
    path.write_text('{"free": [1')
    began = clock.now
    with Limiter(path, 3, clock=clock).slot(clock.wait):
        assert clock.now == pytest.approx(began + 1, abs=0.06)
    path.write_text('{"free": [1e9, 1e9, 1e9], "hold": 1e9, "factor": 1, "calm": 0}')
    began = clock.now
    with Limiter(path, 3, clock=clock).slot(clock.wait):
        assert clock.now == began


HOLDER = """
import sys, time
from tickloom.history import Limiter
limiter = Limiter(sys.argv[1], 1, window=0.1)
with limiter._state() as state:
    state["free"] = [limiter._clock() + 0.05]
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_process_that_is_killed_with_the_lock_in_its_hand_stops_nobody(tmp_path):
    path = tmp_path / "limit.json"
    with Limiter(path, 1, window=0.1).slot():
        pass
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    taken = threading.Event()

    def take() -> None:
        with Limiter(path, 1, window=0.1).slot():
            taken.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    assert not taken.wait(0.3)
    holder.kill()
    holder.wait(10)
    assert taken.wait(10)
    thread.join(10)
    holder.stdout.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"\xff\xfe\x00", b"[]", b"null", b"7", b'{"free": 7}', b'{"free": ["a"], "hold": 0, "factor": 1, "calm": 0}',
        b'{"free": [], "hold": 0, "factor": 1, "calm": Infinity}', b"[" * 100_000,
        b'{"free": [0, 0, 0], "hold": 0, "factor": 1, "calm": 0}trailing',
    ],
)  # fmt: skip
def test_a_file_that_somebody_else_made_costs_a_window_at_most(tmp_path, raw):
    clock = Clock()
    path = tmp_path / "limit.json"
    path.write_bytes(raw)
    began = clock.now
    with Limiter(path, 3, clock=clock).slot(clock.wait):
        assert clock.now == pytest.approx(began + 1, abs=0.06)
    assert Limiter(path, 3, clock=clock).factor == 1


def test_numbers_that_are_none_do_not_lift_the_limit(tmp_path):
    clock = Clock()
    path = tmp_path / "limit.json"
    path.write_text('{"free": [NaN, NaN, NaN], "hold": NaN, "factor": NaN, "calm": 0}')
    limiter = Limiter(path, 3, clock=clock)
    began = clock.now
    for _ in range(4):
        with limiter.slot(clock.wait):
            pass
    assert clock.now >= began + 1


def test_the_files_name_does_not_tell_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    limiter = Limiter.of_key("kite:my-very-own-key")
    with limiter.slot():
        pass
    assert limiter.path.is_relative_to(tmp_path)
    assert "my-very-own-key" not in str(limiter.path) + limiter.path.read_text()
    assert limiter.path == Limiter.of_key("kite:my-very-own-key").path != Limiter.of_key("kite:another").path


def test_a_rate_that_is_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one request"):
        Limiter(tmp_path / "limit.json", 0)
